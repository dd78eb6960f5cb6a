"""tokenizer.json, read by the tokenizers package after its size and type are proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samcli.checkpoints.safety import DamagedFile, member, regular_size

TOKENIZER = "tokenizer.json"
TOKENIZER_LIMIT = 64 * 2**20  # bytes; the largest published ones are below 20 MiB


def tokenizer_file(folder: Path) -> Path | None:
    """The folder's tokenizer.json, if it has one that may be read."""
    if not (folder / TOKENIZER).exists():
        return None
    path = member(folder, TOKENIZER)
    if regular_size(path) > TOKENIZER_LIMIT:
        raise DamagedFile(path, f"it is larger than {TOKENIZER_LIMIT // 2**20} MiB")
    return path


def read_tokenizer(path: Path) -> Any:
    """A tokenizers.Tokenizer; a file that is none is damaged, whatever the parser makes of it."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except BaseException as error:  # the parser is another language's: its panics are not Exceptions
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise DamagedFile(path, f"it is not a tokenizer ({str(error)[:120]})") from None


def vocabulary_size(folder: Path) -> int | None:
    """How many tokens the folder's tokenizer knows, added ones included."""
    path = tokenizer_file(folder)
    return None if path is None else int(read_tokenizer(path).get_vocab_size(with_added_tokens=True))
