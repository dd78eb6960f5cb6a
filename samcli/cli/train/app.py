"""`sam train`"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samcli.cli.completion import completes
from samcli.cli.flags import TalkFlags, option, spread, switch
from samcli.cli.output import output
from samcli.cli.train.align import align
from samcli.cli.train.check import check
from samcli.cli.train.distill import distill
from samcli.cli.train.mohawk import mohawk
from samcli.cli.train.pretrain import pretrain
from samcli.cli.train.shared import reporter
from samcli.cli.train.speech import speech
from samcli.cli.train.tune import tune
from samcli.errors import ExitCode, UsageError, check_choice

if TYPE_CHECKING:
    from samcli.models.sam import SamNetwork
    from samcli.training.nano.corpus import Corpus
    from samcli.training.nano.settings import NanoRecipe


@dataclass(kw_only=True)
class PlotFlags(TalkFlags):
    only: Annotated[list[str] | None, option("Single figure; repeatable.", "NAME")] = None
    output: Annotated[Path | None, option("PNG file, by matplotlib.", names=("--output", "-o"))] = None


@spread
def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Training folder, or its metrics.jsonl.")], flags: PlotFlags
) -> ExitCode:
    """Show the course of a training, finished or not: losses and what was judged.

    sam train plot my-model
    sam train plot my-model --only loss --only accuracy
    sam train plot my-model -o course.png
    """
    from samcli.training.curves import chart, choose, draw_png, find_log, read_curves

    streams = output()
    curves = choose(read_curves(find_log(run)), flags.only or ())
    if flags.output is not None:
        draw_png(curves, flags.output)
        streams.write(f"{flags.output}\n")
        return ExitCode.OK
    streams.write("\n\n".join(chart(name, curve) for name, curve in curves.items()) + "\n")
    return ExitCode.OK


SIZES = ("nano", "small", "base")
train = typer.Typer(name="train", no_args_is_help=True, rich_markup_mode="rich")


@train.callback()
def about() -> None:
    """Make a model, or teach one.

    sam train tune birds/ -o my-model
    sam train nano corpus/ work/
    sam train nano corpus/ work/ --size small
    sam tag recordings/ --model work/model
    """


def complete_variant(incomplete: str) -> list[str]:
    from samcli.training.nano.settings import PLAIN, VARIANTS

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in (PLAIN, *VARIANTS) if name.startswith(last)]


@dataclass(kw_only=True)
class NanoFlags(TalkFlags):
    size: Annotated[str, option("nano, small or base.", autocompletion=completes(SIZES))] = "nano"
    steps: Annotated[int | None, option("Steps of the whole training.", "N", min=10)] = None
    start: Annotated[
        str | None, option("Trained model to continue: sam-nano or folder.", "MODEL", names=("--from",))
    ] = None
    ears: Annotated[str | None, option("Model whose encoder stays: sam-nano or folder.", "MODEL")] = None
    trunk: Annotated[str | None, option("Initial mn04 weights: file or ORG/NAME.", "FILE")] = None
    without: Annotated[str | None, option("Comma-separated sources to hold out.", "SOURCES")] = None
    calibrate: Annotated[str | None, option("Comma-separated sources to calibrate on.", "SOURCES")] = None
    tags_only: Annotated[bool, switch("Tagger only, without words.", "--tags-only")] = False
    variant: Annotated[
        str | None, option("Variants to compare, such as no-scan.", "NAMES", autocompletion=complete_variant)
    ] = None
    both_cores: Annotated[bool, switch("Both cores; faster, but not reproducible.", "--both-cores")] = False
    seed: Annotated[int, option("Random seed.")] = 0


@train.command("nano", no_args_is_help=True)
@spread
def nano(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A folder with manifest.csv and train/.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Working folder.")],
    flags: NanoFlags,
) -> ExitCode:
    """Train sam-nano, or a bigger one by the same recipe; the model appears in OUT/model.

    sam train nano corpus/ work/ --trunk mn04_as.safetensors
    sam train nano corpus/ work/ --size small --steps 100000
    sam train nano corpus/ work/ --trunk mn04_as.safetensors --calibrate debian/boswars-data,github/ORG/NAME
    sam train nano corpus/ work/ --tags-only
    sam train nano corpus/ work/ --from sam-nano --steps 5000
    sam train nano corpus/ work/ --ears sam-nano --variant connector-b
    sam train nano corpus/ work/ --variant plain,mixture,mambaout
    sam eval corpus/ --model work/model

    Of several variants, each has its folder, OUT/mixture/model, and OUT/variants.md says what each loses on scenes of
    the sources left out, or of the development clips.

    Stopped, the same command goes on from the last save.
    """
    if not (corpus / "manifest.csv").is_file():
        raise UsageError(f"{str(corpus)!r} is no corpus: there is no manifest.csv in it.")
    check_choice("--size", flags.size, SIZES)
    from samcli.checkpoints.loading import locate
    from samcli.text.labels import labels
    from samcli.text.tokenizer import Tokenizer
    from samcli.training.nano.comparison import judged, table
    from samcli.training.nano.corpus import Corpus
    from samcli.training.nano.recipe import train_nano
    from samcli.training.nano.settings import PLAIN
    from samcli.writers.files import write_whole

    if flags.start is not None and (flags.ears is not None or flags.variant is not None):
        raise UsageError("--from goes on with a model as it is: neither --ears nor --variant goes with it.")
    if flags.ears is not None and flags.tags_only:
        raise UsageError("--ears learns words alone, --tags-only none: nothing is left to learn.")
    start, ears = (locate(name, offline=True).folder if name else None for name in (flags.start, flags.ears))
    streams = output()
    streams.farewell = "stopped; the same command goes on from the last save."
    names = [name.strip() for name in (flags.variant or PLAIN).split(",")]
    recipes = {name: recipe_of(replace(flags, variant=name)) for name in names}

    streams.note("reading the corpus")
    material = Corpus.read(corpus, labels())
    must_have(material, next(iter(recipes.values())).without)
    trunk, rows = trunk_file(flags.trunk), []
    for name, recipe in recipes.items():
        place = out if len(recipes) == 1 else out / name
        network = train_nano(material, place, recipe, trunk, start, ears, reporter(), out / "features")
        deliver(network, place, recipe, material, flags)
        if len(recipes) > 1 and not flags.tags_only:
            rows.append(judged(name, network, recipe, material, out / "features", Tokenizer.load(place)))
            write_whole(out / "variants.md", table(rows).encode())
    return ExitCode.OK


def names_in(listed: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in listed.split(",")) if listed else ()


def must_have(corpus: Corpus, sources: Iterable[str]) -> None:
    """A source that is not there is misspelt, and would be learned from."""
    missing = sorted({*sources} - {clip.source for clip in corpus.clips})
    if missing:
        raise UsageError(f"The corpus has no source {missing[0]!r}: the column source of its manifest.csv names them.")


def deliver(network: SamNetwork, place: Path, recipe: NanoRecipe, corpus: Corpus, flags: NanoFlags) -> None:
    """The trained model, as a folder of its own."""
    from samcli.training.nano.release import attribution, card, release

    made, tokenizer = (network.encoder, None) if flags.tags_only else (network, place / "tokenizer.json")
    words = card(made, recipe, flags.start), attribution(corpus, recipe.without)
    release(made, tokenizer, place / "model", *words)
    if flags.calibrate:
        from samcli.checkpoints.calibration import write_calibration
        from samcli.evaluation.nano.held_back import calibrate_encoder

        status = output().status
        found = calibrate_encoder(
            network.encoder,
            place / "model",
            corpus,
            names_in(flags.calibrate),
            lambda what, done, total: status(f"{what}: {done}/{total}"),
        )
        release(made, tokenizer, place / "model", *words)
        write_calibration(place / "model", found)
    output().write(f"{place / 'model'}\n")


def trunk_file(name: str | None) -> Path | None:
    """mn04's weights: a file that is here, or one that is fetched."""
    if name is None or Path(name).is_file():
        return None if name is None else Path(name)
    from samcli.checkpoints.loading import locate

    folder = locate(name).folder
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UsageError(f"There are no safetensors in {name!r}.")
    return files[0]


def recipe_of(flags: NanoFlags) -> NanoRecipe:
    """The recipe these flags ask for."""
    from samcli.training.nano.settings import PLAIN, VARIANTS, NanoRecipe, bigger

    recipe = NanoRecipe(seed=flags.seed)
    recipe = replace(recipe, second_core=flags.both_cores)
    if flags.size != "nano":
        recipe = bigger(recipe, flags.size)
    if flags.variant not in (None, PLAIN):
        if flags.variant not in VARIANTS:
            raise UsageError(f"There is no --variant {flags.variant!r}: choose {PLAIN}, {', '.join(VARIANTS)}.")
        plain, recipe = recipe, VARIANTS[flags.variant](recipe)
        if flags.ears is not None and recipe.encoder != plain.encoder:
            raise UsageError(f"--ears keeps an encoder as it is, and --variant {flags.variant} has another one.")
    recipe = replace(recipe, without=names_in(flags.without) + names_in(flags.calibrate))
    if flags.start is not None or flags.ears is not None:  # reading from targets is behind it
        recipe = replace(recipe, read_steps=0)
    if flags.ears is not None:  # what hears is there
        recipe = replace(recipe, ear_steps=0, ear_steps_again=0, view_steps=0)
    if flags.tags_only:
        recipe = replace(recipe, read_steps=0, word_steps=0)
    return recipe if flags.steps is None else recipe.scaled(flags.steps / recipe.steps)


for command in (align, distill, pretrain, mohawk, speech, check, tune, plot):
    train.command(no_args_is_help=True)(command)
