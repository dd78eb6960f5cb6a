"""Where the requests of many clients meet: one model hears them, in batches that they share.

An order is one sound and one task. Orders that need no words of a language model and no segments flow through a single
run of the engine that never ends, so that the windows of different clients fill a batch together; what a row gives
depends on that row alone, so each gets what it would get by itself. All others are run one after the other. So many
orders may wait and no more: whoever comes then is told to come again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.run import finished, run
from samcli.engine.task import Gatherer, Task
from samcli.engine.windows import Piece
from samcli.errors import SamError
from samcli.records import ErrorInfo, Record
from samcli.tasks.run import task_for

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

MOST_ORDERS = 64
LEAST_PACE = 0.05  # seconds for an order, before any was timed
STOPPED = ErrorInfo("stopped", "The server stopped before this was heard.")


class BusyError(SamError):
    """The queue is full; `seconds` is when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many requests wait already; try again in {seconds} s.")
        self.seconds = seconds


@dataclass(eq=False)
class Order:
    """One sound to hear."""

    item: Input
    task: Task
    options: RunOptions
    watch: Callable[[Piece], None] | None = None  # is shown what is decoded
    came: float = field(default_factory=time.monotonic)
    records: Future[list[Record]] = field(default_factory=Future)

    def cancel(self) -> None:
        """Nobody waits for it any more: it is not begun, and what is being read of it ends."""
        self.records.cancel()
        stop = getattr(self.item.source, "stop", None)
        if stop is not None:
            stop()

    def see(self, item: Input, piece: Piece) -> None:
        if self.watch is not None:
            self.watch(piece)

    def tell(self, record: Record) -> None:
        """A record is there, before all of them are; for those who want to know at once."""

    def done(self, records: Iterable[Record]) -> None:
        """All there will be; those of a run may still be on their way."""
        if self.records.done():
            return
        named = []
        for record in records:
            named.append(replace(record, task=self.task.name, path=self.item.display))
            self.tell(named[-1])
        if self.records.set_running_or_notify_cancel():
            self.records.set_result(named)


class _Mixed(Task):
    """The tasks of all orders under way, as one task of the engine."""

    name = "tag"

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}  # by the identity of their input, which lives as long as they do

    def add(self, order: Order) -> None:
        self.orders[id(order.item)] = order
        self._look()

    def take(self, item: Input) -> Order | None:
        """The order of an input that is done."""
        order = self.orders.pop(id(item), None)
        self._look()
        return order

    def keep(self, orders: Iterable[Order]) -> None:
        self.orders = {id(order.item): order for order in orders}
        self._look()

    def _look(self) -> None:
        """What one of them wants is computed for all."""
        tasks = [order.task for order in list(self.orders.values())]
        self.wants_clip = any(task.wants_clip for task in tasks)
        self.wants_steps = any(task.wants_steps for task in tasks)

    def see(self, item: Input, piece: Piece) -> None:
        order = self.orders.get(id(item))
        if order is not None:
            order.see(item, piece)

    def gatherer_of(self, item: Input) -> Gatherer:
        return self.orders[id(item)].task.gatherer()


class Desk:
    """Takes orders and has them heard. A context manager: leaving it ends its threads."""

    def __init__(self, model: SoundModel, most: int = MOST_ORDERS) -> None:
        self.model, self.most = model, most
        self.report = RunReport()
        self._pace = LEAST_PACE  # seconds for an order, lately
        self._mixed = _Mixed()
        self._shared: deque[Order] = deque()  # not yet begun
        self._alone: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._waiting: set[Order] = set()
        self._lock = threading.RLock()
        self._came = threading.Condition(self._lock)
        self._turn = 0  # of the run that serves the shared orders
        self._open = True
        works = (self._together, self._singly)
        self._threads = [threading.Thread(target=work, name=f"desk-{work.__name__}", daemon=True) for work in works]

    def __enter__(self) -> Desk:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def order(self, name: str, item: Input, options: RunOptions) -> Order:
        """Have a sound heard. UsageError or ModelError where that cannot be, BusyError when too many wait."""
        return self.take(Order(item, task_for(name, self.model, options), options))

    def take(self, order: Order) -> Order:
        """As `order`, for a task that has no name of its own."""
        with self._lock:
            self.check_room()
            self._waiting.add(order)
        order.records.add_done_callback(lambda future: self._leave(order))
        if not self._open:
            order.done([self._failed(STOPPED)])
            return order
        shared = not order.task.listens and order.options.segment is None and order.options.window_seconds is None
        if not shared:
            self._alone.put(order)
            return order
        with self._came:
            self._mixed.add(order)
            self._shared.append(order)
            self._came.notify_all()
        return order

    def check_room(self) -> None:
        """BusyError when no more may wait."""
        if len(self._waiting) >= self.most:
            raise BusyError(max(1, round(self._pace * len(self._waiting))))

    def close(self) -> None:
        """Finish what is under way and refuse what still waits."""
        with self._came:
            self._open = False
            self._came.notify_all()
        self._alone.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(60)
        for order in list(self._waiting):
            order.done([self._failed(STOPPED)])

    def _leave(self, order: Order) -> None:
        with self._lock:
            self._waiting.discard(order)
            if not order.records.cancelled():
                spent = (time.monotonic() - order.came) / max(1, len(self._waiting))
                self._pace += 0.1 * (max(LEAST_PACE, spent) - self._pace)

    def _failed(self, error: ErrorInfo) -> Record:
        return Record(task="tag", path="", model=self.model.name, revision=self.model.revision, error=error)

    def _inputs(self, turn: int) -> Iterator[Input]:
        """Orders as they come; the decoding threads of one run wait here, until another has its turn."""
        while True:
            with self._came:
                self._came.wait_for(lambda: self._shared or not self._open or turn != self._turn)
                if not self._open or turn != self._turn:
                    return
                order = self._shared.popleft()
            if order.records.cancelled():
                with self._lock:
                    self._mixed.take(order.item)
                continue
            yield order.item

    def _together(self) -> None:
        """One run for all; if the model itself fails, those under way are told and the next run begins."""
        options = RunOptions(ordered=False)
        while self._open:
            try:
                mixed, inputs = self._mixed, self._inputs(self._turn)
                for done in finished(mixed, inputs, self.model, options, None, self.report, mixed.see):
                    with self._lock:
                        order = self._mixed.take(done.job.item)
                    if order is not None:
                        order.done(done.records)
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Tell those whose sounds were under way; those not begun are heard by the next run."""
        with self._came:
            self._turn += 1
            begun = set(self._mixed.orders.values()) - set(self._shared)
            self._mixed.keep(self._shared)
            self._came.notify_all()
        for order in begun:
            order.done([self._failed(_told(error))])

    def _singly(self) -> None:
        while (order := self._alone.get()) is not None:
            if order.records.cancelled():
                continue
            try:
                options = replace(order.options, threads=1)
                order.done(run(order.task, [order.item], self.model, options, watch=order.see))
            except Exception as error:
                order.done([self._failed(_told(error))])


def _told(error: Exception) -> ErrorInfo:
    words = str(error) if isinstance(error, SamError) else f"The model failed: {type(error).__name__}."
    return ErrorInfo("model", words)
