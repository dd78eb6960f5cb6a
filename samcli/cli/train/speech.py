"""`sam train speech`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import spread
from samcli.cli.output import output
from samcli.cli.train.shared import CourseFlags, course_options, end, reporter, say_skipped, teaching
from samcli.errors import UsageError

SIZES = ("tiny", "small", "base", "large")


def complete_size(incomplete: str) -> list[str]:
    return [size for size in SIZES if size.startswith(incomplete)]


@dataclass(kw_only=True)
class SpeechFlags(CourseFlags):
    """For `sam train speech`."""

    size: Annotated[
        str, typer.Option(help="tiny, small, base, large.", metavar="SIZE", autocompletion=complete_size)
    ] = "base"
    joined: Annotated[int, typer.Option(help="Most utterances of an example.", metavar="N", min=1)] = 1
    plain: Annotated[bool, typer.Option("--plain", help="Recordings as they are, unvaried.", metavar="")] = False
    epochs: Annotated[float, typer.Option(help="Passes over all utterances.", metavar="N")] = 30.0
    steps: Annotated[
        int | None, typer.Option(help="Length of the training, instead of epochs.", metavar="N", min=1)
    ] = None


@spread
def speech(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with *.trans.txt, or CSV: file,text.")],
    flags: SpeechFlags,
) -> ExitCode:
    """Teach a model to write down speech (Samba-ASR): a Mamba encoder hears, a Mamba decoder reads what is written.

    sam train speech LibriSpeech/train-clean-100 -o my-speech --device cuda --at-once 4
    sam train speech commands.csv -o my-commands --size tiny --joined 3
    sam transcribe held-out/ --model my-speech -o said.jsonl
    sam eval said.jsonl held-out.csv

    Stopped, the same command goes on from the last save.
    """
    if flags.size not in SIZES:
        raise UsageError(f"There is no --size {flags.size!r}: choose {', '.join(SIZES)}.")
    from samcli.training.speech.material import inputs_of, read_speech

    utterances = read_speech(data)
    with teaching(flags) as (out, team):
        from samcli.training.frames import FrameStore, make_frames
        from samcli.training.speech import recipe as teaching_speech
        from samcli.training.speech.frames import NONE
        from samcli.training.workshop import Workshop

        streams = output()
        recipe = teaching_speech.SpeechRecipe(teaching_speech.sized(flags.size, utterances))
        recipe = replace(
            recipe,
            joined=flags.joined,
            variety=NONE if flags.plain else recipe.variety,
            steps=flags.steps or 0,
            epochs=flags.epochs,
            pace=replace(
                recipe.pace,
                rate=flags.rate or recipe.pace.rate,
                warm_up=recipe.pace.warm_up if flags.warm_up is None else flags.warm_up,
            ),
            course=course_options(flags, team, recipe.course.batch, average=recipe.course.average),
        )
        workshop = Workshop(out)
        if team.leads:
            workshop.open(settings(recipe, len(utterances)))
            streams.note(f"reading {len(utterances)} utterances")
            made = make_frames(
                inputs_of(utterances),
                workshop.state / "frames",
                lambda done, of: streams.status(f"reading {done} of {of}"),
            )
            say_skipped(made.skipped)
        team.wait()
        store = FrameStore(workshop.state / "frames")
        streams.note(f"learning from {store.seconds / 3600:.2f} hours of speech")
        network, finished = teaching_speech.teach(store, utterances, workshop.state, recipe, team, reporter())
        if finished and team.leads:
            words = teaching_speech.card(recipe, len(utterances), store.seconds)
            workshop.deliver(network, network.config, card=words)
        return end(finished, out, team)


def settings(recipe: Any, utterances: int) -> dict[str, Any]:
    """What the same course must have the same."""
    from samcli.checkpoints.configs import config_to_json

    plain = config_to_json(recipe)
    course = {name: plain["course"][name] for name in ("batch", "bfloat16", "seed")}
    return {"recipe": "speech", **plain, "course": course, "utterances": utterances}
