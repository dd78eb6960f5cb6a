"""The Python interface: one sound or many, from disk or memory, at once or as it comes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli import api
from samcli.engine.options import RunOptions, RunReport
from samcli.errors import InputError, UsageError

RATE = 16_000


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 0.1).astype(np.float32)


SHORT = 2  # tokens: in more of them, random weights soon say what no record holds


@pytest.fixture(scope="module")
def sam() -> api.Sam:
    return api.load("tiny-random", device="cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", noise(12.5), RATE, subtype="FLOAT")
    return tmp_path / "a.wav"


def test_paths_files_and_arrays_are_the_same_sound(sam: api.Sam, path: Path) -> None:
    wave = noise(12.5)
    with path.open("rb") as file:
        records = [
            sam.caption(sound, max_new_tokens=SHORT)
            for sound in (path, str(path), wave, wave[:, None], np.stack([wave, wave]), file)
        ]
    assert len({record.caption for record in records}) == 1 and records[0].caption
    assert {record.duration for record in records} == {12.5} == {record.covered for record in records}
    assert records[0].path == records[1].path == records[-1].path == str(path) and records[2].path == "array"
    tags = [sam.tag(sound, top_k=3).tags for sound in (path, wave, io.BytesIO(path.read_bytes()))]
    assert tags[0] == tags[1] == tags[2] and len(tags[0] or ()) == 3


def test_questions(sam: api.Sam, path: Path) -> None:
    record = sam.ask("what is it?", path, max_new_tokens=SHORT)
    assert record.question == "what is it?" and record.answer and record.caption is None
    with pytest.raises(UsageError):
        sam.ask("", path)


def test_arrays_of_other_kinds(sam: api.Sam) -> None:
    wave = noise(2)
    scaled = {np.int16: 2**15, np.int32: 2**31}
    for kind, full in scaled.items():
        whole = np.clip(wave.astype(np.float64) * full, -full, full - 1).astype(kind)
        scores = [
            {tag.label: tag.score for tag in sam.tag(sound, labels=sam.labels).tags or ()} for sound in (whole, wave)
        ]
        assert len(scores[0]) == len(sam.labels) and scores[0] == pytest.approx(scores[1], abs=1e-3)
    silent = np.full(RATE, 128, np.uint8)
    assert sam.tag(silent).silent
    slow = sam.tag(noise(2, rate=8000), rate=8000)
    assert slow.duration == 2.0 and slow.tags
    for bad, kind in [
        (np.zeros(0, np.float32), "no-samples"),
        (np.array([0.0, np.nan]), "non-finite"),
        (np.zeros((2, 2, 2)), "not-audio"),
    ]:
        with pytest.raises(InputError) as caught:
            sam.tag(bad)
        assert caught.value.kind == kind


def test_one_bad_sound_raises(sam: api.Sam, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.wav"):
        sam.tag(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("no")
    with pytest.raises(InputError) as caught:
        sam.tag(tmp_path / "text.wav")
    assert caught.value.kind == "not-audio"
    with pytest.raises(UsageError, match="not int"):
        sam.tag(7)  # type: ignore[arg-type]


def test_timeline(sam: api.Sam, path: Path) -> None:
    events = sam.timeline(path, threshold=0.4)
    assert events and all(len(event.tags or ()) == 1 and (event.end or 0) > (event.start or 0) for event in events)
    assert sam.timeline(np.zeros(RATE, np.float32)) == []


def test_vectors_are_alike_where_sounds_are(sam: api.Sam, path: Path) -> None:
    vector = sam.embed(path)
    assert float(vector @ vector) == pytest.approx(1, abs=1e-4)
    assert not sam.embed(np.zeros(RATE, np.float32)).any()


def test_records_as_a_table(sam: api.Sam, path: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    (tmp_path / "b.wav").write_text("no")
    records = list(api.run(tmp_path, "tag", model=sam))
    table = api.to_pandas(records)
    assert isinstance(table, pandas.DataFrame)
    assert list(table["label"][:-1]) == [tag.label for tag in records[0].tags or ()]
    assert table["error_type"].iloc[-1] == "not-audio" and "clock" in table.columns
    assert list(api.to_pandas([]).columns) == list(table.columns)


def test_many(sam: api.Sam, path: Path, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_text("no")
    report = RunReport()
    good, bad = api.run(tmp_path, "tag", model=sam, report=report)
    assert good.tags == sam.tag(path).tags and good.path == str(path)
    assert bad.error is not None and report.files_failed == 1
    assert [
        record.end for record in sam.run([path], "caption", options=RunOptions(segment=5, max_new_tokens=SHORT))
    ] == [5, 10, 12.5]
    with pytest.raises(UsageError, match="no file or folder"):
        api.run(tmp_path / "none", "tag", model=sam)


def test_many_with_a_journal(sam: api.Sam, path: Path, tmp_path: Path) -> None:
    options = RunOptions(max_new_tokens=SHORT)
    first = list(sam.run(path, "ask", question="what?", options=options, journal=tmp_path / "j"))
    report = RunReport()
    assert list(sam.run(path, "ask", question="what?", options=options, journal=tmp_path / "j", report=report)) == first
    assert report.files_resumed == 1 and report.audio_seconds == 0


@pytest.mark.parametrize("task", ["tag", "caption"])
def test_a_stream_says_what_a_run_says(sam: api.Sam, tmp_path: Path, task: str) -> None:
    wave = noise(40.5)  # the last half second is none of its own
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    whole = list(sam.run(tmp_path / "a.wav", task, options=RunOptions(segment=10, max_new_tokens=SHORT)))
    blocks = np.split(wave, range(700, len(wave), 700))
    for sound in (tmp_path / "a.wav", wave, iter(blocks)):
        live = list(sam.stream(sound, task, segment=10, options=RunOptions(max_new_tokens=SHORT)))
        assert [(record.start, record.end) for record in live] == [(record.start, record.end) for record in whole]
        assert [record.text for record in live] == [record.text for record in whole]


def test_a_stream_answers_while_it_comes(sam: api.Sam) -> None:
    given = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal given
        while True:
            given += 1
            yield noise(0.1, seed=given)

    records = sam.stream(blocks(), segment=2.0)
    for number in range(1, 6):
        record = next(records)
        assert (record.start, record.end) == (2.0 * (number - 1), 2.0 * number)
        assert given <= 20 * number + 11, "a segment is told a second after it, when nothing can still join it"


def test_a_stream_of_nothing_and_of_long_segments(sam: api.Sam) -> None:
    assert list(sam.stream(iter([]))) == []
    (record,) = sam.stream(noise(33), "tag", segment=60)
    assert record.tags == sam.tag(noise(33)).tags
    assert [record.silent for record in sam.stream(np.zeros(RATE * 15, np.float32))] == [True, True]


def test_types_of_numbers(sam: api.Sam, path: Path) -> None:
    with pytest.raises(UsageError, match="no dtype 'float99'"):
        api.load("tiny-random", dtype="float99")
    assert sam.tag(path).to_dict()["tags"][0].keys() == {"label", "score"}
