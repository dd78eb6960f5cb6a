"""Where the records of a run go: decided, and refused if it must be, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from samcli.cli.flags import WriteFlags
from samcli.cli.output import Output
from samcli.cli.terminal import TerminalTable
from samcli.errors import OutputError, UsageError
from samcli.records import Record
from samcli.writers.base import Format, Layout
from samcli.writers.escape import one_line
from samcli.writers.files import AtomicFile, FileSink, FolderSink
from samcli.writers.formats import format_of, format_of_file
from samcli.writers.table import Tsv

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input


class Sink(Protocol):
    """Takes records; `keep` makes what it took last. Leaving the context without `keep` drops what was not kept."""

    @property
    def shows_failures(self) -> bool:
        """Whether whoever reads standard error sees here what failed."""
        ...

    def write(self, record: Record) -> None: ...

    def keep(self) -> None: ...

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def refuse_inputs(name: str, inputs: Sequence[Input]) -> None:
    """No recording is ever overwritten by what was heard in it."""
    real = Path(name).resolve()
    # Only a file of the same name can be the same file, short of a link; and resolving a million paths takes long.
    for item in inputs:
        if Path(item.path).name == real.name and Path(item.path).resolve() == real:
            raise UsageError(f"{name!r} is one of the recordings: choose another name for the records.")


def is_durable(name: str | None) -> bool:
    """Whether `-o NAME` is kept on disk: not standard output, a pipe or a device."""
    if not name or name == "-":
        return False
    place = Path(name)
    return is_folder(name) or not place.exists() or place.is_file()


def is_folder(name: str) -> bool:
    """Whether `-o NAME` asks for one file per input."""
    return name.endswith(("/", os.sep)) or Path(name).is_dir()


def chosen_format(flags: WriteFlags) -> type[Format] | None:
    """The format the flags name, or the suffix of their file; None where neither does."""
    if flags.format:
        return format_of(flags.format)
    name = flags.output
    return format_of_file(name) if name and name != "-" and not is_folder(name) else None


def check(flags: WriteFlags, inputs: Sequence[Input]) -> None:
    """Refuse what cannot work, before the model is loaded."""
    name = flags.output
    chosen = format_of(flags.format) if flags.format else None
    if name and name != "-":
        if is_folder(name):
            if chosen is None:
                raise UsageError(f"Say which format the files in {name!r} have, for example: --format srt.")
            return
        chosen = chosen or format_of_file(name)
        if not Path(name).parent.is_dir():
            raise OutputError(f"Cannot write {name!r}: there is no folder {str(Path(name).parent)!r}.")
        if is_durable(name):
            refuse_inputs(name, inputs)
            AtomicFile(Path(name)).discard()
    elif flags.resume:
        raise UsageError("--resume goes on with a file of results: give -o FILE too.")
    if chosen is not None and chosen.one_recording and len(inputs) > 1:
        raise UsageError(
            f"One {chosen.name} holds one recording, and there are {len(inputs)}: give -o DIR/ to write one for each."
        )


def open_sink(output: Output, flags: WriteFlags, inputs: Sequence[Input], layout: Layout) -> Sink:
    """The place the flags name, ready for records."""
    name = flags.output
    chosen = format_of(flags.format) if flags.format else None
    if name and name != "-":
        if is_folder(name):
            assert chosen is not None  # `check` refused it otherwise
            relative = {item.display: item.relative for item in inputs}
            return FolderSink(Path(name), chosen, layout, relative)
        return FileSink(Path(name), chosen or format_of_file(name), layout)
    if chosen is None and output.stdout_is_terminal:
        longest = max((len(one_line(item.display)) for item in inputs), default=0)
        return StreamSink(output, TerminalTable(layout, output.console(), longest), rendered=True)
    return StreamSink(output, (chosen or Tsv)(layout), rendered=False)
