"""Long scenes sound when their truth says."""

from __future__ import annotations

from pathlib import Path

from samcli.evaluation.nano.dev_sounds import RATE, DevSounds, corpus_of, frame_levels
from samcli.evaluation.nano.long_scenes import WINDOW, long_scenes

FRAMES = 50  # a second
LOUD = 10 ** (-45 / 20)  # above the room, and below every sound
EDGE = 0.1  # seconds


def test_windows_are_as_long_as_they_say_and_sound_when_they_say(corpus_folder: Path) -> None:
    sounds = DevSounds.read(corpus_of(corpus_folder))
    windows = [one for scene in long_scenes(sounds, 3) for one in scene.rendered]
    assert windows
    for one in windows:
        assert len(one.wave) == WINDOW * RATE
        loud = frame_levels(one.wave) > LOUD
        stretches = [stretch for found in one.stretches.values() for stretch in found]
        for start, end in stretches:
            assert loud[round(start * FRAMES) : round(end * FRAMES)].mean() > 0.5
        for frame in loud.nonzero()[0]:
            assert any(start - EDGE <= frame / FRAMES <= end + EDGE for start, end in stretches)
