"""The paper's assembly in miniature: a published encoder, a connector, adapters on a Mamba-2 language model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from samcli.checkpoints.format import load_module, save_module
from samcli.errors import ModelError
from samcli.models.connectors import ConnectorConfig, SeparatedConnector
from samcli.models.encoders.dass import DassConfig
from samcli.models.encoders.eat import EatConfig
from samcli.models.interface import SpeakOptions
from samcli.models.lora import AdapterConfig, add_adapter, merge_adapters, train_only_adapters
from samcli.models.sam import Listener, SamConfig, SamNetwork
from samcli.ssm.language.blocks import LanguageConfig
from samcli.text.tokenizer import train_tokenizer

ENCODERS: dict[str, Any] = {
    "eat": EatConfig(width=16, layers=1, heads=2, max_steps=16, classes=3, window_frames=64),
    "dass": DassConfig(widths=(4, 8), depths=(1, 1), classes=3, window_frames=64),
}
CONNECTORS: dict[str, Any] = {
    kind: ConnectorConfig(kind=kind, scan_state=8, scan_headdim=8)  # type: ignore[arg-type]
    for kind in ("concat", "time-major", "frequency-major", "convolution", "scan")
}
LANGUAGE = LanguageConfig(d_model=32, n_layer=2, vocab_size=30, d_state=8, headdim=16)


def sam(encoder: str = "eat", connector: str = "concat", **settings: Any) -> SamNetwork:
    torch.manual_seed(6)
    parts = {"encoder": ENCODERS[encoder], "language": LANGUAGE, "connector": CONNECTORS[connector]}
    return SamNetwork(SamConfig(**{**parts, **settings})).eval()


@pytest.mark.parametrize("encoder", list(ENCODERS))
@pytest.mark.parametrize("connector", list(CONNECTORS))
def test_what_is_heard_ignores_padding_and_neighbours(encoder: str, connector: str) -> None:
    model = sam(encoder, connector)
    mel, frames = torch.randn(3, 64, 128), torch.tensor([64, 20, 47])
    with torch.no_grad():
        _, together, counts = model.encode_and_embed(mel, frames)
        for row, count in enumerate(frames.tolist()):
            _, alone, own = model.encode_and_embed(mel[row : row + 1, :count], frames[row : row + 1])
            assert int(own[0]) == int(counts[row]) == model.connector.tokens(-(-count // model.encoder.step_frames))
            torch.testing.assert_close(together[row, : int(own[0])], alone[0, : int(own[0])], rtol=0, atol=1e-5)


@pytest.mark.parametrize("encoder", list(ENCODERS))
@pytest.mark.parametrize("connector", list(CONNECTORS))
def test_saved_and_loaded_whole(encoder: str, connector: str, tmp_path: Path) -> None:
    model = sam(encoder, connector)
    save_module(tmp_path / "sam", model, model.config)
    again, config = load_module(tmp_path / "sam")
    assert config == model.config
    mel = torch.randn(1, 40, 128)
    with torch.no_grad():
        assert torch.equal(model.encode_and_embed(mel)[1], again.encode_and_embed(mel)[1])  # type: ignore[operator]


def test_separators_are_read_as_text() -> None:
    model = sam("eat", "time-major")
    assert isinstance(model.connector, SeparatedConnector)
    text = model.language.embed(torch.tensor([[7]]))[0]
    model.connector.set_separator(text)
    with torch.no_grad():
        _, embeddings, counts = model.encode_and_embed(torch.randn(1, 64, 128))
    assert counts.tolist() == [4 * 8 + 3]
    for boundary in (8, 17, 26):
        assert torch.equal(embeddings[0, boundary], text[0])


def test_connector_and_adapters_learn_while_the_base_stays() -> None:
    """The paper's recipe on two sounds with two different words: what is trained suffices to tell them apart."""
    model = sam("eat", "concat")
    with torch.no_grad():  # a trained head tells words apart, the tiny values of a fresh one cannot
        model.language.backbone.embedding.weight *= 25
    base = {name: value.clone() for name, value in model.state_dict().items()}
    add_adapter(model.language, AdapterConfig(rank=4, alpha=8.0))
    parameters = train_only_adapters(model)
    model.connector.requires_grad_(True)
    optimizer = torch.optim.AdamW([*parameters, *model.connector.parameters()], lr=5e-3)
    mel = torch.randn(2, 64, 128)
    words = torch.tensor([11, 23])

    def loss() -> torch.Tensor:
        _, embeddings, counts = model.encode_and_embed(mel)
        logits, _ = model.language(embeddings=embeddings, lengths=counts, last_only=True)
        return F.cross_entropy(logits, words)

    first = loss().item()
    for _ in range(40):
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss().item() < 0.1 * first
    changed = {
        name for name, value in model.state_dict().items() if name in base and not torch.equal(value, base[name])
    }
    assert changed and all(name.startswith("connector.") for name in changed)
    with torch.no_grad():
        aside = loss().item()
        merge_adapters(model)
        assert loss().item() == pytest.approx(aside, abs=1e-4)
    assert model.state_dict().keys() == base.keys()


def test_split_projections_hear_with_one_copy_and_speak_with_the_other(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["a dog barks", "rain falls on a roof"], size=300)
    language = replace(LANGUAGE, vocab_size=len(tokenizer))
    dense, split = (sam(aligned=True, split_projections=choice, language=language) for choice in (False, True))
    copies = {name.replace("_proj.", "_proj.experts.0."): value for name, value in dense.state_dict().items()}
    copies |= {name.replace("experts.0", "experts.1"): value for name, value in copies.items() if "experts.0" in name}
    copies |= {name: value for name, value in dense.state_dict().items() if not name.startswith("language.")}
    split.load_state_dict({name: copies[name] for name in split.state_dict()})
    sounds = torch.randn(2, 9000), torch.tensor([9000, 4000])

    def heard(model: SamNetwork) -> tuple[Any, list[str]]:
        listener = Listener(model, tokenizer, ("rain", "wind", "bird"), "m", "r")
        state = listener.listen(listener.encode(*sounds), None)
        return state, listener.speak(state, ["", ""], SpeakOptions(max_new_tokens=6))

    (state, said), (split_state, split_said) = heard(dense), heard(split)
    assert said == split_said
    assert all(torch.equal(a, b) for a, b in zip(state.memory[0], split_state.memory[0], strict=True))
    with torch.no_grad():  # the text copy is not asked while listening, the audio copy is
        for name, parameter in split.language.named_parameters():
            if "experts.0" in name:
                parameter.normal_()
    assert all(torch.equal(a, b) for a, b in zip(state.memory[0], heard(split)[0].memory[0], strict=True))
    with torch.no_grad():
        for name, parameter in split.language.named_parameters():
            if "experts.1" in name:
                parameter.normal_()
    assert not torch.equal(state.memory[0][0], heard(split)[0].memory[0][0])
    save_module(tmp_path / "split", split, split.config)
    assert load_module(tmp_path / "split")[1].split_projections


def test_without_a_trained_connector_it_tags_and_refuses_to_speak() -> None:
    listener = Listener(sam(), None, ("rain", "wind", "bird"), "sam-130m", "r")
    assert listener.tasks == {"tag"} and listener.step_seconds is None
    assert Listener(sam("dass"), None, ("rain", "wind", "bird"), "s", "r").step_seconds == pytest.approx(0.08)
    encoding = listener.encode(torch.randn(1, 8000), torch.tensor([8000]))
    assert encoding.clip_logits is not None and encoding.clip_logits.shape == (1, 3)
    for call in (
        lambda: listener.listen(encoding, None),
        lambda: listener.speak((), [""], SpeakOptions()),
    ):
        with pytest.raises(ModelError, match=r"sam-130m .*cannot caption.*sam-nano"):
            call()
