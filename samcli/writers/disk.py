"""Files under names that sam chooses itself: beside a user's file, or inside a user's folder.

Whoever sent the folder may have left something else under such a name: a link, a second name of another file, a pipe,
a file that another user still holds. Nothing is written through any of these. A name is opened without following a
link and without waiting, and what was opened is looked at before it is used. Folders below the one that the user named
are entered one by one, each from inside the one above, so none can be exchanged on the way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import IO, Any

# Not on Windows, where a look before the opening has to do.
BY_DESCRIPTOR = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
# No link is followed, no pipe waited for, no terminal taken over.
CAREFULLY = sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT")
)
WRITING = os.O_WRONLY | os.O_RDWR


class StrangeFileError(OSError):
    """What has this name is no file of ours; `filename` says which, `strerror` why."""


class Folder:
    """A folder held open: what is done in it is done there, whatever becomes of its path."""

    def __init__(self, path: Path, above: Folder | None = None) -> None:
        """Without `above` a path as the user wrote it, links and all; otherwise a name in that folder."""
        self.path = path
        self._descriptor: int | None = None
        if BY_DESCRIPTOR:
            inside = above._descriptor if above is not None else None
            self._descriptor = _open_folder(path if above is None else path.name, inside)

    @classmethod
    def of(cls, file: Path, own: int = 1, *, make: bool = False) -> Folder:
        """Where a file lies. The last `own` names of its path are our choice: their folders are no links."""
        folder = cls(Path(*file.parts[:-own]))
        for name in file.parts[-own:-1]:
            with folder as above:
                folder = above._enter(name, make)
        return folder

    def _enter(self, name: str, make: bool) -> Folder:
        if make and self.status(name) is None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._at(name), dir_fd=self._descriptor)
        status = self.status(name)
        if status is not None and (not stat.S_ISDIR(status.st_mode) or _is_link(status)):
            raise self._strange(name, status, "it is no folder")
        return Folder(self.path / name, self)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """A descriptor of an ordinary file, of ours if it is to be written; anything else is a `StrangeFileError`."""
        make, clear, flags = flags & os.O_CREAT, flags & os.O_TRUNC, flags & ~os.O_CREAT & ~os.O_TRUNC
        while True:
            if make:
                with contextlib.suppress(FileExistsError):
                    return self._open(name, flags | os.O_CREAT | os.O_EXCL, mode)
            try:
                self.check(name, writing=bool(flags & WRITING))
                descriptor = self._open(name, flags)
            except FileNotFoundError:
                if make:  # another run has just moved it away
                    continue
                raise
            try:  # it may have become another between the look and the opening
                self._refuse(name, os.fstat(descriptor), bool(flags & WRITING))
                if clear:
                    os.ftruncate(descriptor, 0)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor

    def _open(self, name: str, flags: int, mode: int = 0o666) -> int:
        return os.open(self._at(name), flags | CAREFULLY, mode, dir_fd=self._descriptor)

    def check(self, name: str, *, writing: bool, anybodys: bool = False) -> None:
        """Refuse what is no file of ours, without opening it; FileNotFoundError where there is nothing."""
        status = os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        self._refuse(name, status, writing, anybodys)

    def _refuse(self, name: str, status: os.stat_result, writing: bool, anybodys: bool = False) -> None:
        if not stat.S_ISREG(status.st_mode) or _is_link(status):
            raise self._strange(name, status, "it is a device or a socket")
        if not writing or os.name != "posix":
            return
        if status.st_nlink > 1:
            raise self._strange(name, status, "it is a second name of another file (a hard link)")
        # The folder's owner could exchange any file in it, and is whom some network disks name as everybody.
        if not anybodys and status.st_uid not in (os.geteuid(), self._owner()):
            raise self._strange(name, status, "it belongs to another user")

    def _strange(self, name: str, status: os.stat_result, why: str) -> StrangeFileError:
        if _is_link(status):
            why = "it is a link, and sam writes through none"
        elif stat.S_ISDIR(status.st_mode):
            why = "it is a folder"
        elif stat.S_ISFIFO(status.st_mode):
            why = "it is a pipe"
        return StrangeFileError(0, why, os.fspath(self.path / name))

    def _owner(self) -> int:
        return (self.path.stat() if self._descriptor is None else os.fstat(self._descriptor)).st_uid

    def status(self, name: str) -> os.stat_result | None:
        """Of what has this name, a link itself included; None if nothing has."""
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def may_write(self, name: str) -> bool:
        return os.access(self._at(name), os.W_OK, dir_fd=self._descriptor)

    def replace(self, old: str, new: str) -> None:
        """Give a file another's name."""
        os.replace(self._at(old), self._at(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make the names in it last through a power cut."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # some disks know of no such thing for folders
                os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def _at(self, name: str) -> str:
        return os.fspath(self.path / name) if self._descriptor is None else name

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def own_file(path: Path, mode: str = "rb", own: int = 1, **options: Any) -> IO[Any]:
    """`open` for a file of our own; the last `own` names of its path are our choice."""

    def opener(name: str, flags: int) -> int:
        with Folder.of(path, own) as folder:
            return folder.open(path.name, flags)

    return open(path, mode, opener=opener, **options)


def hold(descriptor: int) -> bool:
    """Keep an open file from other runs until it is closed; BlockingIOError where one has it, False without locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return False
    return True


def remove_strange(path: Path) -> None:
    """Take away what has the name of a file of ours and is none."""
    with Folder.of(path) as folder:
        try:
            folder.check(path.name, writing=True)
        except FileNotFoundError:
            pass
        except StrangeFileError:
            folder.remove(path.name)


def make_own_folder(path: Path) -> None:
    """A folder under a name of our choice, inside one that is there."""
    Folder.of(path / "any", 2, make=True).close()


def put_in_place(new: Path, place: Path) -> None:
    """Let a folder have the place of another, which goes: whoever looks there finds the old one or the new, whole."""
    if os.path.lexists(place) and not _exchanged(new, place):
        old = _put_aside(place)
        place.replace(old)
        new.replace(place)
        new = old
    elif not os.path.lexists(place):
        new.replace(place)
    sync_folder(place.parent)
    if new.is_symlink():
        new.unlink()
    else:
        shutil.rmtree(new, ignore_errors=True)


def put_back(place: Path) -> None:
    """Undo half of `put_in_place`: where two folders cannot be exchanged at once, a kill may come between."""
    old = _put_aside(place)
    if not os.path.lexists(place) and old.is_dir() and not old.is_symlink():
        old.replace(place)


def _put_aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two absolute paths changed places in one step; False where the system or the disk has no such step."""
    import ctypes

    names = os.fsencode(one), os.fsencode(other)
    try:
        system = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*names, 2) == 0)
        return bool(system.renameat2(-100, names[0], -100, names[1], 2) == 0)
    except (OSError, TypeError, AttributeError):
        return False


def sync_folder(path: Path) -> None:
    """`Folder.sync` of one that is not open."""
    with contextlib.suppress(OSError), Folder(path) as folder:
        folder.sync()


def _open_folder(name: str | Path, above: int | None) -> int:
    flags = os.O_DIRECTORY | os.O_CLOEXEC | (0 if above is None else os.O_NOFOLLOW)
    try:
        return os.open(name, os.O_RDONLY | flags, dir_fd=above)
    except PermissionError:  # it may be entered all the same, only not listed
        return os.open(name, getattr(os, "O_PATH", 0) | flags, dir_fd=above)


def _is_link(status: os.stat_result) -> bool:
    """A link, or what Windows has like it."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == junction
