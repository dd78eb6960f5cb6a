"""Any bytes at any door: an answer or one sentence, within bounds of time and memory. The cases are made in fuzz.py.

python -m pytest tests/stress/test_fuzz.py -m stress          # 226,000 cases
python tests/stress/fuzz.py journal --first 812 --count 1     # one of them again
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("fuzz.py")
FUZZ = runpy.run_path(str(PROGRAM))
SOUNDS = (*FUZZ["SOUNDFILE"], *FUZZ["ENCODED"])
PARSERS = tuple(name for name in FUZZ["CASES"] if name not in SOUNDS)
SLICE = 0.002  # of a campaign, in the default run
QUICK = [name for name in PARSERS if not name.startswith(("weights", "tokenizer", "arguments", "config", "label-"))]


def fuzzed(names: tuple[str, ...] | list[str], *, timeout: float, **options: float) -> None:
    """Run the cases of these targets in a process of their own; it ends with 0 only when every one passed."""
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "TERM": "dumb", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(PROGRAM), *names, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["target"] for line in told] == list(names), "something else was written to standard output"


def test_the_campaign_has_two_hundred_thousand_cases() -> None:
    assert sum(FUZZ["CASES"].values()) >= 200_000
    assert set(FUZZ["CASES"]) == set(FUZZ["TARGETS"])


def test_every_kind_of_sound() -> None:
    fuzzed(SOUNDS, share=SLICE, timeout=280)


def test_every_parser() -> None:
    fuzzed(QUICK, share=SLICE, timeout=280)
    fuzzed([name for name in PARSERS if name not in QUICK], count=4, timeout=280)


# A track that begins in mid-file.
@pytest.mark.parametrize(("name", "number"), [("mpegts", 636), ("flv", 258)])
def test_cases_that_once_failed(name: str, number: int) -> None:
    fuzzed((name,), first=number, count=1, timeout=280)


@pytest.mark.stress
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [*SOUNDS, *PARSERS])
def test_campaign(name: str) -> None:
    fuzzed((name,), share=1.0, timeout=7000)
