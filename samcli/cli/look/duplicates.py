"""`sam duplicates`"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from samcli.cli.destination import Destination, RowFlags
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import InputFlags, ModelFlags, option, spread
from samcli.cli.output import output
from samcli.writers.rows import Columns

if TYPE_CHECKING:
    from samcli.tasks.embed import Vector

EVERY = ("group", "path", "kind", "score", "duration")
COLUMNS = Columns(EVERY, EVERY, "path")


@dataclass(kw_only=True)
class DuplicateFlags(ModelFlags, InputFlags, RowFlags):
    """For `sam duplicates`."""

    alike: Annotated[float, option("Likeness of near copies.", "SCORE", min=0.5, max=1.0, show_default=True)] = 0.995


@spread
def duplicates(flags: DuplicateFlags) -> ExitCode:
    """Find recordings that are the same: copies to the byte, and the same sound stored, cut or levelled otherwise.

    sam duplicates recordings/
    sam duplicates recordings/ --alike 0.99 -o copies.csv
    sam duplicates a/ b/ -f jsonl | jq -r 'select(.kind == "exact") | .path'
    """
    from samcli.cli.engines import load_here
    from samcli.cli.listen import inputs_of, named
    from samcli.report.duplicates import duplicates as groups

    streams = output()
    inputs = inputs_of(flags)
    destination = Destination.of(flags)
    destination.check_rows(inputs)
    failures = 0

    def failed(vector: Vector) -> None:
        nonlocal failures
        failures += 1
        streams.error(named(vector.path, vector.problem))

    rows = [asdict(copy) for copy in groups(inputs, load_here(flags), flags.alike, failed)]
    if not rows:
        streams.note("no two of these recordings are the same.")
    destination.write_rows(streams, COLUMNS, rows, EVERY)
    return ExitCode.FAILED if failures else ExitCode.OK
