"""`sam train distill`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samcli.cli.completion import complete_model
from samcli.cli.flags import MODEL, option, spread, switch
from samcli.cli.output import output
from samcli.cli.train.shared import (
    Steps,
    TrainingFlags,
    end,
    find_sounds,
    loop_options,
    pace_of,
    read_frames,
    reporter,
    settings_of,
    teaching,
)
from samcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input
    from samcli.training.distill.recipe import DistillRecipe
    from samcli.training.distill.teacher import TeacherLabels
    from samcli.training.frames import FrameStore
    from samcli.training.team import Team

CORPUS_LABELS = "teacher_labels.npz"


def complete_student(incomplete: str) -> list[str]:
    from samcli.models.encoders.registry import SIZES

    return [name for name in SIZES if name.startswith(incomplete)]


@dataclass(kw_only=True)
class DistillFlags(TrainingFlags):
    teacher: Annotated[
        str | None, option("A tagger, or its labels (.npz).", "NAME", panel=MODEL, autocompletion=complete_model)
    ] = None
    student: Annotated[
        str, option("nano, dass-small, ..., or a folder.", "NAME", panel=MODEL, autocompletion=complete_student)
    ] = "nano"
    offline: Annotated[bool, switch("No use of the network.", "--offline", panel=MODEL)] = False
    divergence: Annotated[float, option("Share of the KL loss.", min=0.0, max=1.0)] = 0.5
    mix: Annotated[float, option("Chance of mixing two sounds.", min=0.0, max=1.0)] = 0.5
    mask_bands: Annotated[int, option("Most of 128 bands hidden.", min=0, max=128)] = 48
    mask_frames: Annotated[int, option("Most of 1000 frames hidden.", min=0, max=1000)] = 192
    balanced: Annotated[bool, switch("Rare sounds more often.", "--balanced/--as-they-come")] = True
    epochs: Annotated[float, option("Passes over every ten seconds.", "N")] = 5.0
    steps: Steps = None


@spread
def distill(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDERS", help="Recordings, or a corpus.")],
    flags: DistillFlags,
) -> ExitCode:
    """Let a tagger teach a state-space student (DASS): what it hears, the student learns to hear.

    sam train distill recordings/ --teacher dass-medium -o my-tagger
    sam train distill corpus/ --student dass-small -o my-tagger
    sam tag recordings/ --model my-tagger

    Stopped, the same command goes on from the last save.
    """
    teacher = flags.teacher or labels_of(folders)
    inputs = find_sounds(folders)
    with teaching(flags) as (out, team):
        from samcli.training.distill import recipe as distillation
        from samcli.training.distill.teacher import known_targets
        from samcli.training.folder import ModelFolder
        from samcli.training.frames import FrameStore

        streams = output()
        recipe = recipe_of(flags, team)
        folder = ModelFolder(out)
        if team.leads:
            origin = {"teacher": teacher, "student": flags.student, "recordings": len(inputs)}
            folder.open(origin | settings_of(recipe))
            made = read_frames(
                inputs, folder.state, f"{len(inputs)} recordings", distillation.front_end_of(flags.student)
            )
            if not teacher.endswith(".npz"):
                said_by(teacher, inputs, made, folder.state, flags, team)
        team.barrier()
        store = FrameStore(folder.state / "frames")
        said = said_by(teacher, inputs, store, folder.state, flags, team)
        known = known_targets(Path(folders[0]), store, said) if len(folders) == 1 else {}
        network, _ = distillation.make_student(flags.student, len(said.labels), flags.seed)
        streams.note(f"learning from {store.seconds / 3600:.2f} hours of sound, {len(known)} windows with labels")
        finished = distillation.distill(network, store, said, known, folder.state, recipe, team, reporter())
        if finished and team.leads:
            text = distillation.card(flags.student, teacher, store)
            folder.deliver(network.cpu(), network.config, labels=said.labels, card=text)
        return end(finished, out, team)


def labels_of(folders: list[str]) -> str:
    """The teacher's labels that a corpus brings."""
    path = Path(folders[0]) / CORPUS_LABELS
    if len(folders) == 1 and path.is_file():
        return str(path)
    raise UsageError("Say who teaches: --teacher dass-medium, or a file of its labels (.npz).")


def said_by(
    teacher: str, inputs: Sequence[Input], store: FrameStore, folder: Path, flags: DistillFlags, team: Team
) -> TeacherLabels:
    """What the teacher says of every ten seconds; it listens once."""
    from samcli.checkpoints.loading import load_model
    from samcli.training.distill.teacher import read_labels, teacher_labels

    if teacher.endswith(".npz"):
        return read_labels(Path(teacher), store)
    streams = output()
    model = load_model(teacher, device=str(team.device), offline=flags.offline, progress=streams.shows_status)

    def progress(done: int, of: int) -> None:
        streams.status(f"{teacher} hears {done} of {of} windows")

    return teacher_labels(model, inputs, store, folder, progress)


def recipe_of(flags: DistillFlags, team: Team) -> DistillRecipe:
    """The recipe these flags ask for."""
    from samcli.training.distill.recipe import FRESH_NANO_RATE, DistillRecipe

    plain = DistillRecipe()
    rate = FRESH_NANO_RATE if flags.student == "nano" else plain.pace.rate
    return DistillRecipe(
        divergence=flags.divergence,
        mix=flags.mix,
        bands=flags.mask_bands,
        frames=flags.mask_frames,
        balanced=flags.balanced,
        steps=flags.steps or 0,
        epochs=flags.epochs,
        pace=pace_of(flags, replace(plain.pace, rate=rate)),
        loop=loop_options(flags, team, plain.loop.batch, average=plain.loop.average),
    )
