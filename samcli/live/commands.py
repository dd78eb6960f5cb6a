"""A person's own command on an event: its arguments as environment, the whole line on standard input, never a shell.

A slow command does not stop the hearing: a few run at once, some wait, and what comes then is not run, and counted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

from samcli.errors import UsageError
from samcli.live.listener import Told

WAITING = 64  # events
AT_ONCE = 4
LONGEST = 60.0  # seconds a command may take before it is ended
PARTING = 30.0  # seconds that commands may still take at the end


class Commands:
    def __init__(
        self, command: str, kinds: tuple[str, ...] = ("begin",), at_once: int = AT_ONCE, parting: float = PARTING
    ) -> None:
        try:
            self.words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec cannot be read: {error}.") from None
        if not self.words:
            raise UsageError("--exec names no command.")
        self.kinds, self.parting, self.skipped, self.failed = kinds, parting, 0, 0
        self.problem: str | None = None  # the first that went wrong
        self._waiting: deque[tuple[Told, Path | None]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._threads = [threading.Thread(target=self._work, name="exec", daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def tell(self, told: Told, clip: Path | None) -> None:
        if told.kind not in self.kinds:
            return
        with self._changed:
            if len(self._waiting) >= WAITING:
                self.skipped += 1
                return
            self._waiting.append((told, clip))
            self._changed.notify()

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> list[str]:
        """Wait a little for what runs, end it, and say what went wrong."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        deadline = time.monotonic() + self.parting
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self.skipped += len(self._waiting)
            self._waiting.clear()
            for process in self._running:
                process.kill()
        notes = [f"--exec: {self.problem}"] if self.problem else []
        if self.failed > 1:
            notes.append(f"--exec: {self.failed} commands failed.")
        if self.skipped:
            notes.append(f"--exec: {self.skipped} events came while too many commands were running, and had none.")
        return notes

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                told, clip = self._waiting.popleft()
            self._run(told, clip)

    def _run(self, told: Told, clip: Path | None) -> None:
        try:
            # What a command prints is no record: it goes where messages go.
            process = subprocess.Popen(
                self.words, env={**os.environ, **environment(told, clip)}, stdin=subprocess.PIPE, stdout=2, stderr=None
            )
        except (OSError, ValueError) as error:
            self._fail(f"{self.words[0]!r} cannot be run: {getattr(error, 'strerror', None) or error}.")
            return
        with self._changed:
            self._running.add(process)
        try:
            process.communicate((told.line() + "\n").encode("utf-8", "surrogateescape"), LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            with self._changed:
                self._running.discard(process)
        if process.returncode:
            self._fail(f"{self.words[0]!r} ended with {process.returncode}.")

    def _fail(self, problem: str) -> None:
        with self._changed:
            self.failed += 1
            self.problem = self.problem or problem


def environment(told: Told, clip: Path | None) -> dict[str, str]:
    """What a command finds in its environment."""
    values = told.values()
    found = {
        "EVENT": told.kind, "NUMBER": told.number, "LABEL": told.label, "SCORE": told.score, "TIME": values["time"],
        "UNTIL": values["until"], "START": told.record.start, "END": told.record.end, "SOURCE": told.record.path,
        "CAPTION": told.record.caption, "CLIP": clip,
    }  # fmt: skip
    return {f"SAM_{name}": "" if value is None else str(value).replace("\0", "") for name, value in found.items()}
