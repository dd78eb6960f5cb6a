"""`sam train speech`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.completion import completes
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import spread
from samcli.cli.output import output
from samcli.cli.train.shared import (
    Steps,
    TrainingFlags,
    end,
    loop_options,
    reporter,
    say_skipped,
    settings_of,
    teaching,
)
from samcli.errors import UsageError

SIZES = ("tiny", "small", "base", "large")


@dataclass(kw_only=True)
class SpeechFlags(TrainingFlags):
    """For `sam train speech`."""

    size: Annotated[
        str, typer.Option(help="tiny, small, base, large.", metavar="SIZE", autocompletion=completes(SIZES))
    ] = "base"
    joined: Annotated[int, typer.Option(help="Most utterances of an example.", metavar="N", min=1)] = 1
    plain: Annotated[bool, typer.Option("--plain", help="Recordings as they are, unvaried.", metavar="")] = False
    epochs: Annotated[float, typer.Option(help="Passes over all utterances.", metavar="N")] = 30.0
    steps: Steps = None


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
        from samcli.training.model_folder import ModelFolder
        from samcli.training.speech import recipe as teaching_speech
        from samcli.training.speech.material import NONE

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
            loop=loop_options(flags, team, recipe.loop.batch, average=recipe.loop.average),
        )
        folder = ModelFolder(out)
        if team.leads:
            folder.open({"recipe": "speech", **settings_of(recipe), "utterances": len(utterances)})
            streams.note(f"reading {len(utterances)} utterances")
            made = make_frames(
                inputs_of(utterances),
                folder.state / "frames",
                lambda done, of: streams.status(f"reading {done} of {of}"),
            )
            say_skipped(made.skipped)
        team.barrier()
        store = FrameStore(folder.state / "frames")
        streams.note(f"learning from {store.seconds / 3600:.2f} hours of speech")
        network, finished = teaching_speech.teach(store, utterances, folder.state, recipe, team, reporter())
        if finished and team.leads:
            words = teaching_speech.card(recipe, len(utterances), store.seconds)
            folder.deliver(network, network.config, card=words)
        return end(finished, out, team)
