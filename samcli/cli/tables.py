"""What a person sees of rows and of records: small tables, and JSON for machines from the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from samcli.cli.output import Output
from samcli.cli.progress import span
from samcli.records import Record
from samcli.writers.escape import json_text, one_line, tab_cell
from samcli.writers.formats import Format, Layout, words_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

GAP = 2  # between columns


def show(output: Output, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], needed: int | None = None) -> None:
    """Rows as an aligned table on a terminal, as tab-separated lines with a header elsewhere.

    A terminal shows so many columns as it has room for, and at least the first `needed`; without that, all of them.
    """
    if not output.stdout_is_terminal:
        lines = [list(columns), *([cell(row.get(name)) for name in columns] for row in rows)]
        output.write("".join("\t".join(map(tab_cell, line)) + "\n" for line in lines))
        return
    from rich.table import Table
    from rich.text import Text

    console = output.console()
    if needed is not None:
        columns = _fitting(columns, rows, console.width, needed)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for name in columns:
        numeric = any(type(row.get(name)) in (int, float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell(row.get(name)))) for name in columns))
    with console.capture() as capture:
        console.print(table)
    output.write_rendered(capture.get())


def _fitting(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], width: int, needed: int) -> Sequence[str]:
    """As many of the columns, from the left, as stand side by side in that width."""
    widths = [max(len(name), *(len(one_line(cell(row.get(name)))) for row in rows), 0) for name in columns]
    count = len(columns)
    while count > needed and sum(widths[:count]) + GAP * (count - 1) > width:
        count -= 1
    return columns[:count]


def show_json(output: Output, value: Any) -> None:
    """Strict JSON, indented."""
    output.write(json_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)) + "\n")


def cell(value: Any) -> str:
    """One value in words: nothing for None, yes and no for truths, few digits for fractions."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def readable_size(size: float | None) -> str | None:
    """Bytes for people: 21.3 MB."""
    if size is None:
        return None
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


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
