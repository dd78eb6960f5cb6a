"""What is read while one model teaches the other: windows of tokens, those to learn from and those held out.

Without a text of one's own these are captions and questions of our grammar, a line each, drawn without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from samcli.errors import InputError
from samcli.training.language.captions import write_caption
from samcli.training.language.questions import ask
from samcli.training.language.random_scenes import random_scene
from samcli.training.stage import Shuffled

Encode = Callable[[list[str]], list[list[int]]]
HELD_OUT = 20  # of so many windows of a text, one is never learned from
LINES_AT_ONCE = 4096


class Passages(Protocol):
    """Windows of `length` tokens."""

    length: int
    size: int  # of the text, in tokens; 0: without end

    def learned(self, place: int) -> Tensor:
        """A function of the place alone."""
        ...

    def held_out(self, most: int) -> Tensor:
        """(windows, length): the same ones every time."""
        ...


def encoder(tokenizer: Any) -> Encode:
    """Every line by itself, without the tokens that a tokenizer would put around it."""

    def encode(lines: list[str]) -> list[list[int]]:
        return [item.ids for item in tokenizer.encode_batch_fast(lines, add_special_tokens=False)]

    return encode


class Grammar:
    size = 0

    def __init__(self, encode: Encode, length: int, seed: int = 0) -> None:
        self.encode, self.length, self.seed = encode, length, seed

    def learned(self, place: int) -> Tensor:
        return self._drawn(f"{self.seed} {place}")

    def held_out(self, most: int) -> Tensor:
        return torch.stack([self._drawn(f"held-out {place}") for place in range(most)])

    def _drawn(self, name: str) -> Tensor:
        rng, tokens = Random(name), list[int]()
        while len(tokens) < self.length:
            tokens += self.encode([line(rng)])[0]
        return torch.tensor(tokens[: self.length])


def line(rng: Random) -> str:
    """A caption, or a question and its answer."""
    scene = random_scene(rng)
    return (write_caption(scene, rng) if rng.random() < 0.5 else " ".join(ask(scene, rng))) + "\n"


class Texts:
    def __init__(self, path: Path, encode: Encode, length: int, seed: int = 0) -> None:
        self.length = length
        found = [np.fromiter(tokens, np.int32) for tokens in _tokens(path, encode)]
        flat = np.concatenate(found) if found else np.empty(0, np.int32)
        self.size = len(flat)
        windows = flat[: len(flat) // length * length].reshape(-1, length)
        if len(windows) < HELD_OUT:
            raise InputError(
                f"{str(path)!r} has {self.size} tokens of text, and {HELD_OUT * length} are the least to learn from."
            )
        kept = np.arange(len(windows)) % HELD_OUT == HELD_OUT - 1
        self.windows, self.others = windows[~kept], windows[kept]
        self.order = Shuffled(len(self.windows), seed)

    def learned(self, place: int) -> Tensor:
        return torch.from_numpy(self.windows[self.order[place]].astype(np.int64))

    def held_out(self, most: int) -> Tensor:
        return torch.from_numpy(self.others[:most].astype(np.int64))


def text_files(path: Path) -> Sequence[Path]:
    """A file, or the *.txt below a folder."""
    return sorted(item for item in path.rglob("*.txt") if item.is_file()) if path.is_dir() else [path]


def _tokens(path: Path, encode: Encode) -> Iterator[Iterator[int]]:
    for name in text_files(path):
        try:
            with name.open(encoding="utf-8", errors="replace") as file:
                while lines := list(islice(file, LINES_AT_ONCE)):
                    yield (token for tokens in encode(lines) for token in tokens)
        except OSError as error:
            raise InputError(f"{str(name)!r} cannot be read ({error.strerror or error}).") from error
