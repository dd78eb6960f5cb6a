"""A model put together from published parts that nobody has aligned: it tags, and says why it does no more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from samcli.checkpoints import assembly as parts
from samcli.checkpoints import catalogue
from samcli.checkpoints.loading import Source, load_model
from samcli.errors import ModelError
from samcli.models.interface import SpeakOptions

WEIGHTS = Path(__file__).parents[1] / "fixtures" / "dass_hf" / "weights.safetensors"
LABELS = tuple("ABCDEFG")


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked for; every name gives the same small tagger."""
    shutil.copy(WEIGHTS, tmp_path / "model.safetensors")
    config = {"model_type": "dass", "id2label": dict(enumerate(LABELS))}
    (tmp_path / "config.json").write_text(json.dumps(config))
    asked: list[str] = []

    def locate(name: str, **_: object) -> Source:
        asked.append(name)
        return Source(name, "a" * 40, tmp_path)

    monkeypatch.setattr(parts, "locate", locate)
    return asked


def test_only_the_encoder_is_fetched_and_it_tags(fetched: list[str]) -> None:
    entry = catalogue.find("sam-130m")
    assert entry is not None and set(entry.parts) >= {"encoder", "language"}
    model = load_model("sam-130m", device="cpu")
    assert fetched == [entry.parts["encoder"]]
    assert (model.name, model.revision, tuple(model.labels)) == ("sam-130m", "a" * 40, LABELS)
    assert model.tasks == {"tag"}
    encoding = model.encode(torch.randn(1, 32_000) / 10, torch.tensor([32_000]))
    assert encoding.clip_logits is not None and encoding.clip_logits.shape == (1, len(LABELS))
    for speak in (lambda: model.listen(encoding, None), lambda: model.speak(None, [""], SpeakOptions())):
        with pytest.raises(ModelError, match="sam-130m has no connector trained for words"):
            speak()
