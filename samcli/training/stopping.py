"""Being asked to stop in the middle of a step: the step is finished, the state is saved, and then the program ends.

Ctrl-C may strike between two halves of an optimiser's step, where no state is worth saving. So the signal is noted,
the loop looks at the note between steps, saves, and lets whoever had the signal before have it. A second signal is
not held back: whoever asks twice wants no saving.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None]


class Stopping:
    """`with Stopping() as stopping:` holds the signals back; `stopping.asked` between steps, then `obey()`."""

    def __init__(self) -> None:
        self.asked: int | None = None  # the signal that asked
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # signals are the main thread's alone
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # ignored, as under nohup, or not Python's
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def obey(self) -> None:
        """Give the signal that was held back to whoever would have had it."""
        if self.asked is not None:
            self._let_go()
            signal.raise_signal(self.asked)

    def _let_go(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A helper process, forked while the signal was held back. Ctrl-C is its parent's affair.
            if number != signal.SIGINT:
                os._exit(128 + number)
            return
        if self.asked is not None:
            if number != HANG_UP:  # a closing terminal and its shell both send it: that is once, not twice
                self._let_go()
                signal.raise_signal(number)
            return
        self.asked = number
