"""`sam calibrate`"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from samcli.cli.destination import Destination, RowFlags
from samcli.cli.flags import OUTPUT, ModelFlags, option, spread, switch
from samcli.cli.output import Output, output
from samcli.cli.resolve import load_here
from samcli.cli.train.check import Data
from samcli.errors import ExitCode, UsageError
from samcli.writers.rows import Columns

if TYPE_CHECKING:
    from samcli.evaluation.calibration import Calibrated

FIGURES = ("precision", "recall", "f1")
ENDS = tuple(f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high"))
COLUMNS = Columns(
    ("label", "recordings", "sources", "threshold", "step_threshold", *ENDS),
    ("label", "recordings", "threshold", *FIGURES),
    "label",
)
FAILED = ("unreadable", "too short", "bad row")  # what could not be heard
OF_TRAINING = ("never trained", "nothing to train", "in both splits")  # what does no harm here
SHOWN = ("label", "recordings", "sources", "threshold", *FIGURES)


@dataclass(kw_only=True)
class CalibrateFlags(ModelFlags, RowFlags):
    save: Annotated[Path | None, option("Folder of the thresholds. [the model's own]", "FOLDER", panel=OUTPUT)] = None
    held_out: Annotated[
        bool | None, switch("Held-out recordings alone. [for tuned labels]", "--held-out/--all", show_default=False)
    ] = None
    seed: Annotated[int, option("Seed of the held-out choice.", min=0)] = 0


@spread
def calibrate(data: Data, flags: CalibrateFlags) -> ExitCode:
    """Find from which score on a label can be believed, on recordings whose labels you know.

    sam calibrate birds/ --model my-model
    sam calibrate street.csv --save street-model -o street-labels.csv
    sam tag recordings/ --model street-model --threshold auto

    The thresholds are stored beside the model; those of a model that is not yours go into a folder that --model takes.
    """
    from samcli.evaluation.calibration import calibrate
    from samcli.training.tune.recordings import read_data

    streams = output()
    destination = Destination.of(flags)
    destination.check_rows()
    folder, base = where_to_keep(flags)
    found = read_data(data)
    done = calibrate(
        load_here(flags),
        found,
        held_out_only=was_tuned(flags.model) if flags.held_out is None else flags.held_out,
        seed=flags.seed,
        progress=streams.progress,
    )
    tell(streams, done)
    rows = [for_people(row) if destination.shows_table(streams) else row for row in done.rows()]
    destination.write_rows(streams, COLUMNS, rows, SHOWN)
    if folder is None:
        streams.note(f"nothing is stored: {flags.model} is not yours to change; --save FOLDER keeps the thresholds")
    else:
        keep(done, folder, base)
        streams.note(f"the thresholds are in {folder}; sam tag --model {named(flags)} --threshold auto goes by them")
    return ExitCode.FAILED if any(problem.kind in FAILED for problem in done.examined.problems) else ExitCode.OK


def named(flags: CalibrateFlags) -> str:
    return flags.model if flags.save is None else str(flags.save)


def where_to_keep(flags: CalibrateFlags) -> tuple[Path | None, str]:
    """The folder for the thresholds, refused before any work if it is not one; and the base to name in it."""
    from samcli.checkpoints.calibration import FILE, is_calibration
    from samcli.checkpoints.safety import member
    from samcli.writers.files import AtomicFile

    own = own_folder(flags.model)
    if flags.save is None:
        if own is not None:
            AtomicFile(member(own, FILE)).discard()
        return own, ""
    if (
        flags.save.exists()
        and not is_calibration(str(flags.save))
        and (not flags.save.is_dir() or any(flags.save.iterdir()))
    ):
        raise UsageError(f"{str(flags.save)!r} is there already: name another folder.")
    if is_calibration(flags.model):
        raise UsageError(f"{flags.model} has a place for its thresholds: leave out --save, or name its base.")
    return flags.save, lasting(flags.model)


def own_folder(model: str) -> Path | None:
    """The folder of a model or an adapter that a person has on disk; None for what is bundled or comes from the Hub."""
    from samcli.checkpoints import catalogue
    from samcli.checkpoints.loading import split_adapters

    base, adapters = split_adapters(model)
    folder = Path(adapters[-1] if adapters else base).expanduser()
    if catalogue.find(model) is not None or not folder.is_dir():
        return None
    place = folder.resolve()
    shipped = place.is_relative_to(catalogue.DATA.resolve())
    return None if shipped or "snapshots" in place.parts else folder


def lasting(model: str) -> str:
    """The model's name, good in other folders too."""
    from samcli.checkpoints.loading import split_adapters

    base, adapters = split_adapters(model)
    folders = [Path(part).expanduser() for part in (base, *adapters)]
    return "+".join(
        str(folder.resolve()) if folder.is_dir() else part
        for folder, part in zip(folders, (base, *adapters), strict=True)
    )


def was_tuned(model: str) -> bool:
    """Whether it learned from recordings of a person's own, which would flatter it here."""
    from samcli.checkpoints.loading import is_adapter, split_adapters

    return bool(split_adapters(model)[1]) or is_adapter(model)


def keep(done: Calibrated, folder: Path, base: str) -> None:
    from samcli.checkpoints.calibration import read_calibration, write_calibration

    write_calibration(folder, done.calibration(read_calibration(folder), base))


def tell(streams: Output, done: Calibrated) -> None:
    """What was left out, and why."""
    for problem in done.examined.problems:
        if problem.kind not in OF_TRAINING:
            streams.error(f"{problem.kind}: {problem.sentence}")
    if done.unknown:
        streams.note(f"the model has no one name for: {', '.join(done.unknown)}; such recordings count as others")
    if done.sources == 1:
        streams.note("all recordings are of one source: what they say may not hold elsewhere")


def for_people(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose figures have their 95 % intervals beside them."""
    shown = dict(row)
    for name in FIGURES:
        if row[name] is not None:
            shown[name] = f"{row[name]:.2f} ({row[name + '_low']:.2f} to {row[name + '_high']:.2f})"
    return shown
