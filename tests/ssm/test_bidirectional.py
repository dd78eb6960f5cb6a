"""The two-way mixer against a recurrence that walks the sequence step by step."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2


def walk(mixer: BidirectionalMamba2, x: torch.Tensor) -> torch.Tensor:
    """The same mixer with its scan as two plain loops: h = exp(dt A) h + dt B x, y = C h + D x."""
    c = mixer.config
    z, u, dt = mixer.in_proj(x).split([c.d_inner, c.conv_channels, c.heads], dim=-1)
    u = F.silu(mixer.conv(u.transpose(1, 2))).transpose(1, 2)
    value, B, C = u.split([c.d_inner, 2 * c.d_state, 2 * c.d_state], dim=-1)
    value = value.unflatten(-1, (c.heads, c.head_dim))
    B, C = B.unflatten(-1, (2, c.d_state)), C.unflatten(-1, (2, c.d_state))
    dt = F.softplus(dt + mixer.dt_bias)
    out = torch.zeros_like(value)
    length = x.shape[1]
    for head in range(c.heads):
        back = int(head >= c.heads // 2)
        h = torch.zeros(x.shape[0], c.head_dim, c.d_state, dtype=x.dtype)
        for i in reversed(range(length)) if back else range(length):
            decay = torch.exp(-dt[:, i, head] * mixer.A_log[head].exp())
            h = (
                decay[:, None, None] * h
                + dt[:, i, head, None, None] * value[:, i, head, :, None] * B[:, i, back, None, :]
            )
            out[:, i, head] = (h * C[:, i, back, None, :]).sum(-1) + mixer.D[head] * value[:, i, head]
    y = out.flatten(2) * F.silu(z)
    y = y / (y.square().mean(-1, keepdim=True) + c.eps).sqrt() * mixer.norm.weight
    return mixer.out_proj(y)


def small(**changes: object) -> BidirectionalConfig:
    return BidirectionalConfig(**({"d_model": 16, "d_state": 8, "head_dim": 8} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_equals_a_walk_in_both_directions(length: int) -> None:
    torch.manual_seed(length)
    mixer = BidirectionalMamba2(small()).double()
    x = torch.randn(2, length, 16, dtype=torch.float64)
    assert torch.allclose(mixer(x), walk(mixer, x), atol=1e-10)


def test_gradients_equal_those_of_the_walk() -> None:
    torch.manual_seed(3)
    mixer = BidirectionalMamba2(small()).double()
    x = torch.randn(2, 9, 16, dtype=torch.float64)
    by_walk = torch.autograd.grad(walk(mixer, x).square().sum(), list(mixer.parameters()))
    found = torch.autograd.grad(mixer(x).square().sum(), list(mixer.parameters()))
    for ours, theirs in zip(found, by_walk, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def test_both_directions_matter() -> None:
    torch.manual_seed(0)
    mixer = BidirectionalMamba2(small(d_conv=1)).double()
    x = torch.randn(1, 9, 16, dtype=torch.float64)
    base = mixer(x)
    for changed, listener in ((0, 8), (8, 0)):
        other = x.clone()
        other[0, changed] += 1
        assert (mixer(other)[0, listener] - base[0, listener]).abs().max() > 1e-6


@pytest.mark.parametrize("scan", [True, False])
def test_padding_reaches_no_valid_position(scan: bool) -> None:
    torch.manual_seed(1)
    mixer = BidirectionalMamba2(small(scan=scan)).double()
    lengths = torch.tensor([5, 12, 1])
    x = torch.randn(3, 12, 16, dtype=torch.float64)
    together = mixer(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = mixer(x[row : row + 1, :length])
        assert torch.allclose(together[row, :length], alone[0], atol=1e-12)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(2)
    mixer = BidirectionalMamba2(small())
    mixer(torch.randn(2, 6, 16), torch.tensor([6, 3])).square().sum().backward()
    for name, parameter in mixer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_sizes_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(ValueError, match="two directions"):
        BidirectionalConfig(d_model=24, head_dim=16)
    with pytest.raises(ValueError, match="odd"):
        BidirectionalConfig(d_conv=4)
