"""A timeline as a person would write it: no name beside a wider one of the same sound, no blips, few lines at a time.

All of it is about events that were found already (`tasks.timeline`); `--all` shows those as they are. Which of two
names of one sound stays is a matter of scores: the narrower says more, unless the wider is much surer.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from samcli.digest.names import twins, wider_names
from samcli.records import Record

ROUNDING = 1e-6  # seconds: where a window starts must not decide how a limit met exactly is rounded
PAUSE_SECONDS = 3.0  # shorter ones do not end an event: a dog that barks and barks is one line
LULL_SECONDS = 10.0  # the same of what goes on for hours while its scores waver
FOR_HOURS = frozenset(
    {
        "Rain", "Rain on surface", "Raindrop", "Wind", "Rustling leaves", "Stream", "Waterfall", "Ocean", "Waves, surf",
        "Fire", "Cricket", "Traffic noise, roadway noise", "Mechanical fan", "Air conditioning", "Idling", "Hum",
        "Mains hum", "Static", "White noise", "Pink noise", "Noise", "Environmental noise",
    }
)  # fmt: skip
BLIP_SECONDS = 0.5  # what is shorter has to be clear
CLEAR = 0.5  # score
SURER = 0.75  # a narrower name with less than this share of the wider one's score gives way to it
MOSTLY = 0.5  # a wider name of which narrower ones fill this share goes altogether
LINES = 2  # of subtitles at a time
CUE_PAUSE_SECONDS = 8.0  # shorter ones do not end a line: nobody watches it go and come again
LEAST_CUE_SECONDS = 1.0  # a line that is there for less cannot be read


class Event(NamedTuple):
    """One label, heard from `start` to `end`, before it is a record."""

    start: float  # seconds
    end: float
    score: float  # of its best step
    position: int  # of the label


def readable(events: Iterable[Event], labels: Sequence[str]) -> list[Event]:
    """The events that a person would write down, by start, then by falling score."""
    named = _one_name_each(_joined(events, labels), labels)
    kept = [event for event in _joined(named, labels) if matters(event)]
    return sorted(kept, key=lambda event: (event.start, -event.score, event.position))


def cues(records: Iterable[Record]) -> Iterator[Record]:
    """Records of recordings, each one's in order of time, as subtitles: few lines at a time, each long enough to read.

    Neighbours that say the same are one. Records without times pass as they are.
    """
    for _, group in itertools.groupby(records, key=lambda record: record.path):
        yield from _in_lines(_merged(group))


def pause_of(label: str) -> float:
    """What may pass without ending a sound."""
    return LULL_SECONDS if label in FOR_HOURS else PAUSE_SECONDS


def _joined(events: Iterable[Event], labels: Sequence[str]) -> list[Event]:
    """Events of one label that lie closer than its pause, as one."""
    latest: dict[int, Event] = {}
    done: list[Event] = []
    for event in sorted(events, key=lambda event: event.start):
        last = latest.get(event.position)
        if last is not None and event.start - last.end <= pause_of(labels[event.position]) + ROUNDING:
            event = last._replace(end=max(last.end, event.end), score=max(last.score, event.score))
        elif last is not None:
            done.append(last)
        latest[event.position] = event
    return [*done, *latest.values()]


def matters(event: Event) -> bool:
    """Whether it is more than a blip."""
    return event.score >= CLEAR or event.end - event.start >= BLIP_SECONDS - ROUNDING


def _one_name_each(events: list[Event], labels: Sequence[str]) -> Iterator[Event]:
    """Events without those that name the same sound at the same time more widely, or less surely."""
    present = {event.position for event in events}
    place = {labels[position]: position for position in present}
    by_label: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.start):
        by_label[event.position].append(event)
    wider = {position: [place[name] for name in wider_names(labels[position]) if name in place] for position in present}
    narrower: dict[int, list[int]] = defaultdict(list)
    for position, above in wider.items():
        for parent in above:
            narrower[parent].append(position)
    for position, own in by_label.items():
        under = _by_start(by_label, narrower[position])
        over = _by_start(by_label, wider[position])
        alike = _by_start(by_label, [place[name] for name in twins(labels[position]) if name in place])
        beside = zip(own, _beside(own, under), _beside(own, over), _beside(own, alike), strict=True)
        for event, children, parents, others in beside:
            surer = [parent for parent in parents if event.score < SURER * parent.score]
            surer += [other for other in others if (other.score, -other.position) > (event.score, -position)]
            if any(_share(event, [one]) > MOSTLY for one in surer):
                continue
            yield from _without(event, [child for child in children if child.score >= SURER * event.score])


def _by_start(events: dict[int, list[Event]], positions: list[int]) -> list[Event]:
    return sorted((event for position in positions for event in events[position]), key=lambda event: event.start)


def _beside(own: list[Event], others: list[Event]) -> Iterator[list[Event]]:
    """For each of `own`, in order of start and apart, the others that sound at the same time."""
    active: list[Event] = []
    at = 0
    for event in own:
        while at < len(others) and others[at].start < event.end:
            active.append(others[at])
            at += 1
        active = [other for other in active if other.end > event.start]
        yield [other for other in active if other.start < event.end]


def _share(event: Event, others: list[Event]) -> float:
    """How much of an event the others fill."""
    filled = (event.end - event.start) - sum(end - start for start, end in _rest(event, others))
    return filled / max(event.end - event.start, ROUNDING)


def _rest(event: Event, others: list[Event]) -> Iterator[tuple[float, float]]:
    """The stretches of an event during which none of the others sounds."""
    at = event.start
    for other in sorted(others, key=lambda other: other.start):
        if other.start > at:
            yield at, min(other.start, event.end)
        at = max(at, other.end)
    if at < event.end:
        yield at, event.end


def _without(event: Event, children: list[Event]) -> Iterator[Event]:
    """What is left of an event beside narrower ones: nothing when they fill most of it."""
    if not children:
        yield event
    elif _share(event, children) < MOSTLY:
        for start, end in _rest(event, children):
            if end - start >= PAUSE_SECONDS:
                yield event._replace(start=start, end=end)


def _merged(records: Iterable[Record]) -> Iterator[Record]:
    """Stretches that say the same and lie close together, as one; by their start."""
    latest: dict[str, Record] = {}
    done: list[Record] = []
    for record in records:
        text = record.text
        if not text or record.start is None:
            done.append(record)
            continue
        last = latest.get(text)
        if last is not None and record.start - _end(last) <= CUE_PAUSE_SECONDS:
            surer = max(last, record, key=_surety)
            record = replace(surer, start=last.start, end=max(_end(last), _end(record)))
        elif last is not None:
            done.append(last)
        latest[text] = record
    yield from sorted([*done, *latest.values()], key=_start)


def _in_lines(records: Iterable[Record]) -> Iterator[Record]:
    """At most `LINES` at a time: of three the one with the lowest score waits, or ends, or goes."""
    waiting: list[tuple[float, int, Record]] = []
    shown: list[Record] = []
    done: list[Record] = []
    for number, record in enumerate(records):
        if record.start is None or record.end is None:
            yield record
        else:
            waiting.append((record.start, number, record))
    heapq.heapify(waiting)
    while waiting:
        start, number, record = heapq.heappop(waiting)
        done += [one for one in shown if _end(one) <= start]
        shown = [one for one in shown if _end(one) > start]
        if len(shown) < LINES:
            shown.append(replace(record, start=start))
            continue
        weakest = min(shown, key=_surety)
        if _surety(weakest) < _surety(record):
            shown.remove(weakest)
            shown.append(replace(record, start=start))
            if start - _start(weakest) >= LEAST_CUE_SECONDS:
                done.append(replace(weakest, end=start))
            continue
        free = min(_end(one) for one in shown)
        if _end(record) - free >= LEAST_CUE_SECONDS:
            heapq.heappush(waiting, (free, number, record))
    yield from map(_long_enough, sorted([*done, *shown], key=lambda one: (_start(one), -_surety(one))))


def _long_enough(record: Record) -> Record:
    end = max(_end(record), min(_start(record) + LEAST_CUE_SECONDS, record.duration or _end(record)))
    return replace(record, end=end)


def _start(record: Record) -> float:
    return record.start or 0.0


def _end(record: Record) -> float:
    return record.end or 0.0


def _surety(record: Record) -> float:
    return max((tag.score for tag in record.tags or ()), default=1.0)
