"""Search without an index, the quick way: every recording is heard for its tags, and only what they favour for the
sentence, which takes many times as long.

It is what an index would find, less its captions: those would take longer than the search.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from samcli.engine.index.store import Contents, unpacked
from samcli.engine.index.task import IndexTask
from samcli.engine.inputs.find import Input
from samcli.engine.run import gathered
from samcli.errors import InputError
from samcli.models.interface import SoundModel
from samcli.models.likelihood import listener_of
from samcli.tasks.search import SHORTLIST, Hit, search_contents
from samcli.text.labels import columns_of


def is_quick(queries: Sequence[str], inputs: Sequence[Input], model: SoundModel) -> bool:
    """Whether tags can choose: each sentence names a sound the model has a label for, and files can be read twice."""
    places = {label: place for place, label in enumerate(model.labels)}
    named = all(any(columns_of(query, places)) for query in queries)
    return named and all(item.source is None and item.raw is None for item in inputs)


def search_quickly(
    queries: Sequence[str],
    inputs: Sequence[Input],
    model: SoundModel,
    k: int = 10,
    shortlist: int = SHORTLIST,
    failed: Callable[[Input, InputError], None] = lambda item, error: None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[Hit]]:
    """For each sentence the recordings it fits best; of `shortlist` recordings the sentence itself is asked."""
    if shortlist:
        listener_of(model)  # refused before anything is heard
    contents = tags_of(inputs, model, failed, progress)
    shown = {os.path.abspath(item.path): item.display for item in inputs}  # noqa: PTH100
    chooser = model if shortlist else None
    found = [search_contents(query, contents, model.labels, chooser, k, shortlist) for query in queries]
    return [[replace(hit, path=shown[hit.path]) for hit in hits] for hits in found]


def tags_of(
    inputs: Sequence[Input],
    model: SoundModel,
    failed: Callable[[Input, InputError], None],
    progress: Callable[[int], None],
) -> Contents:
    """Tags and embeddings of every window, as an index would hold them."""
    rows: list[tuple[object, ...]] = []
    task = IndexTask(labels=len(model.labels), wants_clip=True)
    for done in gathered(task, inputs, model):
        if done.error is not None:
            failed(done.job.item, done.error)
        else:
            place = os.fsencode(os.path.abspath(done.job.item.path))  # noqa: PTH100  # bytes: names need not be UTF-8
            rows += [(place, *row) for row in done.records if row.embedding is not None]  # silence fits no sentence
        progress(done.job.index + 1)
    return unpacked(rows, len(model.labels))
