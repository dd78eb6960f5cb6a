"""The journal: any stop costs only what was under way, and nothing stale is ever reused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import Toy

from samcli.engine.inputs.find import find_inputs
from samcli.engine.journal import Journal, fingerprint, journal_path, kindred
from samcli.engine.options import RunOptions, RunReport
from samcli.errors import OutputError
from samcli.models.interface import Encoding
from samcli.records import Record
from samcli.tasks.run import run


@pytest.fixture
def folder(tmp_path: Path, write: Callable[..., Path]) -> Path:
    """The kinds of sound that a journal tells apart: short, long, next to nothing, silent, and two that are none."""
    place = tmp_path / "sounds"
    for number, seconds in enumerate([1, 1, 3.3, 31, 0.01]):
        write(place / f"{number:02}.wav", seconds, seed=number)
    write(place / "quiet" / "zero.wav", 2, level=0)
    (place / "bad.wav").write_text("this is not sound")
    (place / "empty.wav").touch()
    return place


class Counting(Toy):
    """Counts the windows it was shown."""

    seen = 0

    def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
        self.seen += len(waves)
        return super().encode(waves, lengths)


def resumed(path: Path, folder: Path, options: RunOptions | None = None, task: str = "tag") -> tuple[list[Record], int]:
    """A run with a journal: its records, and how many windows the model saw."""
    model, options = Counting(), options or RunOptions()
    with Journal(path, fingerprint(task, model, options)) as journal:
        return list(run(task, find_inputs([folder]), model, options, journal=journal)), model.seen


def test_a_second_run_hears_only_what_failed(tmp_path: Path, folder: Path) -> None:
    first, seen = resumed(tmp_path / "j", folder)
    again, seen_again = resumed(tmp_path / "j", folder)
    assert seen > 0 and seen_again == 0
    assert again == first
    (folder / "bad.wav").write_bytes((folder / "03.wav").read_bytes())
    mended, seen_mended = resumed(tmp_path / "j", folder)
    assert seen_mended == 4, "what failed is tried again"
    assert sum(record.error is not None for record in mended) == sum(record.error is not None for record in first) - 1


def test_changed_files_are_heard_again(tmp_path: Path, folder: Path, write: Callable[..., Path]) -> None:
    resumed(tmp_path / "j", folder)
    write(folder / "00.wav", seconds=1, seed=99)
    assert resumed(tmp_path / "j", folder)[1] == 1
    os.utime(folder / "01.wav", ns=(1, 1))
    assert resumed(tmp_path / "j", folder)[1] == 1
    (folder / "02.wav").rename(folder / "new.wav")
    assert resumed(tmp_path / "j", folder)[1] == 1
    assert resumed(tmp_path / "j", folder)[1] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"top_k": 3}, {"threshold": 0.2}, {"labels": ("Dog",)}, {"segment": 5.0}, {"window_seconds": 5.0},
        {"timeline": True}, {"silence_db": -40.0},
    ],
)  # fmt: skip
def test_settings_that_change_results_are_heard_again(tmp_path: Path, folder: Path, changed: dict[str, object]) -> None:
    resumed(tmp_path / "j", folder)
    assert resumed(tmp_path / "j", folder, RunOptions(**changed))[1] > 0  # type: ignore[arg-type]
    assert resumed(tmp_path / "j", folder)[1] == 0, "the earlier results are still there"


@pytest.mark.parametrize("changed", [{"batch_size": 1}, {"threads": 3}, {"ordered": False}, {"fail_fast": False}])
def test_settings_of_speed_reuse_everything(tmp_path: Path, folder: Path, changed: dict[str, object]) -> None:
    resumed(tmp_path / "j", folder)
    assert resumed(tmp_path / "j", folder, RunOptions(**changed))[1] == 0  # type: ignore[arg-type]


def test_tasks_questions_and_models_do_not_mix() -> None:
    model, other = Toy(), Toy()
    other.revision = "seed-1"
    prints = [
        fingerprint("tag", model, RunOptions()),
        fingerprint("caption", model, RunOptions()),
        fingerprint("ask", model, RunOptions(question="a?")),
        fingerprint("ask", model, RunOptions(question="b?")),
        fingerprint("tag", other, RunOptions()),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint("tag", Toy(), RunOptions()) == prints[0]


def test_paths_are_told_as_they_are_given_now(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed(tmp_path / "j", folder)
    monkeypatch.chdir(tmp_path)
    records, seen = resumed(tmp_path / "j", Path("sounds"))
    assert seen == 0 and all(record.path.startswith("sounds/") for record in records)


def test_names_that_are_not_text_survive(tmp_path: Path, write: Callable[..., Path]) -> None:
    name = "\udcff\n\u00fc.wav"
    write(tmp_path / "plain.wav").rename(tmp_path / name)
    for _ in range(2):
        (record,), _ = resumed(tmp_path / "j", tmp_path / name)
        assert Path(record.path).name == name


def test_torn_at_any_byte(tmp_path: Path, folder: Path) -> None:
    """However a crash cuts the file off, the whole lines count and the run ends with the same records."""
    path = tmp_path / "torn"
    first, _ = resumed(path, folder)
    whole = path.read_bytes()

    @settings(max_examples=25)
    @given(st.integers(0, len(whole)), st.sampled_from([b"", b"\0\0\0", b'{"key": "zz']))
    def torn(kept: int, end: bytes) -> None:
        path.write_bytes(whole[:kept] + end)
        again, _ = resumed(path, folder)
        assert again == first
        lines = path.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"\n") and json.loads(line) for line in lines)
        assert sorted(lines) == sorted(whole.splitlines(keepends=True))

    torn()


def test_a_spoilt_line_inside_is_done_again(tmp_path: Path, folder: Path) -> None:
    first, _ = resumed(tmp_path / "j", folder)
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    lines[1] = b"{}\n"
    lines[2] = lines[2].replace(b'"schema":1', b'"schema":9')
    lines[3] = b"[" * 100_000 + b"\n"
    lines[4] = lines[4].replace(b'"end":', b'"end":' + b"9" * 400)
    (tmp_path / "j").write_bytes(b"".join(lines))
    again, seen = resumed(tmp_path / "j", folder)
    assert again == first and seen >= 4


def test_a_full_disk_does_not_end_the_run(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = resumed(tmp_path / "whole", folder)
    write, model, options, report = os.write, Counting(), RunOptions(), RunReport()
    with Journal(tmp_path / "j", fingerprint("tag", model, options)) as journal:
        room = 900

        def full(descriptor: int, data: bytes) -> int:
            nonlocal room
            if room <= 0:
                raise OSError(28, "No space left on device")
            room -= len(data)
            return write(descriptor, data if room > 0 else data[:room])

        monkeypatch.setattr(os, "write", full)
        records = list(run("tag", find_inputs([folder]), model, options, journal=journal, report=report))
        monkeypatch.undo()
    assert records == whole
    assert len(report.notices) == 1 and "no space left" in report.notices[0]
    assert resumed(tmp_path / "j", folder)[0] == whole, "what was written before still counts"


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "x"), pytest.raises(OutputError, match="Another run"):
        Journal(tmp_path / "j", "x")
    Journal(tmp_path / "j", "x").close()


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file"):
        Journal(tmp_path / "none" / "j", "x")


def test_every_output_has_a_journal_of_its_own(tmp_path: Path) -> None:
    assert journal_path(tmp_path / "out.csv") == tmp_path / ".out.csv.journal"
    assert journal_path(tmp_path / "out") == tmp_path / ".out.journal"
    assert journal_path(f"{tmp_path}/results/") == tmp_path / "results" / ".sam.journal"
    assert journal_path(tmp_path) == tmp_path / ".sam.journal"
    longest = journal_path(tmp_path / ("x" * 251 + ".csv"))
    longest.touch()
    assert longest != journal_path(tmp_path / ("x" * 251 + ".tsv"))


def test_what_an_output_may_know_from_others(tmp_path: Path) -> None:
    """Other formats of the same name, and the one journal that all of them shared."""
    for name in (".out.csv", ".out.jsonl", ".out", ".out.2.csv", ".outer.csv", ".sam"):
        (tmp_path / f"{name}.journal").touch()
    found = [path.name for path in kindred(tmp_path / "out.csv")]
    assert found == [".out.journal", ".out.jsonl.journal"]
    assert kindred(tmp_path) == kindred(f"{tmp_path}/") == []


def test_other_journals_are_asked_and_left_alone(tmp_path: Path, folder: Path) -> None:
    first, _ = resumed(tmp_path / "one", folder)
    before = (tmp_path / "one").read_bytes()
    (tmp_path / "torn").write_bytes(before[:400])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    others = [tmp_path / name for name in ("none", "pipe", "torn", "link", "one")]
    model, options = Counting(), RunOptions()
    with Journal(tmp_path / "two", fingerprint("tag", model, options), others) as journal:
        assert list(run("tag", find_inputs([folder]), model, options, journal=journal)) == first
    assert model.seen == 0 and (tmp_path / "two").read_bytes() == b""
    assert (tmp_path / "one").read_bytes() == before and (tmp_path / "torn").read_bytes() == before[:400]


def test_a_line_without_end_is_cut_off(tmp_path: Path, folder: Path) -> None:
    """A stranger's journal may be one line as long as a disk."""
    resumed(tmp_path / "j", folder)
    whole = (tmp_path / "j").read_bytes()
    os.truncate(tmp_path / "j", len(whole) + 2**33)
    with Journal(tmp_path / "j", "any") as journal:
        assert len(journal) == whole.count(b"\n")
    assert (tmp_path / "j").read_bytes() == whole


PYTHONPATH = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
PROGRAM = """
import sys, time
from toy import Toy
from samcli.engine.inputs.find import find_inputs
from samcli.engine.journal import Journal, fingerprint
from samcli.engine.options import RunOptions
from samcli.tasks.run import run

class Stuck(Toy):
    left = 15

    def encode(self, waves, lengths):
        if not self.left:
            print("stuck", flush=True)
            time.sleep(600)
        self.left -= 1
        return super().encode(waves, lengths)

model, options = Stuck(), RunOptions(batch_size=1)
with Journal(sys.argv[1], fingerprint("tag", model, options)) as journal:
    for record in run("tag", find_inputs([sys.argv[2]]), model, options, journal=journal):
        print(record.path, flush=True)
"""


def test_killed_and_killed_again(tmp_path: Path, write: Callable[..., Path]) -> None:
    """kill -9 in mid-run, over and over: each run begins where the last was killed, and the end is the whole."""
    for seed in range(40):
        write(tmp_path / "f" / f"{seed:02}.wav", 1, seed=seed)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "j"), str(tmp_path / "f")]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    kept = told_before_a_kill = 0
    for _ in range(2):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = list(iter(process.stdout.readline, "stuck\n"))
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while True:
            try:
                with Journal(tmp_path / "j", "any") as journal:
                    # The file before the one it is stuck in may be heard, but not yet told.
                    assert kept + 14 <= len(journal) <= kept + 15, "each run begins where the last was killed"
                    assert len(journal) >= len(told), "what was told was in it before"
                    kept = len(journal)
                    told_before_a_kill += len(told)
                break
            except OutputError:  # the kernel has not yet let go of the lock
                assert time.monotonic() < deadline
                time.sleep(0.05)
    records, seen = resumed(tmp_path / "j", tmp_path / "f")
    assert seen == 40 - kept and told_before_a_kill > 0
    fresh, _ = resumed(tmp_path / "fresh", tmp_path / "f")
    assert records == fresh
