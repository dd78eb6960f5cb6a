"""`sam train mohawk`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samcli.cli.flags import MODEL, option, spread, switch
from samcli.cli.output import output
from samcli.cli.train.shared import TrainingFlags, end, loop_options, reporter, settings_of, stage_numbers, teaching
from samcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from samcli.training.mohawk.passages import Passages
    from samcli.training.mohawk.recipe import MohawkRecipe
    from samcli.training.team import Team


@dataclass(kw_only=True)
class MohawkFlags(TrainingFlags):
    text: Annotated[Path | None, option("Text file or folder; else our captions.", "PATH")] = None
    steps: Annotated[str, option("Steps of the three stages.", "A,B,C")] = "200,400,2400"
    length: Annotated[int, option("Tokens of a window.", "N", min=2)] = 256
    offline: Annotated[bool, switch("No use of the network.", "--offline", panel=MODEL)] = False


@spread
def mohawk(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Llama, Phi or GPT-NeoX: folder or Hub id.")],
    flags: MohawkFlags,
) -> ExitCode:
    """Turn a transformer into a Mamba-2 language model (MOHAWK), whose memory does not grow with the text.

    sam train mohawk HuggingFaceTB/SmolLM2-135M -o my-mamba --text books/
    sam train mohawk my-llama/ -o my-mamba --steps 30,120,90 --rate 1.5e-3

    Stopped, the same command goes on from the last save. sam train align --language my-mamba gives it ears.
    """
    if flags.text is not None and not flags.text.exists():
        raise UsageError(f"There is no text at {str(flags.text)!r}.")
    with teaching(flags) as (out, team):
        from samcli.checkpoints.loading import locate
        from samcli.training.folder import ModelFolder
        from samcli.training.mohawk import recipe as mohawking
        from samcli.training.mohawk.reading import read_teacher

        streams = output()
        recipe = recipe_of(flags, team)
        source = locate(teacher, offline=flags.offline, progress=team.leads and streams.shows_status)
        network = read_teacher(source.folder, team.device)
        passages, tokenizer = passages_of(source.folder, flags, network.vocab_size)
        folder = ModelFolder(out)
        if team.leads:
            folder.open({"teacher": source.revision, "tokens": passages.size} | settings_of(recipe))
        team.barrier()
        student, found, finished = mohawking.mohawk(network, passages, folder.state, recipe, team, reporter())
        if finished and team.leads:
            streams.note("perplexity of what was held out: " + mohawking.in_words(found))
            card = mohawking.card(teacher, recipe, found)
            folder.deliver(student.cpu(), student.config, tokenizer=tokenizer, card=card)
        return end(finished, out, team)


def passages_of(folder: Path, flags: MohawkFlags, vocabulary: int) -> tuple[Passages, Path]:
    """The text, by the teacher's tokenizer, and that one's file."""
    from samcli.checkpoints.files import read_tokenizer, tokenizer_file
    from samcli.errors import ModelError
    from samcli.training.mohawk.passages import Grammar, Texts, encoder

    path = tokenizer_file(folder)
    if path is None:
        raise ModelError(f"{folder} has no tokenizer.json beside its weights.")
    tokenizer = read_tokenizer(path)
    if tokenizer.get_vocab_size(with_added_tokens=False) > vocabulary:
        raise ModelError(f"The tokenizer in {folder} has more pieces than its model: they do not belong together.")
    encode = encoder(tokenizer)
    if flags.text is None:
        return Grammar(encode, flags.length, flags.seed), path
    return Texts(flags.text, encode, flags.length, flags.seed), path


def recipe_of(flags: MohawkFlags, team: Team) -> MohawkRecipe:
    """The recipe these flags ask for."""
    from samcli.training.mohawk.recipe import MohawkRecipe

    plain = MohawkRecipe()
    first, second, third = (round(steps) for steps in stage_numbers(flags.steps, "steps", "200,400,2400"))
    return replace(
        plain,
        steps=(first, second, third),
        length=flags.length,
        rate=flags.rate or plain.rate,
        warm_up=plain.warm_up if flags.warm_up is None else flags.warm_up,
        loop=loop_options(flags, team, plain.loop.batch),
    )
