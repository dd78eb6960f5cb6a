"""What is already done, on disk as it happens: any kind of stop costs only the files that were under way.

Every output has a journal of its own. It also looks up what the journals of its other formats know, and what one from
before every format had its own knows; these are read and never touched.

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
from typing import TYPE_CHECKING

from samcli._version import __version__
from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.errors import OutputError, reason_of
from samcli.models.facts import ModelFacts, dtype_of
from samcli.records import SCHEMA, Record
from samcli.writers.disk import Folder, hold
from samcli.writers.files import fitting

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

SYNC_SECONDS = 2.0  # at most so much work is lost to a power cut
SUFFIX = ".journal"
LONGEST_LINE = 1 << 26  # bytes; what is longer, a stranger wrote


def journal_path(output: str | os.PathLike[str]) -> Path:
    """Where the journal of an output lies: beside a file; inside a folder."""
    path = Path(output)
    if os.fspath(output).endswith(("/", os.sep)) or path.is_dir():
        return path / f".sam{SUFFIX}"
    return path.with_name(fitting(f".{path.name}", SUFFIX))


def kindred(output: str | os.PathLike[str]) -> list[Path]:
    """Other journals in which the results of an output may be: of the same name in other formats."""
    own, stem = journal_path(output), Path(output).stem
    if own.parent == Path(output):
        return []
    shared = f".{stem}{SUFFIX}"  # of all formats, before each had its own
    there = [path.name for path in own.parent.iterdir()]
    names = [name for name in there if name.startswith(f".{stem}.") and name.endswith(SUFFIX)]
    others = [name for name in names if name == shared or Path(name.removesuffix(SUFFIX)).stem == f".{stem}"]
    return sorted(own.with_name(name) for name in others if name != own.name)


def fingerprint(task: str, model: SoundModel | ModelFacts, options: RunOptions) -> str:
    """A hash of everything besides the file itself that decides its records."""
    kind = dtype_of(model)  # half precision writes other scores
    settings = [SCHEMA, __version__, task, model.name, model.revision, kind, options.result_settings()]
    if task == "tag" and model.calibrated:  # which are no part of the weights, and so of the revision
        settings += [model.thresholds, model.step_thresholds]
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Journal:
    """Finished inputs, by key. One process at a time; use it as a context manager."""

    def __init__(self, path: str | os.PathLike[str], settings: str, others: Sequence[Path] = ()) -> None:
        """`others` are journals to look things up in, too."""
        self.path = os.fspath(path)
        self.settings = settings  # a `fingerprint`
        self.problem: str | None = None  # why it stopped being written
        self._offsets: dict[bytes, int] = {}  # where the line of each key starts
        self._others: list[tuple[int, dict[bytes, int]]] = []  # the same of other journals, with their descriptors
        self._synced = time.monotonic()
        self._moving = threading.Lock()  # decoding threads look up while the main thread writes
        try:
            self._descriptor = _open(Path(path), os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise OutputError(f"The journal {self.path!r} cannot be opened: {reason_of(error)}.") from None
        try:
            self._lock()
            self._offsets, self._end = _index(self._descriptor)
            self._cut_off()
            for other in others:
                self._look_into(other)
        except BaseException:
            self._close_all()
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
        known = ((self._descriptor, self._offsets), *self._others)
        found = None if key is None else next((one for one in known if key in one[1]), None)
        if key is None or found is None:
            return None
        descriptor, offsets = found
        try:
            with self._moving:
                line = _line_at(descriptor, offsets[key])
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
            reason = reason_of(error)
            self.problem = f"The journal {self.path!r} could not be written ({reason}); a later --resume repeats more."
            return
        self._offsets[key] = self._end
        self._end += len(line)

    def close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # what the disk refuses now is done again by the next run
                self._sync()
            self._close_all()
            self._descriptor = -1

    def _close_all(self) -> None:
        for descriptor in (self._descriptor, *(other for other, _ in self._others)):
            os.close(descriptor)
        self._others.clear()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = time.monotonic()

    def _lock(self) -> None:
        try:
            hold(self._descriptor)
        except BlockingIOError:
            message = f"Another run is writing the journal {self.path!r}; wait for it or choose another -o."
            raise OutputError(message) from None

    def _cut_off(self) -> None:
        """Take away the line that a crash tore."""
        try:
            os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            self.problem = f"The journal {self.path!r} cannot be written ({reason_of(error)})."

    def _look_into(self, other: Path) -> None:
        """What cannot be read is no help, and no harm."""
        with contextlib.suppress(OSError):
            descriptor, offsets = _open(other, os.O_RDONLY), dict[bytes, int]()
            self._others.append((descriptor, offsets))
            offsets.update(_index(descriptor)[0])


def _open(path: Path, flags: int) -> int:
    with Folder.of(path) as folder:
        return folder.open(path.name, flags, 0o644)


def _index(descriptor: int) -> tuple[dict[bytes, int], int]:
    """Where the line of each key starts, and where the whole lines end."""
    offsets: dict[bytes, int] = {}
    end = 0
    with os.fdopen(os.dup(descriptor), "rb") as file:
        while line := file.readline(LONGEST_LINE):
            if not line.endswith(b"\n"):
                break
            key = _key_of(line)
            if key is not None:
                offsets[key] = end
            end += len(line)
    return offsets, end


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
