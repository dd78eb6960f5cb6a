"""Records: every key, always, in order; and back again."""

import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samcli.errors import InputError, ModelError, OutputError, SamError, UsageError
from samcli.records import ErrorInfo, Record, Tag, Word

KEYS = [
    *("schema", "task", "path", "start", "end", "duration", "covered", "caption", "tags"),
    *("question", "answer", "silent", "model", "revision", "version", "error", "warning"),
    *("evidence", "threshold", "clock", "transcript", "words"),
]

words = st.text(max_size=20)
seconds = st.none() | st.floats(min_value=0, max_value=1e6)
records = st.builds(
    Record,
    task=st.sampled_from(["caption", "tag", "ask", "transcribe"]),
    path=words,
    start=seconds,
    end=seconds,
    duration=seconds,
    covered=seconds,
    caption=st.none() | words,
    tags=st.none() | st.lists(st.builds(Tag, words, st.floats(0, 1)), max_size=3).map(tuple),
    question=st.none() | words,
    answer=st.none() | words,
    silent=st.none() | st.booleans(),
    model=st.none() | words,
    revision=st.none() | words,
    error=st.none() | st.builds(ErrorInfo, words, words),
    warning=st.none() | words,
    transcript=st.none() | words,
    words=st.none() | st.lists(st.builds(Word, words, st.floats(0, 1e6), st.floats(0, 1e6)), max_size=3).map(tuple),
    threshold=st.none() | st.floats(0, 1) | st.just("auto"),
)


@given(records)
def test_a_record_survives_json(record):
    assert Record.from_dict(json.loads(json.dumps(record.to_dict(), allow_nan=False))) == record


def test_every_key_is_present_and_in_order():
    assert list(Record(task="tag", path="a.wav").to_dict()) == KEYS


def test_keys_of_later_versions_are_ignored():
    values = Record(task="tag", path="a.wav").to_dict() | {"mood": "calm"}
    assert Record.from_dict(values).path == "a.wav"


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": None},
        {"task": 3},
        {"path": None},
        {"start": "0"},
        {"start": True},
        {"end": math.inf},
        {"end": 10**400},
        {"caption": 1},
        {"silent": "no"},
        {"tags": "dog"},
        {"tags": [{"label": "dog"}]},
        {"tags": [{"label": "dog", "score": math.nan}]},
        {"error": {"type": "empty"}},
        {"transcript": 1},
        {"words": [{"text": "one", "start": 0.0}]},
        {"words": [{"text": "one", "start": 0.0, "end": math.nan}]},
    ],
)
def test_a_wrong_record_is_refused(change):
    with pytest.raises(ValueError):
        Record.from_dict(Record(task="tag", path="a.wav").to_dict() | change)


def test_numbers_that_are_not_finite_are_refused_at_birth():
    with pytest.raises(ValueError, match="duration"):
        Record(task="tag", path="a.wav", duration=math.nan)
    with pytest.raises(ValueError, match="dog"):
        Record(task="tag", path="a.wav", tags=(Tag("dog", math.inf),))


def test_exit_codes_of_errors():
    codes = {error("x").exit_code for error in (SamError, InputError)} | {0}
    assert codes == {0, 1}
    assert [error("x").exit_code for error in (UsageError, ModelError, OutputError)] == [2, 3, 4]


def test_an_input_error_crosses_processes_whole():
    error = pickle.loads(pickle.dumps(InputError("empty.wav is empty.", kind="empty")))
    assert (str(error), error.kind) == ("empty.wav is empty.", "empty")
