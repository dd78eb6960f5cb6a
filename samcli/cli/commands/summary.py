"""`sam summary`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from samcli.cli.destination import Destination, RowFlags
from samcli.cli.flags import OUTPUT, InputFlags, ModelFlags, StartTime, TimeZone, option, spread
from samcli.cli.listen import tell
from samcli.cli.output import output
from samcli.cli.progress import Progress, span
from samcli.cli.resolve import inputs_of, load_here
from samcli.errors import ExitCode
from samcli.writers.rows import Columns

if TYPE_CHECKING:
    from samcli.engine.options import RunOptions
    from samcli.records import Record

EVERY = ("label", "seconds", "events", "files", "share", "best", "first", "last")
FEW = ("label", "seconds", "events", "files", "share")


def complete_way(incomplete: str) -> list[str]:
    from samcli.report.summary import WAYS

    return [name for name in WAYS if name.startswith(incomplete)]


@dataclass(kw_only=True)
class SummaryFlags(ModelFlags, InputFlags, RowFlags):
    by: Annotated[
        str | None, option("hour, day, folder or file.", "WHAT", panel=OUTPUT, autocompletion=complete_way)
    ] = None
    start_time: StartTime = None
    time_zone: TimeZone = None


@spread
def summary(flags: SummaryFlags) -> ExitCode:
    """Add up what is heard: for each sound how long, how often, and in how many recordings.

    sam summary recordings/
    sam summary tags.jsonl --by folder -o summary.csv
    sam summary night/ --by hour --time-zone Europe/Berlin

    Records of sam tag --timeline are added up as they are; recordings are heard first.
    """
    from samcli.engine.inputs.recorded_at import Clock
    from samcli.report.summary import Summary

    streams = output()
    destination = Destination.of(flags)
    destination.check_rows()
    added = Summary(flags.by, Clock.of(flags.start_time, flags.time_zone))
    added.add_all(records_of(flags))
    rows = list(added.rows())
    by = (flags.by,) if flags.by else ()
    if destination.shows_table(streams):
        for row in rows:
            row["share"] = "" if row["share"] is None else f"{row['share']:.1%}"
            row["seconds"] = span(row["seconds"])
    destination.write_rows(streams, Columns((*by, *EVERY), (*by, *FEW), "label"), rows, (*by, *EVERY))
    failed = f", {added.failed} of them unreadable" if added.failed else ""
    streams.detail(f"{added.files} recordings{failed}.")
    return ExitCode.FAILED if added.failed else ExitCode.OK


def records_of(flags: SummaryFlags) -> Iterator[Record]:
    """The records that are named, or those of the recordings that are."""
    from samcli.engine.options import RunOptions
    from samcli.report.reading import are_records, read_records

    paths = flags.paths or []
    if not are_records(paths):
        return heard(flags, RunOptions(timeline=True, start_time=flags.start_time, time_zone=flags.time_zone))
    return (record for path in paths for record in read_records(path))


def heard(flags: SummaryFlags, options: RunOptions) -> Iterator[Record]:
    """The events of recordings, heard now."""
    from samcli.engine.options import RunReport
    from samcli.tasks.run import run

    streams = output()
    inputs = inputs_of(flags)
    report = RunReport()
    with Progress(streams, report):
        for record in run("tag", inputs, load_here(flags), options, report=report):
            tell(streams, record, shown=False)
            yield record
