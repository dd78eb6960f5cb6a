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

from samcli.errors import OutputError
from samcli.records import Record
from samcli.writers.disk import Folder, StrangeFileError, hold, make_own_folder, own_file, sync_folder
from samcli.writers.escape import to_bytes
from samcli.writers.formats import Format, Layout

LONGEST_NAME = 255  # bytes, on every disk in use


def explain(path: Path | str, error: OSError) -> OutputError:
    """The sentence for a failed write."""
    named = error.filename if isinstance(error, StrangeFileError) else path
    return OutputError(f"Cannot write {os.fspath(named)!r}: {error.strerror or error}.")


class AtomicFile:
    """Bytes for one file, put in place by `keep`.

    The hidden file is locked while it is written: what a killed run left behind is taken over, what a living one writes
    is not. The last `own` names of the path are our choice and not the user's: none of them may be a link.
    """

    def __init__(self, path: Path, own: int = 0) -> None:
        self.path = path
        self._folder: Folder | None = None  # while there is a hidden file in it
        self._descriptor = -1
        try:
            if not own and _is_special(path):
                # A pipe or a device cannot be replaced, and must not be.
                self._descriptor = os.open(path, os.O_WRONLY)
                return
            # A link that the user names keeps being a link: what it points to is replaced.
            self._begin(path if own else path.resolve(), own)
        except OSError as error:
            self.discard()
            raise explain(path, error) from error

    def _begin(self, target: Path, own: int) -> None:
        folder = Folder.of(target, max(1, own))
        try:
            before = folder.status(target.name)
            if before is not None:
                if stat.S_ISDIR(before.st_mode) and not own:
                    raise IsADirectoryError(21, "it is a folder; end the name in / for one file per input")
                folder.check(target.name, writing=False)
                if not folder.may_write(target.name):
                    raise PermissionError(13, "Permission denied")
            self._name, self._hidden = target.name, fitting(f".{target.name}", ".part")
            self._descriptor = _open_locked(folder, self._hidden)
        except BaseException:
            folder.close()
            raise
        self._folder = folder
        if before is not None and hasattr(os, "fchmod"):
            os.fchmod(self._descriptor, before.st_mode & 0o777)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise explain(self.path, error) from error

    def keep(self, lasting: bool = True) -> None:
        """Put what was written in place; `lasting` through a power cut, unless the caller sees to the folder."""
        try:
            if self._folder is not None:
                os.fsync(self._descriptor)
                self._folder.replace(self._hidden, self._name)
                if lasting:
                    self._folder.sync()
                self._folder.close()
                self._folder = None
            os.close(self._descriptor)
            self._descriptor = -1
        except OSError as error:
            raise explain(self.path, error) from error

    def discard(self) -> None:
        """Forget what was written since the last `keep`."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.remove(self._hidden)
            self._folder.close()
            self._folder = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def write_whole(path: Path | str, data: bytes, own: int = 0) -> None:
    """A file that is there whole or not at all; a full disk is a sentence. `own` as for `AtomicFile`."""
    file = AtomicFile(Path(path), own)
    try:
        file.write(data)
        file.keep()
    finally:
        file.discard()


def append_line(path: Path, line: str, own: int = 1) -> None:
    """One more line in a log of ours."""
    try:
        with own_file(path, "a", own, encoding="utf-8", errors="surrogateescape") as file:
            file.write(line + "\n")
    except OSError as error:
        raise explain(path, error) from error


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


def _open_locked(folder: Folder, name: str) -> int:
    """A descriptor of an empty file that no other run holds."""
    while True:
        descriptor = folder.open(name, os.O_RDWR | os.O_CREAT)
        try:
            held = hold(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise OSError(0, "another run is writing it") from None
        # Between opening and locking, another run may have put the file in place under its real name.
        if not held or _is_at(descriptor, folder.status(name)):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, status: os.stat_result | None) -> bool:
    return status is not None and os.path.samestat(os.fstat(descriptor), status)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class FileSink:
    """All records in one file."""

    shows_failures = False

    def __init__(self, path: Path, format: type[Format], layout: Layout, own: int = 0) -> None:
        self._format = format(layout)
        self._file = AtomicFile(path, own)
        self._file.write(to_bytes(self._format.header()))

    def write(self, record: Record) -> None:
        self._file.write(to_bytes(self._format.record(record)))

    def keep(self, lasting: bool = True) -> None:
        self._file.write(to_bytes(self._format.footer()))
        self._file.keep(lasting)

    def __enter__(self) -> FileSink:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.discard()


def prepare_folder(folder: Path) -> None:
    """Make a folder that can be written to, or say why not."""
    try:
        make_folder(folder)
    except OSError as error:
        raise explain(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise explain(folder, PermissionError(13, "Permission denied"))


def prepare_own_folder(folder: Path) -> None:
    """The same for one whose last name is our choice: a link there is refused."""
    prepare_folder(folder.parent)
    try:
        make_own_folder(folder)
    except OSError as error:
        raise explain(folder, error) from error


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
        self._changed: set[Path] = set()  # folders whose names are not yet safe from a power cut: a sync takes long
        prepare_folder(folder)

    def write(self, record: Record) -> None:
        # An input's records come one after another, so a new path means that the file before is complete.
        if record.path != self._path or self._sink is None:
            self._finish()
            self._sink, self._path = self._open(record.path), record.path
        self._sink.write(record)

    def _open(self, path: str) -> FileSink:
        above, name = os.path.split(self._relative[path])
        inside = Path(above, fitting(name, self._class.suffixes[0]))
        target, own = self.folder / inside, len(inside.parts)
        try:
            Folder.of(target, own, make=True).close()
        except OSError as error:
            raise explain(target.parent, error) from error
        self._changed.add(target.parent)
        return FileSink(target, self._class, self._layout, own)

    def _finish(self) -> None:
        if self._sink is not None:
            self._sink.keep(lasting=False)
            self._sink = None

    def keep(self) -> None:
        self._finish()
        for folder in self._changed:
            sync_folder(folder)
        self._changed.clear()

    def __enter__(self) -> FolderSink:
        return self

    def __exit__(self, *error: object) -> None:
        if self._sink is not None:
            self._sink.__exit__(*error)
