"""A source of live sound, and the thread that takes it in while the model computes, in bounded memory.

A source that can wait is held up; from one that cannot, what finds no room is lost, and how much is told. Once the room
is full, half of it is emptied before more is taken in: one long gap says more than a hundred short ones.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from samcli.engine.windows import Wave


class Missing(NamedTuple):
    """Sound that was lost."""

    seconds: float
    why: str


class Remark(NamedTuple):
    """A sentence that a person should read once."""

    text: str


News = Wave | Missing | Remark


class Source(Protocol):
    name: str  # the `path` of its records
    waits: bool  # whether it can be held up; otherwise what comes too fast is lost
    keeps_time: bool  # whether it comes at the pace of the clock

    def news(self, skip: int) -> Iterator[News]:
        """Mono sound at the model's rate, without the first `skip` samples where the source can give them again."""
        ...


ROOM_SECONDS = 60.0  # of sound that may wait, 8 MB: a machine that is busy for a while loses nothing
TOO_SLOW = "this machine cannot keep up"


class Capture:
    """`for news in capture.until(stop)`. A context manager."""

    def __init__(self, source: Source, rate: int, skip: int = 0, room_seconds: float = ROOM_SECONDS) -> None:
        self.source, self.rate, self.skip = source, rate, skip
        self.lost = 0  # samples that found no room and were not told yet
        self._room = round(room_seconds * rate)
        self._held = 0  # samples that wait
        self._news: deque[News] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._take, name="capture", daemon=True)

    @property
    def behind(self) -> float:
        """Seconds of sound that wait."""
        return self._held / self.rate

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def until(self, stop: threading.Event) -> Iterator[News]:
        """What comes, until the source ends or someone says stop."""
        while True:
            with self._changed:
                while not self._changed.wait_for(lambda: self._news or self._ended, 0.1) and not stop.is_set():
                    pass
                if not self._news or stop.is_set():
                    break
                news = self._news.popleft()
                self._held -= _size(news)
                self._changed.notify_all()
            yield news
        if self._error is not None:
            raise self._error

    def _take(self) -> None:
        try:
            for news in self.source.news(self.skip):
                if self._stopped:
                    return
                self._put(news)
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._tell_lost()
                self._ended = True
                self._changed.notify_all()

    def _put(self, news: News) -> None:
        size = _size(news)
        with self._changed:
            if self.source.waits:
                self._changed.wait_for(lambda: self._stopped or not self._held or self._held + size <= self._room)
            elif size and self._held and self._held + size > (self._room / 2 if self.lost else self._room):
                self.lost += size
                return
            self._tell_lost()
            self._news.append(news)
            self._held += size
            self._changed.notify_all()

    def _tell_lost(self) -> None:
        if self.lost:
            self._news.append(Missing(self.lost / self.rate, TOO_SLOW))
            self.lost = 0


def _size(news: News) -> int:
    return 0 if isinstance(news, tuple) else len(news)
