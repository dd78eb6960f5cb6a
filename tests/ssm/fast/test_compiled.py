"""What the loops compute, against plain PyTorch: any lengths, batches, chunks, groups, sizes and numbers of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from samcli.ssm import report
from samcli.ssm.fast import kernels
from samcli.ssm.fast.compiled import compiler
from samcli.ssm.fast.compiled import decoding as compiled_decoding
from samcli.ssm.fast.compiled import norms as compiled_norms
from samcli.ssm.fast.compiled import reading as compiled_reading
from samcli.ssm.fast.compiled.decoding import FEW, CompiledLayer
from samcli.ssm.fast.decoding import DecodingLayer
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.mamba2 import Mamba2, Mamba2Config
from samcli.ssm.norms import RMSNorm, rms_norm
from samcli.ssm.state import map_state

DTYPES = [torch.float32, torch.bfloat16]


@contextmanager
def plain() -> Iterator[None]:
    kernels.force("torch")
    try:
        yield
    finally:
        kernels.force("auto")


def model_of(dtype: torch.dtype = torch.float32, **options: int) -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageConfig(**{"d_model": 48, "n_layer": 2, "vocab_size": 50, "d_state": 16, "headdim": 16} | options)
    return LanguageModel(config).to(dtype).eval().requires_grad_(False)


def close(quick: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype = torch.float32) -> bool:
    return kernels.nearly_equal(quick, exact, 1e-4 if dtype is torch.float32 else 0.06)


@pytest.mark.parametrize("dtype", DTYPES)
def test_they_are_in_use_here(dtype: torch.dtype) -> None:
    """Otherwise the tests below compare plain PyTorch with itself."""
    assert compiled_decoding.agrees(dtype) and compiled_reading.agrees(Mamba2, Mamba2Config, dtype)
    assert compiled_norms.agrees()
    model = model_of(dtype)
    model.prepare()
    assert all(type(layer) is CompiledLayer for layer in model._decoder.layers)  # type: ignore[union-attr]
    assert report.describe()["cpu loops"] == "numba"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"ngroups": 3}, {"d_conv": 2}, {"headdim": 24, "d_state": 5}])
@pytest.mark.parametrize("rows", [1, FEW, FEW + 3])
def test_decoding(dtype: torch.dtype, options: dict[str, int], rows: int) -> None:
    model = model_of(dtype, **options)
    tokens = torch.randint(0, 50, (rows, 7), generator=torch.Generator().manual_seed(1))
    with plain():
        _, start = model.prefill(tokens)
        exact, end = model.step(tokens[:, 0], start)
    before = map_state(torch.clone, start)
    model.prepare()
    quick, state = model.step(tokens[:, 0], start)
    assert quick.dtype is dtype and close(quick, exact, dtype)
    for new, wanted, old, kept in zip(state, end, start, before, strict=True):
        assert close(new.ssm, wanted.ssm, dtype) and close(new.tail, wanted.tail, dtype)
        assert torch.equal(old.ssm, kept.ssm) and torch.equal(old.tail, kept.tail), "the caller's state is its own"
    owned, _ = model.step(tokens[:, 0], start, owned=True)
    assert torch.equal(owned, quick)


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(2, 150), batch=st.integers(1, 3), chunk=st.sampled_from([None, 1, 7, 16, 200]),
    data=st.data(), width=st.sampled_from([2, 4]),
)  # fmt: skip
def test_reading_any_way(length: int, batch: int, chunk: int | None, data: st.DataObject, width: int) -> None:
    """Chunks, cuts and padding change nothing but rounding, and all is what plain PyTorch gives."""
    torch.manual_seed(length)
    model = model_of(d_conv=width)
    for layer in model.backbone.layers:
        object.__setattr__(layer.mixer.config, "chunk_size", chunk)  # type: ignore[union-attr]
    tokens = torch.randint(0, 50, (batch, length))
    lengths = torch.tensor(data.draw(st.lists(st.integers(1, length), min_size=batch, max_size=batch)))
    cut = data.draw(st.integers(1, length))
    with torch.no_grad():
        with plain():
            exact, end = model.read(tokens, lengths=lengths)
        whole, state = model.read(tokens, lengths=lengths)
        first, between = model.read(tokens[:, :cut], lengths=lengths.clamp(max=cut))
        parts, after = [first], between
        if cut < length:
            second, after = model.read(tokens[:, cut:], state=between, lengths=(lengths - cut).clamp(min=0))
            parts.append(second)
    valid = (torch.arange(length) < lengths[:, None])[..., None]
    assert close(whole * valid, exact * valid) and close(torch.cat(parts, 1) * valid, exact * valid)
    for wanted, found, carried in zip(end, state, after, strict=True):
        assert close(found.ssm, wanted.ssm) and close(found.tail, wanted.tail)
        assert close(carried.ssm, wanted.ssm) and close(carried.tail, wanted.tail)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reading_by_half_precision_weights(dtype: torch.dtype) -> None:
    model, tokens = model_of(dtype), torch.arange(140)[None] % 50
    with plain():
        exact, end = model.prefill(tokens)
    quick, state = model.prefill(tokens)
    assert close(quick, exact, dtype) and close(state[-1].ssm, end[-1].ssm, dtype)


def test_states_that_explode_or_vanish_do_as_in_plain_pytorch() -> None:
    model, tokens = model_of(), torch.arange(130)[None] % 50
    with torch.no_grad():
        for layer, decay in zip(model.backbone.layers, (9.0, -9.0), strict=True):
            layer.mixer.A_log.fill_(decay)  # type: ignore[union-attr, operator]
            layer.mixer.dt_bias.fill_(8.0)  # type: ignore[union-attr, operator]
        with plain():
            exact, end = model.prefill(tokens)
        quick, state = model.prefill(tokens)
    assert quick.isfinite().all() and close(quick, exact) and close(state[1].ssm, end[1].ssm)


def test_weights_that_are_no_numbers_are_noticed() -> None:
    model = model_of()
    model.backbone.layers[0].mixer.D.fill_(float("nan"))  # type: ignore[union-attr, operator]
    logits, state = model.prefill(torch.arange(70)[None] % 50)
    assert logits.isnan().all()
    model.prepare()
    assert model.step(torch.tensor([1]), state)[0].isnan().all()


def test_norms() -> None:
    torch.manual_seed(0)
    norm, x = RMSNorm(40), torch.randn(2, 7, 80)
    with torch.no_grad():
        norm.weight.normal_()
        for some in (x[..., :40], x[:, :1, ::2], x[:0, :, :40]):
            torch.testing.assert_close(norm(some), rms_norm(some, norm.weight, norm.eps), rtol=1e-5, atol=1e-6)


def test_what_learns_takes_the_plain_path() -> None:
    model = model_of().requires_grad_(True)
    model(torch.arange(9)[None])[0].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_double_precision_takes_the_plain_path() -> None:
    model = model_of(torch.float64)
    model.prepare()
    assert all(type(layer) is DecodingLayer for layer in model._decoder.layers)  # type: ignore[union-attr]
    logits, state = model.prefill(torch.arange(70)[None] % 50)
    assert logits.dtype is torch.float64 and state[0].ssm.dtype is torch.float64


def test_threads_do_not_disturb_each_other() -> None:
    model, tokens = model_of(), torch.arange(150)[None] % 50
    alone, _ = model.prefill(tokens)
    used = torch.get_num_threads()

    def work(count: int) -> torch.Tensor:
        torch.set_num_threads(count)
        return model.prefill(tokens)[0]

    try:
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(work, [1, 2, 1, 2] * 10):
                torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)
        assert torch.get_num_threads() == used
    finally:
        torch.set_num_threads(used)  # what was said last is also what threads yet to come begin with


def run(script: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | variables, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SPEAK = """
import torch
from samcli.ssm import report
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
torch.manual_seed(0)
model = LanguageModel(LanguageConfig(32, 1, 20, d_state=8, headdim=16)).eval().requires_grad_(False)
model.prepare()
logits, state = model.prefill(torch.arange(9)[None])
logits = model.step(logits.argmax(-1), state)[0]
print(report.describe()["cpu loops"], torch.get_num_threads(), *(f"{value:.4f}" for value in logits[0, :3]))
"""


def test_without_numba(tmp_path: Path) -> None:
    hide = "import importlib.util as u; find = u.find_spec\n"
    hide += "u.find_spec = lambda name, *a: None if name == 'numba' else find(name, *a)\n"
    broken = tmp_path / "numba" / "__init__.py"
    broken.parent.mkdir()
    broken.write_text("raise OSError('half of it is missing')")
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    said = {
        "numba": run(SPEAK),
        "PyTorch (numba is not installed)": run(hide + SPEAK),
        "PyTorch (forced)": run(SPEAK, SAM_KERNELS="torch"),
        "numba, but PyTorch for decoding, reading, norms": run(SPEAK, PYTHONPATH=paths),
    }
    for kind, found in said.items():
        # the number of threads, and what the model says
        assert found.rsplit(maxsplit=4)[0] == kind and found.split()[-4:] == said["numba"].split()[-4:]


def test_where_nothing_can_be_kept_on_disk() -> None:
    scope: dict[str, Any] = {}
    exec("def double(x):\n    return 2 * x", scope)  # no file to keep it beside
    assert compiler.compiled(scope["double"])(21) == 42
