"""SAM put together from published parts: an encoder with its tag head and a Mamba-2 language model.

No trained connector between them is published. Until one is trained, such a model tags with its encoder's head and
refuses to caption or to answer, rather than speak as if it had heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, cast

import torch

from samcli.checkpoints import catalogue
from samcli.checkpoints.loading import Source, locate, with_second_fetch
from samcli.checkpoints.modules import load_piece
from samcli.errors import ModelError
from samcli.models.interface import Encoding, SpeakOptions
from samcli.models.tagger import Tagger


class Unaligned(Tagger):
    """The encoder of such a model."""

    def listen(self, encoding: Encoding, state: Any | None) -> NoReturn:
        raise self._refusal()

    def speak(self, state: Any, prompts: Sequence[str], options: SpeakOptions) -> NoReturn:
        raise self._refusal()

    def _refusal(self) -> ModelError:
        return ModelError(
            f"{self.name} has no connector trained for words, and none is published: it tags, but cannot caption or "
            f"answer. Use --model {catalogue.DEFAULT}, or train one with sam train."
        )


def load_unaligned(
    entry: catalogue.Entry, device: str, dtype: torch.dtype, *, offline: bool = False, progress: bool = False
) -> Unaligned:
    """Only the encoder is fetched: the language model would have nothing to say."""
    source = locate(entry.parts["encoder"], offline=offline, progress=progress)

    def load(at: Source) -> Unaligned:
        piece = load_piece(at.folder, dtype=dtype, device=device)
        return Unaligned(cast(Any, piece.module), name=entry.name, revision=at.revision, labels=piece.labels)

    return with_second_fetch(source, load, offline=offline, progress=progress)
