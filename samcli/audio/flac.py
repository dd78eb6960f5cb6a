"""Where the header of a FLAC cannot be trusted: whether it counts the samples, and whether more follow than it says."""

from __future__ import annotations

import re
import struct

from samcli.audio.files import Steady

READ_AHEAD = 1 << 16  # bytes: more than a decoder holds beyond the last frame it gave out
SEARCHED = 1 << 20  # bytes behind that in which the next frame would begin
HEADER = 16  # bytes of the longest frame header
FRAME = re.compile(rb"\xff[\xf8\xf9]")
BLOCK_SIZES = (0, 192, *(576 << n for n in range(4)), 0, 0, *(256 << n for n in range(8)))


def counts(file: Steady) -> bool:
    """Whether the header says how many samples there are. What was recorded as it was sent does not."""
    file.seek(21)
    total = file.read(5)
    return len(total) == 5 and bool(total[0] & 15 or any(total[1:]))


def goes_on(file: Steady, samples: int) -> bool:
    """Whether another frame follows, when a decoder has stopped after so many samples with the file where it is."""
    start = max(0, file.tell() - READ_AHEAD)
    file.seek(8)
    usual = max(struct.unpack(">HH", file.read(4).ljust(4, b"\0")))
    file.seek(start)
    rest = file.read(READ_AHEAD + SEARCHED)
    places = (_position(rest[found.start() : found.start() + HEADER], usual) for found in FRAME.finditer(rest))
    return any(place is not None and place >= samples for place in places)


def _position(header: bytes, usual: int) -> int | None:
    """The number of the first sample of the frame that begins here; None if none does."""
    if len(header) < HEADER or header[3] & 1 or header[2] & 15 == 15:
        return None
    number, at = _number(header, 4)
    sized, rated = header[2] >> 4, header[2] & 15
    ends = at + {6: 1, 7: 2}.get(sized, 0) + {12: 1, 13: 2, 14: 2}.get(rated, 0)
    if not sized or _checksum(header[:ends]) != header[ends]:
        return None
    if header[1] & 1:  # frames of various sizes count samples
        return number
    size = int.from_bytes(header[at : at + sized - 5], "big") + 1 if sized in (6, 7) else BLOCK_SIZES[sized]
    return number * max(size, usual)


def _number(header: bytes, at: int) -> tuple[int, int]:
    """A number in the manner of UTF-8, and where it ends."""
    first = header[at]
    more = max(0, 8 - (first ^ 0xFF).bit_length() - 1)
    number = first & (0x7F >> more if not more else 0x3F >> more)
    for byte in header[at + 1 : at + 1 + more]:
        number = number << 6 | byte & 0x3F
    return number, at + 1 + more


def _checksum(header: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in header:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x107 if value & 0x80 else 0)) & 0xFF
    return value
