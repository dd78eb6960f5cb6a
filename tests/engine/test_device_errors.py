"""What a card says when it runs short, and what ends a run at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy import Toy

from samcli.engine.batches import device_lost, out_of_memory, release_memory
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions, RunReport
from samcli.errors import ModelError
from samcli.models.interface import Encoding
from samcli.ssm.fast import graphs
from samcli.tasks.run import run

LOST = "CUDA error: an illegal memory access was encountered"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_short_memory_has_many_names(error: Exception) -> None:
    assert out_of_memory(error) and not device_lost(error)


def test_a_lost_device_is_no_short_memory() -> None:
    assert device_lost(RuntimeError(LOST)) and not out_of_memory(RuntimeError(LOST))
    assert not device_lost(RuntimeError("The size of tensor a (3) must match")) and not device_lost(ValueError(LOST))


def test_steps_that_could_not_be_captured_are_told(
    tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "refused", ["not permitted", "not permitted"])
    report = RunReport()
    list(run("caption", find_inputs([write(tmp_path / "a.wav", 1)]), Toy(), report=report))
    assert report.notices == ["Steps were not captured, so words came slowly: not permitted"]


def test_a_lost_device_ends_the_run(tmp_path: Path, write: Callable[..., Path]) -> None:
    """After such an error every call fails: each further file would be told as bad."""

    class Lost(Toy):
        heard = 0

        def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
            self.heard += 1
            if self.heard > 1:
                raise RuntimeError(LOST)
            return super().encode(waves, lengths)

    inputs = find_inputs([write(tmp_path / f"{number}.wav", 1, seed=number) for number in range(4)])
    model, records = Lost(), []
    with pytest.raises(ModelError, match="cannot be used again by this run"):
        records += run("tag", inputs, model, RunOptions(batch_size=1, threads=1))
    assert model.heard == 2


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_freed_memory_goes_back_to_the_device_that_is_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[str] = []
    for name, backend, device in (("cuda", torch.cuda, torch.cuda), ("mps", torch.backends.mps, torch.mps)):
        monkeypatch.setattr(backend, "is_available", lambda name=name: name == kind)
        monkeypatch.setattr(device, "empty_cache", lambda name=name: emptied.append(name))
    release_memory()
    assert emptied == [kind]
