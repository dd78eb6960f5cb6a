"""What is measured on sources left out, and two ways a sound may reach a microphone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from samcli.evaluation.nano import left_out, tags
from samcli.evaluation.nano.dev_sounds import RATE, corpus_of, frame_levels
from samcli.evaluation.nano.left_out import (
    LEFT_OUT,
    ancestors_of,
    first_hits,
    left_out_clips,
    left_out_figures,
    truth_of,
)
from samcli.training.nano.corpus import Corpus
from tests.evaluation.nano.test_suite import Oracle


def quietly(what: str, done: int, total: int) -> None:
    """Nobody watches."""


def test_there_are_two_dozen() -> None:
    assert len(set(LEFT_OUT)) == len(LEFT_OUT) == 24


def test_who_knows_everything_finds_everything(corpus_folder: Path) -> None:
    corpus = corpus_of(corpus_folder)
    clips = left_out_clips(corpus)
    assert len(clips) == 10 and {clip.split for clip in clips} == {"train"}
    first, precision, error = left_out_figures(Oracle(), corpus, 1, quietly)  # type: ignore[arg-type]
    assert (first.key, first.value, first.count) == ("left_out_first_five", 1.0, 10)
    assert precision.value == 1.0 and precision.note == "over 2 classes"
    assert error.value is not None and error.low is not None and error.high is not None
    assert 0 < error.low <= error.value <= error.high < 0.6 and error.lower_is_better and error.must == 0.04


def test_a_corpus_without_them_says_so(corpus_folder: Path) -> None:
    corpus = corpus_of(corpus_folder)
    none = Corpus(corpus.folder, tuple(corpus.split("dev")), corpus.names, corpus.teacher)
    for figure in left_out_figures(Oracle(), none, 1, quietly):  # type: ignore[arg-type]
        assert figure.value is None and "none of these sources" in figure.note and figure.key in left_out.KEYS


def test_what_a_label_is_a_kind_of_is_right_too(corpus_folder: Path, tmp_path: Path) -> None:
    corpus = corpus_of(corpus_folder)
    clips = [clip for clip in left_out_clips(corpus) if clip.audioset == ("Dog",)]
    place = {name: column for column, name in enumerate(corpus.names)}
    own, above = (truth_of(clips, corpus, ancestors=one) for one in (False, True))
    assert own[0].nonzero()[0].tolist() == [place["Dog"]]
    assert set(above[0].nonzero()[0].tolist()) == {place["Dog"], place["Animal"]}
    nodes = [
        {"id": "a", "name": "Thing", "child_ids": ["b", "c", "gone"]},
        {"id": "b", "name": "Bell", "child_ids": ["d"]},
        {"id": "c", "name": "Alarm", "child_ids": ["d"]},
        {"id": "d", "name": "Alarm bell", "child_ids": ["a"]},  # a circle must not hang
    ]
    (tmp_path / "ontology.json").write_text(json.dumps(nodes))
    assert ancestors_of(tmp_path / "ontology.json")["Bell"] == {"Thing", "Alarm bell", "Bell", "Alarm"}


def test_the_first_five_count() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]] * 2, np.float32)
    truth = np.zeros((2, 6), bool)
    truth[0, 4] = truth[1, 5] = True
    assert first_hits(scores, truth).tolist() == [True, False]


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_a_rooms_noise_lies_ten_decibels_below() -> None:
    wave = np.concatenate([tone(440), np.zeros(RATE, np.float32)])  # its level is that of what sounds
    noise = tags.in_noise(wave) - wave
    assert abs(20 * np.log10(noise.std() / frame_levels(tone(440)).mean()) + 10) < 0.3
    assert np.array_equal(tags.in_noise(wave), tags.in_noise(wave)), "the same every time"
    assert not tags.in_noise(np.zeros(RATE, np.float32)).any()


def test_a_telephone_takes_what_lies_outside_its_band() -> None:
    inside, below, above = (tags.by_telephone(tone(hertz)) for hertz in (1000.0, 60.0, 6000.0))
    middle = slice(RATE // 4, 3 * RATE // 4)
    assert len(inside) == RATE and abs(inside[middle].std() / tone(1000.0).std() - 1) < 0.05
    assert below[middle].std() < 0.02 * tone(60.0).std() and above[middle].std() < 0.01
    assert len(tags.by_telephone(tone(1000.0, 0.001))) > 0
