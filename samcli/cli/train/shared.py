"""What `sam train align`, `distill`, `pretrain` and `mohawk` have in common: flags, progress, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from samcli.cli.completion import completes
from samcli.cli.flags import MACHINE, OUTPUT, Device, TalkFlags, option
from samcli.cli.output import output
from samcli.cli.progress import span
from samcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from samcli.audio.front_end import FrontEnd
    from samcli.engine.inputs.find import Input
    from samcli.training.frames import FrameStore
    from samcli.training.optimiser import Pace
    from samcli.training.stage import LoopOptions
    from samcli.training.team import Team

TYPES = ("auto", "float32", "bfloat16")
MOST_NAMED = 3  # of the recordings that could not be read

Steps = Annotated[int | None, option("Length of the training, instead of epochs.", "N", min=1)]


@dataclass(kw_only=True)
class TrainingFlags(TalkFlags):
    """For every training of a whole model."""

    output: Annotated[
        Path | None, option("Folder of the model and its training.", names=("--output", "-o"), panel=OUTPUT)
    ] = None
    batch_size: Annotated[int | None, option("Examples a step, over all processes.", "N", min=1)] = None
    rate: Annotated[float | None, option("Highest learning rate.", "RATE")] = None
    warm_up: Annotated[int | None, option("Steps of the warm-up.", "N", min=0)] = None
    seed: Annotated[int, option("Random seed.", min=0)] = 0
    at_once: Annotated[int, option("Examples in memory; 0: a whole step's.", "N", panel=MACHINE, min=0)] = 0
    device: Device = "auto"
    dtype: Annotated[
        str, option("auto, float32, bfloat16.", "TYPE", panel=MACHINE, autocompletion=completes(TYPES))
    ] = "auto"
    workers: Annotated[int, option("Processes that read ahead.", "N", panel=MACHINE, min=0)] = 0
    save_every: Annotated[float, option("Seconds between two saves.", "SECONDS", panel=MACHINE)] = 300.0


def settings_of(recipe: Any) -> dict[str, Any]:
    """What a training that goes on must have the same."""
    from samcli.checkpoints.configs import config_to_json

    plain = config_to_json(recipe)
    return plain | {"loop": {name: plain["loop"][name] for name in ("batch", "bfloat16", "seed")}}


@contextmanager
def teaching(flags: TrainingFlags) -> Iterator[tuple[Path, Team]]:
    """The output folder and the processes at work; of several, the first one speaks."""
    if flags.output is None:
        raise UsageError("Say where the model goes: -o FOLDER.")
    if flags.dtype not in TYPES:
        raise UsageError(f"There is no --dtype {flags.dtype!r} to learn in: choose {', '.join(TYPES)}.")
    if flags.rate is not None and not 0 < flags.rate < 1:
        raise UsageError(f"A learning rate of {flags.rate} cannot be: give one such as 0.0001.")
    from samcli.training.team import join_team

    streams = output()
    streams.farewell = "stopped; the same command goes on from the last save."
    with join_team(flags.device) as team:
        if not team.leads:
            streams.quiet = True
        yield flags.output, team


def loop_options(flags: TrainingFlags, team: Team, batch: int, at_once: int = 0, average: float = 0.0) -> LoopOptions:
    """These flags as options; bfloat16 by itself on a GPU only, where it is quicker and was published so."""
    from samcli.training.stage import LoopOptions

    return LoopOptions(
        batch=flags.batch_size or batch,
        at_once=flags.at_once or at_once,
        workers=flags.workers,
        bfloat16=flags.dtype == "bfloat16" or (flags.dtype == "auto" and team.device.type == "cuda"),
        save_every_seconds=flags.save_every,
        average=average,
        seed=flags.seed,
    )


def stage_numbers(text: str, name: str, example: str) -> tuple[float, ...]:
    """One number for each stage, as many as in the example, or one for all."""
    count = example.count(",") + 1
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    numbers = numbers * count if len(numbers) == 1 else numbers
    if len(numbers) != count or not all(0 <= number < 1e9 for number in numbers) or not any(numbers):
        stages = {3: "three", 4: "four"}[count]
        raise UsageError(f"--{name} takes a number for each of the {stages} stages, such as {example}, not {text!r}.")
    return numbers


def find_sounds(folders: Sequence[str]) -> list[Input]:
    """The recordings below these folders; of a corpus, those to learn from."""
    from samcli.engine.inputs.find import find_inputs

    found: list[Input] = []
    for folder in folders:
        inputs = find_inputs([folder])
        if (Path(folder) / "manifest.csv").is_file():
            inputs = [item for item in inputs if not item.relative.startswith("dev/")]
        found += inputs
    return found


def read_frames(inputs: Sequence[Input], folder: Path, what: str, front_end: FrontEnd | None = None) -> FrameStore:
    """The frames of recordings, kept in a training's folder; the first few that cannot be read are named."""
    from samcli.audio.front_end import KALDI
    from samcli.training.frames import make_frames

    streams = output()
    streams.note(f"reading {what}")
    made = make_frames(
        inputs, folder / "frames", lambda done, of: streams.status(f"reading {done} of {of}"), front_end or KALDI
    )
    for cause in list(made.skipped.values())[:MOST_NAMED]:
        streams.error(cause)
    if made.skipped:
        streams.error(f"{len(made.skipped)} recordings cannot be read and are left out.")
    return made


def pace_of(flags: TrainingFlags, pace: Pace) -> Pace:
    """A recipe's pace with the rate and the warm-up that were asked for."""
    warm_up = pace.warm_up if flags.warm_up is None else flags.warm_up
    return replace(pace, rate=flags.rate or pace.rate, warm_up=warm_up)


def reporter() -> Callable[[dict[str, Any]], None]:
    """Show a line of the log, on the status line of a terminal or below each other."""
    streams = output()

    def report(line: dict[str, Any]) -> None:
        words = describe(line)
        if streams.shows_status:
            streams.status(words)
        else:
            streams.note(words)

    return report


def describe(line: dict[str, Any]) -> str:
    """A line of the log, in words."""
    if "clips" in line:
        return f"scoring the clips again, {line['clips']} of {line['of']}"
    known = ("step", "of", "stage", "rate", "norm", "seconds", "examples/s", "left")
    words = f"{line['stage']}  step {line['step']} of {line['of']}"
    words += "".join(f"  {name} {value:.4g}" for name, value in line.items() if name not in known)
    words += f"  {line['examples/s']:.3g} examples/s"
    return words + (f"  {span(line['left'])} left" if "left" in line else "")


def end(finished: bool, out: Path, team: Team) -> ExitCode:
    """The last line of a finished training: where the model is."""
    if not finished:
        return ExitCode.INTERRUPTED
    if team.leads:
        output().write(f"{out}\n")
    return ExitCode.OK
