"""The choice of kernels changes numbers by rounding only, and every choice can be seen and forced."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from samcli.ssm import report
from samcli.ssm.fast import kernels
from samcli.ssm.fast.linear import FastLinear, PackedProduct, accelerate
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageModel


@pytest.fixture
def forced() -> Iterator[None]:
    kernels.force("torch")
    yield
    kernels.force("auto")


def model_of(dtype: torch.dtype = torch.float32) -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageConfig(64, 3, 50, d_state=16, headdim=32)
    return LanguageModel(config).to(dtype).eval().requires_grad_(False)


def test_plain_kernels_pack_nothing(forced: None) -> None:
    model = model_of()
    generate(model, None, torch.tensor([[1, 2]]), GenerationOptions(max_new_tokens=2))
    assert model._decoder is None
    assert all(module.product is None for module in model.modules() if isinstance(module, FastLinear))
    assert report.describe()["choice"] == "plain PyTorch, forced"


def test_the_choice_can_be_forced_from_outside() -> None:
    script = "from samcli.ssm import report; print(report.describe()['choice'])"
    environment = os.environ | {"SAM_KERNELS": "torch"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "plain PyTorch, forced", done.stderr


def test_nonsense_cannot_be_forced() -> None:
    with pytest.raises(ValueError):
        kernels.force("fast")


def test_descriptions_are_words() -> None:
    assert {"choice", "cpu products", "cpu loops"} <= set(report.describe())
    assert all(isinstance(value, str) and value for value in report.describe().values())


def test_accelerated_layers_keep_weights_names_and_gradients() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(9, 17), nn.GELU(), nn.Linear(17, 4, bias=False))
    x = torch.randn(6, 9)
    before, names = plain(x), list(plain.state_dict())
    expected = torch.autograd.grad(before.sum(), plain[0].weight)[0]
    quick = accelerate(plain)
    assert list(quick.state_dict()) == names and isinstance(quick[0], FastLinear)
    torch.testing.assert_close(torch.autograd.grad(quick(x).sum(), quick[0].weight)[0], expected)
    with torch.no_grad():
        torch.testing.assert_close(quick(x), before, rtol=1e-5, atol=1e-6)
        quick[0].pack()
        torch.testing.assert_close(quick(x), before, rtol=1e-5, atol=1e-6)
        quick[0].weight.mul_(2)
        torch.testing.assert_close(
            quick(x), plain[2](nn.functional.gelu(nn.functional.linear(x, *quick[0].parameters())))
        )


def test_packed_layers_learn_and_are_used_only_where_nothing_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x, used = FastLinear(9, 4), torch.randn(3, 9), []
    layer.pack()
    monkeypatch.setattr(PackedProduct, "__call__", lambda self, x: used.append(x) or self.weight.new_ones(len(x), 4))
    with torch.no_grad():
        assert layer(x).eq(1).all() and len(used) == 1
    layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(4, 9))
    assert len(used) == 1
    with torch.no_grad():
        layer.weight.zero_()
        torch.testing.assert_close(layer(x), layer.bias.expand(3, 4))
    assert len(used) == 1, "not for a weight that has changed"


def test_copies_of_a_prepared_model_start_unprepared() -> None:
    model, tokens = model_of(), torch.randint(0, 50, (2, 9))
    model.prepare()
    expected, state = model.prefill(tokens)
    expected_step, _ = model.step(tokens[:, 0], state)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin._decoder is None and twin.lm_head.product is None
        twin.prepare()
        logits, twin_state = twin.prefill(tokens)
        torch.testing.assert_close(logits, expected)
        torch.testing.assert_close(twin.step(tokens[:, 0], twin_state)[0], expected_step)


def test_inference_mode_speaks_too() -> None:
    model, tokens = model_of(), torch.randint(0, 50, (2, 9))
    options = GenerationOptions(max_new_tokens=6)
    expected = generate(model, None, tokens, options)
    with torch.inference_mode():
        inside = model_of()
        assert generate(inside, None, tokens, options) == expected
    assert generate(model, None, tokens, options) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("outputs", [12, 7])  # seven cannot be shared out
@pytest.mark.parametrize("bias", [False, True])
def test_few_rows_give_what_many_give(dtype: torch.dtype, outputs: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = FastLinear(9, outputs, bias=bias).to(dtype).requires_grad_(False)
    x = torch.randn(6, 9).to(dtype)
    expected = nn.functional.linear(x.float(), *(part.float() for part in layer.parameters()))
    close = {"rtol": 1e-5, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    for packed in (False, True):
        if packed:
            layer.pack()
        for rows in range(1, 7):
            found = layer(x[:rows])
            assert found.dtype is dtype and found.shape == (rows, outputs)
            torch.testing.assert_close(found.float(), expected[:rows], **close)
            torch.testing.assert_close(layer(x[None, :rows])[0], found)
            torch.testing.assert_close(layer(x.t().contiguous().t()[:rows]), found)  # whatever its strides
    if layer.product is not None:  # as decoding asks: in float32 whatever the weights are
        torch.testing.assert_close(layer.product.rows(x[:1].float()), expected[:1], **close)
