"""Where records go when not to standard output: one file, or one file per input.

A file appears whole or not at all: records are written to a hidden file beside it, which takes its name at the end.
Ending a run early by `keep()` puts what is finished in place; leaving without it removes the hidden file and leaves
the old one alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from types import TracebackType

from samcli.errors import OutputError
from samcli.records import Record
from samcli.writers.base import Format, Layout
from samcli.writers.escape import to_bytes

LONGEST_NAME = 255  # bytes, on every disk in use


def explain(path: Path | str, error: OSError) -> OutputError:
    """The sentence for a failed write."""
    return OutputError(f"Cannot write {os.fspath(path)!r}: {error.strerror or error}.")


class AtomicFile:
    """Bytes for one file, put in place by `keep`.

    The hidden file is locked while it is written: what a killed run left behind is taken over, what a living one writes
    is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hidden: Path | None = None
        self._descriptor = -1
        try:
            if _is_special(path):
                # A pipe or a device cannot be replaced, and must not be.
                self._descriptor = os.open(path, os.O_WRONLY)
                return
            self._target = path.resolve()  # a link keeps being a link: what it points to is replaced
            if self._target.is_dir():
                raise IsADirectoryError(21, "it is a folder; end the name in / for one file per input")
            if self._target.exists() and not os.access(self._target, os.W_OK):
                raise PermissionError(13, "Permission denied")
            hidden = self._target.with_name(fitting(f".{self._target.name}", ".part"))
            self._descriptor = _open_locked(hidden)
            self._hidden = hidden
            if self._target.exists():
                hidden.chmod(stat.S_IMODE(self._target.stat().st_mode))
        except OSError as error:
            self.discard()
            raise explain(path, error) from error

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise explain(self.path, error) from error

    def keep(self) -> None:
        """Put what was written in place."""
        try:
            if self._hidden is not None:
                os.fsync(self._descriptor)
                self._hidden.replace(self._target)
                self._hidden = None
            os.close(self._descriptor)
            self._descriptor = -1
        except OSError as error:
            raise explain(self.path, error) from error

    def discard(self) -> None:
        """Forget what was written since the last `keep`."""
        with contextlib.suppress(OSError):
            if self._hidden is not None:
                self._hidden.unlink()
                self._hidden = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def write_whole(path: Path | str, data: bytes) -> None:
    """A file that is there whole or not at all; a full disk is a sentence."""
    file = AtomicFile(Path(path))
    try:
        file.write(data)
        file.keep()
    finally:
        file.discard()


def fitting(name: str, suffix: str) -> str:
    """A file's name with something behind it; one too long for a disk is cut, and told from its like by a hash."""
    raw, end = os.fsencode(name), os.fsencode(suffix)
    if len(raw) + len(end) <= LONGEST_NAME:
        return name + suffix
    digest = hashlib.blake2b(raw, digest_size=4).hexdigest()
    room = LONGEST_NAME - len(end) - len(digest) - 1
    cuts = [os.fsdecode(raw[: room - less]) for less in range(4)]
    kept = next((cut for cut in cuts if not "\udc80" <= cut[-1] <= "\udcff"), cuts[0])  # no letter is cut in two
    return f"{kept}~{digest}{suffix}"


def make_folder(folder: Path) -> None:
    """A folder and those above it, however many: the library's own way calls itself for each."""
    missing = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)


def _open_locked(path: Path) -> int:
    """A descriptor of an empty file that no other run holds."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, another run may have put the file in place under its real name.
            if _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                return descriptor
        except ImportError:  # Windows, where nothing else would take over a file in use
            return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise OSError(0, "another run is writing it") from None
        except OSError:  # a file system without locks
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class FileSink:
    """All records in one file."""

    shows_failures = False

    def __init__(self, path: Path, format: type[Format], layout: Layout) -> None:
        self._format = format(layout)
        self._file = AtomicFile(path)
        self._file.write(to_bytes(self._format.header()))

    def write(self, record: Record) -> None:
        self._file.write(to_bytes(self._format.record(record)))

    def keep(self) -> None:
        self._file.write(to_bytes(self._format.footer()))
        self._file.keep()

    def __enter__(self) -> FileSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.discard()


def prepare_folder(folder: Path) -> None:
    """Make a folder that can be written to, or say why not."""
    try:
        make_folder(folder)
    except OSError as error:
        raise explain(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise explain(folder, PermissionError(13, "Permission denied"))


class FolderSink:
    """One file per input: its path under the folder, its own suffix kept, and the format's added (`a/1.wav.srt`)."""

    shows_failures = False

    def __init__(self, folder: Path, format: type[Format], layout: Layout, relative: dict[str, str]) -> None:
        self.folder = folder
        self._class = format
        self._layout = layout
        self._relative = relative  # a record's path -> the input's path under the folder
        self._path: str | None = None
        self._sink: FileSink | None = None
        prepare_folder(folder)

    def target(self, path: str) -> Path:
        above, name = os.path.split(self._relative[path])
        return self.folder / above / fitting(name, self._class.suffixes[0])

    def write(self, record: Record) -> None:
        # An input's records come one after another, so a new path means that the file before is complete.
        if record.path != self._path or self._sink is None:
            self.keep()
            target = self.target(record.path)
            try:
                make_folder(target.parent)
            except OSError as error:
                raise explain(target.parent, error) from error
            self._sink, self._path = FileSink(target, self._class, self._layout), record.path
        self._sink.write(record)

    def keep(self) -> None:
        if self._sink is not None:
            self._sink.keep()
            self._sink = None

    def __enter__(self) -> FolderSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is not None:
            self._sink.__exit__(kind, error, trace)
