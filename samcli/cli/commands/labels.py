"""`sam labels`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from samcli.cli.destination import Destination, RowFlags
from samcli.cli.flags import ModelFlags, spread
from samcli.cli.output import output
from samcli.cli.resolve import load_here
from samcli.errors import ExitCode, UsageError
from samcli.writers.rows import Columns

COLUMNS = Columns(("label", "words", "under", "holds"), ("label", "words", "under", "holds"), "label")
BUNDLED = "sam-nano"


@dataclass(kw_only=True)
class LabelFlags(ModelFlags, RowFlags):
    word: Annotated[str, typer.Argument(metavar="[WORD]", help="Only what it names, and what that holds.")] = ""


@spread
def labels(flags: LabelFlags) -> ExitCode:
    """List the sounds that can be heard: their names, other words for them, what they fall under and what they hold.

    sam labels
    sam labels dog
    sam labels "car horn" -f json
    """
    streams = output()
    destination = Destination.of(flags)
    destination.check_rows()
    rows = list(rows_of(known_labels(flags), flags.word))
    if not rows:
        raise UsageError(f"No label is called {flags.word!r}; sam labels shows all.")
    destination.write_rows(streams, COLUMNS, rows, ("label", "words", "under", "holds"))
    return ExitCode.OK


def known_labels(flags: LabelFlags) -> Sequence[str]:
    """Those of the model; of the bundled one without loading it."""
    from samcli.text.labels import labels as described

    if flags.model == BUNDLED:
        return described()

    return load_here(flags).labels


def rows_of(known: Sequence[str], word: str) -> Iterator[dict[str, Any]]:
    """A row for each label that a word names or that falls under one it names."""
    from samcli.text.labels import broader, is_described, narrower, synonyms

    there = set(known)
    for label in known:
        described = is_described(label)
        words = synonyms(label) if described else ()
        under = sorted(broader(label) & there) if described else []
        if word and not any(matches(word, name) for name in (label, *words, *under)):
            continue
        holds = sorted(narrower(label) & there) if described else []
        yield {"label": label, "words": "; ".join(words), "under": "; ".join(under), "holds": "; ".join(holds)}


def matches(word: str, name: str) -> bool:
    """Whether a word begins one of the words of a name."""
    wanted, plain = word.casefold().strip(), name.casefold()
    return plain.startswith(wanted) or f" {wanted}" in plain
