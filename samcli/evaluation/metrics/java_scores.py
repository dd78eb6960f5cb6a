"""METEOR and SPICE by their authors' own Java programs, where Java and the programs are.

The programs come with the package `pycocoevalcap`; those that `aac-metrics-download` fetched are found too. SPICE also
needs the Stanford CoreNLP 3.6.0 jars in its `lib` folder (200 MB, fetched by either package when it first runs SPICE).
Nothing is ever fetched from here. Sentences go in as `caption_words` cuts them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.errors import UsageError

WHERE = "pip install pycocoevalcap"
CORENLP = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
METEOR_OPTIONS = ("-", "-", "-stdio", "-l", "en", "-norm")
DRAWS = 200  # of the interval: every one is a question to the program

Words = tuple[str, ...]
Floats = NDArray[np.float64]


class Meteor(NamedTuple):
    """METEOR of all sentences together, and of draws among them."""

    score: float
    each: Floats  # (sentences,)
    draws: Floats  # (draws,)


def why_no_meteor() -> str:
    """What is missing; empty when METEOR can be measured."""
    return _missing("METEOR", _jar("meteor", "meteor-1.5.jar"))


def why_no_spice() -> str:
    """What is missing; empty when SPICE can be measured."""
    jar = _jar("spice", "spice-1.0.jar")
    if jar is not None and not all((jar.parent / "lib" / name).is_file() for name in CORENLP):
        return f"needs {' and '.join(CORENLP)} in {jar.parent / 'lib'}"
    return _missing("SPICE", jar)


def meteor_scores(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]], rows: Sequence[NDArray[np.int64]] = ()
) -> Meteor:
    """METEOR 1.5 for English, with its synonyms and paraphrases; `rows` are the draws to score besides."""
    jar = _jar("meteor", "meteor-1.5.jar")
    assert jar is not None
    with _Program(["-Xmx2G", "-jar", str(jar), *METEOR_OPTIONS], jar.parent) as program:
        facts = []
        for candidate, others in zip(candidates, references, strict=True):
            program.ask(["SCORE", *(" ".join(other) for other in others), " ".join(candidate)])
            facts.append(program.answer())

        def together(chosen: Sequence[str]) -> tuple[float, list[float]]:
            program.ask(["EVAL", *chosen])
            each = [float(program.answer()) for _ in chosen]
            return float(program.answer()), each

        score, each = together(facts)
        draws = [together([facts[int(row)] for row in drawn])[0] for drawn in rows]
    return Meteor(score, np.array(each), np.array(draws))


def spice_scores(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> Floats:
    """(sentences,): SPICE 1.0, F1 of the tuples of scene graphs."""
    jar = _jar("spice", "spice-1.0.jar")
    assert jar is not None
    with tempfile.TemporaryDirectory() as name:
        inputs, outputs = Path(name, "in.json"), Path(name, "out.json")
        entries = [
            {"image_id": place, "test": " ".join(candidate), "refs": [" ".join(other) for other in others]}
            for place, (candidate, others) in enumerate(zip(candidates, references, strict=True))
        ]
        inputs.write_text(json.dumps(entries), encoding="utf-8")
        command = [_java(), "-Xmx8G", "-jar", str(jar), str(inputs), "-out", str(outputs), "-subset", "-silent"]
        done = subprocess.run(command, cwd=jar.parent, capture_output=True)
        if done.returncode or not outputs.is_file():
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
            raise UsageError(f"SPICE failed: {lines[-1]}")
        found = json.loads(outputs.read_text(encoding="utf-8"))
    scores = {int(entry["image_id"]): float(entry["scores"]["All"]["f"] or 0) for entry in found}
    each: Floats = np.nan_to_num(np.array([scores[place] for place in range(len(candidates))], np.float64))
    return each


class _Program:
    """METEOR, asked and answering line by line."""

    def __init__(self, options: Sequence[str], folder: Path) -> None:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._running = subprocess.Popen([_java(), *options], cwd=folder, stdin=pipe, stdout=pipe, stderr=nowhere)
        assert self._running.stdin is not None and self._running.stdout is not None
        self._in, self._out = self._running.stdin, self._running.stdout

    def ask(self, fields: Sequence[str]) -> None:
        try:
            self._in.write(" ||| ".join(fields).encode() + b"\n")
            self._in.flush()
        except OSError as error:
            raise UsageError(f"METEOR ended early: {error}.") from error

    def answer(self) -> str:
        line = self._out.readline().decode().strip()
        if not line:
            raise UsageError("METEOR ended early, without an answer.")
        return line

    def __enter__(self) -> _Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.kill()
        with suppress(OSError):
            self._in.close()
        self._out.close()
        self._running.wait()


def _java() -> str:
    return shutil.which("java") or "java"


def _missing(name: str, jar: Path | None) -> str:
    if jar is None:
        return f"{name} is a Java program: {WHERE}"
    return "" if shutil.which("java") else "needs Java"


def _jar(folder: str, name: str) -> Path | None:
    """A program in one of the places it comes to be."""
    places = []
    spec = find_spec("pycocoevalcap")  # found, not imported
    if spec is not None and spec.submodule_search_locations:
        places.append(Path(next(iter(spec.submodule_search_locations)), folder))
    cache = os.environ.get("AAC_METRICS_CACHE_PATH") or Path.home() / ".cache"
    places.append(Path(cache, "aac-metrics", folder))
    # SPICE is of use only with its library: a whole one is taken before one without.
    found = [place / name for place in places if (place / name).is_file()]
    whole = [jar for jar in found if all((jar.parent / "lib" / part).is_file() for part in CORENLP)]
    return next(iter(whole or found), None)
