"""The training loop of every recipe: resumable at any moment, and deterministic from a seed on one core.

Step number n learns from examples that are a function of the seed and n alone; how many processes share them, and how
many are in memory at once, changes the rounding and nothing else. Asked to stop, by Ctrl-C or by the system, it
finishes the step, saves, and only then ends. Beside the state, which is written aside and then renamed, lies
metrics.jsonl, one line a report.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samcli.errors import SamError
from samcli.training.folder import forget_after, from_older, names_to_save, read_state, write_state
from samcli.training.optimiser import Average
from samcli.training.progress import Figures, Stopping, TimeLeft, lost_workers
from samcli.training.stage import LoopOptions, Stage, Steps, Task, computing, to_device
from samcli.training.team import SecondCore, Team
from samcli.writers.files import append_line, prepare_own_folder

STATE, LOG = "state.pt", "metrics.jsonl"
TRIES = 3  # steps that are measured before a training
BAD_STEPS = 20  # in a row, until a run whose loss is no number is given up
ALONE = Team(torch.device("cpu"))

Report = Callable[[dict[str, Any]], None]
Judge = Callable[[nn.Module], dict[str, float]]


class DivergedError(SamError):
    """The loss stopped being a number."""


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Decays underflow by design, and products with denormal numbers take fifty times as long."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class Trainer:
    """One training: its network, stages, optimiser and running mean, and how far it is."""

    def __init__(
        self, network: nn.Module, stages: Sequence[Stage], path: Path, options: LoopOptions, team: Team = ALONE
    ) -> None:
        """Begin, or go on with what the file at `path` holds."""
        self.network, self.stages, self.options, self.team = network, list(stages), options, team
        self.path, self.log = path, path.parent / LOG
        self.step = 0  # over all stages
        self.notes: dict[str, Any] = {}  # whatever else a resumed run must know; plain values
        self.average = Average(options.average)
        self.clock = TimeLeft()
        self._bad = 0  # steps in a row whose loss was no number
        self._optimiser: torch.optim.Optimizer | None = None
        self._saved_optimiser: dict[str, Any] | None = None
        self._rates: list[float] = []  # the highest of each of the optimiser's groups
        self.figures = Figures()
        self._started = time.monotonic()
        self._saved_names = names_to_save(network, self.stages, options.save_all)
        prepare_own_folder(path.parent)
        if path.exists():
            self._load()
        self._spent = float(self.notes.get("seconds", 0.0))  # by the runs before this one
        for one in (network, self.average.network):
            team.broadcast([] if one is None else [*one.parameters(), *one.buffers()])

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Of this run and those before it."""
        return self._spent + time.monotonic() - self._started

    def run(self, report: Report = lambda line: None, judge: Judge | None = None) -> bool:
        """Train to the end, or until asked to stop: then everything is saved, and the answer is False.

        `judge` measures the running mean of the network now and then, or the network itself where there is none.
        """
        for number, stage in enumerate(self.stages):
            if self.step < self._end_of(number):
                learning = self._begin(stage)
                task = stage.task()  # may take minutes, in which nothing is to be saved
                with Stopping() as stopping, denormals_as_zero(), lost_workers(stopping):
                    if not self._run_stage(number, task, learning, report, judge, stopping):
                        stopping.obey()
                        return False
        return True

    def _end_of(self, number: int) -> int:
        """The step after a stage's last one; a judge may have changed the plan."""
        return sum(stage.steps for stage in self.stages[: number + 1])

    def _run_stage(
        self,
        number: int,
        task: Task,
        learning: list[nn.Parameter],
        report: Report,
        judge: Judge | None,
        stopping: Stopping,
    ) -> bool:
        """False when asked to stop before the very end."""
        batches = Steps(task, self.team, self.options, self.step).loaded()
        helper = self._second_core(self.stages[number])
        self.clock = TimeLeft(self.clock.judging)  # another part learns, at another pace
        self.clock.step()
        self.figures.begin()
        self._bad = 0
        started = saved = time.monotonic()
        while self.step < self._end_of(number):
            self._take_step(number, task, next(batches), learning, helper)
            if self._is_due(self.options.report_every, number):
                line = {"stage": self.stages[number].name} | self._line(helper)
                self.write(line | {"seconds": round(time.monotonic() - started, 1)}, report)
            if judge is not None and self._is_due(self.options.judge_every, number):
                self.judge(judge, report)
            last, asked = self.step >= self._end_of(number), self.team.any(stopping.asked is not None)
            if last and self.stages[number].own_optimiser:
                self._optimiser = None
            if last or asked or time.monotonic() - saved > self.options.save_every_seconds:
                self.save()
                saved = time.monotonic()
            if helper is not None and (last or asked):
                helper.end()
            if asked and self.step < self.steps:
                return False
        return True

    def _take_step(
        self, number: int, task: Task, batches: list[Any], learning: list[nn.Parameter], helper: SecondCore | None
    ) -> None:
        """Learn from the examples of one step."""
        stage, step = self.stages[number], self.step - (self._end_of(number) - self.stages[number].steps)
        assert self._optimiser is not None
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * stage.pace.share(step, stage.steps)
        weight, examples = self._gradients((number, step), task, batches)
        self.team.mean_gradients(learning, weight)
        if helper is not None:
            self.figures.lent += helper.merge_gradient()
        self.figures.norm = self._change(self._optimiser, learning, stage.pace.clip_norm)
        if helper is not None:
            helper.publish_weights()
        self.figures.examples += examples * self.team.size
        self.clock.step()

    def _line(self, helper: SecondCore | None) -> dict[str, float]:
        """What is reported of the steps since the last line."""
        assert self._optimiser is not None
        line = {"rate": self._optimiser.param_groups[0]["lr"], "norm": self.figures.norm}
        line |= self.figures.means(self.team)
        if helper is not None:
            line["lent"], self.figures.lent = self.figures.lent, 0
        return line | {"examples/s": self.figures.rate()}

    def _change(self, optimiser: torch.optim.Optimizer, learning: list[nn.Parameter], clip_norm: float) -> float:
        """The weights, by their gradients; the norm of these. A step whose loss is no number is left out."""
        norm = float(nn.utils.clip_grad_norm_(learning, clip_norm))
        self._bad = 0 if math.isfinite(norm) else self._bad + 1
        if self._bad == BAD_STEPS:
            raise DivergedError(
                f"The loss has not been a number for {BAD_STEPS} steps; the last good state is in {self.path}. "
                "A lower learning rate may help."
            )
        if not self._bad:
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        self.average.follow(self.network, self.step)
        self.step += 1
        return norm

    def _is_due(self, every: int, number: int) -> bool:
        """Whether so many steps are over again, or all of the stage's."""
        return self.step == self._end_of(number) or (every > 0 and self.step % every == 0)

    def _begin(self, stage: Stage) -> list[nn.Parameter]:
        """Set free what learns, with an optimiser for it, or with the one that is there."""
        for name, parameter in self.network.named_parameters():
            if stage.learns is not None:
                parameter.requires_grad_(stage.learns(name))
        stage.prepare(self.network)
        if self._optimiser is None:
            self._optimiser = stage.pace.optimiser(self.network)
            self._rates = [group["lr"] for group in self._optimiser.param_groups]
            if self._saved_optimiser is not None:
                self._optimiser.load_state_dict(self._saved_optimiser)
                self._saved_optimiser = None
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def _second_core(self, stage: Stage) -> SecondCore | None:
        if stage.helper is None:
            return None
        task = stage.helper()

        def gradient(network: nn.Module, batches: list[Any]) -> None:
            self.step += 1  # in the other process, which counts for itself
            self._gradients((0, 0), task, batches)

        return SecondCore(self.network, lambda: iter(Steps(task, self.team, self.options, self.step)), gradient)

    def _gradients(self, place: tuple[int, int], task: Task, batches: list[Any]) -> tuple[Tensor, int]:
        """Leave the sum of the gradients in the parameters; the weight of what was summed, and how many examples.

        `place`: the stage and its step.
        """
        device, seed = self.team.device, self.options.seed
        weight, examples = torch.zeros(1, device=device), 0
        for piece, batch in enumerate(batches):
            # What is drawn, such as dropout, is another for every step and process, and alike when a step is repeated.
            drawn = self.step if seed < 0 else hash((seed, *place, self.team.rank, piece)) & 0x7FFF_FFFF
            torch.manual_seed(drawn)
            with computing(device, self.options.bfloat16):
                outcome = task.outcome(to_device(batch, device))
            if outcome.total.requires_grad:  # a frozen encoder learns nothing from a batch without words
                outcome.total.backward()  # type: ignore[no-untyped-call]
            weight += outcome.weight.detach().to(weight)
            examples += outcome.examples
            self.figures.add({**outcome.parts, "weight": outcome.weight})
        return weight, examples

    def seconds_of_a_step(self, task: Task) -> float:
        """Measured on steps that are thrown away."""
        began = time.monotonic()
        for batches, _ in zip(Steps(task, self.team, self.options, 0), range(TRIES), strict=False):
            self._gradients((0, 0), task, batches)
            self.network.zero_grad(set_to_none=True)
        self.figures.sums = {}
        return (time.monotonic() - began) / TRIES

    def judge(self, judge: Judge, report: Report) -> None:
        """Measure the network, and log what comes of it."""
        began = time.monotonic()
        figures = judge(self.network if self.average.network is None else self.average.network)
        took = time.monotonic() - began
        self.clock.judged(took)
        self.figures.pause(took)
        self.write(figures, report)

    def write(self, figures: dict[str, Any], report: Report) -> None:
        """Log a line; the time left is reported, not logged."""
        if not self.team.leads:
            return
        line = {"step": self.step, "of": self.steps} | figures
        append_line(self.log, json.dumps(line), own=2)
        rest = self.steps - self.step
        left = self.clock.left(rest, rest / self.options.judge_every if self.options.judge_every else 0)
        report(line if left is None else line | {"left": left})

    def _state_of(self, network: nn.Module) -> dict[str, Tensor]:
        now = network.state_dict()
        return {name: now[name] for name in self._saved_names}

    def save(self) -> None:
        if not self.team.leads:
            return
        self.notes["seconds"] = self.seconds
        write_state(
            self.path,
            {
                "step": self.step,
                "network": self._state_of(self.network),
                "average": {} if self.average.network is None else self._state_of(self.average.network),
                "optimiser": None if self._optimiser is None else self._optimiser.state_dict(),
                "sums": self.figures.sums,
                "notes": self.notes,
            },
        )

    def _load(self) -> None:
        state = from_older(read_state(self.path, self.team.device), [stage.steps for stage in self.stages])
        self.network.load_state_dict({**self.network.state_dict(), **state["network"]})
        if state["average"]:
            self.average.begin(self.network)
            assert self.average.network is not None
            self.average.network.load_state_dict({**self.network.state_dict(), **state["average"]})
        self.step, self.notes, self._saved_optimiser = int(state["step"]), state["notes"], state["optimiser"]
        if self.team.leads:
            self.figures.sums = {name: float(value) for name, value in state["sums"].items()}
            forget_after(self.log, self.step)
