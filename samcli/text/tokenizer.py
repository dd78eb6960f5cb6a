"""The tokenizer of the language models we train: byte-level BPE, so that any text a person types can be written.

A tokenizer is one `tokenizer.json`. Our own special tokens are never read out of text: a question that holds the
characters `<eos>` stays a question.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from samcli.writers.files import write_whole

if TYPE_CHECKING:
    import tokenizers

FILE_NAME = "tokenizer.json"
# Their places are their ids: <pad> is 0.
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<audio>", "<caption>", "<ask>", "<answer>")
LEAST_SIZE = 256 + len(SPECIAL_TOKENS)  # every byte has a piece of its own


class Tokenizer:
    """Text to ids and back; the special tokens' ids by name."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        # Another model's tokenizer gets ours behind its own; padded embedding tables (GPT-NeoX has 11 spare
        # rows) hold them.
        inner.add_special_tokens([token for token in SPECIAL_TOKENS if inner.token_to_id(token) is None])
        inner.encode_special_tokens = True
        self._inner = inner
        ids = [inner.token_to_id(token) or 0 for token in SPECIAL_TOKENS]
        self.pad, self.bos, self.eos, self.audio, self.caption, self.ask, self.answer = ids
        self.special_ids = frozenset(ids)

    @classmethod
    def load(cls, source: str | Path) -> Tokenizer:
        """From a `tokenizer.json` or the folder that holds one."""
        import tokenizers

        path = Path(source)
        path = path / FILE_NAME if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f"There is no tokenizer at '{path}'.")
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    def save(self, target: str | Path) -> Path:
        path = Path(target)
        path = path / FILE_NAME if path.is_dir() else path
        write_whole(path, (self._inner.to_str(pretty=False) + "\n").encode(), own=1)
        return path

    def __len__(self) -> int:
        return int(self._inner.get_vocab_size(with_added_tokens=True))

    @property
    def highest(self) -> int:
        """The largest id; a model needs a row for each up to here."""
        return int(max(self._inner.get_vocab(with_added_tokens=True).values()))

    def encode(self, text: str) -> list[int]:
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; special tokens say nothing, and half a character becomes a replacement sign."""
        text: str = self._inner.decode(
            [token for token in ids if token not in self.special_ids], skip_special_tokens=False
        )
        return text.removeprefix(" ")


def train_tokenizer(sentences: Iterable[str], size: int = 2048) -> Tokenizer:
    """A byte-level BPE of `size` pieces, special tokens and single bytes included."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    if size < LEAST_SIZE:
        raise ValueError(f"A tokenizer needs at least {LEAST_SIZE} pieces, not {size}.")
    inner = tokenizers.Tokenizer(models.BPE())
    # The leading space makes a word the same piece at the start of a text as within it.
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(sentences, trainer)
    return Tokenizer(inner)
