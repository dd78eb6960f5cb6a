"""`sam train pretrain`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from samcli.cli.completion import completes
from samcli.cli.flags import option, spread
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
from samcli.errors import ExitCode, UsageError, check_choice

SIZES = ("nano", "tiny", "small", "base")


@dataclass(kw_only=True)
class PretrainFlags(TrainingFlags):
    size: Annotated[str, option("nano, tiny, small, base.", "SIZE", autocompletion=completes(SIZES))] = "tiny"
    seconds: Annotated[float, option("Length of a window.", min=0.32, max=120.0)] = 10.24
    hidden: Annotated[float, option("Share of the patches hidden.", min=0.01, max=0.99)] = 0.78125
    epochs: Annotated[float, option("Passes over all windows.", "N")] = 10.0
    steps: Steps = None
    probe: Annotated[Path | None, option("Corpus to measure before and after.", "CORPUS")] = None


@spread
def pretrain(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDERS", help="Recordings; labels are not needed.")],
    flags: PretrainFlags,
) -> ExitCode:
    """Teach an encoder by sound alone (SSAMBA): hidden patches of spectrograms are predicted from the others.

    sam train pretrain recordings/ -o my-encoder --size tiny
    sam train pretrain corpus/ -o my-encoder --size nano --seconds 2.56 --steps 3000 --rate 1e-3 --probe corpus/
    sam train align openaqa.json --audio sounds/ --encoder my-encoder -o my-sam

    Stopped, the same command goes on from the last save.
    """
    check_choice("--size", flags.size, SIZES)
    if flags.probe is not None and not (flags.probe / "manifest.csv").is_file():
        raise UsageError(f"{str(flags.probe)!r} is no corpus: there is no manifest.csv in it.")
    inputs = find_sounds(folders)
    with teaching(flags) as (out, team):
        from samcli.training import pretrain as pretraining
        from samcli.training.folder import ModelFolder
        from samcli.training.frames import FrameStore

        streams = output()
        recipe = pretraining.PretrainRecipe()
        recipe = replace(
            recipe,
            encoder=pretraining.sized(flags.size, flags.seconds),
            hidden=flags.hidden,
            steps=flags.steps or 0,
            epochs=flags.epochs,
            pace=pace_of(flags, recipe.pace),
            loop=loop_options(flags, team, recipe.loop.batch),
        )
        folder = ModelFolder(out)
        if team.leads:
            folder.open({"recipe": "pretrain", **settings_of(recipe), "recordings": len(inputs)})
            read_frames(inputs, folder.state, f"{len(inputs)} recordings")
        team.barrier()
        store = FrameStore(folder.state / "frames")
        streams.note(f"learning from {store.seconds / 3600:.2f} hours of sound")
        network, finished = pretraining.pretrain(store, folder.state, recipe, team, reporter())
        if finished and team.leads:
            folder.deliver(network, network.config, card=pretraining.card(recipe, store))
            if flags.probe is not None:
                judge(flags.probe, pretraining.fresh(recipe), network.cpu())
        return end(finished, out, team)


def judge(corpus: Path, before: Any, after: Any) -> None:
    """Say what a linear probe finds in the encoder before and after."""
    from samcli.evaluation.probe import probe

    streams = output()
    both = {"from scratch": before, "pre-trained": after}
    found = probe(both, corpus, lambda what, done, of: streams.status(f"{what}: {done} of {of}"))
    for name, one in found.items():
        streams.note(
            f"linear probe, {name}: {100 * one.accuracy:.1f} % of {len(one.hits)} clips in {one.classes} classes "
            f"(95 % interval {_range(one.spread())})"
        )
    gain, *ends = found["pre-trained"].gain(found["from scratch"])
    streams.note(f"gained on the same clips: {100 * gain:.1f} points (95 % interval {_range(ends)})")


def _range(ends: Sequence[float]) -> str:
    return " to ".join(f"{100 * end:.1f}" for end in ends)
