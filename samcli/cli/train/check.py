"""`sam train check`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samcli.cli.flags import JsonFlags, option, spread
from samcli.cli.output import output
from samcli.cli.progress import span
from samcli.cli.tables import show, show_json
from samcli.errors import ExitCode

if TYPE_CHECKING:
    from samcli.training.tune.examine import Examined

HEADER = ("what", "name", "train", "held out", "seconds", "note")
Data = Annotated[Path, typer.Argument(metavar="DATA", help="A folder per label, or a table.")]


@dataclass(kw_only=True)
class CheckFlags(JsonFlags):
    seed: Annotated[int, option("Seed of the held-out choice.", min=0)] = 0


@spread
def check(data: Data, flags: CheckFlags) -> ExitCode:
    """Look over recordings before a training: what each column teaches, what each label has, what would bite.

    sam train check birds/
    sam train check birds.csv --json
    sam train tune birds/ -o my-model

    Ends with 1 when something would bite.
    """
    from samcli.text.labels import labels
    from samcli.training.tune.examine import examine
    from samcli.training.tune.recordings import read_data

    streams = output()
    found = read_data(data)
    examined = examine(
        found, labels(), seed=flags.seed, progress=lambda done, total: streams.status(f"reading {done} of {total}")
    )
    report = report_of(examined)
    if flags.json:
        show_json(streams, report)
    else:
        show(streams, HEADER, rows_of(report))
        for note in report["notes"]:
            streams.note(note)
        streams.note(verdict(report))
    return ExitCode.OK if report["ok"] else ExitCode.FAILED


def report_of(examined: Examined) -> dict[str, Any]:
    """The check as plain values."""
    return {
        "ok": not examined.problems,
        "recordings": len(examined.recordings),
        "train": len(examined.split("train")),
        "validation": len(examined.split("validation")),
        "test": len(examined.split("test")),
        "seconds": round(examined.seconds, 2),
        "split_by": examined.split_by,
        "columns": [{"column": name, "teaches": what or None} for name, what in examined.found.columns.items()],
        "labels": [
            {"label": one.label, "new": not one.known, "train": one.train, "validation": one.validation}
            | {"seconds": round(one.seconds, 2)}
            for one in examined.labels
        ],
        "problems": [{"kind": one.kind, "where": one.where, "sentence": one.sentence} for one in examined.problems],
        "notes": list(examined.notes),
    }


def rows_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The same as one table: columns, labels, then what would bite."""
    rows: list[dict[str, Any]] = []
    for column in report["columns"]:
        taught = column["teaches"] or "is not looked at"
        note = f"teaches {taught}" if taught in ("tags", "captions", "answers") else taught
        rows.append({"what": "column", "name": column["column"], "note": note})
    for label in report["labels"]:
        counts = {"train": label["train"], "held out": label["validation"], "seconds": label["seconds"]}
        note = "new" if label["new"] else "known to sam-nano"
        rows.append({"what": "label", "name": label["label"], **counts, "note": note})
    for problem in report["problems"]:
        rows.append({"what": "problem", "name": problem["where"], "note": f"{problem['kind']}: {problem['sentence']}"})
    return rows


def verdict(report: dict[str, Any]) -> str:
    held = report["validation"]
    how = {"given": "as given"}.get(report["split_by"], f"held out by {report['split_by']}")
    words = f"{report['recordings']} recordings, {span(report['seconds'])}; {held} of them {how}"
    problems = len(report["problems"])
    return f"{words}. " + (f"{problems} problems would bite." if problems else "Nothing would bite.")
