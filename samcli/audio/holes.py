"""Stretches of a file that hold no sound: room taken in advance, parts of a download that never came, a disk's rubbish.

FFmpeg gathers whatever lies between two frames of sound before it looks at it, so a gigabyte of zeros would take two of
memory; in other containers it looks at every byte of it. What lies between the decoder and the file is the place to
notice, and to bound both.
"""

from __future__ import annotations

from samcli.audio.files import Steady

HOLE_BLOCK = 1 << 20  # bytes looked at together on the way through a hole
WIDEST = 1 << 29  # bytes of holes that are crossed in one file, which takes half a second
# Bytes read without any sound after which no more is hoped for. FFmpeg keeps twice as many of a bare stream in memory;
# in a container, there may be much beside the sound.
BARE_PATIENCE, PATIENCE = 1 << 24, 1 << 26
SEEK_BYTES = 256  # what a change of place counts for: a WAV full of empty chunks is all changes of place


class Sieve:
    """A file as FFmpeg is to see it: without holes where positions mean nothing, and ending where sound has ended."""

    def __init__(self, file: Steady, start: int | None) -> None:
        """`start` is where the frames of a bare stream begin; None if the file is something else."""
        self.file = file
        self.left_out = 0  # bytes of holes
        self.unsearched = 0  # bytes behind the place where hope was given up
        self._start = start or 0
        self._leap = start is not None
        self._patience = PATIENCE
        self._barren = 0  # bytes read since there was sound

    def watch(self, patience: int, leap: bool) -> None:
        """The decoder is ready, and knows better what it reads."""
        self._patience, self._leap, self._barren = patience, leap, 0

    def sound(self) -> None:
        """The decoder got something out of what it has read."""
        self._barren = 0

    def read(self, size: int = -1) -> bytes:
        if (self._barren >= self._patience or self.left_out >= WIDEST) and not self.unsearched:
            self.unsearched = self._rest()
        if self.unsearched:
            return b""
        framed = self.file.tell() >= self._start
        data = self.file.read(min(size, HOLE_BLOCK) if size >= 0 else size)
        if framed:
            self._barren += len(data)
            if self._leap and _uniform(data):
                self._cross(data[:1])
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._barren += SEEK_BYTES
        if whence == 0:
            offset += self.left_out
        at = self.file.seek(offset, whence)
        return at - self.left_out if at >= 0 else at

    def tell(self) -> int:
        return self.file.tell() - self.left_out

    def _rest(self) -> int:
        here = self.file.tell()
        end = self.file.seek(0, 2)
        self.file.seek(here)
        return max(0, end - here)

    def _cross(self, filling: bytes) -> None:
        """To the end of a hole, give or take a block."""
        like = filling * HOLE_BLOCK
        start = at = self.file.tell()
        while at - start + self.left_out < WIDEST and self.file.read(HOLE_BLOCK) == like:
            at += HOLE_BLOCK
        self.file.seek(at)
        self.left_out += at - start


def _uniform(data: bytes) -> bool:
    return len(data) >= HOLE_BLOCK >> 3 and data == data[:1] * len(data)
