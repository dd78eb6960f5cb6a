"""What a model said of each recording, brought together with its references.

Predictions are read from any format that `sam` writes and from a few plain ones. They meet their references by their
ids, or are refused with the ids that only one side has, and by a tagger's names for a data set's labels: "sea_waves" is
AudioSet's "Ocean" or "Waves, surf". A label the tagger has under its own name means that. Any other is read as a text
about sounds, as queries and captions are: the tables of `samcli.text.labels` say which labels it may stand for. A few
names that mislead that reading are written out here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samcli.errors import UsageError
from samcli.evaluation.datasets import FILE_COLUMNS, Reference, References, question_id, read_table, stem
from samcli.evaluation.metrics.events import LabelledEvent
from samcli.evaluation.metrics.text_scores import words
from samcli.text.labels import mentions

ANSWER_FIELDS = ("model_prediction", "model_output", "prediction", "answer", "output", "response")
SHOWN = 10  # ids of a refusal
WRITTEN_OUT: dict[str, tuple[str, ...]] = {
    "can opening": (),  # AudioSet has no such label
    "clock alarm": ("Alarm clock",),
    "crow": ("Crow", "Caw"),
    "door wood creaks": ("Creak", "Squeak"),
    "door wood knock": ("Knock",),
    "drinking sipping": (),
    "engine": ("Engine",),
    "pouring water": ("Pour",),
}


@dataclass
class Prediction:
    """All that was said of one recording, or one answer to one question."""

    id: str
    text: str = ""  # caption, answer or transcript
    scores: dict[str, float] = field(default_factory=dict)  # by label
    events: list[LabelledEvent] = field(default_factory=list)
    failed: str = ""  # why there is nothing
    path: str = ""  # of a transcript's lines


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The rows or objects of a file, as they are."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"The predictions in {str(path)!r} cannot be read: {error}.") from error
    if text.lstrip()[:1] in {"{", "["}:
        return _json_entries(path, text)
    return [dict(row) for row in read_table(text)]


def as_predictions(entries: list[dict[str, Any]], path: Path) -> dict[str, Prediction]:
    """The entries of a file by their ids."""
    found: dict[str, Prediction] = {}
    for number, entry in enumerate(entries, 1):
        _add(found, entry, f"entry {number} of {str(path)!r}")
    if not found:
        raise UsageError(f"There are no predictions in {str(path)!r}.")
    return found


def _json_entries(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        whole: Any = json.loads(text)
    except json.JSONDecodeError:
        try:
            whole = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise UsageError(f"The predictions in {str(path)!r} are no JSON: {error}.") from error
    if isinstance(whole, dict) and "path" not in whole and all(isinstance(value, str) for value in whole.values()):
        return [{"path": name, "caption": text} for name, text in whole.items()]  # {"file": "caption"}
    entries = whole if isinstance(whole, list) else [whole]
    if not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"The predictions in {str(path)!r} are no list of objects.")
    return entries


def _add(found: dict[str, Prediction], entry: dict[str, Any], where: str) -> None:
    path = next((str(entry[name]) for name in (*FILE_COLUMNS, "audio_id") if entry.get(name)), "")
    own = str(entry.get("id") or "")
    question = str(entry.get("question") or entry.get("instruction") or "")
    if not path and not own:
        raise UsageError(f"There is no path and no id in {where}.")
    if own:
        name = own
    else:
        name = question_id(path, question) if question else stem(path)
    held = found.setdefault(name, Prediction(name))
    if entry.get("error") or entry.get("error_type"):
        held.failed = str(entry.get("error") or entry.get("error_type"))
        return
    if entry.get("task") == "transcribe":  # a recording's lines come one by one
        if held.path not in ("", path):
            raise UsageError(f"{name!r} is predicted twice, the second time in {where}.")
        held.path, held.text = path, f"{held.text} {entry.get('transcript') or ''}".strip()
        return
    text = next((entry[field] for field in ("caption", *ANSWER_FIELDS, "transcript", "text") if entry.get(field)), None)
    if text is not None:
        if held.text and held.text != str(text):
            raise UsageError(f"{name!r} is predicted twice, the second time in {where}.")
        held.text = str(text)
    tags = entry.get("tags")
    if tags is None and entry.get("label"):
        tags = [{"label": entry["label"], "score": entry.get("score") or 1.0}]
    for tag in tags or ():
        try:
            label, score = str(tag["label"]), float(tag["score"])
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"The tags in {where} are no list of a label and a score each.") from None
        held.scores[label] = max(score, held.scores.get(label, 0.0))
        if entry.get("start") not in (None, "") and entry.get("end") not in (None, ""):
            held.events.append(LabelledEvent(label, float(entry["start"]), float(entry["end"])))
    if entry.get("event_label"):
        held.events.append(LabelledEvent(str(entry["event_label"]), float(entry["onset"]), float(entry["offset"])))


Pair = tuple[Reference, Prediction]


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


def plain(label: str) -> str:
    return " ".join(words(label.replace("_", " ")))


def groups_of(labels: Sequence[str], known: Sequence[str]) -> list[list[list[str]]]:
    """For each label the sounds it names, each by all the known names that may stand for it; none where none does."""
    by_plain: dict[str, list[str]] = {}
    for name in known:
        by_plain.setdefault(plain(name), []).append(name)
    found = []
    for label in labels:
        own = plain(label)
        if own in by_plain and own not in WRITTEN_OUT:
            found.append([by_plain[own]])
            continue
        if own in WRITTEN_OUT:
            sounds = [set(WRITTEN_OUT[own]) | {label}]
        else:
            sounds = [set(mention.labels) for mention in mentions(label.replace("_", " "))]
        wanted = [{plain(name) for name in sound} for sound in sounds]
        groups = [[name for key, names in by_plain.items() if key in sound for name in names] for sound in wanted]
        found.append([group for group in groups if group])
    return found
