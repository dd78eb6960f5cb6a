"""Sound piped in is told while it comes; what is told is what the file gives."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.conftest import RATE, Here, Sam, tone

TINY = ("--model", "tiny-random", "--offline", "-f", "jsonl")


def wav(times: int = 1, silence: int = 0) -> bytes:
    """Twenty seconds, in four voices, so many times, and so much silence after each."""
    file = io.BytesIO()
    voices = [tone(5, pitch, seed=pitch) for pitch in (300, 500, 700, 900)]
    wave = np.concatenate([*voices, np.zeros(silence * RATE, voices[0].dtype)] * times)
    soundfile.write(file, wave, RATE, format="WAV")
    return file.getvalue()


def plain(lines: bytes) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in lines.splitlines()]
    for record in records:  # how long a stream lasts is not known before its end
        del record["path"], record["duration"], record["covered"]
    return records


SPEAKING = ("caption", "-", "--segment", "5", "--max-new-tokens", "2")


@pytest.mark.parametrize(
    "arguments",
    [("tag", "-", "--segment", "5"), pytest.param(SPEAKING, marks=pytest.mark.slow)],
    ids=["tag", "caption"],
)
def test_a_record_leaves_when_its_segment_is_over(
    sam: Sam, here: Here, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    sound = wav()
    (tmp_path / "a.wav").write_bytes(sound)
    running = sam.start(*arguments, *TINY, "--batch-size", "64")
    assert running.stdin and running.stdout
    half = 44 + 2 * RATE * 7
    running.stdin.write(sound[:half])  # and the pipe stays open
    running.stdin.flush()
    first = running.stdout.readline()
    assert json.loads(first)["end"] == 5.0 and running.poll() is None
    rest, _ = running.communicate(sound[half:], timeout=300)
    whole = here(arguments[0], "a.wav", *arguments[2:], *TINY)
    assert plain(first + rest) == plain(whole.stdout) and len(plain(rest)) == 3


def test_events_leave_before_the_end(sam: Sam, here: Here, tmp_path: Path) -> None:
    sound = wav(4, silence=20)  # random weights hear one thing as long as there is sound
    (tmp_path / "a.wav").write_bytes(sound)
    timeline = ("--timeline", "--all", "--threshold", "0.5")
    whole = plain(here("tag", "a.wav", *timeline, *TINY).stdout)
    running = sam.start("tag", "-", *timeline, *TINY)
    assert running.stdin and running.stdout
    running.stdin.write(sound[: len(sound) - 2 * RATE * 10])
    running.stdin.flush()
    first = running.stdout.readline()
    assert json.loads(first)["tags"] and running.poll() is None
    rest, _ = running.communicate(sound[len(sound) - 2 * RATE * 10 :], timeout=300)

    def place(record: dict[str, Any]) -> tuple[float, str]:
        return record["start"], record["tags"][0]["label"]

    assert sorted(plain(first + rest), key=place) == sorted(whole, key=place)


def test_bare_samples(here: Here, make_wav: Callable[..., Path], tmp_path: Path) -> None:
    make_wav(tmp_path / "a.wav", seconds=6)
    samples = (tmp_path / "a.wav").read_bytes()[44:]
    whole = here("tag", "a.wav", *TINY).stdout
    assert plain(here("tag", "-", "--raw", "s16le:16000:1", *TINY, input=samples).stdout) == plain(whole)
    assert plain(here("tag", "-", "--raw", "s16le:16000", *TINY, input=samples).stdout) == plain(whole)
    wrong = here("tag", "-", "--raw", "s16:16000", *TINY, input=samples)
    assert wrong.returncode == 2 and b"--raw" in wrong.stderr and not wrong.stdout


def test_a_pipe_without_sound_is_one_failure(sam: Sam) -> None:
    done = sam("tag", "-", "--segment", "5", *TINY, input=b"no sound, only words" * 100)
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["type"] == "not-audio"
