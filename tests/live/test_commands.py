"""A person's command on an event: what it is given, that it is bounded, and that nobody waits for it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from samcli.errors import UsageError
from samcli.live.listener import Told
from samcli.live.outlets import WAITING, Commands
from samcli.records import Record, Tag


def told(number: int = 1, label: str = "Dog; $(touch x) `touch y`", kind: str = "begin") -> Told:
    record = Record(task="tag", path="a b.wav", start=1.5, tags=(Tag(label, 0.75),))
    return Told(kind, number, record, 1_700_000_000.0, None)  # type: ignore[arg-type]


def script(path: Path, text: str) -> str:
    path.write_text(text)
    return f'"{sys.executable}" "{path}" "one word"'


def test_what_a_command_is_given(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    body = (
        f"import os, sys, json; json.dump([sys.argv[1:], dict(os.environ), sys.stdin.read()], open({str(out)!r}, 'w'))"
    )
    commands = Commands(script(tmp_path / "a.py", body))
    commands.tell(told(kind="end"), None)  # not asked for
    commands.tell(told(), None)
    while not out.exists() or not out.read_text():
        time.sleep(0.01)
    assert commands.close() == []
    arguments, environment, stdin = json.loads(out.read_text())
    assert arguments == ["one word"] and json.loads(stdin) == told().values()
    own = {name: value for name, value in environment.items() if name.startswith("SAM_")}
    assert own["SAM_LABEL"] == "Dog; $(touch x) `touch y`" and own["SAM_SCORE"] == "0.75"
    assert own["SAM_EVENT"] == "begin" and own["SAM_END"] == "" and own["SAM_SOURCE"] == "a b.wav"
    assert [path.name for path in tmp_path.iterdir() if path.name in "xy"] == []  # no shell has read it


def test_slow_commands_are_few_and_nobody_waits(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    body = f"import os, time; open(os.path.join({str(log)!r}, os.environ['SAM_NUMBER']), 'w'); time.sleep(600)"
    commands = Commands(script(tmp_path / "a.py", body), at_once=2, parting=1.0)
    began = time.monotonic()
    for number in range(WAITING + 30):
        commands.tell(told(number), None)
    assert time.monotonic() - began < 30 and commands.skipped >= 28
    while len(list(log.iterdir())) < 2:
        time.sleep(0.01)
    assert len(list(log.iterdir())) == 2
    notes = commands.close()
    assert any("had none" in note for note in notes) and not commands._waiting


def test_what_goes_wrong_is_told(tmp_path: Path) -> None:
    commands = Commands(script(tmp_path / "a.py", "raise SystemExit(3)"))
    for _ in range(2):
        commands.tell(told(), None)
    while commands.failed < 2:
        time.sleep(0.01)
    assert [note.split()[-1] for note in commands.close()] == ["3.", "failed."]
    missing = Commands("/nowhere/at-all")
    missing.tell(told(), None)
    while not missing.failed:
        time.sleep(0.01)
    assert "cannot be run" in missing.close()[0]


@pytest.mark.parametrize("command", ["", "  ", "'open"])
def test_no_command(command: str) -> None:
    with pytest.raises(UsageError):
        Commands(command)
