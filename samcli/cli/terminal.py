"""Records as a table for people, row by row as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samcli.cli.progress import span
from samcli.records import Record
from samcli.writers.base import Format, Layout, words_of
from samcli.writers.escape import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


class TerminalTable(Format):
    """A table whose columns are fixed before the first row, so that no row waits for another."""

    name = "table"
    suffixes = ()

    def __init__(self, layout: Layout, console: Console, longest_path: int) -> None:
        super().__init__(layout)
        self._console = console
        self._path_width = max(8, min(longest_path, console.width * 2 // 5))
        self._last_path: str | None = None

    def header(self) -> str:
        from rich.text import Text

        titles = {"caption": "caption", "tag": "tags", "ask": "answer", "transcribe": "transcript"}
        cells = ["file", *(["time"] if self.layout.timed else []), titles[self.layout.task]]
        return self._render([Text(cell, style="bold") for cell in cells])

    def record(self, record: Record) -> str:
        from rich.text import Text

        # A file's name is shown once, above all of its stretches.
        path = "" if record.path == self._last_path else one_line(record.path)
        self._last_path = record.path
        when = []
        if self.layout.timed:
            when = [Text(f"{clock(record.start)}-{clock(record.end)}", style="cyan")]
        return self._render([Text(path), *when, self._words(record)])

    def _words(self, record: Record) -> Text:
        from rich.text import Text

        if record.error is not None:
            return Text(one_line(record.error.message), style="red")
        words = Text()
        if record.tags:
            for index, tag in enumerate(record.tags):
                words.append("\n" if index else "")
                words.append(f"{tag.score:.2f} ", style="green").append(one_line(tag.label))
        elif record.text:
            words.append(one_line(record.text))
        elif record.transcript is not None:
            words.append("(no words)", style="dim")
        else:
            silent = words_of(record) or "(silence)"
            words.append(silent if record.silent else "(nothing above the threshold)", style="dim")
        if record.warning:
            words.append(f"\n{one_line(record.warning)}", style="yellow")
        return words

    def _render(self, cells: list[Text]) -> str:
        with self._console.capture() as capture:
            self._console.print(self._grid(len(cells), cells))
        return capture.get()

    def _grid(self, count: int, cells: list[Text]) -> Table:
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(width=self._path_width, overflow="fold")
        if count == 3:
            grid.add_column(width=13, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(*cells)
        return grid


def clock(seconds: float | None) -> str:
    """Minutes and seconds to a tenth, as a player shows them."""
    if seconds is None:
        return "?"
    if seconds >= 3600:
        return span(seconds)
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes}:{tenths // 10:02d}.{tenths % 10}"
