"""A file of state: whole or refused, and for its own model alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samcli.errors import UsageError
from samcli.live.listener import Listener
from samcli.live.state import check_model, read_state, resume, saved, write_state
from tests.live.conftest import heard, scene


@pytest.fixture
def path(listener: Callable[..., Listener], tmp_path: Path) -> Path:
    ear = listener()
    heard(ear, [scene(12)], finish=False)
    write_state(tmp_path / "day.state", saved(ear, {}))
    return tmp_path / "day.state"


def test_every_damage_is_seen(path: Path) -> None:
    data = path.read_bytes()
    chance = np.random.default_rng(0)
    for place in [0, 8, 100, len(data) - 1, *chance.integers(0, len(data), 20).tolist()]:
        bad = bytearray(data)
        bad[place] ^= 0x41
        path.write_bytes(bad)
        with pytest.raises(UsageError):
            read_state(path)
    for size in (0, 7, 100, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(UsageError):
            read_state(path)


def test_other_files_are_none(tmp_path: Path) -> None:
    for name, data in (("a.state", b"no state, only words"), ("b.state", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="is no state"):
            read_state(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        read_state(tmp_path / "nowhere.state")


def test_another_model_is_refused(path: Path, model: Any) -> None:
    class Other:
        def __getattr__(self, name: str) -> Any:
            return {"name": "other", "revision": "2"}.get(name) or getattr(model, name)

    with pytest.raises(UsageError, match="known"):
        check_model(Other(), read_state(path), "day.state")  # type: ignore[arg-type]


def test_other_settings_are_refused(path: Path, listener: Callable[..., Listener]) -> None:
    for other in ({"threshold": 0.7}, {"changes": True}, {"captions_every": 20.0}, {"labels": ("Dog",)}):
        with pytest.raises(UsageError, match="other labels"):
            resume(listener(**other), read_state(path), "day.state")


def test_what_is_there_stays_until_the_new_one_is_whole(path: Path, listener: Callable[..., Listener]) -> None:
    before = path.read_bytes()
    state = saved(listener(), {})
    with pytest.raises(ValueError):
        write_state(path, state._replace(values={**state.values, "started": float("nan")}))
    assert path.read_bytes() == before
