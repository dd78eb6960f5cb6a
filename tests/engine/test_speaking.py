"""Nonsense never leaves as a success, and what is too much for one telling is told in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy import Toy

from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.run import stream
from samcli.models.interface import SpeakOptions
from samcli.tasks.run import run, task_for

LOOP = " ".join(["Yes"] * 48)


class Loopy(Toy):
    """Talks in circles with some numbers of beams, or of loud sounds only; remembers how it was asked."""

    def __init__(self, beams: Sequence[int | None] = (None, 1, 4), loud: float | None = None) -> None:
        super().__init__()
        self.beams, self.loud = beams, loud
        self.asked: list[tuple[int | None, int]] = []

    def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        self.asked.append((options.beams, len(prompts)))
        texts = []
        for row in state.tolist():
            lost = options.beams in self.beams and (self.loud is None or row[0] > self.loud)
            texts.append(LOOP if lost else f"A sound of {row[0]:.3f}.")
        return texts


@pytest.mark.parametrize("task", ["caption", "ask"])
def test_nonsense_is_an_error_and_never_a_text(tmp_path: Path, write: Callable[..., Path], task: str) -> None:
    inputs = find_inputs([write(tmp_path / f"{seed}.wav", 2, seed=seed) for seed in range(4)])
    report = RunReport()
    records = list(run(task, inputs, Loopy(), RunOptions(question="is there a dog?"), report=report))
    assert [record.error is not None and record.error.type for record in records] == ["no-words"] * 4
    assert all(record.text is None and "Yes" not in str(record.to_dict()) for record in records)
    assert all("repeats itself" in (record.error.message if record.error else "") for record in records)
    assert report.files_failed == 4


@pytest.mark.parametrize("good", [1, 4])
def test_it_is_said_anew_in_other_ways(tmp_path: Path, write: Callable[..., Path], good: int) -> None:
    model = Loopy([beams for beams in (None, 1, 4) if beams != good])
    [record] = run("caption", find_inputs([write(tmp_path / "a.wav", 2)]), model)
    assert record.error is None and (record.caption or "").startswith("A sound of")
    assert [beams for beams, _ in model.asked] == ([None, 1] if good == 1 else [None, 1, 4])


def test_only_the_row_that_failed_is_said_anew(tmp_path: Path, write: Callable[..., Path]) -> None:
    inputs = find_inputs([write(tmp_path / f"{seed}.wav", 1, seed=seed) for seed in range(8)])
    sane = [record.caption for record in run("caption", inputs, Loopy([]))]
    values = sorted(float((caption or "").split()[-1].rstrip(".")) for caption in sane)
    model = Loopy([None], loud=sum(values[-2:]) / 2)  # the last of the eight alone
    assert [record.caption for record in run("caption", inputs, model)] == sane
    assert model.asked == [(None, 8), (1, 1)]


def test_a_stretch_without_words_leaves_the_others(tmp_path: Path, write: Callable[..., Path]) -> None:
    inputs = find_inputs([write(tmp_path / "a.wav", 40)])
    options = RunOptions(segment=4)
    sane = list(run("caption", inputs, Loopy([]), options))
    values = sorted(float((record.caption or "").split()[-1].rstrip(".")) for record in sane)
    model = Loopy(loud=sum(values[-2:]) / 2)
    records = list(run("caption", inputs, model, options))
    lost = [record for record in records if record.error is not None]
    assert len(records) == len(sane) == 10 and len(lost) == 1
    assert [record.caption for record in records if record.error is None] == [
        record.caption for record in sane if (record.start, record.end) != (lost[0].start, lost[0].end)
    ]
    assert (lost[0].duration, lost[0].silent) == (40, False)
    told = list(stream(task_for("caption", model, options), inputs[0], model, options))
    assert [record.caption for record in told] == [record.caption for record in records]


def test_a_text_that_had_to_be_short_may_break_off(tmp_path: Path, write: Callable[..., Path]) -> None:
    class Short(Toy):
        def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
            return ["A dog barks and the"] * len(prompts)

    inputs = find_inputs([write(tmp_path / "a.wav", 1)])
    [whole] = run("caption", inputs, Short())
    [short] = run("caption", inputs, Short(), RunOptions(max_new_tokens=5))
    assert whole.error is not None and short.caption == "A dog barks and the"


class Narrow(Toy):
    """Bears so many windows in its state, and says which seconds it heard."""

    window_seconds = 10.0
    most = 2

    def listen(self, encoding, state):  # type: ignore[no-untyped-def]
        heard = torch.zeros(len(encoding.features), 2) if state is None else state
        return heard + torch.stack([torch.ones(len(heard)), encoding.features[:, 0, 0] * 100], 1)

    def bears(self, state: Tensor) -> list[bool]:
        return [bool(row[0] <= self.most) for row in state]

    def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        return [f"{int(row[0])} windows of {row[1]:.2f}." for row in state]


@pytest.mark.parametrize(("task", "text"), [("caption", "caption"), ("ask", "answer")])
def test_too_much_for_one_telling_is_told_in_parts(
    tmp_path: Path, write: Callable[..., Path], task: str, text: str
) -> None:
    paths = [write(tmp_path / f"{number}.wav", seconds, seed=number) for number, seconds in enumerate((50, 20, 5, 31))]
    options = RunOptions(question="is there a dog?")
    records = list(run(task, find_inputs(paths), Narrow(), options))
    said = [getattr(record, text) for record in records]
    times = [[word for word in one.split() if ":" in word] for one in said]
    assert times == [["0:00", "0:20", "0:40"], [], [], ["0:00", "0:20"]]
    assert [bool(record.warning) for record in records] == [True, False, False, True]
    assert "3 parts" in str(records[0].warning) and "--segment" in str(records[0].warning)
    assert [(record.start, record.end) for record in records] == [(0, 50), (0, 20), (0, 5), (0, 31)]
    for batch_size in (1, 3):
        again = run(task, find_inputs(paths), Narrow(), RunOptions(question="is there a dog?", batch_size=batch_size))
        assert [getattr(record, text) for record in again] == said


def test_a_part_that_cannot_be_told_is_said_so(tmp_path: Path, write: Callable[..., Path]) -> None:
    class Stammering(Narrow):
        most = 1

        def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
            texts = super().speak(state, prompts, options)
            return [LOOP if row[1] == self.worst else text for row, text in zip(state.tolist(), texts, strict=True)]

    inputs = find_inputs([write(tmp_path / "a.wav", 40)])
    model = Stammering()
    heard: list[float] = []
    speak = Narrow.speak
    model.worst = None  # type: ignore[attr-defined]
    model.speak = lambda state, *more: (heard.extend(state[:, 1].tolist()), speak(model, state, *more))[1]  # type: ignore[method-assign]
    list(run("caption", inputs, model))
    del model.speak
    model.worst = heard[1]  # type: ignore[attr-defined]
    [record] = run("caption", inputs, model)
    assert record.error is None and "0:10" not in str(record.caption) and "0:20" in str(record.caption)
    assert "1 could not be put into words" in str(record.warning)


def test_numbers_that_ran_out_fail_a_caption_as_they_fail_tags(tmp_path: Path, write: Callable[..., Path]) -> None:
    class Broken(Toy):
        def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
            raise FloatingPointError("the scores of the next token are not finite")

    inputs = find_inputs([write(tmp_path / f"{seed}.wav", 1, seed=seed) for seed in range(5)])
    records = list(run("caption", inputs, Broken()))
    assert [record.error is not None and record.error.type for record in records] == ["non-finite"] * 5
