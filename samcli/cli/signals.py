"""Being asked to stop: once politely, twice at once.

Ctrl-C, SIGTERM and SIGHUP, a terminal that closes, become KeyboardInterrupt in the main thread, so that every `with`
and `finally` between here and there runs and finished records reach the disk. Which it was decides the exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None]

received: int | None = None  # the signal that asked first


def install() -> None:
    """Take over what asks for an end, unless a parent has it ignored (as `nohup` and background jobs do)."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def release() -> None:
    """From here on they end the process at once: the exit code is known, and what is left is the interpreter's own end.

    An exception there could only be shown, never caught.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


def leave(code: int) -> NoReturn:
    """End a run that was stopped: all is on disk, and what still decodes or waits for input is left where it is.

    Threads that are deep in foreign code while the interpreter ends could make the process abort instead.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    global received
    if received is not None:
        if number == HANG_UP:  # a closing terminal and its shell both send it: that is once, not twice
            return
        os._exit(128 + number)
    received = number
    raise KeyboardInterrupt
