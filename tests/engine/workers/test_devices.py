"""A process for each device: the records of one process, whoever dies on the way. The devices are played by the CPU."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import toy

from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.journal import Journal, fingerprint
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.workers import devices
from samcli.engine.workers.devices import DeviceWorkers
from samcli.engine.workers.process import seen_from_inside
from samcli.errors import DeviceError, ModelError, UsageError
from samcli.models.device import pick_devices
from samcli.records import Record
from samcli.tasks.run import run

TWO = ["cpu", "cpu"]
pytestmark = pytest.mark.timeout(900)  # each test starts processes that load torch


@pytest.fixture(autouse=True)
def toys_are_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(toy.__file__).parent), os.environ.get("PYTHONPATH", "")])
    )


@pytest.fixture
def sounds(tmp_path: Path, write: Callable[..., Path]) -> list[Input]:
    for seed in range(24):
        write(tmp_path / "sounds" / f"{seed:02}.wav", 1 + seed % 3 * 5.3, seed=seed)
    (tmp_path / "sounds" / "bad.wav").write_text("no")
    return find_inputs([tmp_path / "sounds"])


def values(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [record.to_dict() for record in records]


def alone(sounds: list[Input], options: RunOptions | None = None) -> list[dict[str, Any]]:
    return values(list(run("tag", sounds, toy.Toy(), options)))


def gone(number: int) -> bool:
    """Whether a process is no more, or waits only to be asked for its exit code."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def ends(numbers: Sequence[int]) -> bool:
    deadline = time.monotonic() + 60
    while not all(map(gone, numbers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(map(gone, numbers))


def test_records_are_those_of_one_process_and_a_later_run_goes_on(sounds: list[Input], tmp_path: Path) -> None:
    options, report = RunOptions(segment=4.0), RunReport()
    with DeviceWorkers(toy.toy_on, TWO) as workers:
        settings = fingerprint("tag", workers.about, options)
        assert settings == fingerprint("tag", toy.Toy(), options)  # either may go on with what the other began
        with Journal(tmp_path / "j", settings) as journal:
            records = list(run("tag", sounds[:15], workers, options, journal=journal))
        numbers = [process._process.pid for process in workers._open]
    assert len(numbers) == 2 and ends(numbers)
    assert values(records) == alone(sounds[:15], options)  # in the same order, too
    with DeviceWorkers(toy.toy_on, TWO) as workers, Journal(tmp_path / "j", settings) as journal:
        again = list(run("tag", sounds, workers, options, journal=journal, report=report))
    assert values(again) == alone(sounds, options)
    assert (report.files_done, report.files_failed, report.files_resumed) == (len(sounds), 1, 15)
    fresh = {record.path: record.covered or 0.0 for record in again[len(records) :]}
    assert report.audio_seconds == pytest.approx(sum(fresh.values())) and 0 < report.model_share <= 1


def test_what_a_killed_process_had_not_sent_is_heard_by_another(sounds: list[Input], tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    with DeviceWorkers(partial(toy.signed, signs), TWO) as workers:
        records = run("tag", sounds, workers, RunOptions(batch_size=1))
        first = [next(records), next(records)]
        while len(victims := [int(sign.name) for sign in signs.iterdir()]) < 2:
            time.sleep(0.01)
        os.kill(victims[0], signal.SIGKILL)
        found = values([*first, *records])
    assert found == alone(sounds, RunOptions(batch_size=1))


def test_a_poisonous_file_is_set_aside(sounds: list[Input], tmp_path: Path) -> None:
    loud = tmp_path / "sounds" / "17x.wav"
    soundfile.write(loud, np.tile([1.0, -1.0], 8000), 16_000, subtype="FLOAT")
    with DeviceWorkers(toy.fragile, TWO) as workers:
        records = list(run("tag", find_inputs([tmp_path / "sounds"]), workers))
    (poison,) = [record for record in records if record.path == str(loud)]
    assert poison.error is not None and poison.error.type == "crash" and "2 workers" in poison.error.message
    assert values([record for record in records if record is not poison]) == alone(sounds)


def test_a_device_that_fails_is_set_aside_and_no_file_is_lost(sounds: list[Input]) -> None:
    report = RunReport()
    with DeviceWorkers(toy.on_device, ["cpu:1", "cpu:2", "cpu"]) as workers:
        records = list(run("tag", sounds, workers, report=report))
    assert values(records) == alone(sounds)
    dead, *others = sorted(report.notices)  # the other one may still be trying when all is done
    assert dead.startswith("cpu:1 was set aside") and "code 7" in dead
    assert all(words.startswith("cpu:2 was set aside") and "illegal memory access" in words for words in others)


def test_where_no_device_starts_the_run_ends() -> None:
    dead = DeviceWorkers(toy.on_device, ["cpu:1", "cpu:1"])
    with pytest.raises(DeviceError, match=r"cpu:1 was set aside.*cpu:1 was set aside"), dead:
        pass


def test_a_model_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(ModelError, match="There is no such model"), DeviceWorkers(toy.missing, TWO):
        pass


def test_where_every_process_dies_the_run_ends(sounds: list[Input], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MOST_DEATHS", 1)
    with DeviceWorkers(toy.deadly, ["cpu"]) as workers, pytest.raises(DeviceError, match="set aside"):
        list(run("tag", sounds, workers))


def test_a_run_that_is_left_leaves_no_process(sounds: list[Input], tmp_path: Path) -> None:
    with DeviceWorkers(partial(toy.signed, tmp_path), TWO) as workers:
        records = run("tag", sounds, workers, RunOptions(batch_size=1))
        next(records)
        numbers = [process._process.pid for process in workers._open]
        records.close()  # type: ignore[attr-defined]
        assert numbers and ends(numbers)


@pytest.mark.parametrize(
    ("asked", "cards", "found"),
    [
        ("cuda", 4, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        ("auto", 2, ["cuda:0", "cuda:1"]),
        ("cuda", 1, ["cuda"]),
        ("cuda:1", 4, ["cuda:1"]),
        ("cuda:0, cuda:3", 4, ["cuda:0", "cuda:3"]),
        ("cpu,cpu", 0, ["cpu", "cpu"]),
        ("auto", 0, ["cpu"]),
    ],
)
def test_all_cards_or_those_that_are_named(
    asked: str, cards: int, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_devices(asked) == found
    with pytest.raises(UsageError, match="unavailable"):
        pick_devices("cuda:0,cuda:9")


def test_a_process_is_shown_its_card_alone() -> None:
    assert seen_from_inside("cpu", {"A": "1"}) == ("cpu", {"A": "1"})
    assert seen_from_inside("cuda:2", {}) == ("cuda", {"CUDA_VISIBLE_DEVICES": "2"})
    hidden = {"CUDA_VISIBLE_DEVICES": "5, GPU-7,6"}
    assert seen_from_inside("cuda:1", hidden) == ("cuda", {"CUDA_VISIBLE_DEVICES": "GPU-7"})
