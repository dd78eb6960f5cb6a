"""Which files of a folder are complete and new.

A file is complete when its size and its time of change rest for a while, or have rested already when it is first seen,
as those of one that was moved in. The system tells what changes (inotify and its like); where it cannot, as on network
disks, the folder is looked through now and then. What is told is only a hint: the disk decides.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from samcli.engine.inputs.find import Input, find_inside
from samcli.live.watch.ledger import Ledger, Looks

SETTLE_SECONDS = 2.0  # at rest, after which a file counts as complete
LOOK_THROUGH = 300.0  # seconds between two looks at the whole folder, in case a change was not told of


class Seen(NamedTuple):
    item: Input
    looks: Looks
    since: float  # by the monotonic clock: since then it looks like this


class Watched:
    """The files under way."""

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
