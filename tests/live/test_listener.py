"""A live ear: what it tells depends on the sound alone, and a state in between changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samcli.engine.inputs.sources import array_input
from samcli.engine.options import RunOptions
from samcli.engine.run import run
from samcli.errors import UsageError
from samcli.live.listener import Listener
from samcli.live.memory import recalled
from samcli.live.state import read_state, recall, resume, saved, write_state
from samcli.live.tracker import Background
from samcli.tasks.run import task_for
from tests.live.conftest import RATE, heard, scene

Make = Callable[..., Listener]


def test_blocks_leave_no_trace(listener: Make) -> None:
    wave = scene(33.3)
    whole = heard(listener(captions_every=10.0), [wave])
    assert {told.kind for told in whole} == {"begin", "end", "caption"}
    chance = np.random.default_rng(3)
    edges = np.sort(chance.integers(0, len(wave), 40))
    assert heard(listener(captions_every=10.0), np.split(wave, edges)) == whole


def test_each_event_begins_and_ends_once(listener: Make) -> None:
    lasting: dict[str, float] = {}
    told = heard(listener(), [scene(40, seed=1)])
    for one in told:
        assert one.label is not None and one.record.start is not None
        if one.kind == "begin":
            assert one.label not in lasting and one.record.end is None and one.until is None
            lasting[one.label] = one.record.start
        else:
            assert lasting.pop(one.label) == one.record.start and one.record.end is not None
            assert one.record.end - one.record.start >= 0.25 - 1e-6
    assert not lasting and [one.number for one in told] == list(range(1, len(told) + 1))


@pytest.mark.parametrize("changes", [False, True])
def test_a_state_changes_nothing(listener: Make, changes: bool, tmp_path: Path) -> None:
    wave = scene(23, seed=2)
    whole = heard(listener(captions_every=10.0, changes=changes), [wave])
    for cut in (RATE // 3, 7 * RATE + 77, 20 * RATE) if changes else (0, 20 * RATE + 5):
        first, second = (listener(captions_every=10.0, changes=changes) for _ in range(2))
        told = heard(first, [wave[:cut]], finish=False)
        write_state(tmp_path / "a.state", saved(first, {}))
        resume(second, read_state(tmp_path / "a.state"), "a.state")
        assert second.position == cut and second.seconds == cut / RATE
        assert told + heard(second, [wave[cut:]]) == whole
        assert second.statistics.values()["heard"] > 10


def humming(seconds: float) -> np.ndarray:
    """A steady noise, in which something louder is heard for a second."""
    chance, at = np.random.default_rng(8), round(0.6 * seconds * RATE)
    wave = (0.02 * chance.standard_normal(round(seconds * RATE))).astype(np.float32)
    wave[at : at + RATE] += np.sin(2 * np.pi * 900 * np.arange(RATE) / RATE).astype(np.float32) * 0.3
    return wave


def test_where_nothing_changes_less_is_listened_to_and_as_much_is_heard(
    listener: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_of(looks: list[int]) -> list[tuple[Any, ...]]:
        ear = listener()
        look = ear.ear.catch_up
        monkeypatch.setattr(ear.ear, "catch_up", lambda tail: looks.append(tail.waiting) or look(tail))
        told = heard(ear, [humming(24)])
        assert ear.statistics.values()["heard"] == pytest.approx(24)
        return [(one.kind, one.label, one.record.start, one.record.end) for one in told]

    few: list[int] = []
    many: list[int] = []
    told = all_of(few)
    monkeypatch.setattr("samcli.live.ear.STEADY_DB", -1.0)
    assert told == all_of(many) and "end" in [one[0] for one in told]
    assert len(few) < 0.75 * len(many) and sum(few) == sum(many)


def test_in_a_hurry_as_much_is_heard_with_fewer_looks(listener: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(hurry: bool) -> list[int]:
        ear, found = listener(), []
        look = ear.ear.catch_up
        monkeypatch.setattr(ear.ear, "catch_up", lambda tail: found.append(tail.waiting) or look(tail))
        told = [*ear.take(humming(24), hurry), *ear.finish()]
        assert ear.statistics.heard == pytest.approx(24) and "end" in [one.kind for one in told]
        return found

    monkeypatch.setattr("samcli.live.ear.STEADY_DB", -1.0)
    few, many = looks(True), looks(False)
    assert len(few) < 0.3 * len(many) and sum(few) == sum(many) == 24 * RATE


def test_what_waits_to_be_looked_at_is_kept(listener: Make, tmp_path: Path) -> None:
    wave = humming(12)
    whole = heard(listener(), [wave])
    waited = False
    for cut in range(5 * RATE, 8 * RATE, 6_400):
        first, second = listener(), listener()
        told = heard(first, [wave[:cut]], finish=False)
        waited = waited or first.tail.waiting > 0
        write_state(tmp_path / "a.state", saved(first, {}))
        resume(second, read_state(tmp_path / "a.state"), "a.state")
        assert told + heard(second, [wave[cut:]]) == whole
    assert waited and whole


def test_what_is_over_is_not_told_again(listener: Make, tmp_path: Path) -> None:
    for more in ({}, {"all_events": True}):
        first, second = listener(**more), listener(**more)
        assert heard(first, [scene(5, seed=1)])[-1].kind == "end"
        write_state(tmp_path / "a.state", saved(first, {}))
        resume(second, read_state(tmp_path / "a.state"), "a.state")
        assert list(second.finish()) == []


def test_what_is_kept_is_what_the_file_gives(listener: Make, model: Any, tmp_path: Path) -> None:
    wave = scene(36.4, seed=4)
    ear = listener()
    heard(ear, np.split(wave, [12345, 99999]))
    write_state(tmp_path / "day.state", saved(ear, {}))
    state = read_state(tmp_path / "day.state")
    for question in ("is there a dog?", "how many sounds are there?"):
        task = task_for("ask", model, RunOptions(question=question))
        (record,) = run(task, [array_input(wave, RATE)], model, RunOptions(question=question))
        kept = recall("ask", state, "day.state", model, question)
        assert (kept.answer, kept.evidence) == (record.answer, record.evidence) and kept.answer
    digest = recalled(state.values["memory"])
    assert digest is not None and digest.end == 36_400


def test_what_was_missed_is_told_and_time_goes_on(listener: Make) -> None:
    ear = listener()
    told = [
        *ear.take(scene(4)),
        *ear.miss(100.0, "the connection was lost"),
        *ear.take(scene(4, seed=7)),
        *ear.finish(),
    ]
    (gap,) = (one for one in told if one.kind == "gap")
    assert (gap.record.start, gap.record.end) == (4.0, 104.0) and "100.0 s were not heard" in (gap.record.warning or "")
    assert ear.seconds == pytest.approx(108.0) and ear.statistics.missed == pytest.approx(100.0)
    assert 4.0 <= (told[-1].record.covered or 0) <= 8.0
    assert all(not 4.5 < (one.record.start or 0) < 103.9 for one in told)


def test_silence_costs_nothing(listener: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = listener()
    monkeypatch.setattr(ear.ear.encoder, "begin", None)  # whoever calls it fails
    assert heard(ear, [np.zeros(30 * RATE, np.float32)]) == [] and ear.statistics.silent == 30.0


def test_the_background_is_no_news() -> None:
    background = Background(2)
    fan = np.array([[0.8, 0.01]], np.float32)
    first = background.beside(fan)
    for _ in range(2000):
        background.learn(fan, 0.4)
    last = background.beside(fan)
    assert first[0, 0] == pytest.approx(0.8) and last[0, 0] == pytest.approx(0.16, abs=0.01)
    dog = background.beside(np.array([[0.8, 0.9]], np.float32))
    assert dog[0, 1] > 0.88


def test_memory_of_a_day_is_bounded(listener: Make) -> None:
    """A later stretch takes no more room than an earlier one, beyond the digits of its times."""
    ear, sizes = listener(), []
    for _ in range(4):
        heard(ear, [scene(10, seed=1)], finish=False)
        state = saved(ear, {})
        sizes.append(len(repr(state.values)) + sum(one.nbytes for one in state.tensors.values()))
    assert sizes[3] < 1.2 * sizes[1]


@pytest.mark.parametrize("every", [0.0, 9.0, float("inf"), float("nan")])
def test_captions_have_a_least_distance(listener: Make, every: float) -> None:
    with pytest.raises(UsageError):
        listener(captions_every=every)
