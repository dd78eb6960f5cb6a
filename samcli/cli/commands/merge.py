"""`sam merge`"""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from samcli.cli.destination import Destination
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
    from samcli.writers.formats import format_of_file

    streams, destination = output(), Destination(out)
    format_of_file(out)  # no --format may stand in for its suffix
    destination.check_file()
    records = merged(parts)
    first = next(records, None)
    task, timed = (first.task, first.end != first.duration) if first else ("tag", False)
    count = 0
    with destination.open(streams, task, timed=timed) as sink:
        for record in chain([first] if first else [], records):
            sink.write(record)
            count += 1
        sink.keep()
    streams.note(f"{count} records of {len(parts)} parts are in {out}.")
    return ExitCode.OK
