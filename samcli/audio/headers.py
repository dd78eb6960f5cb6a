"""What a file's first and last bytes say, read without decoding any of it.

Decoders are lenient: they clip a header's promise to the bytes that are there and say nothing. To tell a person that
a recording was cut short, the promise has to be read here. Every function returns None where the file makes none, and
none of them raises on bytes that mean nothing.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from samcli.audio.files import Steady

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (  # offset, bytes, the format they begin
    (8, b"AVI ", "AVI"),  # inside a RIFF, as WAV is
    (0, b"RIFF", "WAV"),
    (0, b"RIFX", "WAV"),
    (0, b"RF64", "RF64"),
    (0, b"BW64", "RF64"),
    (0, b"riff\x2e\x91\xcf\x11", "W64"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"dns.", "AU"),
    (0, b"caff", "CAF"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (4, b"mdat", "MP4"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF"),
    (0, b"FLV\x01", "FLV"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA1", "TTA"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
    (0, b"FRM8", "DSDIFF"),
    (0, b"ajkg", "Shorten"),
)

BARE_STREAMS = {"MP3", "AAC", "FLAC", "Ogg", "AMR", "AC-3", "DTS"}  # frame after frame, without positions

# Programs that write to a pipe cannot come back to fill in the size; these are what they leave in its place.
UNKNOWN_SIZES = (range(0x7FFF_F000, 0x8000_1000), range(0xFFFF_F000, 0x1_0000_0000), range(2**63 - 1, 2**64))
W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # closes every chunk name of a W64 file but the first
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
MAX_CHUNKS, MAX_TAGS = 10_000, 100  # a damaged file must not send us walking for ever
XING_PLACES = (36, 21, 13)  # bytes from the start of an MPEG frame, by its channels and version


class Extent(NamedTuple):
    """Where a header says the sound data lie, in bytes."""

    start: int
    size: int


def signature(head: bytes) -> str | None:
    """The format that a file's first 16 bytes announce."""
    for offset, mark, name in SIGNATURES:
        if head[offset : offset + len(mark)] == mark:
            return name
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # eleven set bits begin an MPEG frame
        return "AAC" if head[1] & 0x06 == 0 else "MP3"
    return None


def file_size(file: Steady) -> int:
    return file.seek(0, 2)


def _read_at(file: Steady, offset: int, size: int) -> bytes:
    return file.read(size) if file.seek(offset) >= 0 else b""


def _walk(file: Steady, start: int, wanted: bytes, size_format: str, overhead: int, align: int) -> Extent | None:
    """Step over (name, size) chunks until `wanted`; `overhead` is what a size counts beyond the chunk's content."""
    width = struct.calcsize(size_format)
    at, end = start, file_size(file)
    for _ in range(MAX_CHUNKS):
        if at >= end:
            return None
        header = _read_at(file, at, len(wanted) + width)
        if len(header) < len(wanted) + width:
            return None
        size = max(struct.unpack(size_format, header[len(wanted) :])[0] - overhead, -1)
        content = at + len(header)
        if header[: len(wanted)] == wanted:
            return Extent(content, size)
        if size < 0:
            return None
        at = content + -(-size // align) * align
    return None


def data_extent(file: Steady) -> Extent | None:
    """Where an uncompressed file's header says its samples lie; None where it leaves that open."""
    head = _read_at(file, 0, 24)
    name = signature(head)
    found: Extent | None = None
    if name == "WAV":
        found = _walk(file, 12, b"data", "<I" if head[:4] == b"RIFF" else ">I", 0, 2)
    elif name == "RF64":
        found = _walk(file, 12, b"data", "<I", 0, 2)
        large = _walk(file, 12, b"ds64", "<I", 0, 2)
        if found is not None and large is not None and found.size == 0xFFFF_FFFF:
            sizes = _read_at(file, large.start + 8, 8)
            found = Extent(found.start, struct.unpack("<Q", sizes)[0]) if len(sizes) == 8 else None
    elif name == "W64":
        found = _walk(file, 40, b"data" + W64_TAIL, "<Q", 24, 8)
    elif name == "AIFF":
        found = _walk(file, 12, b"SSND", ">I", 0, 2)
        if found is not None:
            found = Extent(found.start + 8, found.size - 8)  # an offset and a block size come first
    elif name == "AU" and len(head) >= 12:
        found = Extent(*struct.unpack(">II" if head[:1] == b"." else "<II", head[4:12]))
    elif name == "CAF":
        found = _walk(file, 8, b"data", ">q", 0, 1)
        if found is not None:
            found = Extent(found.start + 4, found.size - 4)  # an edit count comes first
    if found is None or found.size <= 0 or any(found.size in sizes for sizes in UNKNOWN_SIZES):
        return None
    return found


def share_present(file: Steady) -> float:
    """How much of the sound data that an uncompressed file promises is really there: 1.0 is all of it."""
    extent = data_extent(file)
    if extent is None:
        return 1.0
    return min(1.0, max(0, file_size(file) - extent.start) / extent.size)


def _behind_tags(file: Steady) -> int:
    """Where an ID3 tag at the beginning, or the last of several, ends."""
    at = 0
    for _ in range(MAX_TAGS):
        head = _read_at(file, at, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        # Four bytes of seven bits each; the flag marks a footer of ten bytes.
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def bare_start(file: Steady) -> int | None:
    """Where the frames of a stream without container begin, behind tags and pictures; None for other kinds."""
    at = _behind_tags(file)
    head = _read_at(file, at, 16)
    if head[:4] == b"fLaC":
        at += 4
        for _ in range(MAX_CHUNKS):
            block = _read_at(file, at, 4)
            at += 4 + int.from_bytes(block[1:], "big")
            if len(block) < 4 or block[0] & 0x80:
                return at
    return at if at or signature(head) in BARE_STREAMS else None


def mp3_frames(file: Steady) -> int | None:
    """How many frames an MP3 says it holds (in a Xing, Info or VBRI header); otherwise its length is anyone's guess."""
    at = _behind_tags(file)
    first = _read_at(file, at, 4096)
    for mark, count, behind in ((b"Xing", 8, XING_PLACES), (b"Info", 8, XING_PLACES), (b"VBRI", 14, (36,))):
        place = first.find(mark)
        headed = any(place >= gap and first[place - gap] == 0xFF for gap in behind)
        if headed and len(first) >= place + count + 4 and (mark == b"VBRI" or first[place + 7] & 1):
            return int.from_bytes(first[place + count : place + count + 4], "big")
    return None


def ogg_ends(file: Steady) -> bool:
    """Whether an Ogg file's last page is whole and marked as the last of its stream."""
    size = file_size(file)
    tail = _read_at(file, max(0, size - (1 << 17)), 1 << 17)  # two pages of the largest kind
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    count = tail[at + 26]
    length = 27 + count + sum(tail[at + 27 : at + 27 + count])
    return bool(tail[at + 5] & 4) and len(tail) >= at + length


def asf_seconds(file: Steady) -> float | None:
    """How long an ASF file (WMA) says it is."""
    head = _read_at(file, 0, 1 << 16)
    at = head.find(ASF_PROPERTIES)
    if signature(head[:16]) != "ASF" or at < 0 or len(head) < at + 92:
        return None
    ticks, _, lead, flags = struct.unpack("<QQQI", head[at + 64 : at + 92])  # tenths of a microsecond, milliseconds
    seconds: float = ticks / 1e7 - lead / 1e3
    return seconds if seconds > 0 and not flags & 1 else None  # the flag: broadcast, so that nothing was filled in


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
