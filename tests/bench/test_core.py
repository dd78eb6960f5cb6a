"""The rows of `sam bench core`: arithmetic that can be checked, and the shape the command prints."""

from __future__ import annotations

import mmap

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from samcli.bench import core as bench
from samcli.ssm.fast import kernels
from samcli.ssm.language.model import LanguageConfig, LanguageModel


def test_the_operations_counted_are_those_of_the_projections_and_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = LanguageConfig(64, 3, 50, d_state=16, headdim=32)
    model = LanguageModel(config).requires_grad_(False)
    monkeypatch.setattr(kernels, "_forced", "torch")  # the counter knows PyTorch's own operators only
    hidden = torch.randn(1, 10, 64)
    with FlopCounterMode(display=False) as counter:
        for layer in model.backbone.layers:
            layer.mixer.out_proj(layer.mixer.in_proj(hidden)[..., :128])
    recurrence = 4 * 128 * 16 * config.n_layer
    assert bench.prefill_flops(config) == counter.get_total_flops() / 10 + recurrence


def test_a_ratio_is_value_over_limit() -> None:
    assert bench.row("a", 3.0, "tokens/s", 6.0, 0.6)["ratio"] == 0.5
    assert bench.row("a", 3.0, "x", None, 0.6)["ratio"] == 3.0
    assert bench.row("a", 3.0, "GB/s")["ratio"] is None


@pytest.mark.slow
def test_the_quick_bench_gives_complete_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SHORT", 128)
    monkeypatch.setattr(bench, "LONG", 1024)
    rows = bench.bench_core(quick=True)
    assert len({row["name"] for row in rows}) == len(rows) >= 9
    for row in rows:
        assert list(row) == ["name", "value", "unit", "limit", "ratio", "target"]
        assert row["value"] > 0
        assert row["target"] is None or row["ratio"] > 0


def test_the_high_water_mark_sees_what_was_held() -> None:
    bench.reset_peak("cpu")
    before = bench.peak_memory("cpu")
    if not before:
        pytest.skip("this system does not tell a process its memory")
    with mmap.mmap(-1, 2**26) as held:  # new to the process, whatever its heap has kept
        held.write(b"1" * 2**26)
        assert bench.peak_memory("cpu") >= before + 2**25
