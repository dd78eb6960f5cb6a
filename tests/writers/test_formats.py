"""Each format, read back by something that is not our own code wherever there is one."""

import csv
import io
import json
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.errors import UsageError
from samcli.records import ErrorInfo, Record, Tag
from samcli.writers.escape import unguarded_cell
from samcli.writers.formats import BY_SUFFIX, FORMATS, Layout, columns, format_of, format_of_file, to_json
from tests.conftest import plain_cell

names = (
    st.binary(min_size=1, max_size=12).map(lambda raw: raw.replace(b"\0", b"0").replace(b"/", b"_")).map(os.fsdecode)
)
words = st.none() | st.text(max_size=20)
seconds = st.floats(0, 1e5).map(lambda value: round(value, 6))


def record_of(task, path, start, length, text, tags):
    said = (
        {"caption": text}
        if task == "caption"
        else {"question": "why?", "answer": text}
        if task == "ask"
        else {"tags": tags}
    )
    return Record(task=task, path=path, start=start, end=start + length, duration=1e6, covered=9.5, model="m", **said)


tags = st.lists(
    st.builds(Tag, st.text(min_size=1, max_size=12), st.floats(0, 1).map(lambda value: round(value, 6))), max_size=3
)
records = {
    task: st.lists(st.builds(record_of, st.just(task), names, seconds, seconds, words, tags.map(tuple)), max_size=4)
    for task in ("caption", "tag", "ask")
}
batches = st.sampled_from(["caption", "tag", "ask"]).flatmap(lambda task: st.tuples(st.just(task), records[task]))


def text_of(name, task, batch, **layout):
    view = FORMATS[name](Layout(task, **layout))
    return view.header() + "".join(view.record(record) for record in batch) + view.footer()


def flat(batch):
    """What a table shows of records: one (record, tag) per row."""
    return [(record, tag) for record in batch for tag in (record.tags or [None])]


def nearly(record):
    return Record.from_dict(json.loads(to_json(record)))


@given(batches)
def test_json_lines_come_back(batch):
    task, records = batch
    text = text_of("jsonl", task, records)
    assert text.count("\n") == len(records)
    found = [Record.from_dict(json.loads(line)) for line in text.split("\n") if line]
    assert found == [nearly(record) for record in records]
    text.encode("utf-8")


@given(batches)
def test_json_is_one_array_of_the_same_objects(batch):
    task, records = batch
    values = json.loads(text_of("json", task, records), parse_constant=lambda name: pytest.fail(name))
    assert [Record.from_dict(value) for value in values] == [nearly(record) for record in records]


def test_json_rounds_to_a_millionth_and_no_further():
    record = Record(task="tag", path="a", start=1 / 3, tags=(Tag("Dog", 2 / 3),))
    again = Record.from_dict(json.loads(to_json(record)))
    assert (again.start, again.tags[0].score) == (0.333333, 0.666667)


@given(batches, st.booleans())
def test_csv_is_read_back_by_the_standard_reader(batch, safe):
    task, records = batch
    text = text_of("csv", task, records, safe_cells=safe)
    undo = unguarded_cell if safe else str
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == len(flat(records))
    for row, (record, tag) in zip(rows, flat(records), strict=True):
        assert undo(row["path"]) == record.path
        assert float(row["start"]) == pytest.approx(record.start, abs=5.1e-4)
        if task == "tag":
            assert undo(row["label"]) == (tag.label if tag else "")
            assert row["score"] == (f"{tag.score:.4f}" if tag else "")
        elif task == "caption":
            assert undo(row["caption"]) == (record.caption or "")
        else:
            assert undo(row["answer"]) == (record.answer or "")
    assert all(line.endswith("\r\n") for line in re.findall(r'(?:"[^"]*"|[^"\n])*\n', text))


@pytest.mark.parametrize("task", ["caption", "tag", "ask"])
def test_csv_without_rows_has_a_header(task):
    assert text_of("csv", task, []) == ",".join(columns(task)) + "\r\n"


@given(batches, st.booleans())
def test_tsv_is_cut_at_tabs_and_line_breaks(batch, timed):
    task, records = batch
    lines = text_of("tsv", task, records, timed=timed).split("\n")
    assert lines.pop() == ""
    cells = [list(map(plain_cell, line.split("\t"))) for line in lines]
    expected = []
    for record, tag in flat(records):
        texts = [tag.label if tag else "", f"{tag.score:.4f}" if tag else ""] if task == "tag" else [record.text or ""]
        expected.append((record.path, texts))
    assert [(row[0], row[3:] if timed else row[1:]) for row in cells] == expected


@given(batches)
def test_plain_text_has_one_line_per_record(batch):
    task, records = batch
    assert text_of("txt", task, records).count("\n") == len(records)


def read_cues(text, point):
    """Start, end and words of every cue, by the published grammar."""
    stamp = rf"(\d{{2,}}):([0-5]\d):([0-5]\d){re.escape(point)}(\d{{3}})"
    for block in filter(None, text.split("\n\n")):
        lines = block.split("\n")
        match = re.fullmatch(rf"{stamp} --> {stamp}", lines[-2])
        h1, m1, s1, ms1, h2, m2, s2, ms2 = map(int, match.groups())
        yield lines[:-2], h1 * 3600 + m1 * 60 + s1 + ms1 / 1000, h2 * 3600 + m2 * 60 + s2 + ms2 / 1000, lines[-1]


@settings(max_examples=200)
@given(batches)
def test_subtitles_hold_the_times_and_the_words(batch):
    task, records = batch
    shown = [record for record in records if (record.text or "").split() and record.end > record.start]
    srt = list(read_cues(text_of("srt", task, records), ","))
    vtt_text = text_of("vtt", task, records)
    assert vtt_text.startswith("WEBVTT\n\n")
    vtt = list(read_cues(vtt_text.removeprefix("WEBVTT\n\n"), "."))
    assert len(srt) == len(vtt) == len(shown)
    for number, (record, one, other) in enumerate(zip(shown, srt, vtt, strict=True), 1):
        assert one[0] == [str(number)]
        assert one[1:3] == other[1:3]
        assert one[1:3] == pytest.approx((record.start, record.end), abs=5.1e-4)
        assert "-->" not in one[3] and not set("<>") & set(other[3])
        unescaped = other[3].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert unescaped == " ".join(record.text.split())


def test_clock_carries_and_grows():
    long = Record(task="caption", path="a", start=59.9996, end=360_000.5, caption="wind")
    assert "00:01:00,000 --> 100:00:00,500" in text_of("srt", "caption", [long])


def test_audacity_is_start_end_label():
    record = Record(task="tag", path="a", start=1.25, end=2.5, tags=(Tag("Dog", 0.9), Tag("Inside, small room", 0.5)))
    assert text_of("audacity", "tag", [record]) == "1.250000\t2.500000\tDog; Inside, small room\n"


@pytest.mark.parametrize("name", ["srt", "vtt", "audacity"])
def test_what_failed_or_said_nothing_makes_no_cue(name):
    failed = Record(task="caption", path="a", error=ErrorInfo("empty", "a is empty."))
    untagged = Record(task="tag", path="a", start=0, end=1, tags=(), silent=True)
    assert text_of(name, "caption", [failed]) == text_of(name, "caption", [])
    assert text_of(name, "tag", [untagged]) == text_of(name, "tag", [])


@pytest.mark.parametrize("task", ["caption", "ask"])
@pytest.mark.parametrize("name", ["srt", "vtt", "audacity", "txt", "tsv"])
def test_silence_is_said_to_people(name, task):
    silent = Record(task=task, path="a.wav", start=0, end=1, silent=True)
    text = text_of(name, task, [silent])
    assert text.count("Silence.") == 1 and (name != "tsv" or text == "a.wav\tSilence.\n")


def test_silence_is_a_fact_to_machines():
    silent = Record(task="caption", path="a.wav", start=0, end=1, silent=True)
    assert json.loads(text_of("jsonl", "caption", [silent])) == silent.to_dict()
    row = next(csv.DictReader(io.StringIO(text_of("csv", "caption", [silent]), newline="")))
    assert (row["caption"], row["silent"]) == ("", "true")
    assert text_of("tsv", "tag", [Record(task="tag", path="a.wav", tags=(), silent=True)]) == "a.wav\t\t\n"


def test_a_failure_keeps_its_row_in_tables():
    failed = Record(task="tag", path="a.wav", error=ErrorInfo("empty", "a.wav is empty."))
    row = next(csv.DictReader(io.StringIO(text_of("csv", "tag", [failed]), newline="")))
    assert (row["path"], row["error_type"], row["error_message"]) == ("a.wav", "empty", "a.wav is empty.")
    assert text_of("tsv", "tag", [failed]) == "a.wav\t\t\n"
    assert json.loads(text_of("jsonl", "tag", [failed]))["error"] == {"type": "empty", "message": "a.wav is empty."}


def test_the_same_fields_in_the_same_order_everywhere():
    keys = list(json.loads(to_json(Record(task="tag", path="a"))))
    for task in ("caption", "tag", "ask"):
        shared = [name for name in columns(task) if name in keys]
        assert shared == sorted(shared, key=keys.index)


def test_suffixes_tell_formats():
    for suffix, view in BY_SUFFIX.items():
        assert format_of_file(f"x/y{suffix.upper()}") is view
    assert format_of("csv") is FORMATS["csv"]
    with pytest.raises(UsageError, match="--format"):
        format_of_file("records.doc")
    with pytest.raises(UsageError, match="jsonl"):
        format_of("xml")
