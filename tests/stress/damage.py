"""Damage to bytes, the same for the same seed: what disks, networks and strangers do to a file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

# Numbers at which programs stumble: signs, powers of two and their neighbours.
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b'""', b"9" * 400, b"1.5", b"[[[[[[[[",
    b"\\ud800", b"\\u0000", b"\xff", b"\0", b"\n", b"\r", b"\t", b",", b":", b'"', b"../", b"\x1b[2J", b"=1+1",
    b"\xef\xbb\xbf",
)  # fmt: skip
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutate(seed: bytes, chance: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One to six pieces of damage; now and then none at all, so that whole files stay among the damaged."""
    data = bytearray(seed)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 4, 6))):
        chance.choice(DAMAGE)(data, chance)
    if others and chance.random() < 0.05:
        other = chance.choice(others)
        data = data[: chance.randint(0, len(data))] + bytearray(other[chance.randint(0, len(other)) :])
    return bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    """Anywhere, but more often near the front, where headers are."""
    reach = len(data) if chance.random() < 0.5 else min(len(data), 256)
    return chance.randrange(reach) if reach else 0


def _bytes(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8))):
        if data:
            data[_place(data, chance)] = chance.randrange(256)


def _bit(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _edge(data: bytearray, chance: random.Random) -> None:
    width = chance.choice((1, 2, 4, 8))
    at, value = _place(data, chance), chance.choice(EDGES) & (256**width - 1)
    data[at : at + width] = value.to_bytes(width, chance.choice(("little", "big")))


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randint(0, len(data)) :]


def _lose(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 2, 4, 16, 256, 4096))]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.choice((1, 4, 16, 256, 4096))] * chance.choice((1, 1, 2, 20))


def _insert(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = chance.choice(WORDS) if chance.random() < 0.6 else chance.randbytes(chance.choice((1, 4, 64)))


def _overwrite(data: bytearray, chance: random.Random) -> None:
    at, size = _place(data, chance), chance.choice((4, 64, 1024))
    data[at : at + size] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size)))


def _number(data: bytearray, chance: random.Random) -> None:
    """Another value where text holds a number; elsewhere nothing."""
    found = list(NUMBER.finditer(bytes(data[:20_000])))
    if found:
        match = chance.choice(found)
        data[match.start() : match.end()] = chance.choice((*WORDS[:12], b"%d" % chance.choice(EDGES)))


def _swap(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((1, 8, 64))
    one, two = _place(data, chance), _place(data, chance)
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


DAMAGE: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _bytes, _bytes, _bit, _edge, _edge, _cut, _lose, _repeat, _insert, _overwrite, _number, _swap,
)  # fmt: skip
