"""A course: what a network is taught, in stages, each with a lesson, a pace and the parts of the network that learn.

It is the loop behind `sam train align`, `distill` and `pretrain`. Step number n hears examples that are a function of
the seed and n alone; how many processes share them, and how many are in memory at once, changes the rounding and
nothing else. Everything a stopped course needs lies in OUT/training:

    state.pt        weights that learn, optimiser, place in the course; written aside, then renamed
    metrics.jsonl   one line a report
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from samcli.training.lesson import CourseOptions, Pace, Stage, Steps, to_device
from samcli.training.loop import BAD_STEPS, DivergedError, denormals_as_zero, forget_after, read_state
from samcli.training.stopping import Stopping
from samcli.training.team import Team
from samcli.training.time_left import TimeLeft
from samcli.writers.files import append_line, prepare_own_folder, write_whole

Report = Callable[[dict[str, Any]], None]


class Course:
    def __init__(
        self, network: nn.Module, stages: Sequence[Stage], folder: Path, options: CourseOptions, team: Team
    ) -> None:
        self.network, self.stages, self.options, self.team = network, tuple(stages), options, team
        self.path, self.log = folder / "state.pt", folder / "metrics.jsonl"
        self.stage = self.step = 0
        self.mean: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._saved_optimiser: dict[str, Any] | None = None
        frozen = {id(p) for name, p in network.named_parameters() if not any(s.learns(name) for s in self.stages)}
        self._kept = [name for name, p in network.state_dict(keep_vars=True).items() if id(p) not in frozen]
        prepare_own_folder(folder)
        if self.path.exists():
            self._load()
        team.follow([*network.parameters(), *network.buffers(), *self.mean.values()])

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def done(self) -> int:
        """Steps taken, over all stages."""
        return sum(stage.steps for stage in self.stages[: self.stage]) + self.step

    @denormals_as_zero()
    def run(self, report: Report = lambda line: None) -> bool:
        """Teach to the end, or until asked to stop: then everything is saved, and the answer is False."""
        with Stopping() as stopping:
            while self.stage < len(self.stages):
                if not self._teach(self.stages[self.stage], report, stopping):
                    stopping.obey()
                    return False
        self._use_mean()
        return True

    def _teach(self, stage: Stage, report: Report, stopping: Stopping) -> bool:
        options, team, network = self.options, self.team, self.network
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(stage.learns(name))
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimiser = self._optimiser(learning, stage.pace)
        steps = Steps(stage.lesson, team, options, self.done, self.done + stage.steps - self.step)
        batches = iter(DataLoader(steps, batch_size=None, num_workers=options.workers))
        started = reported = saved = time.monotonic()
        clock = TimeLeft()  # a stage's own: another part learns, at another pace
        clock.step(started)
        bad = heard = 0
        while self.step < stage.steps:
            for group in optimiser.param_groups:
                group["lr"] = stage.pace.rate * stage.pace.share(self.step, stage.steps)
            weight = self._gradients(stage, next(batches))
            asked = torch.tensor([float(stopping.asked is not None)], device=team.device)
            team.add_up([weight, asked])
            if team.size > 1:  # all send the same, whatever each one's examples reached
                for parameter in learning:
                    parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
            team.add_up(gradients)
            torch._foreach_div_(gradients, max(1e-9, float(weight)))
            norm = float(nn.utils.clip_grad_norm_(learning, stage.pace.clip_norm))
            if math.isfinite(norm):
                optimiser.step()
                bad = 0
            elif (bad := bad + 1) >= BAD_STEPS:
                raise DivergedError(
                    f"The loss has not been a number for {BAD_STEPS} steps; the last good state is in {self.path}. "
                    "A lower learning rate may help."
                )
            optimiser.zero_grad(set_to_none=True)
            self._follow_mean()
            self.step += 1
            heard += options.batch
            now, last = time.monotonic(), self.step == stage.steps
            clock.step(now)
            if self.done % options.report_every == 0 or last:
                speed = heard / max(1e-9, now - reported)
                line = {"step": self.done, "of": self.steps, "stage": stage.name}
                line |= {"rate": optimiser.param_groups[0]["lr"], "norm": norm} | self._figures()
                line |= {"examples/s": round(speed, 2), "seconds": round(now - started, 1)}
                self._write(line, report, clock.left(self.steps - self.done))
                heard, reported = 0, now
            if last:
                self.stage, self.step = self.stage + 1, 0
            if last or now - saved > options.save_every_seconds or float(asked):
                self._save(None if last else optimiser)
                saved = now
            if float(asked) and not (last and self.stage == len(self.stages)):
                return False
            if last:
                return True
        self.stage, self.step = self.stage + 1, 0  # a stage without steps
        return True

    def _gradients(self, stage: Stage, batches: list[Any]) -> Tensor:
        """Leave the sum of the gradients in the parameters; the weight of what was summed."""
        team = self.team
        weight = torch.zeros(1, device=team.device)
        for number, batch in enumerate(batches):
            # dropout is drawn anew for every step and process, and alike when the step is repeated
            torch.manual_seed(hash((self.options.seed, self.stage, self.step, team.rank, number)) & 0x7FFF_FFFF)
            with torch.autocast(team.device.type, torch.bfloat16, enabled=self.options.bfloat16):
                outcome = stage.lesson.outcome(to_device(batch, team.device))
            outcome.total.backward()  # type: ignore[no-untyped-call]
            weight += outcome.weight.detach().to(weight)
            for name, value in {**outcome.parts, "weight": outcome.weight}.items():
                value = value.detach().cpu().double()
                self._sums[name] = self._sums.get(name, torch.zeros((), dtype=torch.float64)) + value
        return weight

    def _figures(self) -> dict[str, float]:
        """The log's figures since the last report, over all processes."""
        names = sorted(self._sums)
        sums = torch.tensor([float(self._sums[name]) for name in names], dtype=torch.float32, device=self.team.device)
        self.team.add_up([sums])
        self._sums = {}
        found = dict(zip(names, sums.tolist(), strict=True))
        weight = found.pop("weight", 0.0) or 1.0
        return {name: value / weight for name, value in found.items()}

    def _optimiser(self, learning: list[nn.Parameter], pace: Pace) -> torch.optim.AdamW:
        matrices = [parameter for parameter in learning if parameter.ndim > 1]
        others = [parameter for parameter in learning if parameter.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": pace.weight_decay}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=pace.rate, betas=pace.betas, fused=True)
        if self._saved_optimiser is not None:
            optimiser.load_state_dict(self._saved_optimiser)
            self._saved_optimiser = None
        return optimiser

    @torch.no_grad()
    def _follow_mean(self) -> None:
        if not self.options.average:
            return
        now = self.network.state_dict()
        if not self.mean:
            self.mean = {name: now[name].clone() for name in self._kept if now[name].is_floating_point()}
        keep = min(self.options.average, (1 + self.done) / (10 + self.done))
        torch._foreach_lerp_(list(self.mean.values()), [now[name] for name in self.mean], 1 - keep)

    def _use_mean(self) -> None:
        if self.mean:
            self.network.load_state_dict({**self.network.state_dict(), **self.mean})

    def _write(self, line: dict[str, Any], report: Report, left: float | None) -> None:
        if not self.team.leads:
            return
        append_line(self.log, json.dumps(line), own=2)
        report(line if left is None else line | {"left": left})

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        """`optimiser` None: the next stage begins with a fresh one."""
        if not self.team.leads:
            return
        now = self.network.state_dict()
        state = {
            "stage": self.stage,
            "step": self.step,
            "network": {name: now[name] for name in self._kept},
            "mean": self.mean,
            "optimiser": None if optimiser is None else optimiser.state_dict(),
            "sums": self._sums,
        }
        packed = io.BytesIO()  # torch's own writer says nothing of a full disk
        torch.save(state, packed)
        write_whole(self.path, packed.getvalue(), own=2)

    def _load(self) -> None:
        state = read_state(self.path, self.team.device)
        self.network.load_state_dict({**self.network.state_dict(), **state["network"]})
        self.stage, self.step = int(state["stage"]), int(state["step"])
        self.mean, self._saved_optimiser = state["mean"], state["optimiser"]
        self._sums = {name: value.cpu() for name, value in state["sums"].items()} if self.team.leads else {}
        if self.team.leads:
            forget_after(self.log, self.done)
