"""What is said of nameless sounds names nothing, and fits what was measured."""

from __future__ import annotations

from random import Random

import numpy as np

from samcli.evaluation.wording import invented
from samcli.training.mixer import Mixture, Placed
from samcli.training.nano import Material
from samcli.training.vague import ASKED, VagueSound, vague_answer, vague_caption


def test_no_sound_is_named() -> None:
    rng = Random(1)
    for _ in range(400):
        sound = VagueSound(rng.uniform(0.1, 9), rng.uniform(-70, 0), rng.choice((1, 1, 3)))
        question, answer = vague_answer(sound, rng)
        for text in (vague_caption(sound, rng), answer):
            assert text[0].isupper() and text.endswith(".") and "  " not in text
            assert not invented(text, frozenset()), text
        assert question in ASKED


def test_length_loudness_and_number_are_told() -> None:
    rng = Random(2)
    short = [vague_caption(VagueSound(0.3, -60, 1), rng) for _ in range(50)]
    assert all(("short" in text or "brief" in text) and "loud" not in text for text in short)
    many = [vague_caption(VagueSound(4.0, -30, 3), rng) for _ in range(200)]
    assert any("several times" in text or "repeated" in text for text in many)
    assert not any("short" in text for text in many)
    assert len(set(many)) > 30


def test_only_what_nobody_knows_is_nameless(material: Material) -> None:
    def alone(file: str) -> Mixture:
        (clip,) = [clip for clip in material.corpus.clips if clip.file == file]
        placed = [Placed(clip, ((0.0, 2.0),), 0.0, (0.0, 2.0))]
        return Mixture(np.zeros((200, 128), np.float32), placed, np.ones((1, 25), np.float32), np.ones(1, np.float32),
                       -90.0, 0.0, 0.0)  # fmt: skip

    scripts = material.scripts
    assert scripts.nameless(alone("train/a/dog1.wav")) is None, "its label is sure"
    assert scripts.nameless(alone("train/c/talk.wav")) is None, "the teacher knows it"
    sound = scripts.nameless(alone("train/b/bell.wav"))  # a guess that nothing confirms
    assert sound is not None and sound.seconds == 2.0 and sound.times == 1
    assert scripts.write(alone("train/b/bell.wav"), 2.0) is None
    two = alone("train/b/bell.wav")
    assert scripts.nameless(two._replace(placed=two.placed * 2)) is None
