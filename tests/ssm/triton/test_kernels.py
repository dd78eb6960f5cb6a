"""Every kernel gives what plain PyTorch gives: any length, group and head size, from any state, for ragged rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from samcli.ssm import norms, scan
from samcli.ssm.ssd import mix, ssd, ssd_step
from tests.ssm.triton.cases import EXAMPLES, NEAR, Chance, difference, plain

pytest.importorskip("triton", reason="Triton is not installed: pip install '.[test-gpu]'")

from samcli.ssm.triton import first_order, step, two_way
from samcli.ssm.triton import norms as own_norms
from samcli.ssm.triton import ssd as own_ssd

KINDS = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
SEEDS = st.integers(0, 2**31)


@EXAMPLES
@given(SEEDS, st.integers(1, 3), st.integers(1, 6), st.integers(1, 150), st.booleans())
def test_a_first_order_scan(device: str, seed: int, batch: int, channels: int, length: int, carried: bool) -> None:
    normal = Chance(seed, device)
    decay, update = normal(batch, channels, length).sigmoid(), normal(batch, channels, length)
    state = normal(batch, channels) if carried else None
    found = first_order.first_order_scan(decay, update, state)
    with plain():
        expected = scan.first_order_scan(decay, update, state)
    assert max(map(difference, found, expected)) <= 1e-5


@EXAMPLES
@given(SEEDS, KINDS, st.integers(1, 3), st.integers(1, 70), st.integers(1, 20), st.integers(1, 40), st.booleans())
def test_a_selective_scan(
    device: str, seed: int, dtype: torch.dtype, batch: int, channels: int, states: int, length: int, carried: bool
) -> None:
    normal = Chance(seed, device, dtype)
    # as the blocks have them: slices of wider tensors
    u, _ = normal(batch, length, 2 * channels).chunk(2, dim=-1)
    B, C = normal(batch, length, 2 * states).chunk(2, dim=-1)
    dt = F.softplus(normal(batch, length, channels).float())
    dt[-1, length // 2 :] = 0  # padding
    A, D = -normal(channels, states).float().exp(), normal(channels)
    state = normal(batch, channels, states, dtype=torch.float32) if carried else None
    found = first_order.selective_scan(u, dt, A, B, C, D if carried else None, state)
    with plain():
        expected = scan.selective_scan(u, dt, A, B, C, D if carried else None, state)
    assert max(map(difference, found, expected)) <= 1e-5


@EXAMPLES
@given(SEEDS, KINDS, st.integers(1, 5), st.sampled_from([1, 2, 4]), st.integers(1, 90), st.booleans())
def test_a_gated_norm(
    device: str, seed: int, dtype: torch.dtype, rows: int, groups: int, width: int, gated: bool
) -> None:
    normal = Chance(seed, device, dtype)
    y, z = normal(rows, groups * width, dtype=torch.float32), normal(rows, groups * width)
    weight = normal(groups * width)
    found = own_norms.gated_norm(y, z if gated else None, weight, groups, 1e-5)
    if not gated:  # what was gated before
        z = torch.full_like(y, 30.0)
        y = y / 30.0
    expected, _ = norms.gated_rms_norm(y, z, weight.float(), groups, 1e-5)
    assert found.dtype is dtype
    assert difference(found, expected) <= NEAR[dtype]


@EXAMPLES
@given(SEEDS, KINDS, st.integers(1, 5), st.integers(1, 300), st.booleans())
def test_a_norm_of_a_sum(device: str, seed: int, dtype: torch.dtype, rows: int, width: int, adds: bool) -> None:
    normal = Chance(seed, device, dtype)
    stream, added, weight = normal(rows, width, dtype=torch.float32), normal(rows, width), normal(width)
    total = stream + added.float() if adds else stream.clone()
    found = own_norms.added_norm(stream, added if adds else None, weight, 1e-5)
    assert difference(stream, total) <= 1e-6
    assert difference(found, norms.rms_norm(total, weight, 1e-5)) <= NEAR[dtype]


@EXAMPLES
@given(
    SEEDS, KINDS, st.integers(1, 2), st.integers(1, 150), st.sampled_from([(1, 1), (2, 1), (4, 2), (3, 3)]),
    st.integers(1, 70), st.integers(1, 80), st.sampled_from(["", "state", "scale", "D", "all"]),
)  # fmt: skip
def test_a_chunked_scan(
    device: str, seed: int, dtype: torch.dtype, batch: int, length: int, heads: tuple[int, int], P: int, N: int,
    given_too: str,
) -> None:  # fmt: skip
    normal, (count, groups) = Chance(seed, device, dtype), heads
    x, B, C = normal(batch, length, count, P), normal(batch, length, groups, N), normal(batch, length, groups, N)
    log_decay = -normal(batch, length, count, dtype=torch.float32).exp() * 0.2
    scale = F.softplus(normal(batch, length, count, dtype=torch.float32))
    log_decay[-1, length // 2 :] = 0  # a ragged row
    scale[-1, length // 2 :] = 0
    options = {"scale": scale, "D": normal(count), "state": normal(batch, count, P, N, dtype=torch.float32)}
    left = {name: value if given_too in (name, "all") else None for name, value in options.items()}
    found = own_ssd.ssd(x, log_decay, B, C, factors=torch.float32, **left)
    with plain():
        expected = ssd(x, log_decay, B, C, **left)
    assert max(map(difference, found, expected)) <= 1e-5


@EXAMPLES
@given(SEEDS, KINDS, st.integers(1, 3), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40))
def test_a_scan_both_ways(device: str, seed: int, dtype: torch.dtype, batch: int, length: int, P: int, N: int) -> None:
    normal, heads = Chance(seed, device, dtype), 4
    u = normal(batch, length, heads * P + 4 * N)
    scale = F.softplus(normal(batch, length, heads, dtype=torch.float32))
    total = -scale.cumsum(1)
    place = torch.cat([total[..., :2], (-scale - total)[..., 2:]], dim=-1)
    D = normal(heads)
    found = two_way.two_way(u, place, scale, D, P, N, torch.float32)
    x, B, C = u.float().split([heads * P, 2 * N, 2 * N], dim=-1)
    B, C = (m.view(batch, length, 2, N).transpose(1, 2) for m in (B, C))
    CB = C @ B.mT
    CB = torch.stack([CB[:, 0].tril(), CB[:, 1].triu()], dim=1)
    expected = mix(place, scale, CB, D.float(), x.view(batch, length, heads, P)).view(found.shape)
    assert difference(found, expected) <= 1e-5


@EXAMPLES
@given(
    SEEDS, KINDS, st.integers(1, 3), st.sampled_from([(1, 1), (4, 2), (3, 1)]), st.integers(1, 70), st.integers(1, 40),
    st.integers(1, 5), st.booleans(),
)  # fmt: skip
def test_a_step(
    device: str, seed: int, dtype: torch.dtype, batch: int, heads: tuple[int, int], P: int, N: int, width: int,
    owned: bool,
) -> None:  # fmt: skip
    normal, (count, groups) = Chance(seed, device, dtype), heads
    inner, channels = count * P, count * P + 2 * groups * N
    projected = normal(batch, inner + channels + count)
    tail = normal(batch, width - 1, channels, dtype=torch.float32)
    state = normal(batch, count, P, N, dtype=torch.float32)
    taps, bias = normal(channels, 1, width), normal(channels)
    dt_bias, A_log, D = (normal(count) for _ in range(3))
    z, xBC, dt = projected.float().split([inner, channels, count], dim=-1)
    window = torch.cat([tail, xBC[:, None]], dim=1)
    heard = F.silu((window * taps[:, 0].float().T).sum(1) + bias.float())
    x, B, C = heard.split([inner, groups * N, groups * N], dim=-1)
    dt = F.softplus(dt + dt_bias.float())
    B, C = B.view(batch, groups, N), C.view(batch, groups, N)
    decay = dt * -A_log.float().exp()
    y, end = ssd_step(x.reshape(batch, count, P), decay, B, C, dt, D.float(), state)
    expected = y.reshape(batch, inner) * F.silu(z), end, window[:, 1:]
    before = state.clone()
    found = step.step(projected, tail, state, taps, bias, dt_bias, A_log, D, groups, owned)
    assert all(difference(a, b) <= 1e-5 for a, b in zip(found, expected, strict=True))
    assert (found[1].data_ptr() == state.data_ptr()) is owned
    assert owned or torch.equal(state, before)


def test_small_steps_keep_their_digits(device: str) -> None:
    """A step size of one part in a hundred million is as long as it says."""
    one, none = torch.ones(1, 1, 1, device=device), torch.zeros(1, 1, 1, 1, device=device)
    taps, zero = torch.zeros(3, 1, 1, device=device), torch.zeros(1, device=device)
    taps += 1
    projected = torch.tensor([[1.0, 1.0, 1.0, 1.0, -18.0]], device=device)
    _, state, _ = step.step(projected, one[:, :0].expand(1, 0, 3), none, taps, None, zero, zero, zero, 1, False)
    heard = float(F.silu(torch.tensor(1.0)))
    assert float(state) == pytest.approx(float(F.softplus(torch.tensor(-18.0))) * heard * heard, rel=1e-4)


def test_a_long_jump_is_not_a_number_too_large(device: str) -> None:
    """Decays that leave nothing, and steps that lie behind them, give zeros and not NaN."""
    x = torch.ones(1, 130, 1, 16, device=device)
    B = torch.ones(1, 130, 1, 16, device=device)
    log_decay = torch.full((1, 130, 1), -500.0, device=device)
    y, end = own_ssd.ssd(x, log_decay, B, B, None, None, None, torch.float32)
    assert torch.allclose(y, torch.full_like(y, 16.0)) and torch.allclose(end, torch.ones_like(end))
