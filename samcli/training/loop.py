"""The training loop of sam-nano: resumable at any moment, deterministic from a seed (with one core).

state on disk: OUT/last.pt (everything a resumed run needs), OUT/metrics.jsonl (one line a report)
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from samcli.models.sam import Sam
from samcli.training.batches import Batch, SceneBatches
from samcli.training.losses import LossWeights, losses
from samcli.training.optimiser import Average, OptimiserOptions, build_optimiser, schedule
from samcli.training.second_core import SecondCore

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class LoopOptions:
    steps: int = 20_000
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    weights: LossWeights = field(default_factory=LossWeights)
    report_every: int = 50  # steps
    save_every_seconds: float = 150.0
    judge_every_seconds: float = 600.0
    second_core: bool = False
    autocast: bool = True  # bfloat16 where it is safe


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Decays underflow by design, and products with denormal numbers take fifty times as long."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class DivergedError(RuntimeError):
    """The loss stopped being a number."""


class Trainer:
    def __init__(self, network: Sam, out: Path, options: LoopOptions) -> None:
        self.network, self.out, self.options = network, out, options
        self.optimiser = build_optimiser(network, options.optimiser)
        self.average = Average(network, options.optimiser.average)
        self.step = 0
        out.mkdir(parents=True, exist_ok=True)
        if (out / "last.pt").exists():
            self._load()

    @denormals_as_zero()
    def run(
        self,
        batches: SceneBatches,
        second: SceneBatches | None = None,
        judge: Callable[[Sam], dict[str, float]] | None = None,
        report: Report = lambda line: None,
    ) -> None:
        """Train to the last step. `judge` measures the averaged network now and then."""
        options = self.options
        batches.start = self.step
        stream = loader(batches)
        helper = None
        if options.second_core and second is not None:
            helper = SecondCore(self.network, lambda: iter(second), self._gradient)
        parameters = list(self.network.parameters())
        sums: dict[str, float] = {}
        bad = lent = scenes = 0
        started = reported = saved = judged = time.monotonic()
        self.network.train()
        while self.step < options.steps:
            share = schedule(self.step, options.steps, options.optimiser)
            for group in self.optimiser.param_groups:
                group["lr"] = group["peak"] * share
            batch = next(stream)
            for name, value in self._gradient(self.network, batch).items():
                sums[name] = sums.get(name, 0.0) + value
            if helper is not None:
                lent += helper.join_in()
            norm = float(nn.utils.clip_grad_norm_(parameters, options.optimiser.clip_norm))
            if math.isfinite(norm):
                self.optimiser.step()
                bad = 0
            elif (bad := bad + 1) >= 20:
                raise DivergedError("The loss has not been a number for 20 steps; the last good state is in last.pt.")
            self.optimiser.zero_grad(set_to_none=True)
            if helper is not None:
                helper.publish()
            self.average.update(self.network, self.step)
            self.step += 1
            scenes += len(batch.mel)
            now = time.monotonic()
            if self.step % options.report_every == 0:
                line: dict[str, Any] = {"step": self.step, "rate": share, "norm": norm, "lent": lent}
                line |= {name: value / options.report_every for name, value in sums.items()}
                line |= {"scenes/s": scenes / (now - reported), "seconds": now - started}
                self._log(line, report)
                sums, lent, scenes, reported = {}, 0, 0, now
            if now - saved > options.save_every_seconds or self.step == options.steps:
                self.save()
                saved = now
            if judge is not None and (now - judged > options.judge_every_seconds or self.step == options.steps):
                self._log({"step": self.step} | judge(cast(Sam, self.average.network)), report)
                judged = reported = time.monotonic()

    def _gradient(self, network: Any, batch: Batch) -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.autocast):
            total, parts = losses(network, batch, self.options.weights)
        total.backward()  # type: ignore[no-untyped-call]
        return parts

    def _log(self, line: dict[str, Any], report: Report) -> None:
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        report(line)

    def save(self) -> None:
        """Written aside, then renamed: a stop in mid-write leaves the previous state."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(state, self.out / "last.part")
        (self.out / "last.part").replace(self.out / "last.pt")

    def _load(self) -> None:
        state = torch.load(self.out / "last.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])


def loader(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Batches made ahead by one process of their own, in order."""
    from torch.utils.data import DataLoader

    return iter(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4))  # type: ignore[arg-type]
