"""Recordings of speech with what is said in them: folders like LibriSpeech's, or tables of file and text."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from samcli.engine.inputs.find import Input
from samcli.errors import UsageError

TRANSCRIPTS = "*.trans.txt"  # lines of an id and the text, beside the recordings
SUFFIXES = (".flac", ".wav", ".opus", ".ogg", ".mp3")
FILES = ("file", "path", "file_name", "filename", "audio")
TEXTS = ("text", "transcript", "transcription", "sentence")
OTHER = re.compile(r"[^\w']|_")


class Utterance(NamedTuple):
    file: str
    text: str  # as it is spelled


def spelled(text: str) -> str:
    """Lower case, letters, digits and apostrophes; one space between words."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").lower()
    return " ".join(word.strip("'") for word in OTHER.sub(" ", plain).split() if word.strip("'"))


def read_speech(place: Path) -> list[Utterance]:
    """Every utterance of a folder or a table that has words."""
    if not place.exists():
        raise UsageError(f"There is no file or folder named {str(place)!r}.")
    found = [Utterance(file, spelled(text)) for file, text in (_table if place.is_file() else _folder)(place)]
    found = [utterance for utterance in found if utterance.text]
    if not found:
        raise UsageError(f"{str(place)!r} holds no speech with its words: neither {TRANSCRIPTS} nor file and text.")
    return found


def _folder(folder: Path) -> Iterator[tuple[str, str]]:
    lists = sorted(folder.rglob(TRANSCRIPTS))
    tables = sorted(folder.glob("*.csv"))
    if not lists and len(tables) == 1:
        yield from _table(tables[0])
    for path in lists:
        for line in _text(path).splitlines():
            name, _, text = line.strip().partition(" ")
            if name:
                yield str(_recording(path.parent, name)), text


def _recording(folder: Path, name: str) -> Path:
    files = [folder / (name + suffix) for suffix in SUFFIXES]
    return next((file for file in files if file.exists()), files[0])  # one that is missing is said when it is read


def _table(path: Path) -> Iterator[tuple[str, str]]:
    lines = _text(path).splitlines()
    rows = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    file = next((names[name] for name in FILES if name in names), None)
    text = next((names[name] for name in TEXTS if name in names), None)
    if file is None or text is None:
        raise UsageError(f"{str(path)!r} needs the columns file and text; it has {', '.join(names) or 'none'}.")
    for row in rows:
        if row[file]:
            yield os.path.join(path.parent, row[file]), row[text] or ""  # noqa: PTH118 (names stay as they were typed)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error}.") from None


def symbols_of(utterances: Sequence[Utterance]) -> str:
    """Every character that is written, in order; the space that parts words is always one."""
    return "".join(sorted({" ", *(character for utterance in utterances for character in utterance.text)}))


def inputs_of(utterances: Sequence[Utterance]) -> list[Input]:
    """Every recording once."""
    return [Input(file, file, None, file) for file in dict.fromkeys(utterance.file for utterance in utterances)]
