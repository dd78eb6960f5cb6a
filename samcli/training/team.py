"""Several processes that train one network: each takes its share of a step, and the gradients are added up.

    torchrun --nproc_per_node 4 -m samcli train align openaqa.json --audio sounds/ -o my-sam

torchrun tells every process its place through the environment. Alone, a process is a team of one and nothing is sent.
Sums, not means: a step's gradient is the sum over all its examples, divided by their weight, so it does not matter how
many processes shared them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing, nn

from samcli.errors import UsageError
from samcli.ssm.fast import kernels

BUCKET_ELEMENTS = 16 * 2**20  # sent at once: few messages, and no second copy of a large model's gradients


@dataclass(frozen=True)
class Team:
    """One process's view of it."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def share_of(self, items: Sequence[int]) -> Sequence[int]:
        """This process's share, in one piece."""
        share = -(-len(items) // self.size)
        return items[self.rank * share : (self.rank + 1) * share]

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Every tensor becomes its sum over all processes, in place."""
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            distributed.all_reduce(flat)
            for tensor, part in zip(bucket, torch.split(flat, [tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, mine: bool) -> bool:
        """Whether it is so in any process."""
        found = torch.tensor([float(mine)], device=self.device)
        self.all_reduce([found])
        return bool(found)

    def mean_gradients(self, learning: Sequence[nn.Parameter], weight: Tensor) -> None:
        """The sums of gradients become means over all processes; `weight` is how much this one summed."""
        self.all_reduce([weight])
        if self.size > 1:  # all send the same, whatever each one's examples reached
            for parameter in learning:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
        self.all_reduce(gradients)
        if gradients and float(weight) != 1:
            torch._foreach_div_(gradients, max(1e-9, float(weight)))

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Every tensor becomes the leader's, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Until all are here."""
        if self.size > 1:
            distributed.barrier()


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type together, up to a size."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[Tensor] = []
        for tensor in tensors:
            if tensor.dtype is dtype:
                bucket.append(tensor)
                if sum(part.numel() for part in bucket) >= BUCKET_ELEMENTS:
                    yield bucket
                    bucket = []
        if bucket:
            yield bucket


@contextmanager
def join_team(device: str) -> Iterator[Team]:
    """The team that this process belongs to; `device` as in `--device`."""
    from samcli.models.device import pick_device

    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(torch.device(pick_device(device)))
        return
    place = pick_device(device)
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if place == "cuda":
        if local >= torch.cuda.device_count():
            raise UsageError(f"{local + 1} processes were started on a machine with {torch.cuda.device_count()} GPUs.")
        torch.cuda.set_device(local)
        place = f"cuda:{local}"
    distributed.init_process_group("nccl" if place.startswith("cuda") else "gloo")
    try:
        yield Team(torch.device(place), distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


Gradient = Callable[[nn.Module, Any], object]  # (network, batch): backward


class SecondCore:
    """A second processor core that lends gradients.

    Two cores that wait for each other at every operation lose half their time on a busy machine. So the second one
    works by itself: it takes the newest weights, computes the gradient of a batch of its own, and leaves it where the
    first one finds it and averages it in. Its gradients are one or two steps old, which does no harm at these learning
    rates; but a run with it is not reproducible to the bit, and a run without it is.
    """

    def __init__(self, network: nn.Module, batches: Callable[[], Iterable[Any]], gradient: Gradient) -> None:
        self.parameters = list(network.parameters())
        self.weights = self._flat().share_memory_()  # type: ignore[no-untyped-call]
        self.gradients = torch.zeros_like(self.weights).share_memory_()  # type: ignore[no-untyped-call]
        context = multiprocessing.get_context("fork")
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
