"""Where results go, said once: refused, if it must be, before any work starts; then written to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from samcli.cli.completion import completes
from samcli.cli.flags import OUTPUT, SafeCells, TalkFlags, WriteFlags, option
from samcli.cli.output import Output
from samcli.cli.tables import TerminalTable, show
from samcli.errors import OutputError, UsageError
from samcli.records import Record
from samcli.writers import rows as row_formats
from samcli.writers.escape import one_line, to_bytes
from samcli.writers.files import AtomicFile, FileSink, FolderSink, write_whole
from samcli.writers.formats import Format, Layout, Tsv, format_of, format_of_file

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input


@dataclass(kw_only=True)
class RowFlags(TalkFlags):
    """Where rows that are no records go."""

    format: Annotated[
        str | None,
        option(
            "jsonl, json, csv, tsv or txt.",
            "FORMAT",
            names=("--format", "-f"),
            panel=OUTPUT,
            autocompletion=completes(row_formats.FORMATS),
        ),
    ] = None
    output: Annotated[
        str | None,
        option("Output file; its suffix chooses the format.", "FILE", names=("--output", "-o"), panel=OUTPUT),
    ] = None
    safe_cells: SafeCells = True


class Sink(Protocol):
    """Takes records; `keep` makes what it took last. Leaving the context without `keep` drops what was not kept."""

    @property
    def shows_failures(self) -> bool:
        """Whether whoever reads standard error sees here what failed."""
        ...

    def write(self, record: Record) -> None: ...

    def keep(self) -> None: ...

    def __enter__(self) -> Sink: ...

    def __exit__(self, *error: object) -> None: ...


@dataclass(frozen=True)
class Destination:
    """Standard output, a file, or a folder that gets one file per input."""

    output: str | None  # as given with -o
    format: str | None = None  # as given with -f
    safe_cells: bool = True
    resume: bool = False

    @classmethod
    def of(cls, flags: WriteFlags | RowFlags) -> Destination:
        resume = isinstance(flags, WriteFlags) and flags.resume
        return cls(flags.output, flags.format, flags.safe_cells, resume)

    @property
    def name(self) -> str | None:
        """The file or folder; None for standard output."""
        return None if self.output in (None, "", "-") else self.output

    @property
    def is_folder(self) -> bool:
        return self.name is not None and (self.name.endswith(("/", os.sep)) or Path(self.name).is_dir())

    @property
    def kept(self) -> str | None:
        """Its name if it stays on disk: not standard output, a pipe or a device."""
        if self.name is None or self.is_folder or not Path(self.name).exists() or Path(self.name).is_file():
            return self.name
        return None

    def check_file(self, read: Iterable[str | Path] = ()) -> None:
        """Refuse a file that cannot be written, or that is one of those that are read."""
        if self.name is None:
            return
        if self.is_folder:
            raise UsageError(f"{self.name!r} is a folder: name a file.")
        place = Path(self.name)
        if not place.parent.is_dir():
            raise OutputError(f"Cannot write {self.name!r}: there is no folder {str(place.parent)!r}.")
        if self.kept:
            real = place.resolve()
            # Only a file of the same name can be the same file, short of a link; resolving a million paths takes long.
            if any(Path(path).name == real.name and Path(path).resolve() == real for path in read):
                raise UsageError(f"{self.name!r} is what is read: choose another name.")
            AtomicFile(place).discard()

    # Records

    def record_format(self) -> type[Format] | None:
        """The format asked for by name, or by the suffix of a file; None where neither says."""
        if self.format:
            return format_of(self.format)
        return None if self.name is None or self.is_folder else format_of_file(self.name)

    def check_records(self, inputs: Sequence[Input]) -> None:
        """Refuse what cannot work, before the model is loaded."""
        chosen = self.record_format()
        if self.is_folder:
            if chosen is None:
                raise UsageError(f"Say which format the files in {self.name!r} have, for example: --format srt.")
            return
        if self.name is None and self.resume:
            raise UsageError("--resume goes on with a file of results: give -o FILE too.")
        self.check_file(item.path for item in inputs)
        if chosen is not None and chosen.one_recording and len(inputs) > 1:
            raise UsageError(
                f"One {chosen.name} holds one recording, and there are {len(inputs)}: "
                "give -o DIR/ to write one for each."
            )

    def open(self, streams: Output, task: str, inputs: Sequence[Input] = (), *, timed: bool = False) -> Sink:
        """Ready for the records of a task; `timed`: each is of a stretch of its recording."""
        layout, chosen = Layout(task, timed, self.safe_cells), self.record_format()
        if self.name is None:
            if chosen is not None or not streams.stdout_is_terminal:
                return StreamSink(streams, (chosen or Tsv)(layout), rendered=False)
            longest = max((len(one_line(item.display)) for item in inputs), default=0)
            return StreamSink(streams, TerminalTable(layout, streams.console(), longest), rendered=True)
        assert chosen is not None  # `check_records` refused it otherwise
        if self.is_folder:
            return FolderSink(Path(self.name), chosen, layout, {item.display: item.relative for item in inputs})
        return FileSink(Path(self.name), chosen, layout)

    # Other rows, all at once

    def check_rows(self, inputs: Sequence[Input] = ()) -> None:
        """Refuse what cannot work, before any of it is done."""
        row_formats.format_named(self.format, self.name)
        self.check_file(item.path for item in inputs)

    def shows_table(self, streams: Output) -> bool:
        """Whether rows are shown as a table for people, not written in a format."""
        return self.name is None and self.format is None and streams.stdout_is_terminal

    def write_rows(
        self, streams: Output, columns: row_formats.Columns, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]
    ) -> None:
        """`shown` are the columns of the table for people."""
        if self.shows_table(streams):
            show(streams, shown, rows)
            return
        format = row_formats.format_named(self.format, self.name) or "tsv"
        text = row_formats.text_of(format, columns, rows, self.safe_cells)
        if self.name is None:
            streams.write(text)
            return
        write_whole(self.name, to_bytes(text))
        if streams.stderr_is_terminal:
            streams.note(f"{len(rows)} rows are in {self.name}.")


class StreamSink:
    """Standard output, record by record."""

    def __init__(self, output: Output, format: Format, *, rendered: bool) -> None:
        self._format = format
        self.shows_failures = rendered and output.stderr_is_terminal
        self._write = output.write_rendered if rendered else output.write
        self._write(format.header())

    def write(self, record: Record) -> None:
        text = self._format.record(record)
        if text:
            self._write(text)

    def keep(self) -> None:
        footer = self._format.footer()
        if footer:
            self._write(footer)

    def __enter__(self) -> StreamSink:
        return self

    def __exit__(self, *error: object) -> None:
        return None
