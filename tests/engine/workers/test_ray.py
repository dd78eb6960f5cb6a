"""Many machines: the records of one process, whoever dies on the way. On a local cluster of two nodes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from toy import Deadly, Fragile, Signed, Toy, no_model

from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.journal import Journal, fingerprint
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.workers.ray import RayWorkers
from samcli.errors import ModelError, UsageError
from samcli.records import Record
from samcli.tasks.run import run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    ray = pytest.importorskip("ray")  # here, for it takes seconds to import
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder) for folder in Path(__file__).parents[1:4:2]])
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    ray.init(nodes.address, log_to_driver=False)  # once: a crew uses the connection it finds
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def sounds(tmp_path: Path, write: Callable[..., Path]) -> list[Input]:
    folder = tmp_path / "sounds"
    for seed in range(40):
        write(folder / f"{seed:02}.wav", 1 + seed % 3 * 5.3, seed=seed)
    (folder / "bad.wav").write_text("no")
    return find_inputs([folder])


def lines(records: Sequence[Record]) -> list[str]:
    return sorted(repr(record.to_dict()) for record in records)


def hear(
    load: Callable[[], Any], address: str, task: str, inputs: list[Input], options: RunOptions, **more: Any
) -> list[Record]:
    with RayWorkers(load, address=address, workers=2) as crew:
        return list(run(task, inputs, crew, options, **more))


@pytest.mark.parametrize("task", ["tag", "caption"])
def test_records_are_those_of_one_process(cluster: str, sounds: list[Input], task: str) -> None:
    options, report = RunOptions(segment=4.0), RunReport()
    records = hear(Toy, cluster, task, sounds, options, report=report)
    alone = list(run(task, sounds, Toy(), options))
    assert [record.path for record in records] == [record.path for record in alone], "in order, too"
    if task == "tag":
        assert lines(records) == lines(alone)
    assert report.files_done == len(sounds) and report.files_failed == 1
    assert report.audio_seconds == pytest.approx(sum({record.path: record.covered or 0 for record in alone}.values()))


def test_a_poisonous_file_is_set_aside(cluster: str, sounds: list[Input], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sounds" / "17x.wav", np.tile([1.0, -1.0], 8000), 16_000, subtype="FLOAT")
    inputs = find_inputs([tmp_path / "sounds"])
    options = RunOptions()
    records = hear(Fragile, cluster, "tag", inputs, options)
    (poison,) = [record for record in records if record.path.endswith("17x.wav")]
    assert poison.error is not None and poison.error.type == "crash" and "2 workers" in poison.error.message
    others = [record for record in records if record is not poison]
    assert lines(others) == lines(list(run("tag", sounds, Toy(), options)))


def test_killed_workers_files_are_heard_by_another(cluster: str, sounds: list[Input], tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    killed: list[int] = []

    def kill() -> None:
        time.sleep(0.5)
        victim = sorted(int(sign.name) for sign in signs.iterdir())[0]
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)

    with RayWorkers(partial(Signed, signs), address=cluster, workers=2) as crew:
        killer = threading.Thread(target=kill)
        killer.start()
        records = list(run("tag", sounds, crew, RunOptions(batch_size=2)))
        killer.join()
    assert len(list(signs.iterdir())) >= 3, "another was hired in its place"
    assert lines(records) == lines(list(run("tag", sounds, Toy(), RunOptions(batch_size=2))))


def test_results_stream_to_the_journal(cluster: str, sounds: list[Input], tmp_path: Path) -> None:
    options, report = RunOptions(ordered=False), RunReport()
    with RayWorkers(Toy, address=cluster, workers=2) as crew:
        with Journal(tmp_path / "j", fingerprint("tag", crew.about, options)) as journal:
            records = run("tag", sounds, crew, options, journal=journal)
            for _ in range(5):
                next(records)
            assert len(journal) >= 4, "one of the five may be the bad one"
            records.close()  # type: ignore[attr-defined]
            known = len(journal)
        with Journal(tmp_path / "j", fingerprint("tag", crew.about, options)) as journal:
            again = list(run("tag", sounds, crew, options, journal=journal, report=report))
    assert report.files_resumed == known > 0
    assert lines(again) == lines(list(run("tag", sounds, Toy(), options)))


def test_what_cannot_be_met_is_told_before_any_work(cluster: str, sounds: list[Input]) -> None:
    with pytest.raises(UsageError, match="no label 'Dgo'"):
        hear(Toy, cluster, "tag", sounds, RunOptions(labels=("Dgo",)))
    stream = Input("-", "-", None, "stdin", source=object())
    with pytest.raises(UsageError, match="hear files"):
        hear(Toy, cluster, "tag", [stream], RunOptions())

    with pytest.raises(ModelError, match="There is no such model"):
        hear(no_model, cluster, "tag", sounds, RunOptions())

    with pytest.raises(ModelError, match="Workers die"):
        hear(Deadly, cluster, "tag", sounds, RunOptions())


def test_fail_fast_and_early_stop(cluster: str, sounds: list[Input]) -> None:
    records = hear(Toy, cluster, "tag", sounds, RunOptions(fail_fast=True))
    assert records[-1].error is not None and all(record.error is None for record in records[:-1])
