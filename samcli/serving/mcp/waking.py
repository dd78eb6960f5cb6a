"""Ears that wake up while the server already answers: a host does not wait for a model with its handshake."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what loads torch is imported by the thread that wakes them
    from samcli.models.interface import SoundModel
    from samcli.serving.mcp.ears import Ears


@contextmanager
def waking(load: Callable[[], SoundModel], most: int) -> Iterator[Future[Ears]]:
    """Ears with a desk of their own, as soon as their model is loaded; or why it cannot be."""
    ready: Future[Ears] = Future()
    ready.set_running_or_notify_cancel()  # a request that is cancelled does not cancel them
    over = threading.Event()
    thread = threading.Thread(target=_wake, args=(load, most, ready, over), name="waking", daemon=True)
    thread.start()
    finished = False
    try:
        yield ready
        finished = True
    finally:
        over.set()
        if finished or ready.done():  # who is told to stop does not wait for a model
            thread.join()


def _wake(load: Callable[[], SoundModel], most: int, ready: Future[Ears], over: threading.Event) -> None:
    try:
        from samcli.serving.desk import Desk
        from samcli.serving.mcp.ears import Ears

        with Desk(load(), most) as desk:
            ready.set_result(Ears(desk))
            over.wait()
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
