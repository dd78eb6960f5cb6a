"""Captions and answers as a user gets them: composed from facts where possible, else by the language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from samcli.answers.answer import answer
from samcli.answers.captions import caption
from samcli.answers.facts import Facts
from samcli.audio.waves import levels_db
from samcli.digest.digest import Digest, window
from samcli.engine.hearing import Heard, Wave, hear
from samcli.engine.options import RunOptions
from samcli.models.interface import SoundModel
from samcli.questions.meaning import understand
from samcli.tasks.composed import ComposedTask, composed


def replies(
    model: SoundModel,
    waves: Sequence[Wave],
    prompts: Sequence[Sequence[str]],
    *,
    rate: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Heard]:
    """Each sound heard, with a text for each of its prompts ("" is a caption)."""
    task = composed("caption", model, RunOptions())
    if task is None:
        return hear(model, waves, prompts, rate=rate, progress=progress)
    rate = rate or model.sample_rate
    heard = hear(model, waves, rate=rate, steps=True, progress=progress)
    for one, wave, own in zip(heard, waves, prompts, strict=True):
        facts = None if one.silent else facts_of(task, one, wave, rate)
        one.texts = [reply(facts, prompt) for prompt in own]
    return heard


def facts_of(task: ComposedTask, heard: Heard, wave: Wave, rate: int) -> Facts:
    windows = [
        window(
            task.rows,
            start,
            end,
            steps,
            None if steps is None else heard.tags,
            levels_db(wave[round(start * rate) : round(end * rate)], rate),
            task.step_seconds,
        )
        for start, end, steps in heard.steps
    ]
    return Facts(reduce(Digest.followed_by, windows), task.rows, task.sureness)


def reply(facts: Facts | None, prompt: str) -> str:
    """The caption, or the answer to a question; nothing of silence."""
    if facts is None:
        return ""
    return answer(facts, understand(prompt)).text if prompt else caption(facts)[0]
