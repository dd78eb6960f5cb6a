"""Names and words made to be obeyed by a terminal or run by a spreadsheet are shown, and nothing more."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.terminal import on_a_terminal

TINY = ("--model", "tiny-random", "--device", "cpu")
OURS = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[K|\r\n")  # colours, the line of progress, a terminal's line break
HOSTILE = {
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x1b\\",
    "link": "\x1b]8;;http:x\x1b\\",
    "c1": "\x9b31m\x9d0;t\x9c",
    "bell": "\x07\x08\x7f",
    "overwrite": "a\rb\x0b\x0c",
    "reorder": "\u202e\u2066gpj\u200f\u061c",
    "lines": "\u2028\u2029\x85",
    "tags": "\U000e0001\U000e0041",
    "newline": "a\nb\tc",
}


def obeyed(seen: str) -> list[str]:
    """What a terminal would obey, our own colours aside; and what reorders or hides text."""
    plain = OURS.sub("", seen)
    return [mark for mark in plain if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") and mark != "\n"]


def test_file_names_on_a_terminal(sam: Any, make_wav: Callable[..., Path]) -> None:
    for number, (name, marks) in enumerate(HOSTILE.items()):
        make_wav(sam.folder / "in" / f"{name}{marks}.wav", seconds=0.1, seed=number)
        (sam.folder / "in" / f"bad {name}{marks}.wav").write_text("no sound")
    (sam.folder / "in" / f"folder{HOSTILE['clear']}").mkdir()
    make_wav(sam.folder / "in" / f"folder{HOSTILE['clear']}" / "x.wav", seconds=0.1)
    code, seen = on_a_terminal(sam, "tag", "in", "--top-k", "1", "--verbose", *TINY)
    assert code == 1 and obeyed(seen) == []
    assert r"\x1b[2J" in seen and r"\u202e" in seen
    code, seen = on_a_terminal(sam, "tag", "in", "-f", "jsonl", *TINY)
    assert code == 1 and obeyed(seen) == []


ARGUMENTS: list[tuple[str, ...]] = [
    ("tag", "{}"),
    ("tag", "--{}"),
    ("-{}",),
    ("{}",),
    ("tag", "--threshold", "{}", "x"),
    ("tag", "--format", "{}", "x"),
    ("tag", "x", "-o", "{}.doc"),
    ("tag", "--labels", "{}", "in.wav", "--model", "tiny-random"),
    ("tag", "in.wav", "--model", "{}"),
    ("tag", "in.wav", "--model", "org/{}"),
    ("tag", "--shard", "{}", "in.wav"),
    ("tag", "--glob", "[{}", "."),
    ("tag", "--files-from", "{}"),
    ("models", "show", "{}"),
    ("models", "rm", "{}"),
    ("models", "convert", "{}", "out"),
    ("completion", "{}"),
    ("merge", "out.csv", "{}"),
    ("bench", "{}"),
    ("eval", "{}", "{}"),
    ("tag", "{}", "--traceback"),
]
QUICK = [1, 3, 8, 20]


@pytest.mark.parametrize("arguments", [
    pytest.param(line, marks=[] if number in QUICK else [pytest.mark.stress]) for number, line in enumerate(ARGUMENTS)
])  # fmt: skip
def test_arguments_on_a_terminal(sam: Any, make_wav: Callable[..., Path], arguments: tuple[str, ...]) -> None:
    """A shell's `*` hands over names of files as arguments, and what is said about them names them."""
    make_wav(sam.folder / "in.wav", seconds=0.1)
    marks = "".join(marks for name, marks in HOSTILE.items() if name not in ("newline",)).replace("/", "")
    code, seen = on_a_terminal(sam, *(word.replace("{}", f"x{marks}") for word in arguments))
    assert code in (1, 2, 3, 4), seen
    assert obeyed(seen) == [], ascii(seen)


def test_a_models_words_on_a_terminal(sam: Any, make_wav: Callable[..., Path]) -> None:
    """Labels of a model from anywhere: a table on a terminal, a list, and the sentence that names the known ones."""
    from samcli.checkpoints.format import save_module
    from samcli.checkpoints.tiny import LABELS, tiny_config, tiny_network, tiny_tokenizer

    words = tiny_tokenizer()
    folder = sam.folder / "model"
    save_module(folder, tiny_network(words), tiny_config(len(words)))
    words.save(folder)
    hostile = [f"{label}{marks}" for label, marks in zip(LABELS, [*HOSTILE.values(), "=1+1"], strict=True)]
    (folder / "labels.json").write_text(json.dumps(hostile))
    make_wav(sam.folder / "in.wav", seconds=0.5)
    ask = ("tag", "in.wav", "--threshold", "0", "--top-k", "12", "--model", "model", "--device", "cpu")
    code, seen = on_a_terminal(sam, *ask)
    assert code == 0 and obeyed(seen) == [] and r"\x1b[2J" in seen
    code, seen = on_a_terminal(sam, *ask[:2], "--labels", "nothing", *ask[-4:])
    assert code == 2 and obeyed(seen) == []


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", "'=1", "\uff1d1+1", "\ufeff=1", "\u200b=1")


def test_a_spreadsheet_runs_nothing(here: Any, make_wav: Callable[..., Path]) -> None:
    """Cells of CSV that begin like a formula stand behind an apostrophe; --raw-cells leaves them as they are."""
    names = [f"{formula.replace('/', '_')}.wav" for formula in FORMULAS]
    for name in names:
        make_wav(here.folder / name, seconds=0.1)
    given = ["--", *names]
    assert here("tag", *TINY, "-o", "safe.csv", *given).returncode == 0
    with (here.folder / "safe.csv").open(newline="", encoding="utf-8") as file:
        safe = [cell for row in list(csv.reader(file))[1:] for cell in row]
    assert not [cell for cell in safe if re.match(r"[\s\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell)]
    assert {f"'{name}" for name in names} <= set(safe)
    assert here("tag", *TINY, "-o", "raw.csv", "--raw-cells", *given).returncode == 0
    with (here.folder / "raw.csv").open(newline="", encoding="utf-8") as file:
        assert {row[0] for row in list(csv.reader(file))[1:]} == set(names)
