"""The watch itself: complete files are heard together, their records added, and so on until someone stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.run import run
from samcli.engine.task import Task
from samcli.live.watch.folder import LOOK_THROUGH, Hints, Watched
from samcli.live.watch.ledger import Ledger, Looks
from samcli.records import Record

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

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
