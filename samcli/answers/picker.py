"""One of several wordings, always the same one of the same recording."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from samcli.answers.facts import Facts


class Picker:
    """Takes one of several wordings, always the same one of the same recording."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, choices: Sequence[str]) -> str:
        self.seed = crc32(self.seed.to_bytes(4, "little"))
        return choices[self.seed % len(choices)]


def picker(facts: Facts) -> Picker:
    """Of a recording: what it holds and how loud it is decide, so that two of one sound are not told alike."""
    level = facts.digest.level
    return Picker(crc32(f"{sorted(facts.accounts)[:4]} {facts.duration} {level.highest} {level.at} ".encode()))
