"""Whether the scans of this machine, in float32, agree with their recurrences, step by step in double precision."""

from __future__ import annotations

import torch
from torch import Tensor

from samcli.ssm.scan import selective_scan
from samcli.ssm.ssd import ssd, ssd_step

LENGTH = 200  # steps: more than one chunk of the scan


def scan_differences(device: str) -> dict[str, float]:
    """Of each scan, the largest difference on that device, relative to the largest value."""
    return {"state-space duality": _duality(device), "selective scan": _selective(device)}


def _duality(device: str) -> float:
    x, B, C, dt = _random((1, LENGTH, 2, 8), (1, LENGTH, 1, 16), (1, LENGTH, 1, 16), (1, LENGTH, 2))
    log_decay, scale = -dt.abs(), dt.abs()
    parts = [_there(value, device) for value in (x, log_decay, B, C)]
    y, _ = ssd(parts[0], parts[1], parts[2], parts[3], _there(scale, device))
    state, steps = x.new_zeros(1, 2, 8, 16), []
    for step in range(LENGTH):
        one, state = ssd_step(x[:, step], log_decay[:, step], B[:, step], C[:, step], scale[:, step], None, state)
        steps.append(one)
    return _difference(y, torch.stack(steps, dim=1))


def _selective(device: str) -> float:
    u, B, C, dt, A = _random((1, LENGTH, 8), (1, LENGTH, 16), (1, LENGTH, 16), (1, LENGTH, 8), (8, 16))
    dt, A = dt.abs(), -A.abs()
    y, _ = selective_scan(*(_there(value, device) for value in (u, dt, A, B, C)))
    h, steps = u.new_zeros(1, 8, 16), []
    for step in range(LENGTH):
        h = torch.exp(dt[:, step, :, None] * A) * h + (dt * u)[:, step, :, None] * B[:, step, None]
        steps.append((h * C[:, step, None]).sum(-1))
    return _difference(y, torch.stack(steps, dim=1))


def _random(*shapes: tuple[int, ...]) -> list[Tensor]:
    chance = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes]


def _there(value: Tensor, device: str) -> Tensor:
    return value.float().to(device)


def _difference(found: Tensor, exact: Tensor) -> float:
    return float((found.cpu().double() - exact).abs().max() / exact.abs().max())
