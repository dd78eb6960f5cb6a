"""What is true of each recording, read from the field's own files as they are.

Known by their headers: AudioCaps, Clotho, AudioSet segments, ESC-50, FSD50K, MMAU, OpenAQA, tables of events
(`filename onset offset event_label`), tables of transcripts, and records that `sam` wrote itself.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from samcli.errors import UsageError
from samcli.evaluation.metrics.events import LabelledEvent

Row = dict[str, str]


@dataclass
class Reference:
    """One recording, or one question about one."""

    id: str  # what a prediction is matched by: a file name without folder and suffix, or a question's own id
    captions: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    question: str = ""
    choices: list[str] = field(default_factory=list)
    answer: str = ""
    events: list[LabelledEvent] = field(default_factory=list)
    transcript: str = ""
    also: tuple[str, ...] = ()  # other names that files of this recording go by
    audio: str = ""  # the recording a question is about: a file name without folder and suffix


@dataclass(frozen=True)
class References:
    kind: str  # captions, tags, answers, events or transcripts
    source: str  # the format, by name
    items: dict[str, Reference]
    single: bool = False  # every recording has exactly one label, and it is the answer


def read_references(path: Path) -> References:
    """The references in a file; its format is told by its content."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The references in {str(path)!r} cannot be read: {error}.") from error
    if path.suffix.lower() in {".json", ".jsonl"} or text.lstrip()[:1] in {"{", "["}:
        return _from_json(path, text)
    if text.startswith("#"):
        return _audioset_segments(text)
    if path.name.endswith(".trans.txt"):
        return _librispeech(text)
    rows = read_table(text)
    columns = set(rows[0]) if rows else set()
    for needed, source, reader in TABLES:
        if needed <= columns:
            found = reader(rows)
            return References(found.kind, source, found.items, found.single)
    raise UsageError(
        f"The columns of {str(path)!r} belong to no known format: {', '.join(sorted(columns)) or 'there are none'}. "
        "Captions need the columns file_name and caption, labels fname and labels, "
        "events filename, onset, offset and event_label."
    )


def read_table(text: str) -> list[Row]:
    """Rows of a CSV or TSV file by their column names, in lower case."""
    lines = text.splitlines()
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    header = [name.strip().lower() for name in next(reader, [])]
    return [dict(zip(header, row, strict=False)) for row in reader if any(cell.strip() for cell in row)]


def stem(path: str) -> str:
    """A recording's name: no folder, no suffix."""
    name = PurePosixPath(path.replace("\\", "/")).name
    # "Y5D2LKZ.wav" loses its suffix; "rain.2" and names that end in a sentence keep theirs.
    head, dot, tail = name.rpartition(".")
    return head if dot and head and 0 < len(tail) <= 5 and tail.isalnum() and not tail.isdigit() else name


def _collect(kind: str, entries: Iterable[Reference], single: bool = False) -> References:
    """Rows about one recording joined."""
    items: dict[str, Reference] = {}
    for entry in entries:
        held = items.setdefault(entry.id, entry)
        if held is not entry:
            held.captions += entry.captions
            held.labels += entry.labels
            held.events += entry.events
    return References(kind, "", items, single)


def _audiocaps(rows: list[Row]) -> References:
    return _collect(
        "captions",
        (
            Reference(
                row["youtube_id"],
                captions=[row["caption"]],
                also=(f"Y{row['youtube_id']}", f"{row['youtube_id']}_{row['start_time']}", row["audiocap_id"]),
            )
            for row in rows
        ),
    )


def _clotho(rows: list[Row]) -> References:
    return _collect(
        "captions",
        (
            Reference(
                stem(row["file_name"]), captions=[row[f"caption_{n}"] for n in range(1, 6) if row.get(f"caption_{n}")]
            )
            for row in rows
        ),
    )


def _captions(rows: list[Row]) -> References:
    return _collect("captions", (Reference(stem(_file(row)), captions=[row["caption"]]) for row in rows))


def _esc50(rows: list[Row]) -> References:
    entries = (Reference(stem(row["filename"]), labels=[row["category"].replace("_", " ")]) for row in rows)
    return _collect("tags", entries, single=True)


def _fsd50k(rows: list[Row]) -> References:
    names = _names_by_mid()
    entries = []
    for row in rows:
        written = [label.replace("_", " ") for label in row["labels"].split(",") if label]
        mids = [mid.strip() for mid in row.get("mids", "").split(",") if mid.strip()]
        if len(mids) == len(written):
            written = [names.get(mid, label) for mid, label in zip(mids, written, strict=True)]
        entries.append(Reference(stem(row["fname"]), labels=written))
    return _collect("tags", entries)


def _labels(rows: list[Row]) -> References:
    entries = [Reference(stem(_file(row)), labels=[row["label"]]) for row in rows if row["label"]]
    found = _collect("tags", entries)
    return References("tags", "", found.items, all(len(item.labels) == 1 for item in found.items.values()))


def _events(rows: list[Row]) -> References:
    entries = []
    for row in rows:
        events = []
        if row.get("event_label"):  # a file without events has a row of its own
            events.append(LabelledEvent(row["event_label"], float(row["onset"]), float(row["offset"])))
        entries.append(Reference(stem(_file(row)), events=events))
    return _collect("events", entries)


def _transcripts(rows: list[Row]) -> References:
    name = next(name for name in ("transcript", "transcription", "text", "sentence") if name in rows[0])
    return _collect("transcripts", (Reference(stem(_file(row)), transcript=row[name]) for row in rows))


FILE_COLUMNS = ("file_name", "filename", "file", "path", "fname", "audio")
TABLES: tuple[tuple[set[str], str, Callable[[list[Row]], References]], ...] = (
    ({"audiocap_id", "youtube_id", "start_time", "caption"}, "AudioCaps", _audiocaps),
    ({"file_name", "caption_1"}, "Clotho", _clotho),
    ({"filename", "fold", "target", "category"}, "ESC-50", _esc50),
    ({"fname", "labels"}, "FSD50K", _fsd50k),
    ({"onset", "offset", "event_label"}, "events", _events),
    ({"caption"}, "captions", _captions),
    ({"label"}, "labels", _labels),
    ({"transcript"}, "transcripts", _transcripts),
    ({"transcription"}, "transcripts", _transcripts),
    ({"text"}, "transcripts", _transcripts),
    ({"sentence"}, "transcripts", _transcripts),
)


def _file(row: Row) -> str:
    for name in FILE_COLUMNS:
        if row.get(name):
            return row[name]
    raise UsageError(f"A row names no file: it has {', '.join(row)}.")


def _audioset_segments(text: str) -> References:
    """`YTID, start_seconds, end_seconds, "/m/...,/m/..."` behind comment lines."""
    names = _names_by_mid()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    entries = []
    for row in csv.reader(lines, skipinitialspace=True):
        if len(row) != 4:
            raise UsageError(f"An AudioSet segment has four fields, not {len(row)}: {', '.join(row)}.")
        video, start, _, mids = row
        unknown = [mid for mid in mids.split(",") if mid not in names]
        if unknown:
            raise UsageError(f"AudioSet has no label {unknown[0]!r}.")
        seconds = float(start)
        also = (f"Y{video}", f"{video}_{start}", f"{video}_{seconds:g}", f"{video}_{round(seconds * 1000)}")
        entries.append(Reference(video, labels=[names[mid] for mid in mids.split(",")], also=also))
    found = _collect("tags", entries)
    return References("tags", "AudioSet", found.items)


def _librispeech(text: str) -> References:
    """An id and what is said, a line each."""
    lines = (line.strip().partition(" ") for line in text.splitlines() if line.strip())
    found = _collect("transcripts", (Reference(name, transcript=said) for name, _, said in lines))
    return References("transcripts", "LibriSpeech", found.items)


def _from_json(path: Path, text: str) -> References:
    try:
        entries: Any = json.loads(text) if path.suffix.lower() != ".jsonl" else None
        if entries is None:
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError:
        try:
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise UsageError(f"The references in {str(path)!r} are no JSON: {error}.") from error
    if isinstance(entries, dict):
        entries = entries.get("data") or [entries]
    if not entries or not isinstance(entries[0], dict):
        raise UsageError(f"There are no entries in {str(path)!r}.")
    first = entries[0]
    if "choices" in first:
        found, source = _mmau(entries), "MMAU"
    elif "output" in first and ("instruction" in first or "question" in first):
        found, source = _openaqa(entries), "OpenAQA"
    else:
        found, source = _records(entries), "sam"
    return References(found.kind, source, found.items, found.single)


def _mmau(entries: list[dict[str, Any]]) -> References:
    return _collect(
        "answers",
        (
            Reference(
                str(e.get("id", e.get("audio_id"))),
                question=e["question"],
                choices=list(e["choices"]),
                answer=str(e["answer"]),
                also=(question_id(str(e.get("audio_id", "")), e["question"]),),
                audio=stem(str(e.get("audio_id", ""))),
            )
            for e in entries
        ),
    )


def _openaqa(entries: list[dict[str, Any]]) -> References:
    found = []
    for e in entries:
        question = e.get("instruction") or e["question"]
        name, audio = question_id(str(e["audio_id"]), question), stem(str(e["audio_id"]))
        found.append(Reference(name, question=question, answer=str(e["output"]), audio=audio))
    return _collect("answers", found)


def question_id(path: str, question: str) -> str:
    """A question about a recording, where it has no id of its own."""
    return f"{stem(path)}: {' '.join(question.lower().split()).rstrip('?!. ')}"


def _records(entries: list[dict[str, Any]]) -> References:
    kind = {"caption": "captions", "tag": "tags", "ask": "answers"}.get(str(entries[0].get("task")))
    if kind is None:
        raise UsageError("These references are no records of sam: they do not say their task.")
    found = []
    for e in entries:
        labels = [tag["label"] for tag in e.get("tags") or ()]
        name = question_id(e["path"], e["question"]) if kind == "answers" else stem(e["path"])
        found.append(
            Reference(
                name, captions=[e["caption"]] if e.get("caption") else [], labels=labels,
                question=e.get("question") or "", answer=e.get("answer") or "",
            )
        )  # fmt: skip
    return _collect(kind, found)


def _names_by_mid() -> dict[str, str]:
    table = files("samcli") / "data" / "labels" / "audioset.csv"
    with table.open(encoding="utf-8") as lines:
        return {row["mid"]: row["name"] for row in csv.DictReader(lines)}
