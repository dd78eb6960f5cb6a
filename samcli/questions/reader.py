"""The network that reads a question: bidirectional Mamba-2 layers over its words.

words -> sums of hashed pieces -> layers -> intent of the whole, role and sound of each word, where a second
question begins

A word is the sum of its pieces: hashes of its runs of three to five letters and of the whole. A word that was never
seen, or is misspelt, shares most of its pieces with one that was.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.norms import RMSNorm
from samcli.text.prompts import TYPOGRAPHIC

INTENTS = (
    "present", "absent", "both", "choice", "which", "list", "describe", "first", "last", "when", "until", "times",
    "count", "often", "long", "share", "longest", "main", "rare", "loudest", "loudest_at", "quietest_at", "loud",
    "before", "after", "order", "continuous", "more", "louder", "absent_of", "at", "kind", "kinds", "silent", "length",
    "else", "only", "sure", "together", "place", "help", "refuse", "foreign",
)  # fmt: skip

# Intents that ask about named sounds and mean nothing without one; "between" is told by its words alone.
NEEDS_SOUND = frozenset(
    [
        "present",
        "absent",
        "both",
        "choice",
        "when",
        "until",
        "times",
        "count",
        "often",
        "long",
        "share",
        "loud",
        "before",
        "after",
        "order",
        "continuous",
        "more",
        "louder",
        "absent_of",
        "kind",
        "else",
        "only",
        "sure",
        "together",
        "between",
    ]
)
# Intents that ask about several sounds at once; the others about one, in however many words.
SEVERAL = frozenset(
    ["both", "choice", "order", "more", "louder", "absent_of", "together", "else", "present", "only", "between"]
)
# What a word is to the question: nothing, a sound asked for, the sound it is put in relation to, a time.
ROLES = ("O", "B-asked", "I-asked", "B-other", "I-other", "I-time")


WORD = re.compile(r"\d+(?::\d+)*|[^\W\d_]+(?:['-][^\W\d_]+)*|[^\w\s]|_")
MOST_WORDS = 96
SHORTEST, LONGEST = 3, 5  # letters of a piece


def split(text: str) -> list[str]:
    """The words and marks of a text in plain lower case, as many as are read."""
    plain = unicodedata.normalize("NFKC", text.translate(TYPOGRAPHIC)).translate(TYPOGRAPHIC)
    return WORD.findall(plain.lower()[: 12 * MOST_WORDS])[:MOST_WORDS]


@lru_cache(maxsize=65536)
def pieces(word: str, buckets: int) -> tuple[int, ...]:
    """The places of a word's pieces in the table; place 0 is padding."""
    shape = "".join("0" if character.isdigit() else character for character in word)[:24]
    marked = f"<{shape}>"
    grams = {marked}
    for size in range(SHORTEST, LONGEST + 1):
        grams.update(marked[at : at + size] for at in range(len(marked) - size + 1))
    return tuple(sorted({1 + crc32(gram.encode()) % (buckets - 1) for gram in grams}))


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
