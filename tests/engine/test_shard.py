"""Shards: every input in exactly one, and a merge that notices what is missing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.shard import Mark, Shard, merge, read_mark, shard_of, walk_order, write_mark
from samcli.errors import UsageError
from samcli.records import ErrorInfo, Record


def inputs_of(paths: list[str]) -> list[Input]:
    return [Input(path, path, None, path) for path in paths]


names = st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), unique=True, max_size=40)


@settings(deadline=None)
@given(names, st.integers(1, 9))
def test_shards_divide_the_inputs(paths: list[str], count: int) -> None:
    inputs = inputs_of([path.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape") for path in paths])
    shares = [Shard(index, count).select(inputs) for index in range(1, count + 1)]
    assert Counter(item.path for share in shares for item in share) == Counter(item.path for item in inputs)


def test_shares_never_change() -> None:
    # Written down once: another version must not deal a running array of jobs anew.
    assert [shard_of(f"recordings/{number}.wav", 8) for number in range(8)] == [2, 7, 3, 3, 3, 5, 5, 7]
    assert shard_of("./a//b.wav", 100) == shard_of("a/b.wav", 100)


def test_shares_are_even() -> None:
    counts = Counter(shard_of(f"corpus/{number:06}.flac", 16) for number in range(16_000))
    assert len(counts) == 16 and min(counts.values()) > 880 and max(counts.values()) < 1120


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "a/b", "1/0", "-1/4", "1/4/2", "1.0/4"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


def test_parse() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)


PATHS = [f"f/{name}.wav" for name in ["a", "a-b", "a/x", "b", *range(40)]]


def record(path: str, start: float = 0.0, **more: object) -> Record:
    return Record(task="tag", path=path, start=start, end=10.0, duration=20.0, model="m", revision="r", tags=(), **more)  # type: ignore[arg-type]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Four shards of two records a path, with their marks."""
    made = []
    for index in range(1, 5):
        part = tmp_path / f"part{index}.jsonl"
        share = Shard(index, 4).select(inputs_of(PATHS))
        lines = [json.dumps(record(item.path, start).to_dict()) for item in share for start in (0.0, 10.0)]
        part.write_text("".join(line + "\n" for line in lines))
        write_mark(part, Mark(index, 4, len(share), "settings"))
        made.append(part)
    return made


def unmark(parts: list[Path]) -> None:
    for part in parts:
        part.with_name(part.name + ".shard").unlink()


@pytest.mark.parametrize("marked", [True, False])
def test_merge_gives_the_whole_run_in_its_order(parts: list[Path], tmp_path: Path, marked: bool) -> None:
    if not marked:
        unmark(parts)
    merged = list(merge([parts[2], parts[0], parts[3], parts[1]]))
    expected = [record(path, start) for path in sorted(PATHS, key=walk_order) for start in (0.0, 10.0)]
    assert merged == expected


def test_order_is_that_of_a_walk(tmp_path: Path) -> None:
    for name in ["a/x.wav", "a-b.wav", "a.wav", "a/b/y.wav", "ä.wav", "Z.wav"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walked = [item.display for item in find_inputs([tmp_path])]
    assert walked == sorted(walked, key=walk_order)


@pytest.mark.parametrize("marked", [True, False])
def test_a_missing_shard_is_named(parts: list[Path], marked: bool) -> None:
    if not marked:
        unmark(parts)
    with pytest.raises(UsageError, match=r"Missing: shard 2/4\."):
        merge([parts[0], parts[2], parts[3]])
    with pytest.raises(UsageError, match=r"Missing: shard 1/4, 4/4\."):
        merge([parts[1], parts[2]])


@pytest.mark.parametrize("marked", [True, False])
def test_a_doubled_shard_is_named(parts: list[Path], tmp_path: Path, marked: bool) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(parts[1].read_bytes())
    if marked:
        mark = read_mark(parts[1])
        assert mark is not None
        write_mark(copy, mark)
    with pytest.raises(UsageError, match="doubled"):
        merge([*parts, copy])
    with pytest.raises(UsageError, match="given twice"):
        merge([*parts, parts[1]])


def test_an_unfinished_shard_is_named(parts: list[Path]) -> None:
    lines = parts[2].read_text().splitlines(keepends=True)
    parts[2].write_text("".join(lines[:-2]))
    with pytest.raises(UsageError, match=r"part3.*finish it first"):
        merge(parts)


def test_shards_of_other_settings_do_not_mix(parts: list[Path]) -> None:
    mark = read_mark(parts[0])
    assert mark is not None
    write_mark(parts[0], Mark(mark.shard, mark.of, mark.inputs, "others"))
    with pytest.raises(UsageError, match="different models or settings"):
        merge(parts)


def test_tasks_do_not_mix_even_without_marks(tmp_path: Path, parts: list[Path]) -> None:
    unmark(parts)
    share = Shard(1, 4).select(inputs_of(PATHS))
    said = [Record(task="caption", path=item.path, model="m", revision="r") for item in share]
    parts[0].write_text("".join(json.dumps(record.to_dict()) + "\n" for record in said))
    with pytest.raises(UsageError, match="different models or settings"):
        merge(parts)


IMPOSSIBLE = [{"of": 0}, {"of": 10**12}, {"shard": 5}, {"shard": 0}, {"of": "4"}, {"inputs": None}]


@pytest.mark.parametrize("changed", IMPOSSIBLE)
def test_a_mark_that_cannot_be(parts: list[Path], changed: dict[str, object]) -> None:
    path = parts[0].with_name(parts[0].name + ".shard")
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(UsageError, match="cannot be read"):
        merge(parts)


def test_of_a_thousand_missing_shards_some_are_named(parts: list[Path]) -> None:
    path = parts[0].with_name(parts[0].name + ".shard")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"of": 1000, "shard": 1}))
    inputs = Shard(1, 1000).select(inputs_of([f"{number}.wav" for number in range(3000)]))
    parts[0].write_text("".join(json.dumps(record(item.path).to_dict()) + "\n" for item in inputs))
    write_mark(parts[0], Mark(1, 1000, len(inputs), "settings"))
    with pytest.raises(UsageError, match=r"Missing: shard 2/1000, .* and 979 more\.$"):
        merge([parts[0]])


def test_an_empty_share_is_no_missing_one(tmp_path: Path) -> None:
    parts = []
    for index in range(1, 9):
        share = Shard(index, 8).select(inputs_of(PATHS[:3]))
        parts.append(tmp_path / f"{index}.jsonl")
        parts[-1].write_text("".join(json.dumps(record(item.path).to_dict()) + "\n" for item in share))
        write_mark(parts[-1], Mark(index, 8, len(share), "settings"))
    assert len(list(merge(parts))) == 3


def test_error_records_and_odd_names_are_merged(tmp_path: Path) -> None:
    odd = Record(task="tag", path="\udcff\n.wav", error=ErrorInfo("empty", "It is empty."))
    (tmp_path / "one.jsonl").write_text(json.dumps(odd.to_dict()) + "\n")
    assert list(merge([tmp_path / "one.jsonl"])) == [odd]


def test_what_is_no_part(tmp_path: Path, parts: list[Path]) -> None:
    (tmp_path / "x.csv").write_text("path,label\n")
    with pytest.raises(UsageError, match=r"Line 1 of .*x\.csv"):
        merge([tmp_path / "x.csv"])
    with pytest.raises(UsageError, match="cannot be read"):
        merge([tmp_path / "none.jsonl"])
    with pytest.raises(UsageError, match="Name the parts"):
        merge([])
    for line in (b"[" * 100_000, json.dumps(record("\ud800").to_dict()).encode(), b'{"schema": 1, "task": "x"}'):
        (tmp_path / "hostile.jsonl").write_bytes(line)
        with pytest.raises(UsageError, match=r"Line 1 of .*hostile\.jsonl"):
            merge([tmp_path / "hostile.jsonl"])
    strange = json.dumps(record("a").to_dict() | {"task": "sing"})
    (tmp_path / "strange.jsonl").write_text(strange + "\n")
    with pytest.raises(UsageError, match="'sing', unknown here"):
        merge([tmp_path / "strange.jsonl"])
    parts[0].write_bytes(b"".join(part.read_bytes() for part in parts[:2]))
    parts[1].write_bytes(b"")
    unmark(parts)
    with pytest.raises(UsageError, match="not the shards of one run"):
        merge(parts)
