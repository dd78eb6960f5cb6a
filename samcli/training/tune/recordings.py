"""What a person has: a folder for each label, or a table with a row for each sound, as a list of recordings.

    birds/robin/*.wav, birds/wren/*.wav            the folder's name is the label
    birds/train/robin/*.wav, birds/validation/...  with the split above it
    birds.csv, birds.jsonl                         columns path, labels, caption, question, answer, start, end, split
    verdicts.csv                                   the same and `wrong`: labels that a model gave and should not have

Paths of a table are relative to it. Several labels of a row are separated by semicolons, for AudioSet's own names have
commas in them; in JSON they may be a list. Rows about the same stretch of the same sound are one recording. Nothing is
decoded here, and a row that cannot be used is a problem with its line, not the end.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samcli.engine.inputs.find import SOUND_SUFFIXES
from samcli.errors import UsageError

COLUMNS = {  # what each teaches
    "path": "which sound",
    "labels": "tags",
    "wrong": "tags it does not have",
    "caption": "captions",
    "question": "answers",
    "answer": "answers",
    "start": "where the stretch begins",
    "end": "where the stretch ends",
    "split": "what is held out",
}
OTHER_NAMES = {"file": "path", "filename": "path", "file_name": "path", "label": "labels", "tags": "labels"}
SPLITS = {
    "train": "train", "training": "train", "": "",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip
MOST_LABEL_CHARACTERS = 200


@dataclass(frozen=True)
class Problem:
    """What would bite in training."""

    kind: str  # a short stable word
    where: str  # a path, or the table's line
    sentence: str


@dataclass(frozen=True)
class Recording:
    """One stretch of one sound, and what is known of it."""

    path: str  # as the data name it, relative to their root
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    questions: tuple[tuple[str, str], ...] = ()  # with their answers
    start: float = 0.0  # seconds
    end: float | None = None  # None: to the end
    split: str = ""  # train, validation, test; empty: not said
    wrong: tuple[str, ...] = ()  # labels that are not to be heard in it

    @property
    def key(self) -> tuple[str, float, float | None]:
        return self.path, self.start, self.end

    @property
    def teaches(self) -> bool:
        return bool(self.labels or self.captions or self.questions or self.wrong)


@dataclass
class Found:
    """Everything that was read, before anything is decoded."""

    root: Path  # paths are relative to it
    recordings: list[Recording] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)  # column -> what it teaches; empty: nothing
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # good to know, no reason to stop
    folders: bool = False  # a folder for each label

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label, in the order of their names."""
        return tuple(sorted({label for recording in self.recordings for label in recording.labels}))

    @property
    def has_words(self) -> bool:
        return any(recording.captions or recording.questions for recording in self.recordings)


def read_data(data: Path) -> Found:
    """The recordings behind a folder or a table; UsageError when it is neither."""
    if data.is_dir():
        return _read_folders(data)
    if not data.exists():
        raise UsageError(f"There is no file or folder named {str(data)!r}.")
    suffix = data.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl"):
        raise UsageError(f"{str(data)!r} is no table of recordings: give a folder, a .csv, a .tsv or a .jsonl.")
    found = Found(data.parent)
    try:
        rows = list(_json_rows(data, found) if suffix == ".jsonl" else _csv_rows(data, suffix))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{str(data)!r} cannot be read as a table: {error}.") from None
    if not rows and not found.problems:
        raise UsageError(f"{str(data)!r} has no rows.")
    names = dict.fromkeys(name for _, row in rows for name in row)
    if rows and "path" not in names:
        raise UsageError(f"{str(data)!r} has no column 'path'; its columns are {', '.join(names)}.")
    found.columns = {name: COLUMNS.get(name, "") for name in names}
    for line, row in rows:
        _add_row(found, f"{data.name}:{line}", row)
    found.recordings = list(_joined(found.recordings))
    return found


def _read_folders(data: Path) -> Found:
    found = Found(data, folders=True)
    found.columns = {"folder": "tags"}
    tops = _folders(data)
    splits = {top: SPLITS.get(top.name.lower(), "") for top in tops}
    if tops and all(splits.values()) and "train" in splits.values():
        found.columns = {"split folder": "what is held out", "folder": "tags"}
        for top in tops:
            for folder in _folders(top):
                _add_folder(found, folder, splits[top])
        return found
    tables = [path.name for path in sorted(data.iterdir()) if path.suffix.lower() in (".csv", ".tsv", ".jsonl")]
    if not tops:
        instead = f" Give its table instead: {data / tables[0]}" if tables else ""
        raise UsageError(f"{str(data)!r} has no folders in it, one for each label.{instead}")
    for folder in tops:
        _add_folder(found, folder, "")
    for path in sorted(data.iterdir()):
        if path.is_file() and path.suffix.lower() in SOUND_SUFFIXES:
            found.problems.append(
                Problem("no label", path.name, f"{path.name} lies beside the folders of labels, so it has none.")
            )
    return found


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _add_folder(found: Found, folder: Path, split: str) -> None:
    sounds = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SOUND_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not sounds:
        where = str(folder.relative_to(found.root))
        found.problems.append(Problem("empty label", where, f"The folder {where!r} holds no sound."))
    for path in sounds:
        relative = path.relative_to(found.root).as_posix()
        found.recordings.append(Recording(relative, labels=(folder.name.strip(),), split=split))


def _csv_rows(path: Path, suffix: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ",")
        for row in reader:
            extra = row.pop(None, None)
            named = {_column(name): value or "" for name, value in row.items()}
            yield reader.line_num, named | ({"": extra} if extra else {})


def _json_rows(path: Path, found: Found) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            where = f"{path.name}:{number}"
            found.problems.append(Problem("bad row", where, f"The line is not a JSON object: {error}."))
            continue
        yield number, {_column(name): value for name, value in row.items()}


def _column(name: str) -> str:
    plain = name.strip().lower()
    return OTHER_NAMES.get(plain, plain)


def _add_row(found: Found, where: str, row: dict[str, Any]) -> None:
    try:
        recording = _recording(row)
    except ValueError as error:
        found.problems.append(Problem("bad row", where, f"{error}."))
        return
    if not recording.teaches:
        found.problems.append(Problem("empty label", where, f"{recording.path!r} has no label, caption or answer."))
        return
    found.recordings.append(recording)


def _recording(row: dict[str, Any]) -> Recording:
    if row.get(""):
        raise ValueError("The row has more cells than there are columns (a comma in a cell needs quotes)")
    path = _text(row, "path")
    if not path:
        raise ValueError("The row names no path")
    question, answer = _text(row, "question"), _text(row, "answer")
    if bool(question) != bool(answer):
        raise ValueError(f"{path!r} has {'a question but no answer' if question else 'an answer but no question'}")
    start, end = _seconds(row, "start"), _seconds(row, "end")
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"{path!r} ends at {end:g} s, not after its start at {start or 0.0:g} s")
    split = _text(row, "split").lower()
    if split not in SPLITS:
        raise ValueError(f"{path!r} is in the split {split!r}: choose train, validation or test")
    caption = _text(row, "caption")
    return Recording(
        path,
        _labels(row.get("labels")),
        (caption,) if caption else (),
        ((question, answer),) if question else (),
        start or 0.0,
        end,
        SPLITS[split],
        _labels(row.get("wrong")),
    )


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f"{name} is not a text but {value!r:.60}")
    return " ".join(str(value).split()) if name != "path" else str(value).strip()


def _seconds(row: dict[str, Any], name: str) -> float | None:
    text = _text(row, name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is not a time in seconds: {text!r:.40}")
    return value


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(";")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ValueError(f"labels are texts, not {value!r:.60}")
    labels = [" ".join(label.split()) for label in value]
    if any(len(label) > MOST_LABEL_CHARACTERS for label in labels):
        raise ValueError("a label is longer than a name should be")
    return tuple(dict.fromkeys(label for label in labels if label))


def _joined(recordings: list[Recording]) -> Iterator[Recording]:
    """Rows about one stretch as one recording; a split that only one of them states holds for all."""
    groups: dict[tuple[str, float, float | None], list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.key, []).append(recording)
    for (path, start, end), rows in groups.items():
        yield Recording(
            path,
            tuple(dict.fromkeys(label for row in rows for label in row.labels)),
            tuple(dict.fromkeys(caption for row in rows for caption in row.captions)),
            tuple(dict.fromkeys(pair for row in rows for pair in row.questions)),
            start,
            end,
            next((row.split for row in rows if row.split), ""),
            tuple(dict.fromkeys(label for row in rows for label in row.wrong)),
        )
