"""Sounds that strangers name or send: files whose reading can be stopped, and names that stay in their folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from samcli.engine.inputs.find import Input
from samcli.errors import InputError
from samcli.writers.disk import BY_DESCRIPTOR, Folder, StrangeFileError

MOST_BYTES = 256 << 20
OUTSIDE = "outside"  # the kind of the error


class StoppableFile:
    """An open file for the decoders that ends when nobody wants it any more, and knows how far it was read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name
        file.seek(0, os.SEEK_END)
        self.size = file.tell()
        file.seek(0)
        self.reached = 0
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def read(self, size: int = -1) -> bytes:
        if self._stopped:
            raise OSError("stopped")
        data = self.file.read(size)
        self.reached = max(self.reached, self.file.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self.file.seek(offset, whence)
        return self.file.tell()  # a spooled file of Python 3.10 does not say where it went

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self.file.close()

    @property
    def share(self) -> float:
        """How much of it was read, 0 to 1."""
        return self.reached / max(1, self.size)


def input_of(file: BinaryIO, name: str) -> Input:
    """An open file as an input of the engine."""
    return Input("-", name, None, "sound", source=StoppableFile(file, name))


class Roots:
    """Folders that may be read, and nothing else: a name leads out of them neither by dots nor by links."""

    def __init__(self, folders: Sequence[str | os.PathLike[str]], most_bytes: int = MOST_BYTES) -> None:
        self.folders = tuple(Path(folder).resolve() for folder in folders)
        self.most_bytes = most_bytes

    def within(self, others: Sequence[Path]) -> Roots:
        """What both these and the other folders hold."""
        both = []
        for mine in self.folders:
            for other in others:
                if other == mine or mine in other.parents:
                    both.append(other)
                elif other in mine.parents:
                    both.append(mine)
        return Roots(both, self.most_bytes)

    def place(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """The root that a name lies in, and the way from there. A bare name is looked for in every root."""
        if not self.folders:
            raise InputError("No folder may be read here: start the server with the folders it may hear.", OUTSIDE)
        if "\0" in name or not name.strip():
            raise InputError("That is no name of a file.", OUTSIDE)
        wanted = Path(name)
        if ".." in wanted.parts:
            raise InputError(f"{name!r} is refused: a path may not climb with '..'.", OUTSIDE)
        tries = [root / wanted for root in self.folders]  # an absolute name stays itself
        tries.sort(key=lambda path: not os.path.lexists(path))
        for path in tries:
            for root in self.folders:
                if path == root or root in path.parents:
                    return root, path.relative_to(root).parts
        raise InputError(f"{name!r} lies outside the folders that may be read: {self.shown}.", OUTSIDE)

    @property
    def shown(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)

    def open(self, name: str) -> Input:
        """A file below a root. No name of its path is followed if it is a link, and only ordinary files are opened."""
        root, parts = self.place(name)
        if not parts:
            raise InputError(f"{name!r} is a folder, not a sound file.", "not-a-file")
        try:
            file = os.fdopen(_open_below(root, parts), "rb", buffering=0)
        except StrangeFileError as error:
            why = (error.strerror or "").replace("sam writes through none", "none is followed")
            raise InputError(f"{name!r} is refused: {why}.", OUTSIDE) from error
        except FileNotFoundError as error:
            raise InputError(f"There is no file {name!r} in the folders that may be read.", "vanished") from error
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise InputError(f"{name!r} cannot be opened: {why}.", "unreadable") from error
        size = os.fstat(file.fileno()).st_size
        if size > self.most_bytes:
            file.close()
            megabytes = self.most_bytes >> 20
            raise InputError(f"{name!r} is too large: at most {megabytes} MB are heard.", "too-large")
        return input_of(file, name)

    def folder(self, name: str) -> Path:
        """A folder below a root that no link leads to."""
        root, parts = self.place(name)
        here = root
        for part in parts:
            here = here / part
            status = os.lstat(here) if os.path.lexists(here) else None
            if status is None or not stat.S_ISDIR(status.st_mode):
                raise InputError(f"{name!r} is no folder that may be read.", OUTSIDE)
        return here


def _open_below(root: Path, parts: Sequence[str]) -> int:
    """Folder by folder, each entered from the one above, so that none can be exchanged for a link on the way."""
    if not BY_DESCRIPTOR:
        here = root
        for part in parts:
            here = here / part
            if here.is_symlink():
                raise StrangeFileError(0, "it is a link, and none is followed", os.fspath(here))
    with Folder.of(root.joinpath(*parts), len(parts)) as folder:
        return folder.open(parts[-1], os.O_RDONLY)
