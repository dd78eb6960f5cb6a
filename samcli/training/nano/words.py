"""What the language model learns to say: rows of tokens for the scenes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samcli.text.prompts import Example, caption_example, question_example
from samcli.text.tokenizer import Tokenizer
from samcli.training.language.captions import write_caption
from samcli.training.language.questions import ask
from samcli.training.language.scenes import Scene
from samcli.training.language.script import Scripts
from samcli.training.language.vague import ASKED, vague_answer, vague_caption
from samcli.training.nano.mixer import FloatArray, Mixture

LONGEST = 72  # tokens of a row; longer ones are dropped, not cut
DOUBTFUL = 0.08  # a probability from which a sound may be there although the script does not state it
ALWAYS, SURE, UNSURE = 0, 1, -1  # when a row is to be learned


@dataclass
class Words:
    scene: Tensor  # (rows,): which scene of the batch a row speaks of
    tokens: Tensor  # (rows, longest): prompt, then text, then end; right-padded
    lengths: Tensor  # (rows,)
    spoken_from: Tensor  # (rows,): where the prompt ends and the loss begins
    when: Tensor  # (rows,): ALWAYS, or only if the encoder is SURE, or UNSURE, of what it hears


class Row(NamedTuple):
    """An example with the scene it speaks of."""

    scene: int
    example: Example
    when: int = ALWAYS


@dataclass(frozen=True)
class WordOptions:
    captions: int = 1  # rows of a scene
    questions: int = 1


class Writer:
    def __init__(self, tokenizer: Tokenizer, scripts: Scripts, options: WordOptions) -> None:
        self.tokenizer, self.scripts, self.options = tokenizer, scripts, options

    def write(self, mixtures: list[Mixture], targets: FloatArray, seconds: float, rng: Random) -> Words | None:
        """`targets` (scenes, classes): what the head is to say, which tells what else may be heard."""
        names = self.scripts.targets.corpus.names
        rows: list[Row] = []
        for number, mixture in enumerate(mixtures):
            scene = self.scripts.write(mixture, seconds)
            lone = self.scripts.lone(mixture)
            if scene is not None:
                doubtful = {names[i] for i in np.flatnonzero(targets[number] > DOUBTFUL)}
                when = ALWAYS if lone is None else SURE
                rows += [Row(number, example, when) for example in self._captions(scene, rng)]
                rows += [Row(number, *asked) for asked in self._questions(scene, rng, doubtful, when)]
            if lone is not None and (scene is not None or self.scripts.nameless(mixture)):
                when = UNSURE if scene is not None else ALWAYS
                rows.append(Row(number, caption_example(self.tokenizer, vague_caption(lone, rng)), when))
                rows.append(Row(number, question_example(self.tokenizer, *vague_answer(lone, rng)), when))
        return words_of([row for row in rows if len(row.example.tokens) <= LONGEST], self.tokenizer)

    def _captions(self, scene: Scene, rng: Random) -> list[Example]:
        captions = [write_caption(scene, rng) for _ in range(self.options.captions)]
        return [caption_example(self.tokenizer, caption) for caption in captions]

    def _questions(self, scene: Scene, rng: Random, doubtful: set[str], when: int) -> list[tuple[Example, int]]:
        """What is asked for by name is not answered by one who is unsure; whether something is there can be."""
        pairs = [ask(scene, rng, doubtful) for _ in range(self.options.questions)]
        return [
            (question_example(self.tokenizer, question, answer), when if question in ASKED else ALWAYS)
            for question, answer in pairs
        ]


def words_of(rows: Sequence[Row], tokenizer: Tokenizer) -> Words | None:
    """Examples as rows of tokens; None without any."""
    if not rows:
        return None
    examples = [row.example for row in rows]
    longest = max(len(example.tokens) for example in examples)
    return Words(
        torch.tensor([row.scene for row in rows]),
        torch.tensor([example.tokens + [tokenizer.pad] * (longest - len(example.tokens)) for example in examples]),
        torch.tensor([len(example.tokens) for example in examples]),
        torch.tensor([example.answer_start for example in examples]),
        torch.tensor([row.when for row in rows]),
    )
