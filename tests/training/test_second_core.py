"""The second core does not outlive the first."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

TRAINING = """
import itertools, os, signal, sys, time
sys.path.insert(0, {root!r})
import torch
from samcli.training.second_core import SecondCore

def gradient(network, batch):
    network(torch.ones(1, 2)).sum().backward()

core = SecondCore(torch.nn.Linear(2, 2), itertools.count, gradient)
while {waits} and not core.join_in():
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
