"""The second core lends its gradients, and does not outlive the first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from samcli.training.team import SecondCore
from tests.conftest import ROOT

TRAINING = """
import itertools, os, signal, sys, time
sys.path.insert(0, {root!r})
import torch
from samcli.training.team import SecondCore

def gradient(network, batch):
    network(torch.ones(1, 2)).sum().backward()

core = SecondCore(torch.nn.Linear(2, 2), itertools.count, gradient)
while {waits} and not core.merge_gradient():
    time.sleep(0.01)
print(core.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("waits", [True, False])
def test_it_ends_with_the_process_it_helps(waits: bool) -> None:
    code = TRAINING.format(root=str(ROOT), waits=waits)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=120, check=False)
    helper = int(done.stdout)
    while is_running(helper):  # a core that goes on for ever is ended by the test's own time limit
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_the_second_core_lends_the_gradient_of_its_batch() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)

    def gradient(net: nn.Module, batch: torch.Tensor) -> None:
        net(batch).sum().backward()

    def batches() -> Iterator[torch.Tensor]:
        while True:
            yield torch.full((1, 3), 4.0)

    cores = os.sched_getaffinity(0)
    helper = SecondCore(model, batches, gradient)
    try:
        gradient(model, torch.full((1, 3), 2.0))
        for _ in range(2000):
            if helper.ready.value:
                break
            torch.randn(100, 100) @ torch.randn(100, 100)
        assert helper.merge_gradient()
        assert model.weight.grad is not None and torch.allclose(model.weight.grad, torch.full((1, 3), 3.0))
    finally:
        helper.process.terminate()
        helper.process.join()
        os.sched_setaffinity(0, cores)
