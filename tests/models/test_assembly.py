"""The paper's assembly in miniature: a published encoder, a connector, adapters on a Mamba-2 language model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.checkpoints.format import load_module, save_module
from samcli.models.connectors import ConnectorConfig
from samcli.models.encoders.dass import DassConfig
from samcli.models.encoders.eat import EatConfig
from samcli.models.interface import SpeakOptions
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
def test_saved_and_loaded_whole(encoder: str, connector: str, tmp_path: Path) -> None:
    model = sam(encoder, connector)
    save_module(tmp_path / "sam", model, model.config)
    again, config = load_module(tmp_path / "sam")
    assert config == model.config
    mel = torch.randn(1, 40, 128)
    with torch.no_grad():
        assert torch.equal(model.encode_and_embed(mel)[1], again.encode_and_embed(mel)[1])  # type: ignore[operator]


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
