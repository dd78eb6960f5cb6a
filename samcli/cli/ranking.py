"""Rankings and other rows that are no records, on their way out: one file, standard output, or a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samcli.cli.destination import is_durable, is_folder, refuse_inputs
from samcli.cli.flags import OUTPUT
from samcli.cli.output import Output
from samcli.cli.sheet import show
from samcli.errors import OutputError, UsageError
from samcli.writers.escape import to_bytes
from samcli.writers.files import AtomicFile, write_whole
from samcli.writers.rows import FORMATS, Columns, format_named, text_of

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input


def complete_row_format(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


RowFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="jsonl, json, csv, tsv or txt.",
        metavar="FORMAT",
        autocompletion=complete_row_format,
        rich_help_panel=OUTPUT,
    ),
]
RowFile = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Output file; its suffix chooses the format.", metavar="FILE", rich_help_panel=OUTPUT
    ),
]
SafeCells = Annotated[
    bool,
    typer.Option(
        "--safe-cells/--raw-cells",
        help="Protection from spreadsheet formulas in CSV.",
        metavar="",
        rich_help_panel=OUTPUT,
    ),
]


@dataclass(frozen=True)
class Place:
    """Where the rows go, refused before any work if they cannot go there."""

    file: str | None
    format: str | None  # None: a table on a terminal, TSV elsewhere
    safe_cells: bool

    @classmethod
    def of(cls, file: str | None, format: str | None, safe_cells: bool, inputs: Sequence[Input] = ()) -> Place:
        chosen = format_named(format, file)
        if file in (None, "-"):
            return cls(None, chosen, safe_cells)
        assert file is not None
        check_file(file, inputs)
        return cls(file, chosen, safe_cells)

    def for_people(self, streams: Output) -> bool:
        """Whether a table is shown, not a format written."""
        return self.file is None and self.format is None and streams.stdout_is_terminal

    def put(self, streams: Output, columns: Columns, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> None:
        """Write all rows; `shown` are the columns of the table for people."""
        if self.file is not None:
            write_whole(self.file, to_bytes(text_of(self.format or "tsv", columns, rows, self.safe_cells)))
            if streams.stderr_is_terminal:
                streams.note(f"{len(rows)} rows are in {self.file}.")
        elif self.for_people(streams):
            show(streams, shown, rows)
        else:
            streams.write(text_of(self.format or "tsv", columns, rows, self.safe_cells))


def check_file(name: str, inputs: Sequence[Input]) -> None:
    """Refuse a file that cannot be written, or that is one of the recordings."""
    if is_folder(name):
        raise UsageError(f"{name!r} is a folder: name a file.")
    if not Path(name).parent.is_dir():
        raise OutputError(f"Cannot write {name!r}: there is no folder {str(Path(name).parent)!r}.")
    if is_durable(name):
        refuse_inputs(name, inputs)
        AtomicFile(Path(name)).discard()
