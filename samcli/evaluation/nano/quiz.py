"""What every model is asked about the development clips, yes or no and one of four, and what it replies.

Questions are drawn with a fixed seed from each clip's own kind of sound and from kinds that ears easily take for it but
that are surely absent: unrelated by kind, and not among what the teacher hears in the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, reduce
from random import Random
from typing import NamedTuple

from samcli.answers.answer import answer
from samcli.answers.captions import caption
from samcli.answers.facts import Facts
from samcli.audio.waves import levels_db
from samcli.digest.digest import Digest, window
from samcli.engine.hearing import Heard, Wave, hear
from samcli.engine.options import RunOptions
from samcli.evaluation.metrics.wording import chosen_letter, names_any, names_of_kind, shares_words, yes_or_no
from samcli.evaluation.nano.dev_sounds import HEARD_BY_TEACHER, DevClip
from samcli.models.interface import SoundModel
from samcli.questions.meaning import understand
from samcli.tasks.composed import ComposedTask, composed
from samcli.training.language import wording
from samcli.training.language.sounds import Kind, absent_kinds, confusable

OPTIONS = 4


class YesNo(NamedTuple):
    """One question with its right answer."""

    text: str
    truth: bool
    thing: str  # the sound it asks for, as a noun phrase

    def right(self, answer: str) -> bool:
        return yes_or_no(answer) is self.truth


class Choice(NamedTuple):
    """One question with lettered options, of which one is right."""

    text: str
    options: tuple[str, ...]
    truth: int

    @property
    def lettered(self) -> str:
        """The options as they stand in the question."""
        return wording.lettered(self.options)

    def right(self, answer: str) -> bool:
        return chosen_letter(answer, self.options) == self.truth


class Quiz(NamedTuple):
    """What is asked about one clip."""

    present: YesNo
    absent: YesNo
    choice: Choice

    @property
    def prompts(self) -> tuple[str, str, str]:
        return self.present.text, self.absent.text, self.choice.text


def quiz_of(clip: DevClip, audioset: Sequence[str]) -> Quiz | None:
    """What is asked about one clip, None if its kind cannot be asked about. `audioset`: the teacher's classes."""
    kind = clip.kind
    if kind is None:
        return None
    rng = Random(f"4/{clip.clip.file}")
    heard = (clip.teacher > HEARD_BY_TEACHER).nonzero()[0]
    doubtful = frozenset(audioset[int(place)] for place in heard)
    alike = rng.sample(confusable(kind), len(confusable(kind)))
    others = absent_kinds([kind], 30, rng, doubtful)
    lures = _absent((*alike, *others), clip, doubtful, 1)
    wrong = lures + _absent((other for other in others if other not in lures), clip, doubtful, OPTIONS - 2)
    if len(wrong) < OPTIONS - 1:
        return None
    return Quiz(
        YesNo(wording.presence(kind, rng), True, kind.nouns[0].text),
        YesNo(wording.presence(lures[0], rng), False, lures[0].nouns[0].text),
        _choice(kind, wrong, rng),
    )


def _absent(others: Iterable[Kind], clip: DevClip, doubtful: frozenset[str], count: int) -> list[Kind]:
    """The first few that are surely not heard and not called by a word that would be true of the clip."""
    found: list[Kind] = []
    for other in others:
        if len(found) == count:
            break
        if doubtful.isdisjoint(other.audioset[:2]) and not _shared(clip.names, other):
            found.append(other)
    return found


@lru_cache(maxsize=65536)
def _shared(names: tuple[str, ...], other: Kind) -> bool:
    """Whether anything that is said of the other kind would be true of a sound with these names."""
    said = [*(noun.text for noun in other.nouns), *(saying.ongoing for saying in other.sayings)]
    return shares_words(names, names_of_kind(other)) or any(names_any(text, names) for text in said)


def _choice(kind: Kind, wrong: Sequence[Kind], rng: Random) -> Choice:
    entries = [(wording.thing(one, rng), one is kind) for one in (kind, *wrong)]
    rng.shuffle(entries)
    texts = tuple(text for text, _ in entries)
    truth = next(place for place, (_, fits) in enumerate(entries) if fits)
    return Choice(f"{rng.choice(wording.WHICH_ONE)} {wording.lettered(texts)}", texts, truth)


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
