"""Summaries: records added up against sums done by hand, and the command."""

from __future__ import annotations

import csv
import io
import json

import pytest

from samcli.engine.inputs.recorded_at import Clock
from samcli.errors import UsageError
from samcli.records import ErrorInfo, Event, Record, Tag
from samcli.report.reading import read_records
from samcli.report.summary import Summary
from samcli.writers.formats import FORMATS, Layout


def heard(path: str, start: float, end: float, label: str, duration: float = 100.0) -> Record:
    return Record(task="tag", path=path, start=start, end=end, duration=duration, tags=(Tag(label, 0.5),))


RECORDS = [
    heard("a/1.wav", 0, 10, "Dog"),
    heard("a/1.wav", 50, 60, "Dog"),
    heard("a/1.wav", 55, 60, "Rain"),
    heard("b/2.wav", 90, 95, "Dog"),
    Record(task="tag", path="b/3.wav", error=ErrorInfo("empty", "'b/3.wav' holds no sound.")),
]


def test_seconds_events_files_and_shares() -> None:
    added = Summary().add_all(RECORDS)
    dog, rain = added.rows()
    assert (dog["label"], dog["seconds"], dog["events"], dog["files"], dog["share"]) == ("Dog", 25, 3, 2, 0.125)
    assert (rain["label"], rain["seconds"], rain["events"], rain["files"]) == ("Rain", 5, 1, 1)
    assert (dog["first"], dog["last"]) == ("a/1.wav 0:00.0", "b/2.wav 1:30.0")
    assert (added.files, added.failed) == (3, 1)


@pytest.mark.parametrize("by, groups", [("folder", ["a", "a", "b"]), ("file", ["a/1.wav", "a/1.wav", "b/2.wav"])])
def test_by_place(by: str, groups: list[str]) -> None:
    assert [row[by] for row in Summary(by).add_all(RECORDS).rows()] == groups


def test_by_hour_and_day_where_an_event_lasts_over_midnight() -> None:
    night = [heard("20260512_235930.wav", 0, 90, "Rain")]
    clock = Clock.of(None, "+00:00")
    hours = [(row["hour"], row["seconds"], row["events"], row["share"])
             for row in Summary("hour", clock).add_all(night).rows()]  # fmt: skip
    assert hours == [("2026-05-12 23:00", 30, 1, 1.0), ("2026-05-13 00:00", 60, 0, pytest.approx(60 / 70, abs=1e-6))]
    days = [row["day"] for row in Summary("day", clock).add_all(night).rows()]
    assert days == ["2026-05-12", "2026-05-13"]
    with pytest.raises(UsageError, match="start-time"):
        Summary("hour").add_all(RECORDS)


def test_captions_are_added_up_by_their_evidence() -> None:
    evidence = (Event("Dog", 0.9, 1.0, 3.0),)
    told = Record(task="caption", path="a", start=0, end=9, duration=9, caption="A dog barks.", evidence=evidence)
    assert [(row["label"], row["seconds"]) for row in Summary().add(told) or Summary().add_all([told]).rows()] == [
        ("Dog", 2)
    ]


@pytest.mark.parametrize("name", ["jsonl", "json", "csv"])
def test_records_are_read_back_from_every_format_with_all_fields(name: str, tmp_path) -> None:
    writer = FORMATS[name](Layout("tag"))
    file = tmp_path / f"tags.{name}"
    text = writer.header() + "".join(map(writer.record, RECORDS)) + writer.footer()
    file.write_bytes(text.encode())
    back = list(read_records(file))
    assert [(r.path, r.start, r.end, r.tags or None, r.error) for r in back] == [
        (r.path, r.start, r.end, r.tags, r.error) for r in RECORDS
    ]


@pytest.mark.parametrize("content", ['{"no": "record"}\n', "[]\n", "{\n", '{"schema": 1, "task": "tag"}\n'])
def test_what_holds_no_records_is_said(content: str, tmp_path, here) -> None:
    (tmp_path / "x.jsonl").write_text(content)
    done = here("summary", "x.jsonl")
    assert done.returncode == 2 and b"holds no records" in done.stderr


def test_the_command(here, tmp_path) -> None:
    from samcli.writers.formats import to_json

    (tmp_path / "tags.jsonl").write_text("".join(to_json(record) + "\n" for record in RECORDS))
    table = list(csv.DictReader(io.StringIO(here("summary", "tags.jsonl", "-f", "csv").stdout.decode())))
    assert table[0]["label"] == "Dog" and table[0]["seconds"] == "25" and table[0]["share"] == "0.125"
    done = here("summary", "tags.jsonl", "--by", "folder", "-f", "jsonl")
    assert done.returncode == 1, "one recording could not be heard"
    assert [json.loads(line)["folder"] for line in done.stdout.splitlines()] == ["a", "a", "b"]
    assert here("summary", "tags.jsonl", "--by", "mood").returncode == 2


def test_recordings_are_heard_first(here, make_wav, tmp_path) -> None:
    make_wav(tmp_path / "a.wav", seconds=2)
    done = here("summary", "a.wav", "--model", "tiny-random")
    assert done.returncode == 0, done.stderr
