"""A second processor core that lends gradients.

Two cores that wait for each other at every operation lose half their time on a busy machine. So the second one works
by itself: it takes the newest weights, computes the gradient of a batch of its own, and leaves it where the first one
finds it and averages it in. Its gradients are one or two steps old, which does no harm at these learning rates; but a
run with it is not reproducible to the bit, and a run without it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.multiprocessing as processes
from torch import Tensor, nn

from samcli.ssm.fast import kernels

Gradient = Callable[[nn.Module, Any], object]  # (network, batch): backward


class SecondCore:
    def __init__(self, network: nn.Module, batches: Callable[[], Iterable[Any]], gradient: Gradient) -> None:
        self.parameters = list(network.parameters())
        self.weights = self._flat().share_memory_()  # type: ignore[no-untyped-call]
        self.gradients = torch.zeros_like(self.weights).share_memory_()  # type: ignore[no-untyped-call]
        context = processes.get_context("fork")
        self.ready = context.Value("i", 0)
        self.process = context.Process(target=self._work, args=(network, batches, gradient, os.getpid()), daemon=True)
        self.process.start()
        self.cores = os.sched_getaffinity(0)
        cores = sorted(self.cores)
        if len(cores) > 1:  # each to its own, so that neither waits for the other
            os.sched_setaffinity(0, set(cores[:-1]))
            torch.set_num_threads(len(cores) - 1)

    def _flat(self) -> Tensor:
        return torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])

    def publish_weights(self) -> None:
        """Show the newest weights."""
        self.weights.copy_(self._flat())

    def merge_gradient(self) -> bool:
        """Average a waiting gradient into the parameters' own."""
        if not self.ready.value:
            return False
        position = 0
        for parameter in self.parameters:
            size = parameter.numel()
            part = self.gradients[position : position + size].view_as(parameter)
            if parameter.grad is not None:
                parameter.grad.add_(part).mul_(0.5)
            position += size
        self.ready.value = 0
        return True

    def end(self) -> None:
        """Give its core back: a next stage has another helper."""
        self.process.terminate()
        self.process.join()
        os.sched_setaffinity(0, self.cores)
        torch.set_num_threads(len(self.cores))

    def _work(self, network: nn.Module, batches: Callable[[], Iterable[Any]], gradient: Gradient, parent: int) -> None:
        """Until `parent`, which may be gone already, is."""
        torch.set_num_threads(1)
        kernels.force("torch")  # numba's threads do not outlive a fork
        torch.set_flush_denormal(True)
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[-1]})
        # A copy of its own: the fork shares no memory that is written to.
        own = [parameter.detach().clone() for parameter in self.parameters]
        for parameter, data in zip(self.parameters, own, strict=True):
            parameter.data = data
        network.train()
        for batch in batches():
            position = 0
            for parameter in self.parameters:
                size = parameter.numel()
                parameter.data.copy_(self.weights[position : position + size].view_as(parameter))
                parameter.grad = None
                position += size
            gradient(network, batch)
            while self.ready.value and os.getppid() == parent:
                time.sleep(0.005)
            if os.getppid() != parent:  # it was ended by a signal, and nobody will ask for this
                return
            grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
            self.gradients.copy_(torch.cat([grad.reshape(-1) for grad in grads]))
            self.ready.value = 1
