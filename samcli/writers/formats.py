"""All formats by name, and the one a file's suffix asks for."""

from __future__ import annotations

from pathlib import PurePath

from samcli.errors import UsageError
from samcli.writers.base import Format
from samcli.writers.json import Json, JsonLines
from samcli.writers.table import Csv, Plain, Tsv
from samcli.writers.timed import Audacity, SubRip, WebVtt

CLASSES: tuple[type[Format], ...] = (JsonLines, Json, Csv, Tsv, Plain, SubRip, WebVtt, Audacity)
FORMATS: dict[str, type[Format]] = {format.name: format for format in CLASSES}
BY_SUFFIX: dict[str, type[Format]] = {suffix: format for format in CLASSES for suffix in format.suffixes}


def format_of(name: str) -> type[Format]:
    """The format of this name."""
    if name not in FORMATS:
        raise UsageError(f"There is no format {name!r}: choose {', '.join(FORMATS)}.")
    return FORMATS[name]


def format_of_file(path: str) -> type[Format]:
    """The format the suffix of a file asks for."""
    suffix = PurePath(path).suffix.lower()
    if suffix not in BY_SUFFIX:
        known = ", ".join(BY_SUFFIX)
        raise UsageError(f"The name {path!r} does not tell its format: end it in {known}, or give --format.")
    return BY_SUFFIX[suffix]
