"""A listening, from its source to what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from samcli.engine.windows import Wave
from samcli.live.listener import Listener, Told
from samcli.live.session import Session
from tests.live.test_sources import Given, seconds


@pytest.mark.parametrize("waits", [False, True])
def test_who_is_late_hurries_where_sound_would_be_lost(listener: Callable[..., Listener], waits: bool) -> None:
    hurries: list[bool] = []
    source = Given(seconds(30), waits)

    class Slow(Listener):
        def take(self, wave: Wave, hurry: bool = False) -> Iterator[Told]:
            assert source.given.wait(60)  # so much has come meanwhile
            hurries.append(hurry)
            yield from ()

    ear: Any = listener()
    ear.__class__ = Slow
    Session(source, ear, []).listen()
    assert len(hurries) == 30 and hurries[1] == (not waits) and not hurries[-1]
