"""Search figures on the made corpus: chance for a model that knows nothing, and rankings that search itself gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from samcli.checkpoints.tiny import tiny_random
from samcli.evaluation.dev_sounds import DevSounds, corpus_of
from samcli.evaluation.retrieval_suite import phrase_of, retrieval_figures
from samcli.models.likelihood import losses
from samcli.models.refine import refined
from samcli.tasks.search import search_captions
from samcli.training.sounds import find_kind


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
    found = search_captions([clip.wave for clip in sounds.singles], phrases, model, k=1)
    right = [
        phrases[kinds.index(clip.kind.base)] == matches[0].text
        for clip, matches in zip(sounds.singles, found, strict=True)
        if clip.kind is not None
    ]
    assert values["audio_text_normalised_r1"] == pytest.approx(sum(right) / len(right))


def test_refined_captions_are_among_the_proposals(corpus_folder: Path) -> None:
    import torch

    from samcli.models.interface import SpeakOptions

    model = tiny_random()
    clips = DevSounds.read(corpus_of(corpus_folder)).clips[::8]
    length = max(len(clip.wave) for clip in clips)
    waves = torch.stack([torch.nn.functional.pad(torch.from_numpy(c.wave), (0, length - len(c.wave))) for c in clips])
    lengths = torch.tensor([len(clip.wave) for clip in clips])
    state = model.listen(model.encode(waves, lengths), None)
    options = SpeakOptions(max_new_tokens=8)
    found = refined(model, state, len(clips), options)
    proposals = [
        model.speak(state, [""] * len(clips), SpeakOptions(max_new_tokens=8, beams=width)) for width in (1, 2, 4)
    ]
    for row, text in enumerate(found):
        assert text in {texts[row] for texts in proposals}
    for row in range(len(clips)):  # each row by itself: company changes nothing
        assert refined(model, model.select(state, [row]), 1, options) == [found[row]]
    assert refined(model, state, len(clips), options, beams=(1,)) == proposals[0]
    assert losses(model, state, len(clips), ["a dog"]).shape == (len(clips), 1)
