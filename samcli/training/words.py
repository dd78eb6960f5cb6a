"""What the language model learns to say: rows of tokens for the scenes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from samcli.text.prompts import Example, caption_example, question_example
from samcli.text.tokenizer import Tokenizer
from samcli.training.captions import write_caption
from samcli.training.mixer import FloatArray, Mixture
from samcli.training.questions import ask
from samcli.training.script import Scripts
from samcli.training.vague import vague_answer, vague_caption

LONGEST = 72  # tokens of a row; longer ones are dropped, not cut
DOUBTFUL = 0.08  # a probability from which a sound may be there although the script does not state it


@dataclass
class Words:
    scene: Tensor  # (rows,): which scene of the batch a row speaks of
    tokens: Tensor  # (rows, longest): prompt, then text, then end; right-padded
    lengths: Tensor  # (rows,)
    spoken_from: Tensor  # (rows,): where the prompt ends and the loss begins


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
        rows: list[tuple[int, Example]] = []
        for number, mixture in enumerate(mixtures):
            scene = self.scripts.write(mixture, seconds)
            if scene is None:
                sound = self.scripts.nameless(mixture)
                if sound is not None:
                    rows.append((number, caption_example(self.tokenizer, vague_caption(sound, rng))))
                    rows.append((number, question_example(self.tokenizer, *vague_answer(sound, rng))))
                continue
            doubtful = {names[i] for i in np.flatnonzero(targets[number] > DOUBTFUL)}
            for _ in range(self.options.captions):
                rows.append((number, caption_example(self.tokenizer, write_caption(scene, rng))))
            for _ in range(self.options.questions):
                rows.append((number, question_example(self.tokenizer, *ask(scene, rng, doubtful))))
        rows = [row for row in rows if len(row[1].tokens) <= LONGEST]
        return words_of(rows, self.tokenizer)


def words_of(rows: Sequence[tuple[int, Example]], tokenizer: Tokenizer) -> Words | None:
    """Examples, each with the scene it speaks of, as rows of tokens."""
    if not rows:
        return None
    longest = max(len(example.tokens) for _, example in rows)
    return Words(
        torch.tensor([scene for scene, _ in rows]),
        torch.tensor([example.tokens + [tokenizer.pad] * (longest - len(example.tokens)) for _, example in rows]),
        torch.tensor([len(example.tokens) for _, example in rows]),
        torch.tensor([example.answer_start for _, example in rows]),
    )
