"""The question reader's training: questions from the grammars, with what people put around them and mistype in them.

python -m samcli.training.question_reader.train OUT STEPS [EARLIER]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.questions.reader import (
    INTENTS,
    MOST_WORDS,
    WEIGHTS,
    QuestionReader,
    ReaderConfig,
    load,
    packed,
    save,
    split,
)
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.optimiser import Pace
from samcli.training.question_reader.grammar import Question, write
from samcli.training.question_reader.sounds import NO_SOUND, sections
from samcli.training.stage import LoopOptions, Outcome, Stage

# How much oftener than once an intent is drawn: wide ones have more ways of being put.
SHARES = {"present": 5.0, "choice": 2.5, "refuse": 4.5, "foreign": 2.2, "which": 1.5, "count": 1.3, "at": 1.3}
TWO_QUESTIONS = 0.08  # of all: two questions in one
IGNORED = -100
POOL_BATCHES = 8  # batches that are drawn at once
TIMES_SEEN = 2  # how often each is seen
REPORT_EVERY = 50  # steps
FILLERS = sections("fillers.txt")
KEYS = "qwertyuiop asdfghjkl zxcvbnm"
NEVER_JOINED = ("refuse", "foreign", "help")


@dataclass(frozen=True)
class ReaderRecipe:
    steps: int = 12_000
    batch: int = 128
    rate: float = 1.5e-3
    least_rate: float = 3e-5
    warm_up: int = 100
    decay: float = 0.02
    average: float = 0.995
    pieces_dropped: float = 0.1  # of a word's pieces, so that a word is read by any part of it
    seed: int = 22


def held_out_questions() -> frozenset[str]:
    """The questions by which the reader is judged: none of them is learnt from."""
    folder = files("samcli") / "evaluation" / "questions"
    lines = [
        line for name in ("people.tsv", "held.tsv") for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
    return frozenset(_plain(split(line.split("\t")[-1])) for line in lines if not line.startswith("#"))


def _plain(words: Sequence[str]) -> str:
    return " ".join(word for word in words if word[:1].isalnum())


def questions(rng: Random) -> Iterator[Question]:
    """Without end."""
    judged = held_out_questions()
    names = list(INTENTS)
    weights = [SHARES.get(name, 1.0) for name in names]
    joined = [name for name in names if name not in NEVER_JOINED]
    while True:
        if rng.random() < TWO_QUESTIONS:
            question = ask_two(rng.choice(joined), rng.choice(joined), rng)
        else:
            question = ask(rng.choices(names, weights)[0], rng)
        if 0 < len(question.words) <= MOST_WORDS and _plain(question.words) not in judged:
            yield question


def batches(recipe: ReaderRecipe) -> Iterator[list[Question]]:
    """Questions of like length together, so that little is computed for padding; each comes twice."""
    rng = Random(recipe.seed)
    source = questions(rng)
    while True:
        pool = sorted(
            (next(source) for _ in range(POOL_BATCHES * recipe.batch)), key=lambda question: len(question.words)
        )
        parts = [pool[at : at + recipe.batch] for at in range(0, len(pool), recipe.batch)]
        for _ in range(TIMES_SEEN):
            yield from rng.sample(parts, len(parts))


@dataclass(frozen=True)
class ReaderPace(Pace):
    """By a cosine to a least rate, which is not zero; the shares are the rates themselves."""

    recipe: ReaderRecipe = ReaderRecipe()

    def share(self, step: int, steps: int) -> float:
        most, least = self.recipe.rate, self.recipe.least_rate
        rate = least + (most - least) * 0.5 * (1 + math.cos(math.pi * step / steps))
        return rate * min(1.0, (step + 1) / self.warm_up)

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(network.parameters(), 1.0, weight_decay=self.recipe.decay, betas=(0.9, 0.98))


class ReaderTask:
    """A step is one batch; to come to a later one, those before it are drawn too."""

    def __init__(self, reader: QuestionReader, recipe: ReaderRecipe) -> None:
        self.reader, self.recipe = reader, recipe
        self.source, self.next = batches(recipe), 0

    def batch(self, places: Sequence[int]) -> list[Question]:
        (number,) = places
        while self.next < number:
            next(self.source)
            self.next += 1
        self.next += 1
        return next(self.source)

    def outcome(self, batch: list[Question]) -> Outcome:
        total, parts = losses(self.reader, batch, self.recipe.pieces_dropped)
        names = ("intent", "role", "sound", "begins")
        figures = {"loss": float(total.detach())} | dict(zip(names, parts, strict=True))
        return Outcome(total, torch.ones(()), figures, len(batch))


def train(
    recipe: ReaderRecipe, folder: Path, earlier: QuestionReader | None = None, report: Report = lambda line: None
) -> QuestionReader:
    """A reader from nothing, or an earlier one taken further; the folder holds it at the end."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    reader = QuestionReader(ReaderConfig())
    if earlier is not None:
        reader.load_state_dict(earlier.state_dict())
    pace = ReaderPace(warm_up=recipe.warm_up, recipe=recipe)
    stage = Stage("asking", recipe.steps, lambda: ReaderTask(reader, recipe), pace)
    options = LoopOptions(average=recipe.average, report_every=REPORT_EVERY, seed=-1)
    trainer = Trainer(reader, [stage], folder / "training" / STATE, options)
    if trainer.step == 0:
        trainer.average.begin(reader)
    trainer.run(report)
    mean: Any = trainer.average.network
    save(mean, folder)
    return mean  # type: ignore[no-any-return]


def losses(reader: QuestionReader, batch: Sequence[Question], dropped: float) -> tuple[Tensor, list[float]]:
    """The sum to learn by, and its parts: intent, role, sound, where a second question begins."""
    table, offsets, lengths = packed([question.words for question in batch], reader.config.buckets)
    table = table.masked_fill(torch.rand(len(table)) < dropped, 0)
    read = reader(table, offsets, lengths)
    whole = torch.tensor(
        [INTENTS.index(question.intent) if not any(question.begins) else IGNORED for question in batch]
    )
    role = _padded([question.roles for question in batch])
    other = reader.config.sounds
    sound = _padded(
        [
            [
                (place if place != NO_SOUND else other) if role in (1, 2, 3, 4) else IGNORED
                for place, role in zip(q.sounds, q.roles, strict=True)
            ]
            for q in batch
        ]
    )
    begins = _padded([question.begins for question in batch])
    parts = [
        F.cross_entropy(read.intent, whole, ignore_index=IGNORED, label_smoothing=0.02),
        F.cross_entropy(read.role.flatten(0, 1), role.flatten(), ignore_index=IGNORED),
        F.cross_entropy(reader.sound(read.word[sound != IGNORED]), sound[sound != IGNORED]),
        F.binary_cross_entropy_with_logits(read.begins[begins >= 0], begins[begins >= 0].float()),
    ]
    return parts[0] + 2 * parts[1] + 0.5 * parts[2] + 2 * parts[3], [float(part.detach()) for part in parts]


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[IGNORED] * (longest - len(row))] for row in rows])


def ask(intent: str, rng: Random) -> Question:
    """A question as it is typed: with what stands before and after it, and misspelt."""
    question = write(intent, rng)
    if intent != "foreign":
        question = around(question, rng)
    return typed(question, rng)


def ask_two(first: str, second: str, rng: Random) -> Question:
    """Two questions in one breath; the second may speak of the first one's sound as "it"."""
    one = write(first, rng)
    known = one.first.pronoun() if one.first is not None and rng.random() < 0.6 else None
    two = write(second, rng, known)
    between = Question(first)
    between.add(rng.choice(FILLERS["between"]))
    joined = Question(first)
    marks = [place for place, word in enumerate(between.words) if word in (".", "?", ";", ",")]
    start = marks[0] + 1 if marks else 0  # what follows the mark belongs to the second question
    for part in (one, between, two):
        _extend(joined, part)
    at = len(one.words) + start
    if at < len(joined.words):
        joined.begins[at] = 1
    return typed(around(joined, rng, 0.15), rng)


def around(question: Question, rng: Random, share: float = 0.4) -> Question:
    """With a phrase before or after it."""
    found = Question(question.intent, first=question.first)
    if rng.random() < share:
        found.add(rng.choice(FILLERS["before"]))
        if rng.random() < 0.1:
            found.add(rng.choice(FILLERS["before"]))
    _extend(found, question)
    chance = rng.random()
    if chance < 0.4:
        found.add("?")
    elif chance < 0.48:
        found.add(rng.choice((".", "!", "? ?", ". . .", "?!")))
    if rng.random() < share:
        found.add(rng.choice(FILLERS["after"]))
    return found


def typed(question: Question, rng: Random) -> Question:
    """With slips of the fingers in some of its words."""
    chance = rng.random()
    slips = 0 if chance < 0.72 else 1 if chance < 0.9 else 2
    for _ in range(slips):
        place = rng.randrange(len(question.words)) if question.words else 0
        if question.words and question.words[place].isalpha() and len(question.words[place]) > 3:
            question.words[place] = _slip(question.words[place], rng)
    if rng.random() < 0.2:
        question.words = [word.replace("'", "") if len(word) > 2 else word for word in question.words]
    return question


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.35:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.6:
        return word[:at] + word[at + 1 :]
    if kind < 0.8:
        return word[:at] + word[at] + word[at:]
    row = next((row for row in KEYS.split() if word[at] in row), "aeiou")
    place = row.find(word[at])
    near = row[max(0, place - 1) : place + 2]
    return word[:at] + rng.choice(near) + word[at + 1 :]


def _extend(question: Question, other: Question) -> None:
    question.words += other.words
    question.roles += other.roles
    question.sounds += other.sounds
    question.begins += other.begins


if __name__ == "__main__":
    out, steps, *earlier = sys.argv[1:]
    known = load(Path(earlier[0]) / WEIGHTS) if earlier else None
    train(ReaderRecipe(steps=int(steps)), Path(out), known, lambda line: print(line, file=sys.stderr))
