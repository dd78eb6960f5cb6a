"""The training loop: resumable at any moment, deterministic from a seed (with one core).

state on disk: OUT/last.pt (everything a resumed run needs), OUT/metrics.jsonl (one line a report)

Asked to stop, by Ctrl-C or by the system, it finishes the step, saves, and only then ends. sam-nano is trained by
`Trainer` as it is; what teaches a trained model (tuning.py) changes the loss, the optimiser and what is judged.
"""

from __future__ import annotations

import io
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

from samcli.errors import SamError
from samcli.models.sam import SamNetwork
from samcli.training.losses import LossWeights, losses
from samcli.training.nano.batches import Batch, SceneBatches
from samcli.training.nano.contest import Contest
from samcli.training.optimiser import Average, OptimiserOptions, build_optimiser, schedule
from samcli.training.second_core import SecondCore
from samcli.training.stopping import Stopping
from samcli.training.time_left import TimeLeft
from samcli.writers.disk import own_file
from samcli.writers.files import append_line, explain, prepare_own_folder, write_whole

SAVED = "last.pt"

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class LoopOptions:
    steps: int = 20_000
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    weights: LossWeights = field(default_factory=LossWeights)
    report_every: int = 50  # steps
    save_every_seconds: float = 150.0
    judge_every_seconds: float = 600.0
    judge_every: int | None = None  # steps; where a run must be the same again, the clock has no say
    second_core: bool = False
    autocast: bool = True  # bfloat16 where it is safe
    worker: bool = True  # a process of its own makes the batches


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Decays underflow by design, and products with denormal numbers take fifty times as long."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class DivergedError(SamError):
    """The loss stopped being a number."""


BAD_STEPS = 20  # in a row, until a run whose loss is no number is given up


class Trainer:
    def __init__(self, network: SamNetwork, out: Path, options: LoopOptions) -> None:
        self.network, self.out, self.options = network, out, options
        self.optimiser = self._optimiser()
        self.average = Average(network, options.optimiser.average)
        self.step = self.first = 0
        self._contest: Contest | None = None
        self.clock = TimeLeft()
        self.notes: dict[str, Any] = {}  # whatever else a resumed run must know; plain values
        prepare_own_folder(out)
        if (out / SAVED).exists():
            self._load()

    @denormals_as_zero()
    def run(
        self,
        batches: SceneBatches,
        second: SceneBatches | None = None,
        judge: Callable[[SamNetwork], dict[str, float]] | None = None,
        report: Report = lambda line: None,
    ) -> None:
        """Train to the last step. `judge` measures the averaged network now and then."""
        with Stopping() as stopping:
            self._run(batches, second, judge, report, stopping)

    def _run(
        self,
        batches: SceneBatches,
        second: SceneBatches | None,
        judge: Callable[[SamNetwork], dict[str, float]] | None,
        report: Report,
        stopping: Stopping,
    ) -> None:
        options = self.options
        batches.start = self.step
        stream: Iterator[Any] = loader(batches) if options.worker else iter(batches)
        helper = None
        if options.second_core and second is not None:
            helper = SecondCore(self.network, lambda: iter(second), self._gradient)
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        sums: dict[str, float] = {}
        bad = lent = scenes = summed = 0
        started = reported = saved = judged = time.monotonic()
        self.clock.step(started)
        self._teach()
        self._contest = getattr(batches, "contest", None)
        while self.step < self.options.steps:
            options = self.options  # what is judged may change the plan
            share = schedule(self.step - self.first, options.steps - self.first, options.optimiser)
            for group in self.optimiser.param_groups:
                group["lr"] = group["peak"] * share
            batch = next(stream)
            torch.manual_seed(self.step)  # what a step draws, a resumed run draws again
            for name, value in self._gradient(self.network, batch).items():
                sums[name] = sums.get(name, 0.0) + value
            if helper is not None:
                lent += helper.join_in()
            norm = float(nn.utils.clip_grad_norm_(parameters, options.optimiser.clip_norm))
            if math.isfinite(norm):
                self.optimiser.step()
                bad = 0
            elif (bad := bad + 1) >= BAD_STEPS:
                raise DivergedError(
                    f"The loss has not been a number for {BAD_STEPS} steps; the last good state is in {SAVED}."
                )
            self.optimiser.zero_grad(set_to_none=True)
            if helper is not None:
                helper.publish()
            self.average.update(self.network, self.step)
            self.step += 1
            scenes += len(batch.mel)
            summed += 1
            now = time.monotonic()
            self.clock.step(now)
            last = self.step == options.steps
            if self.step % options.report_every == 0:
                line: dict[str, Any] = {"step": self.step, "rate": share, "norm": norm, "lent": lent}
                line |= {name: value / summed for name, value in sums.items()}
                line |= {"scenes/s": scenes / (now - reported), "seconds": now - started}
                self._log(line, report)
                sums, lent, scenes, summed, reported = {}, 0, 0, 0, now
            if judge is not None and (last or self._is_due(now - judged)):
                self._log({"step": self.step} | judge(cast(SamNetwork, self.average.network)), report)
                judged = reported = time.monotonic()
                self.clock.judged(judged - now)
                self._teach()
            if now - saved > options.save_every_seconds or last or stopping.asked:
                self.save()
                saved = now
            if last and helper is not None:
                helper.end()
            if stopping.asked and not last:
                return stopping.obey()

    def _is_due(self, since: float) -> bool:
        every = self.options.judge_every
        return self.step % every == 0 if every else since > self.options.judge_every_seconds

    def begin(self, options: LoopOptions, first: int) -> None:
        """A stage of the training, from step `first` to the last of `options`."""
        self.options, self.first = options, first

    def _optimiser(self) -> torch.optim.Optimizer:
        return build_optimiser(self.network, self.options.optimiser)

    def _teach(self) -> None:
        """Make the network ready to learn; a part of it that is frozen stays as it is, its norms' statistics too."""
        self.network.train()
        for part in self.network.children():
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()

    def _gradient(self, network: Any, batch: Batch) -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.autocast):
            total, parts = losses(network, batch, self.options.weights, self._contest)
        if total.requires_grad:  # a frozen encoder learns nothing from a batch without words
            total.backward()  # type: ignore[no-untyped-call]
        return parts

    def _log(self, line: dict[str, Any], report: Report) -> None:
        append_line(self.out / "metrics.jsonl", json.dumps(line), own=2)
        report(line)

    def save(self) -> None:
        """Written aside, then renamed: a stop in mid-write leaves the previous state."""
        state = {
            "network": self._kept(self.network),
            "average": self._kept(self.average.network),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "notes": self.notes,
        }
        packed = io.BytesIO()  # torch's own writer says nothing of a full disk
        torch.save(state, packed)
        write_whole(self.out / SAVED, packed.getvalue(), own=2)

    def _kept(self, network: nn.Module) -> dict[str, Any]:
        """What a resumed run cannot find elsewhere: all of it, for what is frozen in one stage learned in another."""
        return network.state_dict()

    def _load(self) -> None:
        state = read_state(self.out / SAVED)
        for network, part in ((self.network, "network"), (self.average.network, "average")):
            network.load_state_dict({**network.state_dict(), **state[part]})
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        self.notes = state.get("notes", {})
        forget_after(self.out / "metrics.jsonl", self.step)


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a stopped run saved."""
    try:
        with own_file(path, own=2) as file:
            state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except OSError as error:
        raise explain(path, error) from error
    return state


def forget_after(log: Path, step: int) -> None:
    """Take back what a log says of steps that were lost with a killed run."""
    if not log.exists():
        return
    try:
        with own_file(log, "r", 2, encoding="utf-8") as file:
            lines = file.readlines()
    except OSError as error:
        raise explain(log, error) from error
    kept = [line for line in lines if _step_of(line) <= step]
    if len(kept) < len(lines):
        write_whole(log, "".join(kept).encode(), own=2)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line).get("step", 0))
    except (ValueError, AttributeError):  # the last line of a killed run may be half written
        return math.inf


def loader(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Batches made ahead by one process of their own, in order."""
    from torch.utils.data import DataLoader

    return iter(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4))  # type: ignore[arg-type]
