"""The network that reads a question: bidirectional Mamba-2 layers over its words.

words -> sums of hashed pieces -> layers -> intent of the whole, role and sound of each word, where a second
question begins
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.questions.intents import INTENTS, ROLES
from samcli.questions.words import pieces
from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.norms import RMSNorm

FOLDER = "question-reader"
WEIGHTS = "reader.safetensors"


@dataclass(frozen=True)
class ReaderConfig:
    buckets: int = 8192  # hashed pieces
    width: int = 96
    layers: int = 3
    state: int = 16  # (N)
    head_dim: int = 32  # (P)
    sounds: int = 527

    def mixer(self) -> BidirectionalConfig:
        return BidirectionalConfig(d_model=self.width, d_state=self.state, head_dim=self.head_dim)


class Read(NamedTuple):
    """Logits of a batch of questions."""

    intent: Tensor  # (batch, intents)
    role: Tensor  # (batch, words, roles)
    word: Tensor  # (batch, words, 2 * width): what `QuestionReader.sound` takes
    begins: Tensor  # (batch, words): whether another question begins here


class Layer(nn.Module):
    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width, 1e-5)
        self.mixer = BidirectionalMamba2(config.mixer())

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = x + self.mixer(self.norm(x), lengths)
        return out


class QuestionReader(nn.Module):
    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.EmbeddingBag(config.buckets, config.width, mode="mean", padding_idx=0)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.norm = RMSNorm(config.width, 1e-5)
        self.attention = nn.Linear(config.width, 1)
        self.intent = nn.Linear(config.width, len(INTENTS))
        self.role = nn.Linear(config.width, len(ROLES))
        self.sound = nn.Linear(2 * config.width, config.sounds + 1)  # the last is no sound we know
        self.begins = nn.Linear(config.width, 1)

    def forward(self, table: Tensor, offsets: Tensor, lengths: Tensor) -> Read:
        """Pieces of all words one after another, where each word's begin, and the words of each row."""
        longest = int(lengths.max())
        words: Tensor = self.table(table, offsets)
        valid = torch.arange(longest, device=lengths.device)[None, :] < lengths[:, None]
        x = words.new_zeros(*valid.shape, words.shape[1])
        x[valid] = words
        plain = x
        for layer in self.layers:
            x = layer(x, lengths)
        x = self.norm(x)
        weight = self.attention(x)[..., 0].masked_fill(~valid, float("-inf")).softmax(1)
        whole = (weight[..., None] * x).sum(1)
        # A word's own letters tell its sound even where the rest of the sentence is new.
        word = torch.cat([x, F.normalize(plain, dim=-1) * 4], dim=-1)
        return Read(self.intent(whole), self.role(x), word, self.begins(x)[..., 0])


def packed(rows: Sequence[Sequence[str]], buckets: int) -> tuple[Tensor, Tensor, Tensor]:
    """What the network takes, of questions as words; a row has at least one."""
    table: list[int] = []
    offsets: list[int] = []
    for words in rows:
        for word in words:
            offsets.append(len(table))
            table.extend(pieces(word, buckets))
    lengths = [len(words) for words in rows]
    return torch.tensor(table), torch.tensor(offsets), torch.tensor(lengths)


def save(reader: QuestionReader, folder: Path) -> None:
    """Weights in 16 bit, with the configuration in the file's header."""
    from safetensors.torch import save_file

    weights = {name: tensor.half().contiguous() for name, tensor in reader.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS, metadata={"config": json.dumps(asdict(reader.config))})


def load(path: Path) -> QuestionReader:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        config = ReaderConfig(**json.loads(file.metadata()["config"]))
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    reader = QuestionReader(config)
    reader.load_state_dict(weights)
    return reader.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def shipped() -> QuestionReader:
    """The reader that comes with the program."""
    with as_file(files("samcli") / "data" / FOLDER / WEIGHTS) as path:
        return load(path)
