"""`sam merge`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import TalkFlags, spread
from samcli.cli.output import output


@spread
def merge(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Output file; its suffix chooses the format.")],
    parts: Annotated[list[str], typer.Argument(metavar="PARTS...", help="JSON Lines, one file per shard.")],
    flags: TalkFlags,
) -> ExitCode:
    """Put the parts of a sharded run together, and check that none is missing or doubled.

    sam tag corpus/ --shard 1/2 -o part1.jsonl
    sam tag corpus/ --shard 2/2 -o part2.jsonl
    sam merge tags.csv part1.jsonl part2.jsonl
    """
    from samcli.engine.shard import merge as merged
    from samcli.writers.base import Layout
    from samcli.writers.files import FileSink
    from samcli.writers.formats import format_of_file

    format = format_of_file(out)
    records = merged(parts)
    first = next(records, None)
    layout = Layout(first.task if first else "tag", timed=first is not None and first.end != first.duration)
    count = 0
    with FileSink(Path(out), format, layout) as sink:
        for record in [first] if first else []:
            sink.write(record)
            count += 1
        for record in records:
            sink.write(record)
            count += 1
        sink.keep()
    output().note(f"{count} records of {len(parts)} parts are in {out}.")
    return ExitCode.OK
