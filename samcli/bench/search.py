"""How long a search among ten thousand recordings takes: from an index on disk, stage by stage.

A few hundred seconds of sound are heard and entered as `sam index` does; their entries are then repeated under the
names of links to the same files, so that the second stage reads and hears files as it would real ones. The limit beside
a query is what hearing everything would take: one stage, without an index.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from samcli.bench.core import Row, row
from samcli.bench.folder import make_clips

RECORDINGS = 10_000
QUERIES = ("A dog barking in the rain.", "A train passes.", "Someone is speaking.", "Water drips into a sink.")
SECONDS = 10.0


def bench_search(quick: bool, model: str = "sam-nano", device: str = "cpu") -> list[Row]:
    """Rows of name, value, unit, limit, ratio, target."""
    from samcli.checkpoints.loading import load_model
    from samcli.engine.index.store import NAME, Index
    from samcli.engine.inputs.find import find_inputs
    from samcli.tasks.search import SHORTLIST, search_contents, search_heard, shortlist_scores

    loaded = load_model(model, device=device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = make_clips(folder / "clips", 16 if quick else 64, SECONDS, ("wav", "mp3"))
        inputs = find_inputs([clips])
        with Index(clips / NAME, loaded) as index:
            hearing = _seconds(lambda: index.update(inputs, loaded)) / len(inputs)
        everything = _seconds(lambda: search_heard([QUERIES[0]], inputs, loaded)) / len(inputs) * RECORDINGS
        repeat(clips / NAME, folder / "more", RECORDINGS)
        with Index(clips / NAME, loaded, look=True) as index:
            opening = _seconds(index.contents)
            contents, labels = index.contents(), index.labels
        windows, tags, embeddings = contents
        first = _middle(lambda query: shortlist_scores(query, windows, tags, labels, embeddings), 2 if quick else 4)
        whole = _middle(lambda query: search_contents(query, contents, labels, loaded), 2 if quick else 4)
        size = (clips / NAME).stat().st_size
    return [
        row("entering a recording of ten seconds", hearing, "s"),
        row(f"index of {RECORDINGS} recordings", size / 1e6, "MB"),
        row("reading it", opening, "s"),
        row("first stage, a query", first, "s", everything),
        row(f"both stages, {SHORTLIST} heard again, a query", whole, "s", everything),
    ]


def repeat(index: Path, folder: Path, count: int) -> None:
    """Bring an index to `count` recordings: its own again and again, under links to them in a folder."""
    base = sqlite3.connect(index)
    with base:
        files = base.execute("SELECT id, path, size, changed, duration FROM files ORDER BY id").fetchall()
        for number in range(len(files), count):
            key, path, *facts = files[number % len(files)]
            link = folder / str(number // len(files)) / Path(os.fsdecode(path)).name
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.fsdecode(path))
            cursor = base.execute(
                "INSERT INTO files (path, size, changed, duration) VALUES (?, ?, ?, ?)", (os.fsencode(link), *facts)
            )
            base.execute(
                "INSERT INTO windows SELECT ?, start, finish, caption, tags, embedding FROM windows WHERE file = ?",
                (cursor.lastrowid, key),
            )
    base.close()


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _middle(call: Callable[[str], object], rounds: int) -> float:
    """The middle of some queries, after one that is not counted."""
    call(QUERIES[-1])
    return median(_seconds(lambda query=query: call(query)) for query in QUERIES[:rounds])  # type: ignore[misc]
