"""A room, on spectra."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.training.nano.mixer import smear


def test_a_room_rings_on() -> None:
    """Sixty decibels lower after its seconds, and the same for any sound at any time."""
    power = np.zeros((200, 2), np.float32)
    power[10], power[50, 1] = 1.0, 4.0
    found = smear(power, seconds=0.5, wet=0.3)
    assert found[10].tolist() == [1.0, 1.0] and not found[:10].any()
    assert found[61, 0] / found[11, 0] == pytest.approx(1e-6, rel=1e-3)
    assert found[51:, 1] == pytest.approx(4 * found[11:160, 0] + found[51:, 0], rel=1e-5)
