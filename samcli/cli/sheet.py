"""Small tables for people and JSON for machines, from the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from samcli.cli.output import Output
from samcli.writers.escape import json_text, one_line, tab_cell

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
