"""What the tools do, without the protocol: orders at the desk, and answers as plain values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.errors import InputError, UsageError
from samcli.records import Record
from samcli.serving.desk import Desk, Order
from samcli.serving.sounds import Roots
from samcli.tasks.tag import find_labels

Told = Callable[[float], Awaitable[None]]  # how much is done, 0 to 1

LOOK_SECONDS = 0.5  # between two looks at the progress
MOST_EVENTS = 200
MOST_TAGS = 10
# A spectrogram: samples a second, seconds at most, and how large its points are at least.
RATE, MOST_SECONDS, TIMES_TALLER, LEAST_WIDTH = 16_000, 60.0, 7, 480


async def heard(orders: Sequence[Order], told: Told) -> list[list[Record]]:
    """The records of some orders; when the caller is cancelled, so are they."""
    waiting = [asyncio.wrap_future(order.records) for order in orders]
    share = 0.0
    try:
        while True:
            _, left = await asyncio.wait(waiting, timeout=LOOK_SECONDS)
            if not left:
                break
            now = sum(order.item.source.share for order in orders) / len(orders)
            if now > share:
                await told(share := now)
        return [await one for one in waiting]
    finally:
        for order in orders:
            if order.records.done():
                order.item.source.close()
            else:  # it may be read at this moment, and is closed when that ends
                order.cancel()


def sound(record: Record) -> Record:
    """A record that is one; InputError otherwise."""
    if record.error is not None:
        raise InputError(record.error.message, record.error.type)
    return record


class Ears:
    """One model behind all tools."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.model = desk, desk.model

    def order(self, name: str, roots: Roots, path: str, options: RunOptions) -> Order:
        item = roots.open(path)
        try:
            return self.desk.order(name, item, options)
        except BaseException:
            item.source.close()
            raise

    async def listen(self, roots: Roots, path: str, listen_for: Sequence[str], told: Told) -> dict[str, Any]:
        wanted = tuple(dict.fromkeys(name.strip() for name in listen_for if name.strip()))
        find_labels(wanted, self.model.labels)  # a name nobody knows is told before anything is heard
        requests = [("caption", RunOptions()), ("tag", RunOptions(top_k=MOST_TAGS)), ("tag", RunOptions(timeline=True))]
        if wanted:
            requests.append(("tag", RunOptions(labels=wanted)))
        orders = [self.order(name, roots, path, options) for name, options in requests]
        caption, tags, events, *asked = await heard(orders, told)
        first = sound(caption[0])
        found = [record for record in events if sound(record).tags]
        named = {tag.label: tag.score for record in asked for tag in sound(record[0]).tags or ()}
        return {
            "path": path,
            "duration": first.duration,
            "silent": bool(first.silent),
            "caption": first.caption or ("Silence." if first.silent else None),
            "sounds": [_scored(tag.label, tag.score) for tag in sound(tags[0]).tags or ()],
            "events": [_event(record) for record in found[:MOST_EVENTS]],
            "events_left_out": max(0, len(found) - MOST_EVENTS),
            "evidence": [_timed(event.label, event.score, event.start, event.end) for event in first.evidence or ()],
            "listened_for": [self._verdict(name, named) for name in wanted],
            "warning": first.warning,
        }

    def _verdict(self, name: str, scores: dict[str, float]) -> dict[str, Any]:
        """Whether a sound that was asked for was heard: by its best label, against that label's own threshold."""
        places = find_labels([name], self.model.labels)
        best = max(places, key=lambda place: scores.get(self.model.labels[place], 0.0))
        score = scores.get(self.model.labels[best], 0.0)
        least = self.model.thresholds[best] if self.model.calibrated else 0.5
        verdict = "heard" if score >= least else "unsure" if score >= least / 3 else "not heard"
        return {"name": name, "verdict": verdict, **_scored(self.model.labels[best], score)}

    async def ask(self, roots: Roots, paths: Sequence[str], question: str, told: Told) -> list[dict[str, Any]]:
        options = RunOptions(question=question)
        orders = [self.order("ask", roots, path, options) for path in paths]
        answers = []
        for path, records in zip(paths, await heard(orders, told), strict=True):
            record = records[0]
            evidence = [_timed(event.label, event.score, event.start, event.end) for event in record.evidence or ()]
            problem = None if record.error is None else record.error.message
            said = record.answer or ("Nothing is heard: it is silent." if record.silent else None)
            answers.append({"path": path, "answer": said, "evidence": evidence, "error": problem})
        return answers

    async def compare(self, roots: Roots, one: str, other: str, told: Told) -> dict[str, Any]:
        options = RunOptions(top_k=MOST_TAGS, threshold=0.25)
        orders = [self.order("tag", roots, path, options) for path in (one, other)]
        found = await heard(orders, told)
        mine, its = ({tag.label: tag.score for tag in sound(records[0]).tags or ()} for records in found)
        alike = await asyncio.to_thread(self._alike, roots, one, other)
        return {
            "both": [_scored(label, min(score, its[label])) for label, score in mine.items() if label in its],
            "only_first": [_scored(label, score) for label, score in mine.items() if label not in its],
            "only_second": [_scored(label, score) for label, score in its.items() if label not in mine],
            "alike": alike,
        }

    def _alike(self, roots: Roots, *paths: str) -> float:
        from samcli.tasks.embed import embed

        items = [roots.open(path) for path in paths]
        try:
            # Each by its place, for both names may be one.
            named = [replace(item, display=str(place)) for place, item in enumerate(items)]
            first, second = embed(named, self.model)
        finally:
            for item in items:
                item.source.close()
        return round(float(first.values @ second.values), 4)

    async def find(self, roots: Roots, folder: str, query: str, most: int) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._find, roots, folder, query, most)

    def _find(self, roots: Roots, folder: str, query: str, most: int) -> list[dict[str, Any]]:
        from samcli.engine.index.store import NAME, Index
        from samcli.tasks.search import search_contents

        place = roots.folder(folder) / NAME
        if place.is_symlink() or not place.is_file():
            raise UsageError(f"{folder!r} is not indexed. On the machine itself run: sam index {folder}")
        with Index(place, self.model, look=True) as index:
            contents, labels = index.contents(), index.labels
        # What an index says is a stranger's word: nothing it names is opened, and nothing outside is told.
        hits = search_contents(query, contents, labels, None, most)
        return [
            {"path": hit.path, "start": hit.start, "end": hit.end, "score": round(hit.score, 3), "caption": hit.caption}
            for hit in hits
            if _inside(roots, hit.path)
        ]

    async def spectrogram(self, roots: Roots, path: str, start: float, seconds: float) -> bytes:
        item = roots.open(path)
        try:
            return await asyncio.to_thread(_drawn, item, start, min(seconds, MOST_SECONDS))
        except asyncio.CancelledError:
            item.source.stop()
            raise
        finally:
            item.source.close()


def _drawn(item: Input, start: float, seconds: float) -> bytes:
    """A picture of a stretch, large enough to be looked at."""
    from samcli.engine.inputs.sources import input_error, open_input
    from samcli.report.picture import FRAMES_PER_SECOND, Picture, coloured, png, stretch

    picture = Picture(RATE)
    try:
        with open_input(item, RATE) as reader:
            wave, lasts = stretch(reader, RATE, start, start + seconds)
    except Exception as error:
        raise input_error(error, item) from error
    if len(wave) < RATE // FRAMES_PER_SECOND:
        raise InputError(f"{item.display!r} holds no sound from {start:g} s on; it lasts {lasts:.2f} s.", "empty")
    picture.add(wave)
    pixels = coloured(picture.levels())
    return png(pixels.repeat(TIMES_TALLER, axis=0).repeat(-(-LEAST_WIDTH // pixels.shape[1]), axis=1))


def _inside(roots: Roots, path: str) -> bool:
    real = Path(path).resolve()
    return any(root == real or root in real.parents for root in roots.folders)


def _scored(label: str, score: float) -> dict[str, Any]:
    return {"label": label, "score": round(score, 4), "sureness": sureness(score)}


def _timed(label: str, score: float, start: float, end: float) -> dict[str, Any]:
    return {**_scored(label, score), "start": start, "end": end}


def _event(record: Record) -> dict[str, Any]:
    tag = (record.tags or ())[0]
    return _timed(tag.label, tag.score, record.start or 0.0, record.end or 0.0)


def sureness(score: float) -> str:
    """A score in words."""
    for least, word in ((0.8, "very likely"), (0.5, "likely"), (0.25, "possible")):
        if score >= least:
            return word
    return "doubtful"
