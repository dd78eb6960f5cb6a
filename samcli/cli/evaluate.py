"""`sam eval`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from samcli.cli.completion import complete_device, complete_model
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import JsonFlags, spread
from samcli.cli.output import Output, output
from samcli.cli.sheet import show, show_json
from samcli.errors import UsageError


@dataclass(kw_only=True)
class EvalFlags(JsonFlags):
    """For `sam eval`."""

    model: Annotated[
        str,
        typer.Option(
            help="A name, a folder, or a Hub id.", metavar="NAME", envvar="SAM_MODEL", autocompletion=complete_model
        ),
    ] = "sam-nano"
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or mps.", envvar="SAM_DEVICE", autocompletion=complete_device)
    ] = "auto"
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the clips.", metavar="")] = False
    markdown: Annotated[bool, typer.Option("--markdown", help="A table for a model card.", metavar="")] = False


@spread
def evaluate(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA | PREDICTIONS REFERENCES", help="A corpus, or two files to compare.")
    ],
    flags: EvalFlags,
) -> ExitCode:
    """Measure records against references, or a model on the development clips of a corpus.

    sam eval captions.jsonl clotho_captions_evaluation.csv
    sam eval --model my-model/ corpus/ --quick
    sam eval tags.jsonl ESC-50/meta/esc50.csv --json

    References are records, or AudioCaps, Clotho, ESC-50, FSD50K, AudioSet, MMAU or OpenAQA files as they are.

    Nothing is scored unless the two sides match.
    """
    if len(data) > 2:
        raise UsageError("Give two files to compare, or one corpus to measure a model on.")
    streams = output()
    report = measured(streams, data[0], flags) if len(data) == 1 else compared(*data)
    from samcli.evaluation.figures import HEADER
    from samcli.evaluation.nano_suite import report_markdown, report_rows

    if flags.json:
        show_json(streams, report)
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

    return compare(predictions, references)


def measured(streams: Output, corpus: Path, flags: EvalFlags) -> dict[str, Any]:
    """The report on a model."""
    if not (corpus / "manifest.csv").is_file():
        raise UsageError(f"{str(corpus)!r} is no corpus: there is no manifest.csv in it.")
    from samcli.checkpoints.loading import load_model
    from samcli.evaluation.nano_suite import nano_figures

    def progress(what: str, done: int, total: int) -> None:
        streams.status(f"{what}: {done}/{total}")

    model = load_model(flags.model, device=flags.device)
    return nano_figures(model, corpus, quick=flags.quick, progress=progress)
