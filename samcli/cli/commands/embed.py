"""`sam embed` and `sam duplicates`: what sounds alike"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from samcli.cli.destination import Destination, RowFlags
from samcli.cli.flags import OUTPUT, InputFlags, ModelFlags, option, spread, switch
from samcli.cli.listen import named
from samcli.cli.output import Output, output
from samcli.cli.resolve import inputs_of, load_here
from samcli.errors import ExitCode
from samcli.writers.rows import Columns

if TYPE_CHECKING:
    from samcli.tasks.embed import Vector


@dataclass(kw_only=True)
class EmbedFlags(ModelFlags, InputFlags):
    windows: Annotated[bool, switch("A vector for every ten seconds.", "--windows", panel=OUTPUT)] = False
    output: Annotated[
        str | None, option("A .npz, .jsonl or .parquet file.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None


@spread
def embed(flags: EmbedFlags) -> ExitCode:
    """Write a vector for each recording: alike where recordings sound alike.

    sam embed recordings/ -o vectors.npz
    sam embed recordings/ --windows -o vectors.parquet
    sam embed *.wav | jq -c '[.path, .vector[0]]'

    Without -o they go to standard output as JSON Lines.
    """
    from samcli.tasks.embed import check_suffix, json_line, save
    from samcli.tasks.embed import embed as embedded

    streams = output()
    destination = Destination(flags.output)
    to_file = destination.name
    if to_file is not None:
        check_suffix(to_file)
    inputs = inputs_of(flags)
    destination.check_file(item.path for item in inputs)
    vectors = ReportedVectors(streams, embedded(inputs, load_here(flags), flags.windows), len(inputs))
    if to_file is None:
        for one in vectors:
            streams.write(json_line(one))
        return vectors.code
    kept: list[Vector] = []
    try:
        kept.extend(vectors)
    except KeyboardInterrupt:
        streams.farewell = f"stopped; {save(kept, to_file)} vectors are in {to_file}."
        raise
    count = save(kept, to_file)
    if streams.stderr_is_terminal:
        streams.note(f"{count} vectors are in {to_file}.")
    return vectors.code


class ReportedVectors:
    """The vectors as they come; what failed is said on standard error, and how far they are on a terminal."""

    def __init__(self, streams: Output, vectors: Iterator[Vector], files: int) -> None:
        self._streams, self._vectors, self._files = streams, vectors, files
        self.code = ExitCode.OK

    def __iter__(self) -> Iterator[Vector]:

        done = 0
        for one in self._vectors:
            if one.problem:
                self.code = ExitCode.FAILED
                self._streams.error(named(one.path, one.problem))
            done += one.start == 0
            self._streams.status(f"{done}/{self._files} files")
            yield one


EVERY = ("group", "path", "kind", "score", "duration")
COLUMNS = Columns(EVERY, EVERY, "path")


@dataclass(kw_only=True)
class DuplicateFlags(ModelFlags, InputFlags, RowFlags):
    alike: Annotated[float, option("Likeness of near copies.", "SCORE", min=0.5, max=1.0, show_default=True)] = 0.995


@spread
def duplicates(flags: DuplicateFlags) -> ExitCode:
    """Find recordings that are the same: copies to the byte, and the same sound stored, cut or levelled otherwise.

    sam duplicates recordings/
    sam duplicates recordings/ --alike 0.99 -o copies.csv
    sam duplicates a/ b/ -f jsonl | jq -r 'select(.kind == "exact") | .path'
    """
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
