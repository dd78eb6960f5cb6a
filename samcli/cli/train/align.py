"""`sam train align`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samcli.cli.completion import complete_model, completes
from samcli.cli.flags import MODEL, option, spread, switch
from samcli.cli.output import output
from samcli.cli.train.shared import TrainingFlags, end, loop_options, reporter, settings_of, stage_numbers, teaching
from samcli.errors import ExitCode, UsageError, check_choice
from samcli.writers.disk import own_file

if TYPE_CHECKING:
    from samcli.training.align.network import AlignRecipe
    from samcli.training.align.openaqa import Questions
    from samcli.training.team import Team

CONNECTORS = {
    "concat": "concat",
    "time-major": "time-major",
    "frequency-major": "frequency-major",
    "convolution": "convolution",
    "scan": "scan",
    "a": "concat",  # SAM's own names
    "b": "time-major",
    "c": "frequency-major",
}
METHODS = ("lora", "dora", "full")


@dataclass(kw_only=True)
class AlignFlags(TrainingFlags):
    audio: Annotated[Path | None, option("Folder of the recordings.", "FOLDER")] = None
    encoder: Annotated[str, option("A name, folder or Hub id.", "NAME", panel=MODEL, autocompletion=complete_model)] = (
        "eat-base"
    )
    language: Annotated[
        str, option("A Mamba-2, or what mohawk made.", "NAME", panel=MODEL, autocompletion=complete_model)
    ] = "mamba2-130m"
    connector: Annotated[
        str,
        option(
            "concat (a), time-major (b), frequency-major (c), convolution, scan.",
            "KIND",
            panel=MODEL,
            autocompletion=completes(CONNECTORS),
        ),
    ] = "concat"
    method: Annotated[str, option("lora, dora or full.", "NAME", panel=MODEL, autocompletion=completes(METHODS))] = (
        "lora"
    )
    rank: Annotated[int, option("Rank of the adapters.", "N", panel=MODEL, min=1)] = 256
    dropout: Annotated[float, option("Dropout of the adapters' input.", panel=MODEL, min=0.0, max=0.9)] = 0.05
    freeze_encoder: Annotated[bool, switch("Frozen encoder, whose tags stay.", "--freeze-encoder", panel=MODEL)] = False
    offline: Annotated[bool, switch("No use of the network.", "--offline", panel=MODEL)] = False
    epochs: Annotated[str, option("Passes in each of the four stages.", "A,B,C,D")] = "2,2,1,1"
    steps: Annotated[str | None, option("Length of the training, instead of epochs.", "A,B,C,D")] = None
    windows: Annotated[int, option("Most windows of 10 s heard.", "N", min=1)] = 1
    longest: Annotated[int, option("Question and answer, in tokens.", "N", min=8)] = 108
    recompute: Annotated[bool, switch("Less memory, a third more time.", "--recompute")] = False


@spread
def align(
    data: Annotated[list[Path], typer.Argument(metavar="DATA", help="OpenAQA files: JSON lists or lines.")],
    flags: AlignFlags,
) -> ExitCode:
    """Teach a published encoder and a Mamba-2 language model to speak of sound: SAM, by LTU's curriculum.

    sam train align openaqa.json --audio sounds/ -o my-sam
    sam train align openaqa.json -o my-sam --encoder dass-medium --language mamba2-780m --recompute
    torchrun --nproc_per_node 4 -m samcli train align openaqa.json --audio sounds/ -o my-sam

    Each item has audio_id, instruction, input and output. Stopped, the same command goes on from the last save.
    """
    missing = [path for path in data if not path.is_file()]
    if missing:
        raise UsageError(f"There is no file named {str(missing[0])!r}.")
    if flags.audio is not None and not flags.audio.is_dir():
        raise UsageError(f"There is no folder named {str(flags.audio)!r}.")
    with teaching(flags) as (out, team):
        from samcli.training.align import recipe as alignment
        from samcli.training.align.openaqa import find_audio, read_questions
        from samcli.training.folder import ModelFolder

        streams = output()
        recipe = recipe_of(flags, team)
        questions = read_questions(data)
        found = find_audio(questions.ids, data, flags.audio)
        must_find(questions, found)
        if team.leads:
            say_found(questions, found)
        parts, revisions = alignment.load_parts(
            flags.encoder, flags.language, offline=flags.offline, progress=team.leads and streams.shows_status
        )
        folder = ModelFolder(out)
        if team.leads:
            origin = {"encoder": flags.encoder, "language": flags.language, "revisions": revisions}
            settings = settings_of(recipe)
            del settings["recompute"]  # makes no difference to what is learned
            folder.open(origin | settings | {"items": len(questions), "recordings": len(found)})
        team.barrier()
        places = [found.get(name) for name in questions.ids]
        network, finished = alignment.align(parts, questions, places, folder.state, recipe, team, reporter())
        if finished and team.leads:
            network = alignment.without_stale_head(network.cpu(), recipe)
            path = parts.tokenizer.save(folder.state / "tokenizer.json")
            labels = parts.labels if network.config.encoder.classes else ()
            folder.deliver(network, network.config, labels=labels, tokenizer=path, card=card(flags, questions))
            say_unread(folder.state / "unread.txt")
        return end(finished, out, team)


def recipe_of(flags: AlignFlags, team: Team) -> AlignRecipe:
    """The recipe these flags ask for."""
    from samcli.models.connectors import ConnectorConfig
    from samcli.training.align.network import AlignRecipe

    check_choice("--connector", flags.connector, CONNECTORS)
    check_choice("--method", flags.method, METHODS)
    kind: Any = CONNECTORS[flags.connector]
    plain = AlignRecipe()
    return AlignRecipe(
        connector=ConnectorConfig(kind),
        method=flags.method,
        rank=flags.rank,
        dropout=flags.dropout,
        freeze_encoder=flags.freeze_encoder,
        windows=flags.windows,
        longest=flags.longest,
        epochs=stage_numbers(flags.epochs, "epochs", "2,2,1,1"),
        steps=tuple(round(steps) for steps in stage_numbers(flags.steps, "steps", "2,2,1,1")) if flags.steps else (),
        rate=flags.rate or plain.rate,
        warm_up=plain.warm_up if flags.warm_up is None else flags.warm_up,
        recompute=flags.recompute,
        loop=loop_options(flags, team, plain.loop.batch, plain.loop.at_once),
    )


def must_find(questions: Questions, found: dict[str, str]) -> None:
    """Nothing can be learned without a recording."""
    if not found:
        raise UsageError(
            f"None of the {len(questions.ids)} recordings is there, {questions.ids[0]!r} for one: "
            "say where they are with --audio FOLDER."
        )


def say_found(questions: Questions, found: dict[str, str]) -> None:
    """How much there is to learn from, and what is missing."""
    streams = output()
    lacking = [name for name in questions.ids if name not in found]
    if questions.blank:
        streams.error(f"{questions.blank} items have no answer and are left out.")
    if lacking:
        streams.error(
            f"{len(lacking)} of {len(questions.ids)} recordings are not there, {lacking[0]!r} for one; "
            "what is asked about them is left out."
        )
    kinds = {kind: len(questions.of(kind)) for kind in ("classification", "caption", "closed", "open")}
    streams.note(f"{len(questions)} questions: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))


def say_unread(path: Path) -> None:
    """What turned out not to be readable while learning."""
    if path.exists():
        with own_file(path, "r", 2, encoding="utf-8", errors="surrogateescape") as file:
            lines = set(file)
        output().error(f"{len(lines)} recordings could not be read and others took their places: {path} names them.")


def card(flags: AlignFlags, questions: Questions) -> str:
    """The README of the model's folder."""
    tags = "" if flags.freeze_encoder else " The encoder learned too, so its former tag scores no longer hold."
    return (
        "# An aligned model\n\n"
        f"SAM (arXiv 2509.15680) of {flags.encoder} and {flags.language} with a {flags.connector} connector, taught by "
        f"`sam train align` on {len(questions)} questions about {len(questions.ids)} recordings.{tags}\n"
    )
