"""`sam ask` and `sam caption` of what `sam live --state` has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samcli.cli.destination import Destination
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import ListenFlags
from samcli.cli.output import Output
from samcli.errors import UsageError

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input


def recall(streams: Output, task: str, flags: ListenFlags, question: str) -> ExitCode:
    """A record for each state; nothing is heard again."""
    from samcli.cli.engines import load_here
    from samcli.engine.inputs.find import find_inputs
    from samcli.live.recall import recall as recalled
    from samcli.live.state import read_state

    if flags.segment is not None:
        raise UsageError("A state is of all that was heard, and has no segments: leave out --segment.")
    inputs: list[Input] = find_inputs(flags.paths or [])
    destination = Destination.of(flags)
    destination.check_records(inputs)
    states = [(item.display, read_state(item.path)) for item in inputs]
    model = load_here(flags)
    streams.clear_status()
    with destination.open(streams, task, inputs) as sink:
        for path, state in states:
            sink.write(recalled(task, state, path, model, question))
        sink.keep()
    return ExitCode.OK
