"""Search figures on the made corpus: chance for a model that knows nothing, and rankings that search itself gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from samcli.checkpoints.tiny import tiny_random
from samcli.evaluation.nano.dev_sounds import DevSounds, corpus_of
from samcli.evaluation.nano.likelihood import phrase_of, retrieval_figures
from samcli.tasks.search import search_captions, usual_losses
from samcli.training.language.sounds import find_kind


def test_figures(corpus_folder: Path) -> None:
    model = tiny_random()
    report = retrieval_figures(model, corpus_folder)
    values = {entry["key"]: entry["value"] for entry in report["figures"]}
    assert report["phrases"] == 6  # kinds whose clips people labelled by ear
    assert report["clips"] == 30
    assert len(values) == 6 * 4
    for way in ("text_audio", "audio_text", "text_audio_two"):
        assert values[f"{way}_r1"] <= values[f"{way}_r5"] <= values[f"{way}_r10"] <= 1
    assert values["audio_text_r10"] == 1.0  # of six phrases
    sounds = DevSounds.read(corpus_of(corpus_folder))
    kinds = list(sounds.by_kind())
    phrases = [phrase_of(find_kind(kind)) for kind in kinds]
    usual = usual_losses(phrases, model)
    found = search_captions([clip.wave for clip in sounds.singles], phrases, model, 1, usual)
    right = [
        phrases[kinds.index(clip.kind.base)] == matches[0].text
        for clip, matches in zip(sounds.singles, found, strict=True)
        if clip.kind is not None
    ]
    assert values["audio_text_normalised_r1"] == pytest.approx(sum(right) / len(right))
