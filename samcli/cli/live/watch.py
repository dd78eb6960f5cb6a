"""`sam watch`"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from samcli.cli.destination import Destination
from samcli.cli.flags import (
    INPUT,
    OUTPUT,
    Glob,
    Labels,
    ModelFlags,
    Recursive,
    Segment,
    Threshold,
    Timeline,
    TopK,
    option,
    spread,
    switch,
)
from samcli.cli.listen import named
from samcli.cli.output import output
from samcli.cli.resolve import load_here, read_labels, threshold_of
from samcli.errors import ExitCode, UsageError


@dataclass(kw_only=True)
class WatchFlags(ModelFlags):
    recursive: Recursive = True
    glob: Glob = None
    once: Annotated[bool, switch("Hear what is there, then end.", "--once", panel=INPUT)] = False
    poll: Annotated[float | None, option("Look every so often; for network disks.", "SECONDS", panel=INPUT)] = None
    settle: Annotated[float, option("At rest, a file is complete.", "SECONDS", panel=INPUT)] = 2.0
    task: Annotated[str, option("tag or caption.", "TASK", panel=OUTPUT)] = "tag"
    output: Annotated[
        str | None, option("JSON lines are added to it.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None
    labels: Labels = None
    threshold: Threshold = None
    top_k: TopK = None
    timeline: Timeline = False
    segment: Segment = None


@spread
def watch(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDERS", help="That fill.", show_default=False)],
    flags: WatchFlags,
) -> ExitCode:
    """Hear each file that comes into a folder, once, when it is complete.

    sam watch inbox/ -o heard.jsonl
    sam watch inbox/ -o heard.jsonl --once
    sam watch /mnt/nas --poll 30 --timeline -o events.jsonl

    It may be stopped and started again at any moment. A bad file gets one error record, and stays known.
    """
    from samcli.engine.journal import fingerprint
    from samcli.engine.options import RunOptions
    from samcli.live.ledger import Ledger
    from samcli.live.watch import Watch, Watched
    from samcli.records import Record
    from samcli.tasks.run import task_for

    streams = output()
    _check(folders, flags)
    options = RunOptions(
        segment=flags.segment, timeline=flags.timeline, labels=read_labels(flags.labels),
        threshold=threshold_of(flags.threshold), top_k=flags.top_k,  # type: ignore[arg-type]
    )  # fmt: skip
    model = load_here(flags)
    task = task_for(flags.task, model, options)
    streams.clear_status()

    def tell(record: Record) -> None:
        if record.error is not None:
            streams.error(named(record.path, record.error.message))

    assert flags.output is not None
    with Ledger(flags.output, fingerprint(flags.task, model, options)) as ledger:
        watched = Watched(folders, ledger, recursive=flags.recursive, glob=tuple(flags.glob or ()), settle=flags.settle)
        run = Watch(task, model, options, watched, ledger, tell, streams.note)
        streams.farewell = f"stopped; what was heard is in {flags.output}, and the same command goes on."
        if not flags.once:
            streams.note(f"watching {', '.join(folders)}; Ctrl-C stops.")
            run.for_ever(flags.poll)
        counts = run.once()
    streams.detail(f"{counts.heard} files were heard, {counts.failed} could not be.")
    return ExitCode.FAILED if counts.failed else ExitCode.OK


def _check(folders: list[str], flags: WatchFlags) -> None:
    from samcli.live.watch import must_exist

    missing = must_exist(folders)
    if missing is not None:
        raise UsageError(f"There is no folder named {missing!r}.")
    if Destination(flags.output).name is None:
        raise UsageError("A watch adds to a file: give -o FILE.jsonl too.")
    if flags.poll is not None and flags.poll <= 0:
        raise UsageError(f"--poll must be more than 0, not {flags.poll:g}.")
    if flags.settle < 0:
        raise UsageError(f"--settle must not be negative, not {flags.settle:g}.")
    if flags.task not in ("tag", "caption"):
        raise UsageError(f"--task is tag or caption, not {flags.task!r}.")
    if flags.once or flags.poll is not None:
        return
    try:
        import watchfiles  # noqa: F401 (asked for before the model is loaded)
    except ImportError:
        raise UsageError("A watch needs watchfiles: pip install 'samcli[live]'; or look with --poll 10.") from None
