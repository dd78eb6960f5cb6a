"""Asked to stop, a training finishes its step, saves and ends; going on, it ends where an undisturbed one does."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.errors import OutputError
from samcli.training.loop import Trainer
from samcli.training.nano.batches import Batch, BatchOptions, SceneBatches
from samcli.training.nano.recipe import Material
from samcli.training.stopping import Stopping
from samcli.writers.files import write_whole
from tests.training.test_loop import QUICK, network

HERE = replace(QUICK, worker=False, steps=5)


class Interrupted(SceneBatches):
    """Scenes in the middle of which someone asks to stop."""

    at: int | None = None
    by = signal.SIGINT

    def batch(self, number: int) -> Batch:
        if number == self.at:
            signal.raise_signal(self.by)
        return super().batch(number)


def batches(material: Material, at: int | None = None) -> Interrupted:
    options = BatchOptions(scenes_at_5_seconds=2, seconds=(2.56,), windows=(1,), share=(1.0,))
    made = Interrupted(material.corpus, material.store, options)
    made.at = at
    return made


def test_a_stopped_run_is_saved_and_goes_on_to_the_same_end(material: Material, tmp_path: Path) -> None:
    whole = Trainer(network(), tmp_path / "whole", HERE)
    whole.run(batches(material))
    first = Trainer(network(), tmp_path / "parts", HERE)
    with pytest.raises(KeyboardInterrupt):
        first.run(batches(material, at=2))
    again = Trainer(network(), tmp_path / "parts", HERE)
    assert again.step == 3  # the step that was under way counts
    again.run(batches(material))
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_asked_twice_it_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Stopping() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second signal was held back too")


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            signal.raise_signal(signal.SIGTERM)
            assert stopping.asked is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_log_of_lost_steps_is_taken_back(material: Material, tmp_path: Path) -> None:
    trainer = Trainer(network(), tmp_path, replace(HERE, steps=2))
    trainer.run(batches(material))
    log = tmp_path / "metrics.jsonl"
    kept = log.read_text()
    log.write_text(kept + '{"step": 4, "clip": 1.0}\n{"step": 6, "cl')
    Trainer(network(), tmp_path, HERE)
    assert log.read_text() == kept


def test_a_state_that_cannot_be_written_is_a_sentence(material: Material, tmp_path: Path, monkeypatch: Any) -> None:
    write_whole(tmp_path / "last.pt", b"before")
    trainer = Trainer.__new__(Trainer)
    trainer.__dict__.update(network=network(), out=tmp_path, step=1, notes={})
    trainer.average = type("Same", (), {"network": trainer.network})  # type: ignore[assignment]
    trainer.optimiser = torch.optim.AdamW(trainer.network.parameters())

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("samcli.writers.files.os.write", full)
    with pytest.raises(OutputError, match="No space left"):
        trainer.save()
    assert (tmp_path / "last.pt").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
