"""The watch itself: complete files are heard together, their records added, and so on until someone stops it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from samcli.engine.inputs.find import Input, find_inside
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.run import run
from samcli.engine.task import Task
from samcli.live.ledger import Ledger, Looks
from samcli.records import Record

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

SETTLE_SECONDS = 2.0  # at rest, after which a file counts as complete
LOOK_THROUGH = 300.0  # seconds between two looks at the whole folder, in case a change was not told of


class Seen(NamedTuple):
    item: Input
    looks: Looks
    since: float  # by the monotonic clock: since then it looks like this


class Watched:
    """The files under way: which of a folder are complete and new.

    A file is complete when its size and its time of change rest for a while, or have rested already when it is first
    seen, as those of one that was moved in. The system tells what changes (inotify and its like); where it cannot, as
    on network disks, the folder is looked through now and then. What is told is only a hint: the disk decides.
    """

    def __init__(
        self,
        folders: Sequence[str],
        ledger: Ledger,
        *,
        recursive: bool,
        glob: Sequence[str],
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self.folders, self.ledger, self.settle = folders, ledger, settle
        self.recursive, self.glob = recursive, glob
        self._waiting: dict[str, Seen] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def look(self) -> None:
        """Through all folders."""
        for item in self._inside():
            if item.problem is None and item.path not in self._waiting:
                self._see(item)

    def ready(self) -> list[tuple[Input, Looks]]:
        """Files that are complete, each once; those that are gone are forgotten."""
        found = []
        for path, seen in list(self._waiting.items()):
            now = Looks.of(path)
            if now is None or self.ledger.knows(path, now):
                del self._waiting[path]
            elif now != seen.looks:
                self._waiting[path] = Seen(seen.item, now, time.monotonic())
            elif self._rests(seen):
                del self._waiting[path]
                found.append((seen.item, now))
        return found

    def _see(self, item: Input) -> None:
        looks = Looks.of(item.path)
        if looks is not None and not self.ledger.knows(item.path, looks):
            self._waiting[item.path] = Seen(item, looks, time.monotonic())

    def _rests(self, seen: Seen) -> bool:
        rested = time.time() - seen.looks.changed / 1e9
        return rested >= self.settle or time.monotonic() - seen.since >= self.settle

    def _inside(self) -> Iterator[Input]:
        for folder in self.folders:
            yield from find_inside(folder, recursive=self.recursive, glob=self.glob)


class Hints:
    """A thread that wakes whoever waits when the system tells of a change."""

    def __init__(self, folders: Sequence[str], recursive: bool, fail: Callable[[str], None]) -> None:
        self.folders, self.recursive, self.fail = folders, recursive, fail
        self.changed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Hints:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()

    def _watch(self) -> None:
        import watchfiles

        try:
            for _ in watchfiles.watch(
                *self.folders, recursive=self.recursive, watch_filter=None, stop_event=self._stop,
                raise_interrupt=False, force_polling=False,
            ):  # fmt: skip
                self.changed.set()
        except Exception as error:
            self.fail(f"The system does not tell of changes ({error}); the folder is looked through now and then.")


def must_exist(folders: Sequence[str]) -> str | None:
    """The first that is no folder."""
    return next((folder for folder in folders if not os.path.isdir(folder)), None)  # noqa: PTH112 (odd names)


WAKE_SECONDS = 0.5  # between two looks at what is under way
TOGETHER = 500  # files of one run: then what is done is safe
GONE = "vanished"  # a file that was deleted before it was heard is no error


class Counts(NamedTuple):
    heard: int = 0
    failed: int = 0


class Watch:
    def __init__(
        self,
        task: Task,
        model: SoundModel,
        options: RunOptions,
        watched: Watched,
        ledger: Ledger,
        tell: Callable[[Record], None],
        note: Callable[[str], None],
    ) -> None:
        self.task, self.model, self.options = task, model, options
        self.watched, self.ledger, self.tell, self.note = watched, ledger, tell, note
        self.counts = Counts()

    def once(self) -> Counts:
        """All that is complete now, or comes to rest within a moment; what still grows is left for the next time."""
        self.watched.look()
        deadline = time.monotonic() + self.watched.settle + WAKE_SECONDS
        while True:
            self._hear_ready()
            if not len(self.watched) or time.monotonic() > deadline:
                return self.counts
            time.sleep(min(WAKE_SECONDS, self.watched.settle / 4))

    def for_ever(self, poll: float | None) -> None:
        """Until someone stops it; with `poll`, in seconds, the folder is looked through and no hint is used."""
        if poll is not None:
            while True:
                self._look_and_hear()
                time.sleep(min(poll, WAKE_SECONDS) if len(self.watched) else poll)
        with Hints(self.watched.folders, self.watched.recursive, self.note) as hints:
            looked = 0.0
            while True:
                if hints.changed.is_set() or time.monotonic() - looked > LOOK_THROUGH or not looked:
                    hints.changed.clear()
                    looked = time.monotonic()
                    self.watched.look()
                self._hear_ready()
                hints.changed.wait(WAKE_SECONDS if len(self.watched) else LOOK_THROUGH / 60)

    def _look_and_hear(self) -> None:
        self.watched.look()
        self._hear_ready()

    def _hear_ready(self) -> None:
        ready = self.watched.ready()
        for at in range(0, len(ready), TOGETHER):
            some = ready[at : at + TOGETHER]
            looks = {item.path: one for item, one in some}
            for item, records in self._heard([item for item, _ in some]):
                self._keep(item, looks[item.path], records)
            self.ledger.sync()

    def _heard(self, items: list[Input]) -> Iterator[tuple[Input, list[Record]]]:
        """Each with its records, in order."""
        by_name = {item.display: item for item in items}
        records = run(self.task, items, self.model, self.options, report=RunReport())
        for name, own in groupby(records, lambda record: record.path):
            yield by_name[name], list(own)

    def _keep(self, item: Input, looks: Looks, records: list[Record]) -> None:
        failed = next((record.error for record in records if record.error is not None), None)
        if failed is not None and (failed.type == GONE or Looks.of(item.path) != looks):
            return  # gone, or changed while it was heard: it comes again if it is there
        self.ledger.write(item.path, looks, records)
        heard, bad = self.counts
        self.counts = Counts(heard + (failed is None), bad + (failed is not None))
        for record in records:
            self.tell(record)
