"""Hours: memory stays as it is, and what is told of them is what is told of them in pieces."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samcli.live.listener import Listener
from samcli.live.state import read_state, resume, saved, write_state
from tests.live.conftest import RATE, heard, scene


def resident() -> int:
    """Bytes this process has in memory now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        pytest.skip("this system does not say how much memory is in use")


@pytest.mark.stress
@pytest.mark.parametrize("hours", [24])
def test_a_day(listener: Callable[..., Listener], hours: int, tmp_path: Path) -> None:
    minute = scene(60, seed=5)
    ear, begun, ended = listener(captions_every=60.0), 0, 0
    first = 0
    for number in range(hours * 60):
        told = heard(ear, [np.roll(minute, number * RATE)], finish=False)
        begun += sum(one.kind == "begin" for one in told)
        ended += sum(one.kind == "end" for one in told)
        if number % 61 == 60:  # killed, and started again
            write_state(tmp_path / "day.state", saved(ear, {}))
            ear = listener(captions_every=60.0)
            resume(ear, read_state(tmp_path / "day.state"), "day.state")
        if number == 59:
            first = resident()
    over = list(ear.finish())
    ended += sum(one.kind == "end" for one in over)
    assert begun == ended > 0 and ear.seconds == pytest.approx(hours * 3600)
    assert resident() <= 1.05 * first
