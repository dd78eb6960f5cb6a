"""From a name or a file object to something that decoders can seek in, without ever waiting on a pipe by name."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from typing import BinaryIO, NamedTuple, TypeAlias, cast

from samcli.errors import InputError

Name: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

COPY_BYTES = 1 << 20


class Steady:
    """A seekable file that keeps its failures instead of raising them.

    The decoders call it from C, where an exception is lost and printed. `error` is for whoever started the decoder to
    look at. A damaged file may also ask for positions that no file has: that is no failure of the disk, and gives -1.
    """

    flows = False  # whether its bytes come once, and the end is nowhere yet

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self.file.read(size) or b""
        except Exception as error:  # whatever a stranger's file object may raise
            self.error = error if isinstance(error, OSError) else OSError(str(error))
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self.file.seek(offset, whence)
        except (OSError, OverflowError, ValueError):
            return -1

    def tell(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        self.file.close()


class OpenFile(NamedTuple):
    stream: Steady
    shown: str  # what sentences call it
    descriptor: int | None  # for decoders that read by themselves; None: through the stream only
    owned: bool  # opened here, so closed here


def by_name(name: Name) -> OpenFile:
    """Open a regular file; anything else is an `InputError`."""
    shown = repr(os.fsdecode(name))  # quotes it, and shows newlines and undecodable bytes as escapes
    try:
        _require_regular(os.stat(name).st_mode, shown)  # noqa: PTH116 (names may be bytes)
        # Between the question and the opening it may have become a pipe: O_NONBLOCK would not wait for its writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(name, flags)
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{shown} is not there: it was moved or deleted, or its name is mistyped."
        raise InputError(message, "vanished") from error
    except PermissionError as error:
        raise InputError(f"{shown} may not be read: permission denied.", "permission") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be opened: {cause(error)}.", "unreadable") from error
    try:
        _require_regular(os.fstat(descriptor).st_mode, shown)
    except InputError:
        os.close(descriptor)
        raise
    stream = cast(BinaryIO, os.fdopen(descriptor, "rb", buffering=0))
    return OpenFile(Steady(stream), shown, descriptor if os.name == "posix" else None, True)


def by_object(file: BinaryIO) -> OpenFile:
    """A file object as it is if it can seek; otherwise its bytes, moved to a temporary file on disk."""
    shown = shown_name(file)
    if file.seekable():
        if not isinstance(getattr(file, "raw", file), io.FileIO):
            return OpenFile(Steady(file), shown, None, False)
        copy = cast(BinaryIO, os.fdopen(os.dup(file.fileno()), "rb", buffering=0))  # the decoders may go without Python
        return OpenFile(Steady(copy), shown, copy.fileno() if os.name == "posix" else None, True)
    try:
        spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (the reader closes it)
        try:
            shutil.copyfileobj(file, spool, COPY_BYTES)
        except BaseException:
            spool.close()
            raise
    except OSError as error:
        raise InputError(f"{shown} could not be kept in {tempfile.gettempdir()!r}: {cause(error)}.", "spool") from error
    stream = cast(BinaryIO, spool)
    return OpenFile(Steady(stream), shown, spool.fileno() if os.name == "posix" else None, True)


def shown_name(file: BinaryIO) -> str:
    """What sentences call a file object."""
    name = getattr(file, "name", None)
    if name in (0, "<stdin>"):
        return "Standard input"
    return repr(name) if isinstance(name, str) else "The given sound"


def cause(error: OSError | ValueError) -> str:
    """The system's words for an error, as they read inside a sentence."""
    words = getattr(error, "strerror", None) or str(error)
    return words[:1].lower() + words[1:]


def _require_regular(mode: int, shown: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        what = "is a folder, not a sound file"
    elif stat.S_ISFIFO(mode):
        what = "is a pipe: read it through standard input instead (sam ... - < pipe)"
    else:
        what = "is a device or a socket, not a sound file"
    raise InputError(f"{shown} {what}.", "not-a-file")


HOLE_BLOCK = 1 << 20  # bytes looked at together on the way through a hole
WIDEST = 1 << 29  # bytes of holes that are crossed in one file, which takes half a second
# Bytes read without any sound after which no more is hoped for. FFmpeg keeps twice as many of a bare stream in memory;
# in a container, there may be much beside the sound.
BARE_PATIENCE, PATIENCE = 1 << 24, 1 << 26
SEEK_BYTES = 256  # what a change of place counts for: a WAV full of empty chunks is all changes of place


class Sieve:
    """A file as FFmpeg is to see it: without holes where positions mean nothing, and ending where sound has ended.

    Holes are room taken in advance, parts of a download that never came, a disk's rubbish. FFmpeg gathers whatever lies
    between two frames of sound before it looks at it, so a gigabyte of zeros would take two of memory; in other
    containers it looks at every byte of it. Here is the place to notice, and to bound both.
    """

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
