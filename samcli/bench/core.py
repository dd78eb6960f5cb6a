"""`sam bench core`: the state-space core beside the limits of the machine it runs on.

Every figure is a ratio within one run: prefill against the rate of `torch.mm`, decoding against the rate at which
memory is read, long against short. Weights are random, of the size of Mamba-2 130M; on CUDA of 2.7B.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from samcli.ssm.language.blocks import LanguageConfig
    from samcli.ssm.language.model import LanguageModel

Row = dict[str, Any]
SHORT, LONG = 2048, 65_536  # tokens
ROUNDS = 5
READINGS = 2  # of a prompt at a time


def bench_core(quick: bool = False, device: str = "cpu") -> list[Row]:
    """Rows of name, value, unit, limit (in the value's unit), ratio and target."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return list(measure(quick, device))


def measure(quick: bool, device: str) -> Iterator[Row]:
    import torch

    from samcli.ssm.language.blocks import LanguageConfig

    config = LanguageConfig() if device == "cpu" else LanguageConfig(d_model=2560, n_layer=64)
    torch.manual_seed(0)
    yield from flatness(config, quick, device)  # first, while nothing else has raised the memory's high-water mark
    yield row("memory read", read_rate(device) / 1e9, "GB/s")
    for dtype in (torch.float32, torch.bfloat16) if device == "cpu" else (torch.bfloat16,):
        name = str(dtype).removeprefix("torch.")
        rate = product_rate(dtype, device)
        yield row(f"matrix product {name}", rate / 1e9, "GFLOP/s")
        model = random_model(config, dtype, device)
        prefills = reading(model, (512,) if quick else (512, SHORT))
        for tokens, ours in prefills.items():
            limit = rate / prefill_flops(config)
            target = 0.6 if dtype is torch.float32 else 0.35
            yield row(f"prefill {tokens} {name}", ours, "tokens/s", limit, target)
        one, limit, gain = decoding(model, quick, device)
        yield row(f"decode 1 {name}", one, "tokens/s", limit, 0.6)
        yield row(f"decode 16 over 1 {name}", gain, "x", None, 6.0)
        yield row(f"decode 16 over 1 {name}, of what memory allows", gain, "x", sixteen_over_one(model))
        del model


def row(name: str, value: float, unit: str, limit: float | None = None, target: float | None = None) -> Row:
    """The ratio is the value over its limit, or the value itself where it already is one."""
    ratio = value / limit if limit else (value if unit == "x" else None)
    return {"name": name, "value": value, "unit": unit, "limit": limit, "ratio": ratio, "target": target}


def random_model(config: LanguageConfig, dtype: torch.dtype, device: str) -> LanguageModel:
    import torch

    from samcli.ssm.language.model import LanguageModel

    with torch.device(device):
        model = LanguageModel(config).to(dtype)
    model.eval().requires_grad_(False).prepare()
    return model


def fastest(work: Callable[[], Any], times: int, device: str) -> float:
    """Seconds of the quickest of several runs, after one that does not count; nothing is recorded for gradients."""
    import torch

    best = float("inf")
    for attempt in range(times + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            work()
        if device != "cpu":
            torch.cuda.synchronize()
        if attempt:
            best = min(best, time.perf_counter() - start)
    return best


def read_rate(device: str) -> float:
    """Bytes per second of one pass over memory far larger than any cache."""
    import torch

    block = torch.ones(2**26 if device == "cpu" else 2**30, device=device)
    return block.numel() * block.element_size() / fastest(block.sum, 5, device)


def product_rate(dtype: torch.dtype, device: str) -> float:
    """Floating-point operations per second of a large `torch.mm`."""
    import torch

    size = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / fastest(lambda: torch.mm(a, b), 4, device)


def prefill_flops(config: LanguageConfig) -> float:
    """Operations per token that any implementation needs: the projections, and the state's update and reading."""
    inner = config.expand * config.d_model
    projected = 2 * inner + 2 * config.ngroups * config.d_state + inner // config.headdim
    return config.n_layer * (2 * config.d_model * projected + 2 * inner * config.d_model + 4 * inner * config.d_state)


def reading(model: LanguageModel, lengths: tuple[int, ...]) -> dict[int, float]:
    """Tokens per second by the length of the prompt."""
    import torch

    device = model.lm_head.weight.device
    prompt = torch.randint(0, model.vocab_size, (1, max(lengths)), device=device)
    return {
        tokens: tokens / fastest(partial(model.prefill, prompt[:, :tokens]), READINGS, device.type)
        for tokens in lengths
    }


def decoding(model: LanguageModel, quick: bool, device: str) -> tuple[float, float, float]:
    """Tokens per second of one row, what memory allows of them, and how many times as many sixteen rows speak.

    The rate at which memory is read changes within seconds where a machine is shared, so each round reads anew, before
    and after; each answer is the middle one of its kind, the first two of one round.
    """
    rounds = []
    for _ in range(1 if quick else ROUNDS):
        before, one = read_rate(device), 1 / step_seconds(model, 1, quick)
        limit = (before + read_rate(device)) / 2 / weight_bytes(model)
        sixteen = 16 / step_seconds(model, 16, quick)
        rounds.append((one / limit, one, limit, sixteen / one))
    _, one, limit, _ = sorted(rounds)[len(rounds) // 2]
    return one, limit, median(gain for *_, gain in rounds)


def step_seconds(model: LanguageModel, batch: int, quick: bool) -> float:
    """Seconds per step with the state carried, as generation runs."""
    import torch

    device = model.lm_head.weight.device
    tokens = torch.zeros(batch, dtype=torch.long, device=device)
    state = model.step(tokens, model.initial_state(batch))[1]

    def run() -> None:
        nonlocal state
        _, state = model.step(tokens, state, owned=True)

    return fastest(run, 5 if quick else 15, device.type)


def sixteen_over_one(model: LanguageModel) -> float:
    """What reading the weights once and every state twice (in and out) allows at most, on any implementation."""
    from samcli.ssm.state import size_in_bytes

    weights, state = weight_bytes(model), 2 * size_in_bytes(model.initial_state(1))
    return 16 * (weights + state) / (weights + 16 * state)


def weight_bytes(model: LanguageModel) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def flatness(config: LanguageConfig, quick: bool, device: str) -> Iterator[Row]:
    """Time per token and peak memory of a long prompt over those of a short one; four layers stand for all.

    Short prompts are read one after the other for as many tokens as the long one has: a machine that others use as well
    slows both alike.
    """
    import torch

    long = LONG // 4 if quick else LONG
    model = random_model(replace(config, n_layer=4), torch.bfloat16, device)
    model.prefill(torch.zeros(1, SHORT, dtype=torch.long, device=device))
    seconds, peaks = {}, {}
    for tokens in (SHORT, long):
        prompt = torch.zeros(1, tokens, dtype=torch.long, device=device)
        reset_peak(device)
        seconds[tokens] = fastest(partial(read_often, model, prompt, long // tokens), 1, device) / long
        peaks[tokens] = peak_memory(device)
    yield row(f"time per token, {long} over {SHORT} tokens", seconds[long] / seconds[SHORT], "x", None, 1.1)
    if peaks[long] and peaks[SHORT]:
        yield row(f"peak memory, {long} over {SHORT} tokens", peaks[long] / peaks[SHORT], "x", None, 1.1)
        weights = weight_bytes(model)
        without = max(peaks[long] - weights, 1) / max(peaks[SHORT] - weights, 1)
        yield row(f"peak memory without weights, {long} over {SHORT} tokens", without, "x", None, 1.3)


def read_often(model: LanguageModel, prompt: Tensor, times: int) -> None:
    for _ in range(times):
        model.prefill(prompt)


def reset_peak(device: str) -> None:
    """Start a new peak: the kernel does it for a process that asks for its own."""
    gc.collect()
    if device != "cpu":
        _cuda().reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory(device: str) -> int:
    """Bytes; 0 where the system does not say."""
    return _status("VmHWM") if device == "cpu" else _cuda().max_memory_allocated()


def _status(key: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)


def _cuda() -> Any:
    import torch

    return torch.cuda
