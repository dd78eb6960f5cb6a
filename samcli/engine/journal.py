"""What is already done, on disk as it happens: any kind of stop costs only the files that were under way.

Layout: JSON Lines, one line per finished input, `{"key", "path", "records"}`, written with one `write` each. The key
is a hash of the file's absolute path, size, time of change and the fingerprint of the settings that change results,
so a changed file or setting is simply not found and done again, while a change of format finds everything. A line
torn by a crash is cut off when the journal is opened. Inputs that failed are not kept: the next run tries them again.

Writing never raises: a full disk must not kill a run whose results can still be printed. The first failure ends the
journal, not the run, and is told in `problem`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from samcli import __version__
from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.engine.weights import dtype_of
from samcli.errors import OutputError
from samcli.records import SCHEMA, Record

if TYPE_CHECKING:
    from samcli.engine.ray.engine import About
    from samcli.models.interface import SoundModel

SYNC_SECONDS = 2.0  # at most so much work is lost to a power cut
SUFFIX = ".journal"


def journal_path(output: str | os.PathLike[str]) -> Path:
    """Where the journal of an output lies: beside a file, under a name all formats share; inside a folder."""
    path = Path(output)
    if os.fspath(output).endswith(("/", os.sep)) or path.is_dir():
        return path / f".sam{SUFFIX}"
    return path.with_name(f".{path.stem}{SUFFIX}")


def fingerprint(task: str, model: SoundModel | About, options: RunOptions) -> str:
    """A hash of everything besides the file itself that decides its records."""
    kind = dtype_of(model)  # half precision writes other scores
    settings = [SCHEMA, __version__, task, model.name, model.revision, kind, options.result_settings()]
    if task == "tag" and model.calibrated:  # which are no part of the weights, and so of the revision
        settings += [model.thresholds, model.step_thresholds]
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Journal:
    """Finished inputs, by key. One process at a time; use it as a context manager."""

    def __init__(self, path: str | os.PathLike[str], settings: str) -> None:
        self.path = os.fspath(path)
        self.settings = settings  # a `fingerprint`
        self.problem: str | None = None  # why it stopped being written
        self._offsets: dict[bytes, int] = {}  # where the line of each key starts
        self._synced = time.monotonic()
        self._moving = threading.Lock()  # decoding threads look up while the main thread writes
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise OutputError(f"The journal {self.path!r} cannot be opened: {_reason(error)}.") from None
        try:
            self._lock()
            self._end = self._index()
        except BaseException:
            os.close(self._descriptor)
            raise

    def key(self, item: Input) -> bytes | None:
        """The key of a file as it is now; None for what is not a file. Take it before reading, so that a file that
        changes while it is read is done again."""
        if item.source is not None or item.problem is not None:
            return None
        try:
            status = Path(item.path).stat()
        except (OSError, ValueError):
            return None
        place = os.fsencode(Path(item.path).absolute())
        facts = f"\0{status.st_size}\0{status.st_mtime_ns}\0{self.settings}".encode()
        return hashlib.blake2b(place + facts, digest_size=16).digest()

    def lookup(self, key: bytes | None, item: Input) -> list[Record] | None:
        """The records of a finished input, under the path it is called by now."""
        offset = None if key is None else self._offsets.get(key)
        if offset is None:
            return None
        try:
            with self._moving:
                line = _line_at(self._descriptor, offset)
            return [replace(Record.from_dict(values), path=item.display) for values in json.loads(line)["records"]]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def append(self, key: bytes | None, item: Input, records: Sequence[Record]) -> None:
        """Keep the records of one input, unless it failed or is not a file. Never raises."""
        if key is None or self.problem is not None or any(record.error is not None for record in records):
            return
        values = {"key": key.hex(), "path": item.display, "records": [record.to_dict() for record in records]}
        line = json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            with self._moving:
                os.lseek(self._descriptor, self._end, os.SEEK_SET)
                if os.write(self._descriptor, line) != len(line):
                    raise OSError(errno.ENOSPC, "no space left on device")
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self._sync()
        except OSError as error:
            reason = _reason(error)
            self.problem = f"The journal {self.path!r} could not be written ({reason}); a later --resume repeats more."
            return
        self._offsets[key] = self._end
        self._end += len(line)

    def close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # what the disk refuses now is done again by the next run
                self._sync()
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = time.monotonic()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Another run is writing the journal {self.path!r}; wait for it or choose another -o."
            raise OutputError(message) from None
        except OSError:
            return  # a file system without locks

    def _index(self) -> int:
        """Read every line's key; cut off what a crash tore. Returns where the next line goes."""
        end = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                key = _key_of(line)
                if key is not None:
                    self._offsets[key] = end
                end += len(line)
        try:
            os.ftruncate(self._descriptor, end)
        except OSError as error:
            self.problem = f"The journal {self.path!r} cannot be written ({_reason(error)})."
        return end


def _key_of(line: bytes) -> bytes | None:
    """The key of a whole line; None for a line that cannot be read (its input is done again)."""
    try:
        values = json.loads(line)
        return bytes.fromhex(values["key"]) if isinstance(values["records"], list) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _line_at(descriptor: int, offset: int) -> bytes:
    """The line that starts at `offset`."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            break
        line += chunk[: chunk.find(b"\n") + 1 or len(chunk)]
    return line


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown cause").lower()
