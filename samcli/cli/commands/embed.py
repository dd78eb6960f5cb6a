"""`sam embed`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from samcli.cli.destination import Destination
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import OUTPUT, InputFlags, ModelFlags, option, spread, switch
from samcli.cli.output import Output, output

if TYPE_CHECKING:
    from samcli.tasks.embed import Vector


@dataclass(kw_only=True)
class EmbedFlags(ModelFlags, InputFlags):
    """For `sam embed`."""

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
    from samcli.cli.engines import load_here
    from samcli.cli.listen import inputs_of
    from samcli.tasks.embed import embed as embedded
    from samcli.tasks.embed_files import check_suffix, json_line, save

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
        from samcli.cli.listen import named

        done = 0
        for one in self._vectors:
            if one.problem:
                self.code = ExitCode.FAILED
                self._streams.error(named(one.path, one.problem))
            done += one.start == 0
            self._streams.status(f"{done}/{self._files} files")
            yield one
