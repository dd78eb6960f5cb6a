"""The grammars' word lists, read from the text files beside this one."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


def lines(name: str) -> list[str]:
    """The lines of a file that are no comments."""
    text = (files("samcli") / "training" / "question_reader" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@lru_cache(maxsize=8)
def sections(name: str) -> dict[str, list[str]]:
    """Lines by the heading ("== heading") that they stand below."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in lines(name):
        if line.startswith("== "):
            heading = line.removeprefix("== ")
        else:
            found.setdefault(heading, []).append(line)
    return found


def word_list(heading: str) -> list[str]:
    return sections("other_words.txt")[heading]
