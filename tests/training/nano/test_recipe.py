"""The whole recipe in miniature: every stage, stopped and resumed, to a model that loads and speaks."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from samcli.checkpoints.loading import load_model
from samcli.cli.train.app import NanoFlags, recipe_of
from samcli.errors import InputError, ModelError
from samcli.models.encoders.nano import NanoConfig
from samcli.models.interface import SpeakOptions
from samcli.models.sam import SamNetwork
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.text.labels import labels
from samcli.training.nano import comparison, settings
from samcli.training.nano import material as material_module
from samcli.training.nano import recipe as nano
from samcli.training.nano.batches import BatchOptions
from samcli.training.nano.corpus import Corpus
from samcli.training.nano.initial import single_sounds
from samcli.training.nano.material import Material, synthetic_clips, without_teacher
from samcli.training.nano.recipe import load_trained, train_nano
from samcli.training.nano.release import attribution, card, release
from samcli.training.nano.settings import NANO_LOOP, VARIANTS, NanoPace, NanoRecipe, bigger
from tests.training.nano.test_initial import published

TINY = NanoRecipe(
    encoder=NanoConfig(
        trunk="tiny",
        hidden=16,
        layers=1,
        mixer=BidirectionalConfig(d_model=64, d_state=8, head_dim=16),
    ),
    language_layers=1,
    language_width=64,
    language_state=8,
    ear_steps=2,
    ear_steps_again=2,
    view_steps=2,
    read_steps=2,
    word_steps=2,
    batches=BatchOptions(scenes_at_5_seconds=2),
    views=BatchOptions(scenes_at_5_seconds=2, two_views=True),
    pace=NanoPace(warm_up=1, decay_share=1.0),
    loop=replace(NANO_LOOP, report_every=1, workers=0),
    vocabulary=320,
    sentences=200,
    counted=40,
)
WORDS_ALONE = replace(TINY, ear_steps=0, ear_steps_again=0, view_steps=0)


@pytest.fixture(autouse=True)
def few_synthetic_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material_module, "synthetic_clips", partial(synthetic_clips, each=2))


@pytest.fixture(scope="module")
def corpus(corpus_folder: Path) -> Corpus:
    return Corpus.read(corpus_folder, labels())


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[SamNetwork, Path]:
    """A run that nothing disturbed, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material_module, "synthetic_clips", partial(synthetic_clips, each=2))
        return train_nano(corpus, folder, TINY), folder


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "state/metrics.jsonl").read_text().splitlines()]


def stopping_at(step: int) -> Callable[[dict[str, Any]], None]:
    def report(line: dict[str, Any]) -> None:
        if line.get("step") == step:
            signal.raise_signal(signal.SIGINT)

    return report


def test_stopped_in_every_stage_it_ends_as_an_undisturbed_one(
    corpus: Corpus, trained: tuple[SamNetwork, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[str] = []
    count_sounds, hear = single_sounds, material_module._all_soft_targets
    monkeypatch.setattr(nano, "single_sounds", lambda *given: counts.append("lexicon") or count_sounds(*given))
    monkeypatch.setattr(material_module, "_all_soft_targets", lambda *given: counts.append("opinions") or hear(*given))
    for step in (1, 3, 5, 7, 9):
        with pytest.raises(KeyboardInterrupt):
            train_nano(corpus, tmp_path, TINY, report=stopping_at(step))
    network = train_nano(corpus, tmp_path, TINY)
    assert counts == ["lexicon", "opinions"], "a training that goes on brings both"
    whole, folder = trained
    assert network.tag_reader.lexicon.weight.abs().max() > 0.1
    for name, value in whole.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name
    undisturbed, resumed = lines_of(folder), lines_of(tmp_path)
    assert [line["step"] for line in resumed] == list(range(1, 11))
    for one, other in zip(undisturbed, resumed, strict=True):
        assert {**one, "seconds": 0, "examples/s": 0} == {**other, "seconds": 0, "examples/s": 0}
    kinds = [("name" in line, "reading" in line, line.get("words", 0) > 0) for line in resumed]
    assert kinds == [(True, False, False)] * 6 + [(False, True, False)] * 2 + [(True, False, True)] * 2
    rates = [line["rate"] for line in resumed]
    assert all(rates[first] > rates[first + 1] for first in (0, 2, 4, 6, 8)), "every stage has a decay of its own"
    assert all(rates[first] == rates[0] for first in (2, 4, 6, 8))


def test_each_stage_teaches_its_parts_alone(corpus: Corpus, trained: tuple[SamNetwork, Path], tmp_path: Path) -> None:
    """Ears first; words leave them as they are."""
    ears_only = train_nano(corpus, tmp_path, replace(TINY, read_steps=0, word_steps=0))
    ears, whole = ears_only.encoder.state_dict(), trained[0].encoder.state_dict()
    # The average of a network follows its last steps; the network itself stood still.
    last = torch.load(tmp_path / "state/last.pt", weights_only=True)["network"]
    later = torch.load(trained[1] / "state/last.pt", weights_only=True)["network"]
    assert ears.keys() == whole.keys()
    assert all(torch.equal(last[name], later[name]) for name in last if name.startswith("encoder."))
    assert not torch.equal(last["language.lm_head.weight"], later["language.lm_head.weight"])


def test_it_is_released_and_speaks(corpus: Corpus, trained: tuple[SamNetwork, Path], tmp_path: Path) -> None:
    network, work = trained
    release(network, work / "tokenizer.json", tmp_path / "model", card(network, TINY), attribution(corpus))
    assert "10 steps" in (tmp_path / "model/README.md").read_text()
    assert "Freesound" in (tmp_path / "model/ATTRIBUTION.md").read_text()
    model = load_model(str(tmp_path / "model"), device="cpu")
    assert model.tasks == {"tag", "caption", "ask"} and len(model.labels) == 527
    heard = model.listen(model.encode(torch.randn(1, 32000), torch.tensor([32000])), None)
    assert isinstance(model.speak(heard, [""], SpeakOptions(max_new_tokens=5))[0], str)
    further = replace(WORDS_ALONE, read_steps=0, word_steps=1)
    train_nano(corpus, tmp_path / "more", further, start=tmp_path / "model")
    (line,) = lines_of(tmp_path / "more")
    assert "words" in line, "a model that is trained on begins with the last stage"
    again = torch.load(tmp_path / "more/state/last.pt", weights_only=True)["network"]["tag_reader.lexicon.weight"]
    assert torch.allclose(again, network.tag_reader.lexicon.weight, atol=0.02), "it does not count what it knows"


def test_soft_targets_are_the_mean_of_encoder_and_teacher(
    trained: tuple[SamNetwork, Path], material: Material, tmp_path: Path
) -> None:
    network, work = trained
    lines: list[dict[str, Any]] = []
    found = material_module.compute_soft_targets(nano.nano_of(network), material, tmp_path, lines.append)
    clips = [clip for clip in material.corpus.split("train") if clip.source != "synthetic"]
    assert set(found) == {clip.file for clip in clips} and lines == [{"clips": 0, "of": len(clips)}]
    for clip in clips:
        heard = torch.from_numpy(material_module.logits_of(nano.nano_of(network), material, clip)).double()
        teacher = torch.from_numpy(material.corpus.teacher[clip.file]).double().clamp(1e-4, 1 - 1e-4)
        wanted = (0.7 * heard + 0.3 * teacher.logit()).sigmoid()
        assert found[clip.file].dtype == np.float32
        assert np.allclose(found[clip.file], wanted.numpy(), atol=1e-3), clip.file
    first = work / "opinions.npz"
    assert set(np.load(first).files) == set(found)
    with_them = material.with_soft_targets(found)
    dog = next(clip for clip in clips if clip.file.endswith("dog1.wav"))
    elsewhere = material.targets.index["Siren"]
    assert with_them.targets(dog)[elsewhere] == pytest.approx(found[dog.file][:, elsewhere].max())
    assert with_them.targets(dog)[with_them.targets.index["Dog"]] > 0.9, "a label counts as before"
    # A window that the teacher did not judge is the encoder's alone.
    logits = np.zeros((2, 3), np.float32)
    assert np.allclose(material_module.blended(logits, np.full((1, 3), 0.9, np.float32))[1], 0.5)


@pytest.mark.parametrize("size", ["small", "base"])
def test_bigger_recipes_fit_together(size: str) -> None:
    with torch.device("meta"):
        network = SamNetwork(bigger(NanoRecipe(), size).config(2560))
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert (20 if size == "small" else 70) < millions < (40 if size == "small" else 140)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_another_network_or_another_teaching(name: str) -> None:
    changed = VARIANTS[name](NanoRecipe())
    assert changed != NanoRecipe()
    with torch.device("meta"):
        one, other = (SamNetwork(recipe.config(2560)).state_dict() for recipe in (NanoRecipe(), changed))
    assert ({n: v.shape for n, v in one.items()} == {n: v.shape for n, v in other.items()}) == (name == "no-teacher")


def test_words_alone_are_learned_with_the_ears_of_another(
    corpus: Corpus, trained: tuple[SamNetwork, Path], tmp_path: Path
) -> None:
    heard, work = trained
    release(heard, work / "tokenizer.json", tmp_path / "model")
    kept = load_trained(tmp_path / "model")[0].encoder.state_dict()
    model_of: dict[str, Any] = {}
    for name in ("connector-convolution", "connector-scan", "mixture"):
        recipe = VARIANTS[name](WORDS_ALONE)
        network = train_nano(corpus, tmp_path / name, recipe, ears=tmp_path / "model")
        assert all(torch.equal(value, kept[key]) for key, value in network.encoder.state_dict().items()), name
        assert [line["step"] for line in lines_of(tmp_path / name)] == [1, 2, 3, 4]
        release(network, tmp_path / name / "tokenizer.json", tmp_path / name / "model")
        model = model_of[name] = load_model(str(tmp_path / name / "model"), device="cpu")
        state = model.listen(model.encode(torch.randn(1, 32000), torch.tensor([32000])), None)
        assert isinstance(model.speak(state, [""], SpeakOptions(max_new_tokens=5))[0], str)

    copies = model_of["mixture"].network.language.backbone.layers[0].mixer.in_proj.experts
    assert not torch.equal(copies[0].weight, copies[1].weight), "what listens and what speaks have parted"
    unlike = VARIANTS["no-scan"](WORDS_ALONE)
    with pytest.raises(ModelError, match="another encoder"):
        train_nano(corpus, tmp_path / "other", unlike, ears=tmp_path / "model")


def test_ears_of_mambaout_learn_and_are_saved(corpus: Corpus, tmp_path: Path) -> None:
    recipe = VARIANTS["mambaout"](replace(TINY, read_steps=0, word_steps=0))
    network = train_nano(corpus, tmp_path / "work", recipe, features=tmp_path / "features")
    assert (tmp_path / "features/frames.f16").exists() and not (tmp_path / "work/features").exists()
    release(network.encoder, None, tmp_path / "model")
    model = load_model(str(tmp_path / "model"), device="cpu")
    waves, lengths = torch.randn(1, 48_000) * 0.1, torch.tensor([48_000])
    heard: Any = model.encode(waves, lengths).clip_logits
    with torch.no_grad():
        exact = network.eval().encoder(*network.encoder.features(waves, lengths)).clip_logits
    assert (heard - exact).abs().max() < 0.1, "but for 16-bit weights"


def test_features_of_a_corpus_that_grew_are_made_again(corpus: Corpus, tmp_path: Path) -> None:
    few, more = (replace(corpus, clips=corpus.clips[:count]) for count in (1, 2))
    assert corpus.clips[1].file not in nano.prepare(few, tmp_path).store
    assert all(clip.file in nano.prepare(more, tmp_path).store for clip in more.clips)


def test_a_clip_that_cannot_be_read_ends_it_until_it_is_there(corpus: Corpus, tmp_path: Path) -> None:
    lost = replace(corpus, folder=tmp_path / "corpus", clips=corpus.clips[:2])
    here, missing = (lost.folder / clip.file for clip in lost.clips)
    for place in (here, missing):
        place.parent.mkdir(parents=True, exist_ok=True)
    here.symlink_to(corpus.folder / lost.clips[0].file)
    with pytest.raises(InputError, match="is not there"):
        material_module.frames_of(lost, [], tmp_path / "cache")
    missing.symlink_to(corpus.folder / lost.clips[1].file)
    store = material_module.frames_of(lost, [], tmp_path / "cache")
    assert store.names == [clip.file for clip in lost.clips] and not store.skipped


def test_tags_alone_make_a_tagger(corpus: Corpus, tmp_path: Path) -> None:
    asked = recipe_of(NanoFlags(tags_only=True, steps=20))
    assert (asked.steps, asked.read_steps, asked.word_steps) == (20, 0, 0)
    recipe = replace(TINY, read_steps=0, word_steps=0, weights=asked.weights)
    network = train_nano(corpus, tmp_path / "work", recipe)
    lines = lines_of(tmp_path / "work")
    assert len(lines) == 6 and not any(line["words"] for line in lines)
    assert not network.tag_reader.lexicon.weight.any(), "no words are counted where none are learned"
    release(network.encoder, None, tmp_path / "model", card(network.encoder, recipe))
    assert "language model" not in (tmp_path / "model/README.md").read_text()
    model = load_model(str(tmp_path / "model"), device="cpu")
    assert model.tasks == {"tag"} and len(model.labels) == 527


def test_without_the_teacher_only_labels_teach(corpus: Corpus, tmp_path: Path) -> None:
    alone = without_teacher(corpus)
    assert {clip.file for clip in corpus.clips} - {clip.file for clip in alone.clips} == {"train/c/talk.wav"}
    assert all(not windows.any() for windows in alone.teacher.values())
    train_nano(corpus, tmp_path, VARIANTS["no-teacher"](replace(TINY, read_steps=0, word_steps=0)))
    assert len(lines_of(tmp_path)) == 6 and not (tmp_path / "opinions.npz").exists()


def test_sources_left_out_are_not_learned_from(corpus: Corpus, tmp_path: Path) -> None:
    left = nano.prepare(corpus, tmp_path, ["game/one", "game/two"]).corpus
    assert {clip.source for clip in left.split("train")} == {"freesound-clips", "talk", "synthetic"}
    assert left.split("dev") == corpus.split("dev"), "what judges stays"


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe at a size that a test can wait for, the rest as a person calls it."""

    def small(**given: Any) -> NanoRecipe:
        made = NanoRecipe(**given)
        encoder, batches = replace(made.encoder, layers=1), replace(made.batches, scenes_at_5_seconds=2)
        loop = replace(made.loop, workers=0)
        return replace(made, encoder=encoder, batches=batches, loop=loop, language_layers=1, sentences=200,
                       vocabulary=320, counted=20)  # fmt: skip

    monkeypatch.setattr(settings, "NanoRecipe", small)
    monkeypatch.setattr(comparison, "BATCHES", 2)


@pytest.mark.usefixtures("small_recipe")
@pytest.mark.filterwarnings("ignore:overflow encountered")  # by ears that have learned for ten steps
def test_one_command_makes_a_model_from_the_published_trunk(corpus_folder: Path, tmp_path: Path, here: Any) -> None:
    save_file(published(), tmp_path / "mn04.safetensors")
    command = ["train", "nano", str(corpus_folder), "out", "--steps", "10", "--without", "game/one"]
    command += ["--trunk", str(tmp_path / "mn04.safetensors")]

    done = here(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"out/model\n"
    model = load_model(str(tmp_path / "out/model"), device="cpu")
    assert model.tasks == {"tag", "caption", "ask"} and model.sample_rate == 32_000
    state = torch.load(tmp_path / "out/state/last.pt", weights_only=True)
    assert state["step"] == 10
    kernel = published()["features.0.0.weight"].transpose(2, 3)
    assert torch.equal(state["network"]["encoder.trunk.stem.conv.weight"], kernel), "its first blocks stay as they came"
    assert "game/one" not in (tmp_path / "out/model/ATTRIBUTION.md").read_text()
    refused = here(*command[:-1], "no-such-file.safetensors")
    assert refused.returncode in (2, 3) and b"no-such-file" in refused.stderr and b"Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.usefixtures("small_recipe")
@pytest.mark.filterwarnings("ignore:overflow encountered")  # by ears that have learned for ten steps
def test_one_command_makes_a_model_of_each_variant(corpus_folder: Path, tmp_path: Path, here: Any) -> None:
    names = ["mixture", "mambaout", "language-mamba3"]
    command = ["train", "nano", str(corpus_folder), "out", "--steps", "10", "--without", "game/one"]
    done = here(*command, "--variant", ",".join(names))
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "".join(f"out/{name}/model\n" for name in names)
    stores = list((tmp_path / "out").rglob("frames.f16"))
    assert len(stores) == 1, "frames are computed once"
    header, _, *rows = (tmp_path / "out/variants.md").read_text().splitlines()
    assert [row.split(" | ")[0] for row in rows] == [f"| {name}" for name in names]
    assert len({row.count("|") for row in (header, *rows)}) == 1
    before = (tmp_path / "out/variants.md").read_text()
    assert here(*command, "--variant", ",".join(names)).stdout == done.stdout, "nothing is left to learn"
    assert (tmp_path / "out/variants.md").read_text() == before
    mixture, out, mamba3 = (
        load_model(str(tmp_path / "out" / name / "model"), device="cpu").network.config  # type: ignore[attr-defined]
        for name in names
    )
    plain = replace(mixture, split_projections=False)
    assert mixture != plain and mamba3 == replace(plain, language=replace(plain.language, layer="mamba3"))
    assert out == replace(plain, encoder=replace(plain.encoder, mixing="mambaout"))
