"""One input from its file to windows, wherever that happens: in a thread of ours, or in a process that only decodes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import open_input
from samcli.engine.windows import Cut, Piece, cut
from samcli.errors import InputError

EMPTY = "empty"  # the kind of the error of an input without samples


@dataclass(frozen=True)
class Ended:
    """All pieces of an input were handed on."""

    duration: float
    covered: float
    warning: str | None


def heard(
    item: Input, how: Cut, expect: Callable[[float | None], None] = lambda seconds: None
) -> Generator[Piece | Ended, None, None]:
    """The pieces of an input and, at last, how it ended. Raises whatever a decoder may come up with."""
    samples = 0
    with open_input(item, how.rate) as reader:
        expect(reader.duration)
        for piece in cut(reader, how):
            samples += len(piece.wave)
            yield piece
        covered = reader.covered
        duration = covered if reader.duration is None else reader.duration
        warning = reader.warning
    if not samples:
        raise InputError(f"{item.display!r} holds no sound.", EMPTY)
    yield Ended(duration, covered, warning)
