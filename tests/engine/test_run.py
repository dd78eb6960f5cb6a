"""Runs: every input accounted for, and its records its own whatever surrounds it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy import Toy

from samcli.engine.batches import LEAST_SECONDS, padded_samples
from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.options import RunOptions, RunReport
from samcli.errors import ModelError, UsageError
from samcli.models.interface import Encoding, SpeakOptions
from samcli.records import Record
from samcli.tasks.run import run

TASKS = {
    "tags": ("tag", RunOptions(top_k=12, threshold=0)),
    "caption": ("caption", RunOptions()),
    "answer": ("ask", RunOptions(question="is there a dog?")),
    "caption of segments": ("caption", RunOptions(segment=4.0)),
    "tags of segments": ("tag", RunOptions(segment=15.0, top_k=12, threshold=0)),
    "timeline": ("tag", RunOptions(timeline=True, threshold=0.45)),
}


def numbers(record: Record) -> list[float]:
    return [float(word) for word in (record.caption or record.answer or "").split()]


def alike(left: Sequence[Record], right: Sequence[Record]) -> None:
    """Equal; scores within 1e-4 and a rounding, a toy's states within 1e-4."""
    bare = {"tags": None, "caption": None, "answer": None}
    assert [replace(record, **bare) for record in left] == [replace(record, **bare) for record in right]
    for one, other in zip(left, right, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), abs=1e-4, rel=1e-4), one.path
        scores = [{tag.label: tag.score for tag in record.tags or ()} for record in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1.01e-4), one.path


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Input]:
    """Built once: what the fixture `folder` holds, for tests that draw many examples."""
    import numpy as np
    import soundfile

    place = tmp_path_factory.mktemp("sounds")
    chance = np.random.default_rng(1)
    for number, seconds in enumerate([1, 1, 10, 35.3, 0.01, 3.3, 12, 0.5, 20, 10.2, 1.04, 7.7]):
        wave = np.cumsum(chance.standard_normal(round(16_000 * seconds))) * 0.003
        swell = np.sin(np.arange(len(wave)) / 9000 * (number + 1))
        soundfile.write(place / f"{number:02}.wav", (np.tanh(wave) * swell).astype(np.float32), 16_000, subtype="FLOAT")
    soundfile.write(place / "zero.wav", np.zeros(180_000), 16_000)
    (place / "bad.wav").write_text("this is not sound")
    return find_inputs([place])


@pytest.fixture(scope="module")
def alone(sounds: list[Input]) -> dict[str, dict[str, list[Record]]]:
    """The records of each input when it is the only one, computed one window at a time."""
    model = Toy()
    return {
        name: {
            item.display: list(run(task, [item], model, replace(options, batch_size=1, threads=1))) for item in sounds
        }
        for name, (task, options) in TASKS.items()
    }


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch_size=st.one_of(st.just("auto"), st.integers(1, 20)),
    threads=st.integers(1, 5),
    ordered=st.booleans(),
    order=st.randoms(use_true_random=False),
    count=st.integers(1, 14),
)
def test_same_input_same_record(
    name: str,
    batch_size: Any,
    threads: int,
    ordered: bool,
    order: random.Random,
    count: int,
    sounds: list[Input],
    alone: dict[str, dict[str, list[Record]]],
) -> None:
    task, options = TASKS[name]
    chosen = order.sample(sounds, min(count, len(sounds)))
    options = replace(options, batch_size=batch_size, threads=threads, ordered=ordered)
    records = list(run(task, chosen, Toy(), options))
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.path, []).append(record)
    if ordered:
        assert list(grouped) == [item.display for item in chosen]
    assert set(grouped) == {item.display for item in chosen}
    for path, found in grouped.items():
        alike(found, alone[name][path])


@pytest.mark.parametrize("task", ["tag", "caption", "ask"])
def test_one_record_each_in_order(folder: Path, model: Toy, task: str) -> None:
    inputs = find_inputs([folder])
    report = RunReport()
    records = list(run(task, inputs, model, RunOptions(question="what is it?"), report=report))
    assert [record.path for record in records] == [item.display for item in inputs]
    assert report.files_done == report.files_total == len(inputs) and report.files_failed == 2
    for record in records:
        if Path(record.path).name in ("bad.wav", "empty.wav"):
            assert record.error is not None and record.path in record.error.message
            assert record.error.type == ("empty" if "empty" in record.path else "not-audio")
            assert record.text is None and record.silent is None
        elif "zero" in record.path:
            assert record.silent and record.error is None and not record.text
        else:
            assert record.silent is False and record.error is None and record.text
            assert (record.start, record.end) == (0, record.duration) and record.covered == record.duration
        assert (record.task, record.model, record.revision) == (task, "toy", "1")
    assert report.audio_seconds == pytest.approx(sum(record.duration or 0 for record in records))
    assert 0 < report.model_seconds < report.elapsed


def test_model_time_that_overlaps_counts_once() -> None:
    report, begin = RunReport(), Barrier(2)

    def work() -> None:
        begin.wait()
        report.timed(lambda: report.timed(lambda: time.sleep(0.1)))

    start = time.perf_counter()
    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.1 <= report.model_seconds <= time.perf_counter() - start


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_a_file_that_fails_while_more_of_it_is_under_way(
    tmp_path: Path, write: Callable[..., Path], batch_size: int
) -> None:
    class Choosy(Toy):
        def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
            if (waves.abs().amax(1) > 0.9).any():
                raise RuntimeError("too loud")
            return super().encode(waves, lengths)

    paths = [write(tmp_path / f"{number}.wav", seconds) for number, seconds in enumerate([42, 10, 33, 10, 25])]
    wave, rate = soundfile.read(paths[2])
    wave[:100_000:50] = 0.95  # in its first window of four
    soundfile.write(paths[2], wave, rate, subtype="FLOAT")
    for task in ("tag", "caption"):
        report = RunReport()
        records = list(run(task, find_inputs(paths), Choosy(), RunOptions(batch_size=batch_size), report=report))
        assert [record.error is None for record in records] == [True, True, False, True, True]
        assert records[2].error is not None and records[2].error.type == "model"
        fine = [path for path in paths if path != paths[2]]
        alike([record for record in records if record.error is None], list(run(task, find_inputs(fine), Toy())))
        assert report.files_failed == 1 and report.files_done == 5


def test_segments_tile_the_recording(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    inputs = find_inputs([write(tmp_path / "a.wav", 35.3), write(tmp_path / "b.wav", 20.4)])
    records = list(run("caption", inputs, model, RunOptions(segment=10)))
    times = [(record.start, record.end) for record in records]
    assert times == [(0, 10), (10, 20), (20, 30), (30, 35.3), (0, 10), (10, 20.4)]
    assert [record.duration for record in records] == [35.3] * 4 + [20.4] * 2
    assert all(record.caption for record in records)


class OnePass(Toy):
    """Hears up to a minute at once."""

    window_seconds = 60.0


@pytest.mark.parametrize("seconds", [9.0, 10.0, 10.3, 25.0, 47.1])
@pytest.mark.parametrize("task", ["caption", "ask"])
def test_windows_with_a_carried_state_equal_one_pass(
    tmp_path: Path, write: Callable[..., Path], task: str, seconds: float
) -> None:
    inputs = find_inputs([write(tmp_path / f"{seed}.wav", seconds, seed=seed) for seed in range(5)])
    options = RunOptions(question="and then?")
    cut, whole = (list(run(task, inputs, hearer, options)) for hearer in (Toy(), OnePass()))
    alike(cut, whole)
    assert max(abs(one - two) for one, two in zip(numbers(cut[0]), numbers(cut[1]), strict=True)) > 0.01


def test_a_loud_moment_in_silence_is_heard(tmp_path: Path, model: Toy) -> None:
    import numpy as np
    import soundfile

    wave = np.zeros(16_000 * 60, np.float32)
    wave[16_000 * 33 : 16_000 * 34] = np.random.default_rng(0).standard_normal(16_000) * 0.2
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    (whole,) = run("caption", find_inputs([tmp_path]), model)
    assert whole.silent is False and whole.caption
    parts = list(run("caption", find_inputs([tmp_path]), model, RunOptions(segment=10)))
    assert [part.silent for part in parts] == [True, True, True, False, True, True]
    assert [part.caption is None for part in parts] == [True, True, True, False, True, True]


@pytest.mark.parametrize("level, silent", [(1e-5, True), (1e-2, False)])
def test_the_gate_can_be_moved(
    tmp_path: Path, write: Callable[..., Path], model: Toy, level: float, silent: bool
) -> None:
    inputs = find_inputs([write(tmp_path / "a.wav", level=level)])
    assert [record.silent for record in run("tag", inputs, model)] == [silent]
    assert [record.silent for record in run("tag", inputs, model, RunOptions(silence_db=-200))] == [False]
    assert [record.silent for record in run("tag", inputs, model, RunOptions(silence_db=0))] == [True]


class Narrow(Toy):
    """Runs out of memory above a number of rows, in one of its stages."""

    def __init__(self, stage: str, most: int, error: Exception) -> None:
        super().__init__()
        self.stage, self.most, self.error = stage, most, error
        self.tried: list[int] = []

    def _try(self, stage: str, rows: int) -> None:
        if stage == self.stage:
            self.tried.append(rows)
            if rows > self.most:
                raise self.error

    def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
        self._try("encode", len(waves))
        return super().encode(waves, lengths)

    def listen(self, encoding: Encoding, state: Any) -> Any:
        self._try("listen", len(encoding.features))
        return super().listen(encoding, state)

    def speak(self, state: Any, prompts: Sequence[str], options: Any) -> list[str]:
        self._try("speak", len(prompts))
        return super().speak(state, prompts, options)


SHORTAGES = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to ..."),
]


@pytest.mark.parametrize(
    ("stage", "error"),
    list(zip(["encode", "listen", "speak"], SHORTAGES, strict=True)),
    ids=["memory", "cuda", "allocator"],
)
@pytest.mark.parametrize("cores", [1, 4])
def test_short_memory_makes_batches_smaller(
    tmp_path: Path,
    write: Callable[..., Path],
    model: Toy,
    stage: str,
    error: Exception,
    cores: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    inputs = find_inputs([write(tmp_path / f"{seed}.wav", 1, seed=seed) for seed in range(14)])
    narrow, report = Narrow(stage, 3, error), RunReport()
    records = list(run("caption", inputs, narrow, report=report))
    assert records == list(run("caption", inputs, model))
    assert len(report.notices) == 1 and "--batch-size" in report.notices[0]
    refused = [rows for rows in narrow.tried if rows > 3]
    assert refused, "otherwise nothing was short"
    assert cores > 1 or refused == sorted(refused, reverse=True), "what did not fit is not tried again"


def test_a_row_that_never_fits_is_one_error(tmp_path: Path, write: Callable[..., Path]) -> None:
    long = write(tmp_path / "long.wav", 9)
    inputs = find_inputs([long, *(write(tmp_path / f"{seed}.wav", 1, seed=seed) for seed in range(4))])

    class Small(Toy):
        def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
            if waves.shape[1] > 100_000:
                raise MemoryError
            return super().encode(waves, lengths)

    records = list(run("tag", inputs, Small()))
    assert [record.error.type if record.error else None for record in records] == ["memory", *[None] * 4]


def test_an_input_the_model_chokes_on_is_one_error(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    inputs = find_inputs(
        [write(tmp_path / f"{seed:02}.wav", 1, seed=seed, level=1.5 if seed == 7 else 0.1) for seed in range(20)]
    )

    class Picky(Toy):
        def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
            if (waves.square().mean(1) > 0.2).any():
                raise ValueError("too loud for me")
            return super().encode(waves, lengths)

    records = list(run("tag", inputs, Picky()))
    good = list(run("tag", inputs, model))
    assert records[7].error is not None and records[7].error.type == "model" and "too loud" in records[7].error.message
    alike(records[:7] + records[8:], good[:7] + good[8:])


def test_scores_that_are_not_numbers_are_an_error(tmp_path: Path, write: Callable[..., Path]) -> None:
    class Broken(Toy):
        def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
            encoding = super().encode(waves, lengths)
            assert encoding.clip_logits is not None
            bad = torch.where((lengths > 20_000)[:, None], float("nan"), encoding.clip_logits)
            return encoding._replace(clip_logits=bad)

    inputs = find_inputs([write(tmp_path / "a.wav", 1), write(tmp_path / "b.wav", 2)])
    records = list(run("tag", inputs, Broken()))
    assert records[0].error is None and records[1].error is not None and records[1].error.type == "non-finite"


def test_a_broken_model_is_not_blamed_on_the_inputs(folder: Path) -> None:
    class Dead(Toy):
        def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(ModelError, match="fails on every input: mat1"):
        list(run("tag", find_inputs([folder]), Dead()))
    three = find_inputs([folder / f"{number:02}.wav" for number in range(3)])
    with pytest.raises(ModelError, match="fails on every input: mat1"):
        list(run("tag", three, Dead()))
    assert [record.error and record.error.type for record in run("tag", three[:2], Dead())] == ["model"] * 2


def test_a_long_input_the_model_chokes_on_counts_once(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    """All of its windows fail, together and before anything else is heard; the model is not broken for that."""
    loud = write(tmp_path / "a.wav", 60, level=1.5)
    inputs = find_inputs([loud, *(write(tmp_path / f"{seed}.wav", 1, seed=seed) for seed in range(3))])

    class Picky(Toy):
        def encode(self, waves: torch.Tensor, lengths: torch.Tensor) -> Encoding:
            if (waves.square().mean(1) > 0.2).any():
                raise ValueError("too loud for me")
            return super().encode(waves, lengths)

    first, *others = run("tag", inputs, Picky(), RunOptions(batch_size=6, threads=1))
    assert first.error is not None and first.error.type == "model"
    alike(others, list(run("tag", inputs[1:], model)))


def test_fail_fast_ends_after_the_first_error(folder: Path, model: Toy) -> None:
    inputs = find_inputs([folder])
    records = list(run("tag", inputs, model, RunOptions(fail_fast=True)))
    everything = list(run("tag", inputs, model))
    first = next(place for place, record in enumerate(everything) if record.error)
    alike(records, everything[: first + 1])


def test_requests_that_cannot_be_met(folder: Path, model: Toy) -> None:
    inputs = find_inputs([folder])
    for task, options, sentence in [
        ("sing", RunOptions(), "no task 'sing'"),
        ("ask", RunOptions(question=" "), "Ask a question"),
        ("tag", RunOptions(labels=("Dgo",)), "no label 'Dgo'.*'Dog'"),
    ]:
        with pytest.raises(UsageError, match=sentence):
            run(task, inputs, model, options)

    class Tagger(Toy):
        tasks = frozenset({"tag"})
        step_seconds = None

    with pytest.raises(ModelError, match=r"cannot caption; sam-nano can"):
        run("caption", inputs, Tagger())
    with pytest.raises(ModelError, match=r"cannot place sounds in time"):
        run("tag", inputs, Tagger(), RunOptions(timeline=True))


def test_records_come_while_the_run_goes_on(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    drawn = 0

    def inputs() -> Iterator[Input]:
        nonlocal drawn
        for seed in range(3000):
            drawn += 1
            yield replace(item, display=str(seed))

    (item,) = find_inputs([write(tmp_path / "a.wav", 1)])
    records = run("caption", inputs(), model)
    assert next(records).path == "0"
    assert drawn < 600, "a folder of any size is read as it is worked on"
    records.close()  # type: ignore[attr-defined]


def test_one_odd_length_does_not_wait_for_its_like(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    odd, even = (find_inputs([write(tmp_path / f"{seconds}.wav", seconds)])[0] for seconds in (3.3, 1.0))
    drawn = 0

    def inputs() -> Iterator[Input]:
        nonlocal drawn
        yield odd
        for seed in range(5000):
            drawn += 1
            yield replace(even, display=str(seed))

    records = run("tag", inputs(), model)
    assert next(records).path == odd.display
    assert drawn < 1500
    records.close()  # type: ignore[attr-defined]


def test_stopping_early_ends_the_threads(folder: Path, model: Toy) -> None:
    import threading
    import time

    before = set(threading.enumerate())

    def decoding() -> bool:
        return any(thread.name.startswith("decode-") for thread in set(threading.enumerate()) - before)

    records = run("tag", find_inputs([folder]), model)
    next(records)
    records.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 60
    while decoding() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not decoding()


def test_a_file_that_vanishes_is_one_error(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    inputs = find_inputs([write(tmp_path / "a.wav"), write(tmp_path / "b.wav")])
    (tmp_path / "a.wav").unlink()
    first, second = run("tag", inputs, model)
    assert first.error is not None and first.path in first.error.message
    assert second.error is None


def test_no_failure_of_a_decoder_ends_the_run(
    tmp_path: Path, write: Callable[..., Path], model: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samcli.engine.inputs import sources

    opened = sources.open_input

    def breaks(item: Input, rate: int) -> Any:  # as no decoder is known to, yet
        if item.path.endswith("a.wav"):
            raise ZeroDivisionError
        return opened(item, rate)

    monkeypatch.setattr(sources, "open_input", breaks)
    inputs = find_inputs([write(tmp_path / "a.wav"), write(tmp_path / "b.wav")])
    odd, good = run("tag", inputs, model, RunOptions(threads=1))
    assert odd.error is not None and odd.error.type == "not-audio"
    assert "a.wav' cannot be decoded: ZeroDivisionError" in odd.error.message
    assert good.error is None and good.tags is not None


def test_an_input_list_that_breaks_is_not_swallowed(tmp_path: Path, write: Callable[..., Path], model: Toy) -> None:
    (item,) = find_inputs([write(tmp_path / "a.wav")])

    def inputs() -> Iterator[Input]:
        yield item
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run("tag", inputs(), model))


def test_an_octave_has_eight_lengths() -> None:
    """What a window is padded to: no shorter than it is, an eighth longer at most, and few lengths in all."""
    least = round(LEAST_SECONDS * 16_000)
    lengths = {samples: padded_samples(samples, 16_000) for samples in range(1, 16 * least + 1, 7)}
    assert all(length == least for samples, length in lengths.items() if samples <= least)
    assert all(samples <= length <= samples * 9 / 8 for samples, length in lengths.items() if samples > least)
    for octave in (least, 2 * least, 4 * least, 8 * least):
        assert len({length for length in lengths.values() if octave < length <= 2 * octave}) == 8


def test_the_model_speaks_as_it_is_used_to_unless_something_else_is_asked_for() -> None:
    usual, run_options = SpeakOptions(), RunOptions()
    assert (usual.beams, usual.temperature) == (None, 0.0)
    for name in ("max_new_tokens", "beams", "seed"):
        assert getattr(run_options, name) == getattr(usual, name), name
