"""One pass for everything gives what the engine gives task by task."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.api import Sam
from samcli.checkpoints.tiny import tiny_random
from samcli.engine.hearing import hear
from samcli.engine.options import RunOptions

RATE = 16_000


def waves() -> list[np.ndarray]:
    chance = np.random.default_rng(5)
    lengths = (0.3, 1.0, 2.5, 9.9, 10.0, 14.0, 24.0, 31.0, 1.0, 4.0)
    made = [(0.1 * chance.standard_normal(round(RATE * seconds))).astype(np.float32) for seconds in lengths]
    made[5][: RATE * 9] = 0  # a silent window among others
    return [*made, np.zeros(3 * RATE, np.float32), np.zeros(0, np.float32)]


def test_as_the_engine() -> None:
    sam = Sam(tiny_random())
    question = "Is there a dog?"
    sounds = waves()
    short = RunOptions(max_new_tokens=2, beams=1)
    heard = hear(sam.model, sounds, [("", question)] * len(sounds), steps=True, rate=RATE, options=short)
    for wave, one in zip(sounds[:-1], heard, strict=False):
        caption = sam.caption(wave, rate=RATE, beams=1, max_new_tokens=2)
        assert (one.texts[0] or None) == caption.caption
        assert one.silent == caption.silent
        assert (one.texts[1] or None) == sam.ask(question, wave, rate=RATE, beams=1, max_new_tokens=2).answer
        tags = sam.tag(wave, rate=RATE, labels=sam.labels).tags
        if one.silent:
            assert one.tags is None
            continue
        scores = {tag.label: tag.score for tag in tags}
        assert one.tags is not None
        for label, score in zip(sam.labels, one.tags, strict=True):
            assert scores[label] == pytest.approx(float(score), abs=1e-4)
        assert one.steps[0][0] == 0.0
        assert one.steps[-1][1] == pytest.approx(len(wave) / RATE)
    assert heard[-1].silent


def test_company_and_order_change_nothing() -> None:
    model = tiny_random()
    sounds = waves()
    together = hear(model, sounds, [("", "What is this?")] * len(sounds))
    backward = hear(model, sounds[::-1], [("", "What is this?")] * len(sounds))[::-1]
    for wave, one, other in zip(sounds, together, backward, strict=True):
        alone = hear(model, [wave], [("", "What is this?")])[0]
        assert one.texts == other.texts == alone.texts
        if alone.tags is not None:
            np.testing.assert_allclose(one.tags, alone.tags, atol=1e-5)
            np.testing.assert_allclose(other.tags, alone.tags, atol=1e-5)


def test_prompts_of_each_sound() -> None:
    """Each sound gets its own number of answers, and a repeated prompt the same one."""
    sounds = waves()[1:4]
    heard = hear(tiny_random(), sounds, [("",), (), ("", "a?", "a?")])
    assert [len(one.texts) for one in heard] == [1, 0, 3]
    assert heard[2].texts[1] == heard[2].texts[2]
    told: list[int] = []
    hear(tiny_random(), sounds, progress=told.append)
    assert told[-1] == 3
