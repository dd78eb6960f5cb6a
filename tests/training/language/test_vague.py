"""What is said of nameless sounds names nothing, and fits what was measured."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from samcli.evaluation.metrics.wording import invented
from samcli.training.language.vague import ASKED, VagueSound, vague_answer, vague_caption, vague_sound
from samcli.training.nano.mixer import Mixture, Placed
from samcli.training.nano.recipe import Material


def test_no_sound_is_named() -> None:
    rng = Random(1)
    for _ in range(400):
        sound = VagueSound(
            rng.uniform(0.1, 9), rng.uniform(-70, 0), rng.choice((1, 1, 3)), rng.uniform(10, 120),
            rng.random(), rng.uniform(1, 7), rng.uniform(0, 3),
        )  # fmt: skip
        question, answer = vague_answer(sound, rng)
        for text in (vague_caption(sound, rng), answer):
            assert text[0].isupper() and text.endswith(".") and "  " not in text
            assert not invented(text, frozenset()), text
        assert question in ASKED


def test_length_loudness_and_number_are_told() -> None:
    rng = Random(2)
    short = [vague_caption(VagueSound(0.3, -60, 1), rng) for _ in range(50)]
    assert all(("short" in text or "brief" in text) and "loud" not in text for text in short)
    many = [vague_caption(VagueSound(5.0, -30, 3), rng) for _ in range(200)]
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
    assert not scripts.nameless(alone("train/a/dog1.wav")), "its label is sure"
    assert not scripts.nameless(alone("train/c/talk.wav")), "the teacher knows it"
    bell = alone("train/b/bell.wav")
    assert scripts.nameless(bell), "a guess that nothing confirms"
    assert scripts.write(bell, 2.0) is None
    sound = scripts.lone(bell)
    assert sound is not None and sound.seconds == 2.0 and sound.times == 1 and sound.height == pytest.approx(63.5)
    assert scripts.lone(bell._replace(placed=bell.placed * 2)) is None


def test_height_is_where_the_power_lies(material: Material) -> None:
    mel = np.full((200, 128), -15.0, np.float32)
    mel[:100, 20] = mel[100:, 110] = 0.0
    (clip,) = [clip for clip in material.corpus.clips if clip.file == "train/a/dog1.wav"]
    activity = np.zeros((1, 25), np.float32)
    activity[0, :12] = 1.0  # it sounds in the first half; what follows is not its own
    placed = [Placed(clip, ((0.0, 1.0),), 0.0, (0.0, 1.0))]
    sound = material.scripts.lone(Mixture(mel, placed, activity, np.ones(1, np.float32), -90.0, 0.0, 0.0))
    assert sound is not None and sound.height == pytest.approx(20, abs=0.1)


def test_high_and_low_are_told() -> None:
    rng = Random(3)
    for height, words in ((20.0, ("deep",)), (40.0, ("dull",)), (110.0, ("bright",))):
        texts = [vague_caption(VagueSound(1.5, -30, 1, height), rng) for _ in range(60)]
        assert sum(any(word in text.lower() for word in words) for text in texts) > 40
    assert not any("deep" in vague_caption(VagueSound(1.5, -30, 1, 110.0), rng) for _ in range(60))


def test_how_a_sound_goes_is_measured_and_told() -> None:
    chance = np.random.default_rng(4)
    rng = Random(4)
    noise = np.log(chance.gamma(4.0, 0.25, (200, 128))).astype(np.float32) - 5

    def told(mel: np.ndarray) -> str:
        return " ".join(vague_caption(vague_sound(mel, 2.0, -30.0, 1), rng).lower() for _ in range(60))

    fading = noise - np.linspace(0, 9, 200, dtype=np.float32)[:, None]
    assert "fading" in told(fading) and "swelling" not in told(fading)
    swelling = told(fading[::-1])
    assert ("swelling" in swelling or "growing" in swelling) and "fading" not in swelling
    tone = noise.copy()
    tone[:, 60] += 8
    clear = told(tone)
    assert ("clear" in clear or "pure" in clear) and "rough" not in clear
    assert "clear" not in told(noise) and "pure" not in told(noise)
    smooth = told(noise)
    assert "even" in smooth.split() or "even," in smooth.split() or "smooth" in smooth
    blocks = np.repeat(chance.normal(0, 3, 12), 8).astype(np.float32)[:, None]
    uneven = told(
        noise[:192] + np.concatenate([blocks, blocks[::-1]])
    )  # the same there and back: neither fading nor growing
    assert "uneven" in uneven or "unsteady" in uneven
