"""`sam train tune`"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from samcli.cli.completion import complete_model, completes
from samcli.cli.flags import OUTPUT, TalkFlags, option, spread, switch
from samcli.cli.output import Output, output
from samcli.cli.progress import span
from samcli.cli.tables import readable_size
from samcli.cli.train.check import Data
from samcli.errors import ExitCode, UsageError, check_choice

if TYPE_CHECKING:
    from samcli.audio.front_end import FrontEnd
    from samcli.training.tune.examine import Examined
    from samcli.training.tune.recipe import Tuned

METHODS = ("lora", "dora", "full", "head")


@dataclass(kw_only=True)
class TuneFlags(TalkFlags):
    output: Annotated[Path | None, option("Folder to make.", names=("--output", "-o"), panel=OUTPUT)] = None
    resume: Annotated[bool, switch("Continuation of a stopped run.", "--resume", panel=OUTPUT)] = False
    base: Annotated[str, option("Model to train.", "NAME", autocompletion=complete_model)] = "sam-nano"
    method: Annotated[str, option("lora, dora, full or head.", "METHOD", autocompletion=completes(METHODS))] = "lora"
    rank: Annotated[int, option("Rank of lora and dora.", "N", min=1, max=1024)] = 8
    epochs: Annotated[float | None, option("Passes over all recordings.", "N")] = None
    minutes: Annotated[float | None, option("Length of the training, instead of epochs.", "N")] = None
    batch_size: Annotated[int, option("Scenes per step.", "N", min=1)] = 16
    others: Annotated[Path | None, option("Sounds with none of the labels.", "FOLDER")] = None
    seed: Annotated[int, option("Random seed.", min=0)] = 0
    anyway: Annotated[bool, switch("Training in spite of problem recordings.", "--anyway")] = False
    offline: Annotated[bool, switch("No use of the network.", "--offline")] = False


@spread
def tune(data: Data, flags: TuneFlags) -> ExitCode:
    """Teach a model your own sounds: new names beside those it knows, captions, answers.

    sam train tune birds/ -o my-model
    sam train tune birds.csv -o my-model --method head --others street-sounds/
    sam tag recordings/ --model my-model

    Ctrl-C saves; with --resume the same command goes on.
    """
    out = check_flags(flags)
    streams = output()
    from samcli.models.tuned import encoder_of
    from samcli.training.tune.base import TuneRecipe, load_base
    from samcli.training.tune.folder import check_new, open_folder, settings_of
    from samcli.training.tune.recipe import read_others, tune

    if not flags.resume:
        check_new(out)
    base = load_base(flags.base, offline=flags.offline)
    front_end = encoder_of(base.piece.module).front_end
    examined, sounds = listen(data, base.piece.labels, front_end, flags, streams)
    method: Any = flags.method
    recipe = TuneRecipe(
        method=method, rank=flags.rank, epochs=flags.epochs, minutes=flags.minutes, seed=flags.seed
    ).of_size(flags.batch_size)
    others = read_others(flags.others, flags.seed, front_end) if flags.others else []
    if not open_folder(out, settings_of(examined, base, recipe, others), flags.resume):
        streams.note(f"{out} is finished already.")
        streams.write(f"{out}\n")
        return ExitCode.OK
    streams.farewell = "stopped and saved; the same command with --resume goes on."
    for note in examined.notes:
        streams.note(note)
    if examined.found.has_words and (flags.method == "head" or not base.speaks):
        streams.note("captions and answers are left out: " + ("only lora, dora and full learn words." if base.speaks
                     else f"{flags.base} has no language model."))  # fmt: skip
    held = examined.split("validation")
    new = [count.label for count in examined.labels if not count.known]
    streams.note(
        f"learning from {len(examined.split('train'))} recordings, judged on {len(held)}; "
        f"{len(examined.labels)} names, {len(new)} of them new"
    )
    if new and flags.others is None:
        streams.note("new names may be heard where they are not: --others FOLDER, of other sounds, teaches where")
    done = tune(examined, sounds, base, out, recipe, report=reporter(streams), note=streams.note, others=others)
    streams.note(summary(done, out))
    streams.write(f"{out}\n")
    return ExitCode.OK


def check_flags(flags: TuneFlags) -> Path:
    """The folder to make; what cannot be is refused before anything is read."""
    if flags.output is None:
        raise UsageError("Say where the model goes: -o FOLDER.")
    check_choice("--method", flags.method, METHODS)
    if flags.epochs is not None and flags.minutes is not None:
        raise UsageError("Give --epochs or --minutes, not both.")
    for name, value in (("epochs", flags.epochs), ("minutes", flags.minutes)):
        if value is not None and not 0 < value < 1e6:
            raise UsageError(f"--{name} {value:g} cannot be.")
    if flags.others is not None and not flags.others.is_dir():
        raise UsageError(f"There is no folder named {str(flags.others)!r}.")
    return flags.output


def listen(
    data: Path, known: tuple[str, ...], front_end: FrontEnd, flags: TuneFlags, streams: Output
) -> tuple[Examined, dict[str, Any]]:
    """The recordings, checked, and their filter banks; what would bite ends the run, unless told not to."""
    from samcli.training.tune.batches import features_of
    from samcli.training.tune.examine import examine
    from samcli.training.tune.recordings import read_data

    sounds: dict[str, Any] = {}
    examined = examine(
        read_data(data),
        known,
        seed=flags.seed,
        rate=front_end.sample_rate,
        keep=lambda path, wave: sounds.update({path: features_of(wave, front_end)}),
        progress=lambda done, total: streams.status(f"reading {done} of {total}"),
    )
    if not any(recording.split == "train" for recording in examined.recordings):
        raise UsageError(f"Nothing in {str(data)!r} can be learned from; see: sam train check {data}")
    if examined.problems:
        for problem in examined.problems[:5]:
            streams.error(f"{problem.kind}: {problem.sentence}")
        count = len(examined.problems)
        if not flags.anyway:
            raise UsageError(
                f"{count} problems would bite (sam train check {data} names them all): "
                "mend them, or go on with --anyway."
            )
        streams.note(f"going on with {count} problems")
    return examined, sounds


def reporter(streams: Output) -> Callable[[dict[str, Any]], None]:
    """Steps on the status line; what was judged stays."""
    latest: dict[str, Any] = {}

    def report(line: dict[str, Any]) -> None:
        judged = "loss" not in line
        latest.update({name: value for name, value in line.items() if judged or name in ("step", "of", "loss", "left")})
        words = describe(latest if not judged else line)
        if judged:
            streams.note(words)
        else:
            streams.status(words)

    return report


def describe(line: dict[str, Any]) -> str:
    """A line of the log, in words."""
    words = f"step {line['step']} of {line['of']}"
    if "loss" in line:
        words += f"  loss {line['loss']:.3f}"
    for name in ("accuracy", "mAP", "false alarms"):
        if name in line:
            words += f"  {name} {100 * line[name]:.1f} %"
    for name in ("validation", "validation words"):
        if name in line:
            words += f"  {name} loss {line[name]:.3f}"
    return words + (f"  {span(line['left'])} left" if line.get("left") else "")


def summary(done: Tuned, out: Path) -> str:
    """How it went, in one sentence."""
    size = readable_size(sum(path.stat().st_size for path in out.iterdir() if path.is_file()))
    words = f"{done.steps} steps in {span(done.seconds)}; {size}"
    if not done.figure:
        return words + "; nothing was held out to judge by."
    before, best = done.before.get(done.figure, 0.0), done.best[done.figure]
    if done.figure in ("accuracy", "mAP"):
        return (
            words
            + f"; held-out {done.figure} {100 * before:.1f} % before, {100 * best:.1f} % at step {done.best_step}."
        )
    return words + f"; held-out word loss {before:.3f} before, {best:.3f} at step {done.best_step}."
