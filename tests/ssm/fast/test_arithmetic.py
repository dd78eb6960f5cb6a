"""Single numbers, against float64 and against torch's own rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("numba")

from samcli.ssm.fast.compiled import arithmetic
from samcli.ssm.fast.compiled.compiler import compiled


@compiled
def each(function: Any, x: Any, out: Any) -> None:
    for index in range(len(x)):
        out[index] = function(x[index])


@compiled
def narrowed(x: Any, out: Any) -> None:
    for index in range(len(x)):
        out[index] = arithmetic.narrow(x[index], out[index])


@compiled
def widened(x: Any, out: Any) -> None:
    for index in range(len(x)):
        out[index] = arithmetic.wide(x[index])


@pytest.mark.parametrize(
    "name, exact, tolerance",
    [
        ("exp2", torch.exp2, 3e-7),
        ("silu", F.silu, 3e-7),
        ("softplus", F.softplus, 3e-7),
    ],
)
def test_functions(name: str, exact: Callable[[torch.Tensor], torch.Tensor], tolerance: float) -> None:
    x = torch.linspace(-30, 30, 60_001)
    found = torch.empty_like(x)
    each(getattr(arithmetic, name), x.numpy(), found.numpy())
    wanted = exact(x.double())
    assert ((found - wanted).abs() <= tolerance * wanted.abs().clamp(min=1)).all()


def test_what_is_no_number_stays_none() -> None:
    x, found = np.array([np.nan], np.float32), np.zeros(1, np.float32)
    each(arithmetic.silu, x, found)
    assert np.isnan(found[0])


def test_powers_end_where_float32_does() -> None:
    x, found = np.array([-1e9, -126, 126, 1e9], np.float32), np.zeros(4, np.float32)
    each(arithmetic.exp2, x, found)
    assert found.tolist() == [2.0**-126, 2.0**-126, 2.0**126, 2.0**126]


def test_bfloat16_as_torch_rounds_it() -> None:
    chance = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1 + 2**-8, 1 + 3 * 2**-8, 3.3895e38, 1e-40]
    x = np.concatenate([np.array(special), chance.standard_normal(5000) * 10.0 ** chance.uniform(-30, 30, 5000)])
    x = x.astype(np.float32)
    found, back = np.zeros(len(x), np.uint16), np.zeros(len(x), np.float32)
    narrowed(x, found)
    wanted = torch.from_numpy(x).bfloat16()
    numbers = ~np.isnan(x)
    assert (found[numbers] == wanted.view(torch.uint16).numpy()[numbers]).all()
    widened(found, back)
    assert (back[numbers] == wanted.float().numpy()[numbers]).all() and np.isnan(back[~numbers]).all()


def test_float32_passes_through() -> None:
    x, found = np.array([1.2345678, -0.0], np.float32), np.zeros(2, np.float32)
    narrowed(x, found)
    assert (found == x).all()
