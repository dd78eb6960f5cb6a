"""`sam eval`"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from samcli.cli.flags import JsonFlags, ModelFlags, option, spread, switch
from samcli.cli.output import Output, output
from samcli.cli.resolve import load_here
from samcli.cli.tables import show, show_json
from samcli.errors import ExitCode, UsageError

CLASS_COLUMNS = ("label", "positives", "average_precision", "auc", "d_prime")


@dataclass(kw_only=True)
class EvalFlags(ModelFlags, JsonFlags):
    quick: Annotated[bool, switch("Some of a corpus' clips.", "--quick")] = False
    retrieval: Annotated[bool, switch("Search in a corpus.", "--retrieval")] = False
    refine: Annotated[bool, switch("Captions, refined.", "--refine")] = False
    sounds: Annotated[Path | None, option("Recordings that DATA describes.", "FOLDER", show_default=False)] = None
    classes: Annotated[bool, switch("A row for each class of tags.", "--classes")] = False
    markdown: Annotated[bool, switch("A table for a model card.", "--markdown")] = False


@spread
def evaluate(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA | PREDICTIONS REFERENCES", help="Corpus, or two files to compare.")
    ],
    flags: EvalFlags,
) -> ExitCode:
    """Measure records against references, or a model on the development clips of a corpus.

    sam eval captions.jsonl clotho_captions_evaluation.csv
    sam eval --model my-model/ ESC-50/meta/esc50.csv --sounds ESC-50/audio
    sam eval --model my-model/ birds/
    sam eval --model my-model/ corpus/ --quick

    References are records, or AudioCaps, Clotho, ESC-50, FSD50K, AudioSet, MMAU or OpenAQA files as they are.

    Nothing is scored unless the two sides match.
    """
    if len(data) > 2:
        raise UsageError("Give two files to compare, or one corpus to measure a model on.")
    if len(data) == 2 and (flags.retrieval or flags.refine or flags.sounds):
        raise UsageError("--retrieval, --refine and --sounds measure a model: name the data alone.")
    streams = output()
    report = measured(streams, data[0], flags) if len(data) == 1 else compared(*data)
    from samcli.evaluation.figures import HEADER, report_markdown, report_rows

    if flags.json:
        show_json(streams, report)
    elif flags.classes:
        if "classes" not in report["details"]:
            raise UsageError("--classes shows the classes of tags, and these are no tags.")
        show(streams, CLASS_COLUMNS, report["details"]["classes"])
    elif flags.markdown:
        streams.write(report_markdown(report))
    else:
        show(streams, HEADER, [dict(zip(HEADER, row, strict=True)) for row in report_rows(report)])
    return ExitCode.OK


def compared(predictions: Path, references: Path) -> dict[str, Any]:
    """The report on two files."""
    for path in (predictions, references):
        if not path.is_file():
            raise UsageError(f"There is no file named {str(path)!r}.")
    from samcli.evaluation.comparison import compare

    try:
        return compare(predictions, references)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, csv.Error) as error:
        # Files of a dozen makers, and of none: a row that lacks what its header promises ends here.
        what = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise UsageError(f"{str(predictions)!r} and {str(references)!r} cannot be read together ({what}).") from error


def measured(streams: Output, corpus: Path, flags: EvalFlags) -> dict[str, Any]:
    """The report on a model."""
    if flags.sounds is not None:
        return heard_data(streams, corpus, flags.sounds, flags)
    if corpus.is_file():
        raise UsageError(f"Say where the recordings are that {str(corpus)!r} is about: --sounds FOLDER.")
    if not (corpus / "manifest.csv").is_file():
        if flags.retrieval or flags.refine:
            raise UsageError(f"{str(corpus)!r} is no corpus: it has no manifest.csv.")
        return heard_folder(streams, corpus, flags)
    if flags.retrieval and flags.refine:
        raise UsageError("--retrieval and --refine exclude each other.")

    model = load_here(flags)
    if flags.retrieval:
        from samcli.evaluation.nano.likelihood import retrieval_figures

        return retrieval_figures(model, corpus, quick=flags.quick, progress=streams.progress)
    if flags.refine:
        from samcli.evaluation.nano.likelihood import refine_figures

        return refine_figures(model, corpus, quick=flags.quick, progress=streams.progress)
    from samcli.evaluation.nano.suite import nano_figures

    return nano_figures(model, corpus, quick=flags.quick, progress=streams.progress)


def heard_folder(streams: Output, folder: Path, flags: EvalFlags) -> dict[str, Any]:
    """The report on a model that hears a person's folder for each label."""
    from samcli.evaluation.data_suite import folder_figures
    from samcli.training.tune.recordings import read_data

    if not folder.is_dir():
        raise UsageError(f"There is no file or folder named {str(folder)!r}.")
    read_data(folder)  # refused before the model is loaded
    return folder_figures(load_here(flags), folder, streams.progress)


def heard_data(streams: Output, references: Path, sounds: Path, flags: EvalFlags) -> dict[str, Any]:
    """The report on a model that hears a data set."""
    if not references.is_file():
        raise UsageError(f"There is no file named {str(references)!r}.")
    if not sounds.is_dir():
        raise UsageError(f"There is no folder named {str(sounds)!r}.")
    from samcli.evaluation.data_suite import data_figures

    return data_figures(load_here(flags), references, sounds, streams.progress, flags.refine)
