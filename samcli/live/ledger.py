"""Which files of a folder are done, on disk as it happens: every record is written once, whatever stops the watch.

One line of JSON for each file, beside the output: its two keys, its name, whether it could be heard, and how long the
output was behind its records. What the output holds beyond the last line belongs to a file that was under way: it is
taken back, and the file is heard again. A file is known by its place or, when it was renamed, by its number on the
disk, with size and time of change; so a changed one is a new one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from samcli.errors import OutputError
from samcli.records import Record
from samcli.writers.disk import Folder, hold
from samcli.writers.files import explain, fitting
from samcli.writers.formats import to_json

SUFFIX = ".watched"


class Looks(NamedTuple):
    """A file as it is now."""

    size: int
    changed: int  # nanoseconds
    number: int  # of the file on its disk

    @classmethod
    def of(cls, path: str) -> Looks | None:
        """None for what is gone, or is no file."""
        try:
            status = os.stat(path)  # noqa: PTH116 (names may be odd)
        except (OSError, ValueError):
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Ledger:
    """The output and its ledger. One process at a time; a context manager."""

    def __init__(self, output: str, settings: str) -> None:
        """`settings` are a fingerprint of everything else that decides the records."""
        self.output, self.settings = Path(output), settings
        self.path = self.output.with_name(fitting(f".{self.output.name}", SUFFIX))
        self._known: dict[str, bool] = {}  # by key: whether it could be heard
        self._descriptors: list[int] = []
        try:
            self._output = self._open(self.output)
            self._ledger = self._open(self.path)
            self._lock()
            self._read()
        except OSError as error:
            self.close()
            raise explain(self.output, error) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def __len__(self) -> int:
        return len(self._known) // 2

    def knows(self, path: str, looks: Looks) -> bool:
        return any(key in self._known for key in self._keys(path, looks))

    def write(self, path: str, looks: Looks, records: Sequence[Record]) -> None:
        """The records of a file, then the word that they are there."""
        data = "".join(to_json(record) + "\n" for record in records).encode("utf-8", "surrogateescape")
        heard = not any(record.error is not None for record in records)
        try:
            self._append(self._output, data)
            self._note(path, looks, heard, os.fstat(self._output).st_size)
        except OSError as error:
            raise explain(self.output, error) from error

    def sync(self) -> None:
        """What was written lasts through a power cut: the records first, then the word that they are there."""
        os.fsync(self._output)
        os.fsync(self._ledger)

    def _note(self, path: str, looks: Looks, heard: bool, end: int) -> None:
        keys = self._keys(path, looks)
        line = json.dumps({"keys": keys, "path": path, "heard": heard, "end": end}, separators=(",", ":"))
        self._append(self._ledger, line.encode() + b"\n")
        self._known.update(dict.fromkeys(keys, heard))

    def _keys(self, path: str, looks: Looks) -> list[str]:
        place = os.fsencode(os.path.abspath(path))  # noqa: PTH100 (names may be odd)
        facts = f"\0{looks.size}\0{looks.changed}\0{self.settings}".encode()
        whole = (place + facts, str(looks.number).encode() + facts)
        return [hashlib.blake2b(one, digest_size=16).hexdigest() for one in whole]

    def _open(self, path: Path) -> int:
        with Folder.of(path) as folder:
            descriptor = folder.open(path.name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._descriptors.append(descriptor)
        return descriptor

    def _lock(self) -> None:
        try:
            hold(self._ledger)
        except BlockingIOError:
            self.close()
            raise OutputError(f"Another watch writes {str(self.output)!r}; wait for it or choose another -o.") from None

    def _read(self) -> None:
        """What is known; a torn line, and records that no line speaks of, are taken back."""
        whole, end = 0, 0
        with os.fdopen(os.dup(self._ledger), "rb") as file:
            file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    values = json.loads(line)
                    self._known.update(dict.fromkeys(map(str, values["keys"]), bool(values["heard"])))
                    end = int(values["end"])
                except (ValueError, TypeError, KeyError, RecursionError):
                    continue
        os.ftruncate(self._ledger, whole)
        if end and os.fstat(self._output).st_size > end:
            os.ftruncate(self._output, end)

    @staticmethod
    def _append(descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
