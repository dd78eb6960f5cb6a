"""`sam train speech`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.completion import completes
from samcli.cli.flags import option, spread, switch
from samcli.cli.output import output
from samcli.cli.train.shared import (
    Steps,
    TrainingFlags,
    end,
    loop_options,
    pace_of,
    read_frames,
    reporter,
    settings_of,
    teaching,
)
from samcli.errors import ExitCode, check_choice

SIZES = ("tiny", "small", "base", "large")


@dataclass(kw_only=True)
class SpeechFlags(TrainingFlags):
    size: Annotated[str, option("tiny, small, base, large.", "SIZE", autocompletion=completes(SIZES))] = "base"
    joined: Annotated[int, option("Most utterances of an example.", "N", min=1)] = 1
    plain: Annotated[bool, switch("Recordings as they are, unvaried.", "--plain")] = False
    epochs: Annotated[float, option("Passes over all utterances.", "N")] = 30.0
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
    check_choice("--size", flags.size, SIZES)
    from samcli.training.speech.material import inputs_of, read_speech

    utterances = read_speech(data)
    with teaching(flags) as (out, team):
        from samcli.training.folder import ModelFolder
        from samcli.training.frames import FrameStore
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
            pace=pace_of(flags, recipe.pace),
            loop=loop_options(flags, team, recipe.loop.batch, average=recipe.loop.average),
        )
        folder = ModelFolder(out)
        if team.leads:
            folder.open({"recipe": "speech", **settings_of(recipe), "utterances": len(utterances)})
            read_frames(inputs_of(utterances), folder.state, f"{len(utterances)} utterances")
        team.barrier()
        store = FrameStore(folder.state / "frames")
        streams.note(f"learning from {store.seconds / 3600:.2f} hours of speech")
        network, finished = teaching_speech.teach(store, utterances, folder.state, recipe, team, reporter())
        if finished and team.leads:
            words = teaching_speech.card(recipe, len(utterances), store.seconds)
            folder.deliver(network, network.config, card=words)
        return end(finished, out, team)
