"""The first-order scan against the recurrence written as a loop."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.ssm.scan import first_order_scan


def loop(decay: torch.Tensor, update: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    steps = []
    for t in range(decay.shape[-1]):
        state = decay[..., t] * state + update[..., t]
        steps.append(state)
    return torch.stack(steps, dim=-1)


def operands(length: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    decay = torch.rand(2, 3, length, generator=chance, dtype=torch.float64)
    update = torch.randn(2, 3, length, generator=chance, dtype=torch.float64)
    return decay, update, torch.randn(2, 3, generator=chance, dtype=torch.float64)


@given(length=st.integers(1, 70), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_equals_the_loop(length: int, seed: int) -> None:
    decay, update, state = operands(length, seed)
    h, last = first_order_scan(decay, update, state)
    torch.testing.assert_close(h, loop(decay, update, state), rtol=0, atol=1e-12)
    torch.testing.assert_close(last, h[..., -1], rtol=0, atol=0)


@given(length=st.integers(2, 90), cut=st.integers(1, 89))
@settings(max_examples=40, deadline=None)
def test_any_cut_is_one_pass(length: int, cut: int) -> None:
    cut = min(cut, length - 1)
    decay, update, _ = operands(length)
    whole, _ = first_order_scan(decay, update)
    first, state = first_order_scan(decay[..., :cut], update[..., :cut])
    second, _ = first_order_scan(decay[..., cut:], update[..., cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=-1), whole, rtol=0, atol=1e-12)


def test_gradients_reach_every_operand() -> None:
    for length in (1, 2, 7, 16):
        inputs = [tensor.requires_grad_() for tensor in operands(length)]
        assert torch.autograd.gradcheck(lambda *given: first_order_scan(*given), inputs)


def test_operands_are_left_alone_and_half_precision_is_scanned_in_single() -> None:
    for length in (0, 1, 9):
        decay, update, state = (tensor.to(torch.bfloat16) for tensor in operands(length))
        kept = [tensor.clone() for tensor in (decay, update, state)]
        h, last = first_order_scan(decay, update, state)
        assert h.dtype == last.dtype == torch.float32 and h.shape == update.shape
        assert all(torch.equal(a, b) for a, b in zip(kept, (decay, update, state), strict=True))


def test_long_sequences_stay_precise() -> None:
    """8192 steps, as in DASS's first stage, with decays from forgetting at once to hardly at all."""
    chance = torch.Generator().manual_seed(2)
    rate = 10 ** (-6 * torch.rand(2, 3, 8192, generator=chance, dtype=torch.float64))
    rate[0, 0, ::7] = 60.0  # steps that forget everything between steps that keep everything
    decay, update = torch.exp(-rate), torch.randn(2, 3, 8192, generator=chance, dtype=torch.float64)
    exact = loop(decay, update, torch.zeros(2, 3, dtype=torch.float64))
    h, _ = first_order_scan(decay.float(), update.float())
    assert h.isfinite().all()
    torch.testing.assert_close(h.double(), exact, rtol=1e-5, atol=1e-5 * float(exact.abs().max()))
