"""What a source of live sound is: an iteration over blocks of samples, and over what happened to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from samcli.engine.windows import Wave


class Missing(NamedTuple):
    """Sound that was lost."""

    seconds: float
    why: str


class Remark(NamedTuple):
    """A sentence that a person should read once."""

    text: str


News = Wave | Missing | Remark


class Source(Protocol):
    name: str  # the `path` of its records
    waits: bool  # whether it can be held up; otherwise what comes too fast is lost
    keeps_time: bool  # whether it comes at the pace of the clock

    def news(self, skip: int) -> Iterator[News]:
        """Mono sound at the model's rate, without the first `skip` samples where they can be had again."""
        ...
