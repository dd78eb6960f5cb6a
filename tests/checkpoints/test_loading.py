"""One door: published weights in their authors' own layouts, our folders, names and their refusals.

Every fixture goes through the code path of `--model FOLDER`: a folder with the weight file and the config as published.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samcli.checkpoints.convert import convert
from samcli.checkpoints.format import save_module
from samcli.checkpoints.loading import adapted, folder_revision, load_model, locate
from samcli.checkpoints.modules import load_folder
from samcli.checkpoints.tiny import tiny_network, tiny_tokenizer
from samcli.errors import ModelError, UsageError
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.interface import SpeakOptions
from samcli.models.lora import AdapterConfig, adapter_parameters, add_adapter
from samcli.models.tuned import load_adapter
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.text.labels import labels
from tests.checkpoints.conftest import ROOT
from tests.models.test_tuned import save_adapter

FIXTURES = ROOT / "tests" / "fixtures"
EAT_WORDS = {
    "model_type": "eat", "architectures": ["EATModel"], "auto_map": {"AutoModel": "modeling_eat.EATModel"},
    "embed_dim": 48, "depth": 2, "num_heads": 4, "patch_size": 16, "stride": 16, "in_chans": 1, "num_classes": 7,
    "mlp_ratio": 4.0, "qkv_bias": True, "layer_norm_first": False, "norm_eps": 1e-6, "fixed_positions": True,
    "model_variant": "finetune", "mel_bins": 128, "max_length": 72, "img_size": [1024, 128],
}  # fmt: skip
DASS_WORDS = {
    "model_type": "dass", "embed_dim": 8, "depths": [1, 1, 2, 1], "dims": [8, 16, 32, 64], "num_classes": 7,
    "max_length": 1024, "patch_size": 4, "drop_path_rate": 0.2, "loss_type": "bce",
    "id2label": dict(zip("0123456", ["Speech", "Dog", "Rain", "Bell", "Car", "Hum", "Saw"], strict=True)),
}  # fmt: skip
PUBLISHED: dict[str, tuple[str, str, Any]] = {  # fixture folder, weight file, config.json (a name: the fixture's own)
    "dass, Hub": ("dass_hf", "weights.safetensors", DASS_WORDS),
    "dass, authors'": ("dass_original", "weights.safetensors", {}),
    "eat": ("eat", "weights.safetensors", EAT_WORDS),
    "ssamba": ("ssamba", "weights.safetensors", {}),
    "mamba, authors'": ("mamba1_lm", "weights.safetensors", "config.json"),
    "mamba, transformers": ("mamba1_lm", "weights_hf.safetensors", "config_hf.json"),
    "mamba-2, authors'": ("mamba2_lm", "weights.safetensors", "config.json"),
    "mamba-2, transformers": ("mamba2_lm", "weights_hf.safetensors", "config_hf.json"),
    "phi": ("phi_mamba", "weights.safetensors", "config.json"),
}  # fmt: skip
TOLERANCE = {"language": 1e-4, "phi": 3e-5, "dass": 1e-5, "eat": 1e-5, "ssamba": 1e-5}


def published(name: str, folder: Path) -> Path:
    """A model's folder as it lies on the Hub."""
    fixture, weights, words = PUBLISHED[name]
    folder.mkdir()
    shutil.copyfile(FIXTURES / fixture / weights, folder / "model.safetensors")
    if isinstance(words, str):
        shutil.copyfile(FIXTURES / fixture / words, folder / "config.json")
    elif words:
        (folder / "config.json").write_text(json.dumps(words))
    return folder


def as_pickle(folder: Path, wrap: str = "") -> Path:
    """The same model as a training program leaves it: one torch file, no safetensors."""
    tensors = load_file(folder / "model.safetensors")
    torch.save({wrap: tensors, "epoch": 3} if wrap else tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def difference(name: str, folder: Path) -> float:
    """The largest difference between the model in `folder` and the authors' program."""
    piece = load_folder(folder)
    case = load_file(FIXTURES / PUBLISHED[name][0] / "case.safetensors")
    with torch.no_grad():
        if piece.kind == "phi":
            return float((piece.module(case["input_ids"])[0] - case["logits"]).abs().max()) / TOLERANCE["phi"]
        if piece.kind == "language":
            found = piece.module(case["input"])[0]
        else:
            frames = case["input"][:, 0] if piece.kind == "eat" else case["input"]
            found = piece.module.read(frames).clip_logits
    return float((found - case["output"]).abs().max()) / TOLERANCE[piece.kind]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_give_the_authors_numbers(name: str, tmp_path: Path) -> None:
    assert difference(name, published(name, tmp_path / "model")) < 1


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("wrap", ["", "model"])
def test_converted_pickles_give_the_same_numbers(name: str, wrap: str, tmp_path: Path) -> None:
    done = convert(str(as_pickle(published(name, tmp_path / "model"), wrap)), tmp_path / "ours")
    assert done.kind in TOLERANCE and done.parameters > 1000
    assert difference(name, tmp_path / "ours") < 1
    again = convert(str(tmp_path / "ours"), tmp_path / "again")  # our own format converts to itself
    assert again.parameters == done.parameters
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "ours/model.safetensors").read_bytes()


def test_a_single_pickle_file_converts(tmp_path: Path) -> None:
    folder = as_pickle(published("dass, authors'", tmp_path / "model"))
    (folder / "pytorch_model.bin").rename(folder / "small_47.2.pth")
    convert(str(folder / "small_47.2.pth"), tmp_path / "ours")
    assert difference("dass, authors'", tmp_path / "ours") < 1


def test_several_pickles_are_not_guessed_between(tmp_path: Path) -> None:
    folder = as_pickle(published("dass, authors'", tmp_path / "model"))
    (folder / "pytorch_model.bin").rename(folder / "a.pth")
    shutil.copyfile(folder / "a.pth", folder / "b.pth")
    with pytest.raises(ModelError, match="holds several models"):
        convert(str(folder), tmp_path / "ours")


@pytest.mark.parametrize("name", ["dass, Hub", "dass, authors'", "eat"])
def test_published_taggers_tag(name: str, tmp_path: Path) -> None:
    model = load_model(str(published(name, tmp_path / "model")), device="cpu")
    assert model.tasks == {"tag"}
    assert model.name == str(tmp_path / "model")
    if name == "dass, Hub":
        assert model.labels == ("Speech", "Dog", "Rain", "Bell", "Car", "Hum", "Saw")
    waves = torch.randn(2, 16_000) * 0.1
    encoding = model.encode(waves, torch.tensor([16_000, 8_000]))
    assert encoding.clip_logits is not None and encoding.clip_logits.shape == (2, 7)
    with pytest.raises(ModelError, match="cannot caption"):
        model.speak(None, [""], SpeakOptions())


def test_labels_of_a_converted_tagger_stay(tmp_path: Path) -> None:
    convert(str(published("dass, Hub", tmp_path / "model")), tmp_path / "ours")
    assert load_model(str(tmp_path / "ours"), device="cpu").labels[:2] == ("Speech", "Dog")
    (tmp_path / "ours" / "labels.json").write_text('["one"]')
    with pytest.raises(ModelError, match="list of 7 names"):
        load_model(str(tmp_path / "ours"), device="cpu")


def test_audiosets_names_are_those_of_527_classes(tmp_path: Path) -> None:
    config = DassConfig(widths=(8, 16), depths=(1, 1), classes=527)
    save_module(tmp_path / "model", Dass(config), config)
    assert load_model(str(tmp_path / "model"), device="cpu").labels == labels()


@pytest.mark.parametrize("name", ["mamba, authors'", "mamba-2, transformers", "phi"])
def test_a_language_model_says_that_it_cannot_hear(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot hear"):
        load_model(str(published(name, tmp_path / "model")), device="cpu")


def test_padding_rows_are_told_by_the_tokenizer(tmp_path: Path) -> None:
    folder = published("mamba-2, transformers", tmp_path / "model")
    assert load_folder(folder).config.vocab_size == 64
    words = {"type": "WordLevel", "vocab": {f"w{number}": number for number in range(53)}, "unk_token": "w0"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": words}))
    config = load_folder(folder).config
    assert (config.vocab_size, config.padded_vocab_size) == (53, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"attn_layer_idx": [1]},
        {"d_intermediate": 64},
        {"time_step_limit": [0.001, 0.1]},
        {"time_step_limit": [0.0, 0.1]},
        {"time_step_limit": "short"},
        {"ssm_cfg": {"dt_limit": [0.01, 5.0]}},
        {"hidden_act": "gelu"},
        {"ssm_cfg": {"activation": "relu"}},
        {"norm_before_gate": True},
    ],
)
def test_what_a_published_mamba_asks_for_that_ours_lacks_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    folder = published("mamba-2, authors'", tmp_path / "model")
    words = json.loads((folder / "config.json").read_text())
    ours = {**words.get("ssm_cfg", {}), **change.get("ssm_cfg", {})}
    (folder / "config.json").write_text(json.dumps({**words, **change, "ssm_cfg": ours}))
    with pytest.raises(ModelError, match="which sam does not"):
        load_folder(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"rescale_prenorm_residual": True, "initializer_cfg": {"rescale_prenorm_residual": False}},
        {"residual_in_fp32": False, "fused_add_norm": False},
        {"time_step_min": 0.5, "time_step_max": 0.6, "time_step_floor": 0.5},
        {"time_step_limit": [0.0, math.inf]},
        {"time_step_limit": [0.0, "Infinity"]},
        {"time_step_limit": [0.0, {"__float__": "Infinity"}]},
        {"hidden_act": "swish", "norm_before_gate": False, "attn_layer_idx": [], "d_intermediate": 0},
    ],
)
def test_what_only_says_how_weights_began_changes_nothing(change: dict[str, Any], tmp_path: Path) -> None:
    name = "mamba-2, transformers"
    folder = published(name, tmp_path / "model")
    words = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**words, **change}))
    assert difference(name, folder) < 1


MIXER = "backbone.layers.0.mixer."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({f"{MIXER}D": "per channel"}, "D for every channel"),
        ({f"{MIXER}norm.weight": None}, "no norm behind its scan"),
        ({"backbone.layers.0.norm.bias": 32}, "LayerNorm"),
        ({f"{MIXER}init_states": 4}, "states that were learned"),
        ({f"{MIXER}in_proj.weight": "wider"}, "d_ssm"),
    ],
)
def test_a_published_mamba2_of_other_parts_is_refused(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    folder = published("mamba-2, authors'", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    for name, made in change.items():
        if made is None:
            del tensors[name]
        elif made == "per channel":
            tensors[name] = torch.ones(tensors[f"{MIXER}out_proj.weight"].shape[1])
        elif made == "wider":
            tensors[name] = torch.cat([tensors[name], tensors[name][:8]])
        else:
            tensors[name] = torch.zeros(made)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=sentence):
        load_folder(folder)


def test_a_group_too_many_is_told_by_the_state(tmp_path: Path) -> None:
    folder = published("mamba-2, transformers", tmp_path / "model")
    words = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**words, "n_groups": 2 * words["n_groups"]}))
    with pytest.raises(ModelError, match="and its weights have one of"):
        load_folder(folder)


def test_a_head_of_its_own_is_kept_whatever_is_said_of_ties(tmp_path: Path) -> None:
    folder = published("mamba-2, transformers", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    embedding = tensors["backbone.embeddings.weight"]
    for head, parted in ((embedding.clone(), False), (embedding.flip(0).contiguous(), True)):
        save_file({**tensors, "lm_head.weight": head}, folder / "model.safetensors")
        piece = load_folder(folder)
        assert piece.config.tie_embeddings is not parted
        assert torch.equal(piece.module.lm_head.weight, head)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    "kind", ["bamba", "granitemoehybrid", "nemotron_h", "jamba", "zamba", "zamba2", "falcon_h1", "hymba", "plamo2"]
)
def test_models_that_mix_attention_in_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    folder = published("mamba-2, transformers", tmp_path / "model")
    words = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**words, "model_type": kind}))
    with pytest.raises(ModelError, match="mixes attention layers into its Mamba layers"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("turned", [0.5, 1.0])
def test_a_published_mamba3_is_read_from_its_names(turned: float, tmp_path: Path) -> None:
    config = LanguageConfig(16, 2, 32, d_state=8, headdim=8, ngroups=2, layer="mamba3", turned=turned)
    module = LanguageModel(config).eval().requires_grad_(False)
    tensors = {name: value for name, value in module.state_dict().items() if name != "lm_head.weight"}
    ssm_cfg = {"layer": "Mamba3", "ngroups": 2, "rope_fraction": turned}
    words = {"d_model": 16, "n_layer": 2, "vocab_size": 32, "ssm_cfg": ssm_cfg, "tie_embeddings": True}

    def laid_out(change: dict[str, torch.Tensor], said: dict[str, Any]) -> Path:
        save_file({**tensors, **change}, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps({**words, "ssm_cfg": {**ssm_cfg, **said}}))
        return tmp_path

    tokens = torch.randint(0, 32, (2, 7))
    piece = load_folder(laid_out({}, {}))
    assert piece.config == config
    torch.testing.assert_close(piece.module(tokens)[0], module(tokens)[0])
    for change, said, sentence in (
        ({f"{MIXER}B_bias": torch.ones(4, 4, 8)}, {}, "several inputs"),
        ({f"{MIXER}norm.weight": torch.ones(32)}, {}, "is_outproj_norm"),
        ({f"{MIXER}in_proj.weight": torch.ones(79, 16)}, {}, "fit no Mamba-3"),
        ({}, {"A_floor": 0.01}, "A_floor"),
        ({}, {"ngroups": 1}, "fit no Mamba-3"),
    ):
        with pytest.raises(ModelError, match=sentence):
            load_folder(laid_out(change, said))


@pytest.mark.parametrize("fixture", ["mlmamba_connector", "mambaout", "mixture_of_mamba"])
def test_parts_that_are_no_model_are_refused_by_a_sentence(fixture: str, tmp_path: Path) -> None:
    shutil.copyfile(FIXTURES / fixture / "weights.safetensors", tmp_path / "model.safetensors")
    with pytest.raises(ModelError):
        load_model(str(tmp_path), device="cpu")


@pytest.mark.parametrize("heads", [0, -4, "four", 5])
def test_impossible_heads_are_refused(heads: Any, tmp_path: Path) -> None:
    folder = published("eat", tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({**EAT_WORDS, "num_heads": heads}))
    with pytest.raises(ModelError):
        load_model(str(folder), device="cpu")


def test_heads_are_not_guessed(tmp_path: Path) -> None:
    folder = published("eat", tmp_path / "model")
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match="num_heads"):
        load_folder(folder)


def test_one_published_tensor_less_is_named(tmp_path: Path) -> None:
    folder = published("eat", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.pre_norm.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"1 missing \(pre_norm.bias\)"):
        load_folder(folder)


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam") / "model"
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer)
    save_module(folder, network, network.config, tokenizer=tokenizer.save(folder.parent / "tokenizer.json"))
    (folder / "labels.json").write_text(json.dumps([f"sound {number}" for number in range(12)]))
    return folder


def test_a_saved_sam_speaks_as_it_did(sam_folder: Path) -> None:
    tiny, saved = load_model("tiny-random", device="cpu"), load_model(str(sam_folder), device="cpu")
    assert saved.tasks == tiny.tasks == {"tag", "caption", "ask"}
    assert saved.labels[3] == "sound 3"
    waves, lengths = torch.randn(2, 32_000) * 0.1, torch.tensor([32_000, 20_000])
    texts = []
    for model in (tiny, saved):
        state = model.listen(model.encode(waves, lengths), None)
        texts.append(model.speak(state, ["", "is there a dog?"], SpeakOptions()))
    assert texts[0] == texts[1] and all(texts[0])


def test_a_sam_without_trained_connector_or_tokenizer_refuses_to_speak(sam_folder: Path, tmp_path: Path) -> None:
    for change in ("aligned", "tokenizer"):
        folder = tmp_path / change
        shutil.copytree(sam_folder, folder)
        if change == "tokenizer":
            (folder / "tokenizer.json").unlink()
        else:
            words = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**words, "aligned": False}))
        model = load_model(str(folder), device="cpu")
        assert model.tasks == {"tag"}
        with pytest.raises(ModelError, match="no connector trained"):
            model.listen(model.encode(torch.zeros(1, 16_000), torch.tensor([16_000])), None)


def test_a_folders_revision_is_that_of_its_weights(sam_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sam_folder, tmp_path / "copy")
    assert folder_revision(tmp_path / "copy") == folder_revision(sam_folder)
    path = tmp_path / "copy" / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert folder_revision(tmp_path / "copy") != folder_revision(sam_folder)
    assert load_model(str(sam_folder), device="cpu").revision == folder_revision(sam_folder)


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("empty").mkdir()
    said = {
        "./nowhere": "does not exist",
        "file": "is a file, not a model's folder",
        "empty": "holds no weights",
        "dass-smal": "Did you mean dass-small",
        "no such thing": "not a model name",
        "": "not a model name",
        "ssamba-base": "sam models convert",
        "mamba2-130m-original": "sam models convert",
    }
    for name, sentence in said.items():
        with pytest.raises(ModelError) as caught:
            load_model(name, device="cpu", offline=True)
        assert sentence in str(caught.value), name


def test_a_folder_named_like_a_hub_id_is_the_folder(sam_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sam_folder, tmp_path / "org" / "name")
    assert locate("org/name", offline=True).folder == Path("org/name")


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "", "meta", "cpu:x"])
def test_devices_that_are_not_there(device: str) -> None:
    with pytest.raises(UsageError):
        load_model("tiny-random", device=device)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_come_in_the_type_asked_for(dtype: torch.dtype, tmp_path: Path) -> None:
    piece = load_folder(published("dass, Hub", tmp_path / "model"), dtype=dtype)
    assert {parameter.dtype for parameter in piece.module.parameters()} == {dtype}


def test_a_cut_folder_says_so_and_is_not_touched(sam_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sam_folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model.safetensors"
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(ModelError, match="is damaged"):
        load_model(str(tmp_path / "copy"), device="cpu")
    assert path.exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_half_precision_hears_and_speaks(dtype: torch.dtype, sam_folder: Path) -> None:
    model = load_model(str(sam_folder), device="cpu", dtype=dtype)
    encoding = model.encode(torch.randn(1, 32_000) * 0.1, torch.tensor([32_000]))
    assert encoding.clip_logits is not None and encoding.clip_logits.isfinite().all()
    assert model.speak(model.listen(encoding, None), [""], SpeakOptions(max_new_tokens=5))[0]


def with_adapter(folder: Path, seed: int) -> Path:
    """A trained adapter for tiny-random's language model, saved."""
    network = tiny_network(tiny_tokenizer())
    config = AdapterConfig(rank=2, alpha=4.0)
    add_adapter(network.language, config)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_parameters(network.language):
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    save_adapter(network.language, config, folder)
    return folder


def captions(name: str, waves: torch.Tensor) -> list[str]:
    model = load_model(name, device="cpu")
    state = model.listen(model.encode(waves, torch.full((len(waves),), waves.shape[1])), None)
    return model.speak(state, [""] * len(waves), SpeakOptions())


def test_adapters_stack_on_a_base_by_name(sam_folder: Path, tmp_path: Path) -> None:
    one, two = with_adapter(tmp_path / "one", 1), with_adapter(tmp_path / "two", 2)
    torch.manual_seed(0)
    waves = torch.randn(3, 16_000) * 0.1
    names = [str(sam_folder), f"{sam_folder}+{one}", f"{sam_folder}+{one}+{two}", f"{sam_folder}+{two}"]
    texts = [captions(name, waves) for name in names]
    assert len({tuple(text) for text in texts}) == 4
    network = tiny_network(tiny_tokenizer())
    for folder in (one, two):
        load_adapter(network.language, folder, folder.name)
    piece = load_folder(sam_folder)
    adapted(piece, locate(str(sam_folder)), [str(one), str(two)])
    x = torch.randint(0, 300, (2, 9))
    merged, aside = piece.module.language(x)[0], network.language(x)[0]  # type: ignore[operator]
    assert torch.allclose(merged, aside, atol=1e-4)
    model = load_model(names[2], device="cpu")
    assert model.name == names[2]
    assert model.revision.split("+") == [folder_revision(folder) for folder in (sam_folder, one, two)]


def test_what_is_no_adapter_or_no_place_for_one(sam_folder: Path, tmp_path: Path) -> None:
    one = with_adapter(tmp_path / "one", 1)
    tagger = published("dass, Hub", tmp_path / "tagger")
    said = {
        f"{sam_folder}+{tmp_path / 'nowhere'}": "not an adapter folder",
        f"{sam_folder}+": "not an adapter folder",
        f"{tagger}+{one}": "no language model",
        f"{sam_folder}+{sam_folder}": "not an adapter folder",
    }
    for name, sentence in said.items():
        with pytest.raises(ModelError, match=sentence):
            load_model(name, device="cpu")
    (one / "adapter.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match="damaged"):
        load_model(f"{sam_folder}+{one}", device="cpu")
    plus = tmp_path / "a+b"
    shutil.copytree(sam_folder, plus)
    assert load_model(str(plus), device="cpu").tasks == {"tag", "caption", "ask"}


def test_a_tokenizer_larger_than_its_model_is_refused(tmp_path: Path) -> None:
    bundled = locate("sam-nano").folder
    folder = shutil.copytree(bundled, tmp_path / "mine")
    words = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    vocabulary |= {f"word{number}": len(vocabulary) + 64 + number for number in range(5000)}
    (folder / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(str(folder), device="cpu")


def adapter_on(base: str, folder: Path) -> Path:
    folder.mkdir()
    (folder / "adapter.json").write_text(json.dumps({"model_type": "adapter", "base": base}))
    return folder


@pytest.mark.parametrize("base", ["stranger/model", "stranger/model@v1"])
def test_a_base_that_only_an_adapter_names_is_not_fetched(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr("samcli.checkpoints.hub_client.pull", lambda repo, *_, **__: fetched.append(repo))
    with pytest.raises(ModelError, match=f"sam models pull {base}"):
        load_model(str(adapter_on(base, tmp_path / "adapter")), device="cpu")
    assert fetched == []


def test_a_known_base_is_fetched_for_its_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def pull(repo: str, *_: Any, **__: Any) -> Any:
        fetched.append(repo)
        raise ModelError("enough")

    monkeypatch.setattr("samcli.checkpoints.hub_client.is_offline", lambda: False)
    monkeypatch.setattr("samcli.checkpoints.hub_client.cached_snapshot", lambda *_: None)
    monkeypatch.setattr("samcli.checkpoints.hub_client.pull", pull)
    with pytest.raises(ModelError, match="enough"):
        load_model(str(adapter_on("dass-small", tmp_path / "adapter")), device="cpu")
    assert len(fetched) == 1
