"""One listening, from its source to wherever it is told, with a state that is saved as it goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from samcli.errors import OutputError
from samcli.live.capture import Capture, Missing, Remark, Source
from samcli.live.clips import Clips
from samcli.live.listener import Listener, Told
from samcli.live.state import read_state, resume, saved, write_state
from samcli.writers.disk import Folder
from samcli.writers.files import explain

SAVE_SECONDS = 60.0  # between two savings of the state: at most so much is heard again
PARTING_SECONDS = 10.0  # what is under way may still take after a stop
DRIFT_SECONDS = 1.0  # between a source and the clock, beyond which the clock is right
BEHIND_SECONDS = 5.0  # from which a person should know


class Outlet(Protocol):
    def tell(self, told: Told, clip: Path | None) -> None: ...

    def flush(self) -> None:
        """What was told is to be found again after a power cut."""
        ...

    def close(self) -> list[str]:
        """The end; what a person should hear of it."""
        ...


class Lines:
    """A file of JSON lines to which is added; what follows a state that was saved is taken back."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        try:
            with Folder.of(self.path) as folder:
                self._descriptor = folder.open(self.path.name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self.size = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise explain(path, error) from None

    def cut_back(self, size: int) -> None:
        """To what it was when the state was saved; a file that is shorter by now was put in its place by someone."""
        if size < self.size:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def tell(self, told: Told, clip: Path | None) -> None:
        data = (told.line() + "\n").encode("utf-8", "surrogateescape")
        try:
            self.size += os.write(self._descriptor, data)
        except OSError as error:
            raise explain(self.path, error) from error

    def flush(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise explain(self.path, error) from error

    def close(self) -> list[str]:
        os.close(self._descriptor)
        return []


class StateFile:
    """Where a listener is kept, and how much of the output was written by then."""

    def __init__(self, path: str, listener: Listener, lines: Lines | None, every: float = SAVE_SECONDS) -> None:
        self.path, self.listener, self.lines, self.every = path, listener, lines, every
        self.goes_on = os.path.lexists(path)
        if self.goes_on:
            state = read_state(path)
            resume(listener, state, path)
            if lines is not None and state.values["more"].get("output") == str(lines.path.resolve()):
                lines.cut_back(int(state.values["more"]["size"]))
        self._saved = time.monotonic()

    def save(self) -> None:
        more: dict[str, Any] = {}
        if self.lines is not None:
            self.lines.flush()
            more = {"output": str(self.lines.path.resolve()), "size": self.lines.size}
        write_state(self.path, saved(self.listener, more))
        self._saved = time.monotonic()

    def save_when_due(self) -> None:
        if time.monotonic() - self._saved >= self.every:
            self.save()


class Session:
    """`listen` until the source ends or the person does."""

    def __init__(
        self,
        source: Source,
        listener: Listener,
        outlets: Sequence[Outlet],
        *,
        state: StateFile | None = None,
        clips: Clips | None = None,
        remark: Callable[[str], None] = lambda text: None,
        watch: Callable[[Listener, Sequence[Told], float], None] = lambda listener, told, behind: None,
    ) -> None:
        """`remark` is given sentences for people; `watch`, after each block, what was told and what waits."""
        self.source, self.listener, self.outlets = source, listener, outlets
        self.state, self.clips, self.remark, self.watch = state, clips, remark, watch
        self._slow = self._anchored = False
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._worker = threading.Thread(target=self._work, name="listen", daemon=True)

    def listen(self) -> None:
        """In a thread of its own: a stop comes between two blocks and never tears what is to be kept."""
        self._worker.start()
        try:
            while self._worker.is_alive():
                self._worker.join(0.2)
        except KeyboardInterrupt:
            self._stop.set()
            self._worker.join(PARTING_SECONDS)
            raise
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            self._listen()
        except BaseException as error:
            self._error = error

    def _listen(self) -> None:
        torch.set_num_threads(1)  # a small model gains nothing from more, and the machine has other things to do
        resumed = self.state is not None and self.state.goes_on
        if self.state is not None:
            self.state.save()  # from here on nothing is told twice, not even after the first minute
        if not resumed:
            self.listener.anchor(time.time())
        with Capture(self.source, self.listener.rate, self.listener.position) as capture:
            for news in capture.until(self._stop):
                if isinstance(news, Remark):
                    self.remark(news.text)
                elif isinstance(news, Missing):
                    self._pass_on(self.listener.miss(news.seconds, news.why), capture.behind)
                else:
                    self._keep_time(len(news) / self.listener.rate, capture.behind)
                    if self.clips is not None:
                        self.clips.hear(news, self.listener.position + len(news))
                    # What cannot be held up would be lost; who is so late is not later for looking less often.
                    hurry = not self.source.waits and capture.behind > BEHIND_SECONDS
                    self._pass_on(self.listener.take(news, hurry), capture.behind)
                if self.state is not None:
                    self.state.save_when_due()
        if not self._stop.is_set():
            self._pass_on(self.listener.finish(), 0.0)

    def close(self) -> None:
        """After the end, or after a stop: what was heard so far is kept."""
        if self.state is not None and not self._worker.is_alive():
            self.state.save()
        for outlet in self.outlets:
            for note in outlet.close():
                self.remark(note)

    def _keep_time(self, seconds: float, behind: float) -> None:
        if self.source.waits:
            if self.source.keeps_time and behind > BEHIND_SECONDS and not self._slow:
                self._slow = True
                self.remark(f"This machine cannot keep up: what is told is {behind:.0f} s late.")
            return
        late = time.time() - behind - seconds - (self.listener.started + self.listener.seconds)
        if abs(late) > DRIFT_SECONDS or not self._anchored:
            self._anchored = True
            self.listener.anchor(time.time() - behind - seconds)

    def _pass_on(self, all_told: Iterable[Told], behind: float) -> None:
        done = []
        for told in all_told:
            clip = self._clip(told)
            for outlet in self.outlets:
                outlet.tell(told, clip)
            if told.kind == "gap":
                self.remark(told.record.warning or "")
            done.append(told)
        self.watch(self.listener, done, behind)

    def _clip(self, told: Told) -> Path | None:
        try:
            return None if self.clips is None else self.clips.keep(told)
        except OutputError as error:  # a full disk ends the clips, not the hearing
            self.clips = None
            self.remark(f"{error} No more sound is kept.")
            return None
