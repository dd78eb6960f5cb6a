"""Asked to stop, a training finishes its step, saves and ends; going on, it ends where an undisturbed one does."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from samcli.errors import OutputError
from samcli.training.loop import Trainer
from samcli.training.optimiser import Pace
from samcli.training.progress import Stopping
from samcli.training.stage import LoopOptions, Stage
from samcli.writers.files import write_whole
from tests.training.test_loop import Fit, Network, Points


class Interrupted(Fit):
    """A task in the middle of which someone asks to stop."""

    def __init__(self, network: Network, at: int | None = None) -> None:
        super().__init__(network)
        self.at = at

    def batch(self, places: Sequence[int]) -> Points:
        if self.at in places:
            signal.raise_signal(signal.SIGINT)
        return super().batch(places)


def trainer(folder: Path, at: int | None = None) -> Trainer:
    network = Network()
    stage = Stage("all", 5, lambda: Interrupted(network, at), Pace(0.01))
    return Trainer(network, [stage], folder / "state.pt", LoopOptions(batch=2))


def test_a_stopped_run_is_saved_and_goes_on_to_the_same_end(tmp_path: Path, same_weights: Any) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "parts", at=4).run()
    again = trainer(tmp_path / "parts")
    assert again.step == 3  # the step that was under way counts
    again.run()
    same_weights(whole.network.state_dict(), again.network.state_dict())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_asked_twice_it_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Stopping() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second signal was held back too")


def test_a_terminal_that_closes_asks_once_however_often_it_says_so() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: heard.append(number))
    try:
        with Stopping() as stopping:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
            assert stopping.asked == signal.SIGHUP and heard == []
            stopping.obey()
        assert heard == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            signal.raise_signal(signal.SIGTERM)
            assert stopping.asked is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_state_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: Any) -> None:
    stopped = trainer(tmp_path)
    write_whole(tmp_path / "state.pt", b"before")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("samcli.writers.files.os.write", full)
    with pytest.raises(OutputError, match="No space left"):
        stopped.save()
    assert (tmp_path / "state.pt").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
