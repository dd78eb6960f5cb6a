"""Predictions and references brought together by their ids, or refused with the ids that only one side has."""

from __future__ import annotations

from collections.abc import Sequence

from samcli.errors import UsageError
from samcli.evaluation.references.datasets import Reference, References, question_id
from samcli.evaluation.references.predictions import Prediction

Pair = tuple[Reference, Prediction]
SHOWN = 10  # ids of a refusal


class Mismatch(UsageError):
    """Ids that only one side has."""

    def __init__(self, unanswered: Sequence[str], unknown: Sequence[str]) -> None:
        parts = []
        if unanswered:
            parts.append(f"{len(unanswered)} references have no prediction: {_listed(unanswered)}")
        if unknown:
            parts.append(f"{len(unknown)} predictions have no reference: {_listed(unknown)}")
        super().__init__(". ".join(parts) + ".")
        self.unanswered, self.unknown = tuple(unanswered), tuple(unknown)


def matched(predictions: dict[str, Prediction], references: References) -> list[Pair]:
    """Each reference with its prediction; Mismatch when any is left over on either side."""
    waiting = dict(predictions)
    pairs: list[Pair] = []
    unanswered: list[str] = []
    for item in references.items.values():
        names = [item.id, *item.also]
        if item.question:
            names.append(question_id(item.id, item.question))
        found = next((name for name in names if name in waiting), None)
        if found is None:
            unanswered.append(item.id)
        elif waiting[found].failed:
            unanswered.append(f"{item.id} (it failed)")
            del waiting[found]
        else:
            pairs.append((item, waiting.pop(found)))
    if unanswered or waiting:
        raise Mismatch(unanswered, list(waiting))
    return pairs


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
