"""Several processes that train one network: each takes its share of a step, and the gradients are added up.

    torchrun --nproc_per_node 4 -m samcli train align openaqa.json --audio sounds/ -o my-sam

torchrun tells every process its place through the environment. Alone, a process is a team of one and nothing is sent.
Sums, not means: a step's gradient is the sum over all its examples, divided by their weight, so it does not matter how
many processes shared them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as processes
from torch import Tensor, nn

from samcli.errors import UsageError

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
            processes.all_reduce(flat)
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
                processes.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Until all are here."""
        if self.size > 1:
            processes.barrier()


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
    processes.init_process_group("nccl" if place.startswith("cuda") else "gloo")
    try:
        yield Team(torch.device(place), processes.get_rank(), processes.get_world_size())
    finally:
        processes.destroy_process_group()
