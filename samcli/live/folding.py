"""One sound, one event: the names it goes by are folded into the plainest of them while it lasts.

A dog is a bark, a bow-wow and an animal at once. What begins first and says something is told; narrower names and
twins then belong to it and hold it open, wider ones are hushed beside it. A wide name waits a little for a narrower
one, and gives way to one that comes later and is as sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from samcli.digest.names import HEADINGS, kin, members_of, wider_names
from samcli.tasks.readable import PAUSE_SECONDS, ROUNDING, SURER, Event, matters, pause_of

WIDE = HEADINGS - {"Music"}  # names that say only the sort of a sound
WAIT_SECONDS = 0.5  # from its begin: so long such a name waits for a better one

Kind = Literal["begin", "end"]


class Sound(NamedTuple):
    """Something that was told and is not over, by the label it was told by."""

    event: Event
    names: dict[int, float]  # the labels it went by, with their best scores

    def with_name(self, event: Event, holds: bool) -> Sound:
        """One name more; one that `holds` it open tells how long it lasts."""
        own = self.event
        names = {**self.names, event.position: max(event.score, self.names.get(event.position, 0.0))}
        if holds:
            score = max(own.score, event.score) if event.position == own.position else own.score
            own = own._replace(end=max(own.end, event.end), score=score)
        return Sound(own, names)


class Folding:
    """Feed it what is heard, hop after hop: it says which sounds begin and which are over."""

    def __init__(self, labels: Sequence[str], alone: bool) -> None:
        """`alone`: each label was asked for by its name and is a sound of its own."""
        self.labels, self.alone = labels, alone
        self.sounds: list[Sound] = []
        self.covered: dict[int, float] = {}  # labels that are heard beside a plainer name, and until when

    def add(self, over: list[Event], running: Iterable[Event], now: float) -> list[tuple[Kind, Sound]]:
        """Events that are over, and those that may still go on: the sounds that begin and end with them."""
        running = list(running)
        fresh = [event for event in (*over, *running) if not self._taken(event)]
        gone = self._over(now, running)
        ripe = [event for event in fresh if self._says_something(event) and (event in over or self._waited(event, now))]
        ended, begun = [], []
        while ripe:
            first = max(ripe, key=lambda event: (event.score, -event.position))
            sound = self._named(first, fresh)
            ended += self._given_way(sound)
            begun.append(sound.event.position)
            self.sounds.append(sound)
            fresh = [event for event in fresh if not self._taken(event)]
            ripe = [event for event in ripe if event in fresh]
        new = [sound for sound in self.sounds if sound.event.position in begun]
        # What gave way before anyone was told of it has not begun, and does not end.
        ended = [sound for sound in ended if sound.event.position not in begun]
        still = {event.position for event in running}
        self.covered = {place: until for place, until in self.covered.items() if place in still}
        return [*gone, *_all("end", ended), *_all("begin", new)]

    def finish(self) -> list[tuple[Kind, Sound]]:
        """All that is still open is over."""
        return self._over(float("inf"), [])

    def state(self) -> dict[str, Any]:
        """Plain values."""
        sounds = [[list(event), [list(one) for one in names.items()]] for event, names in self.sounds]
        return {"sounds": sounds, "covered": [list(one) for one in self.covered.items()]}

    def resume(self, state: dict[str, Any]) -> None:
        self.sounds = [Sound(Event(*event), {int(p): float(s) for p, s in names}) for event, names in state["sounds"]]
        self.covered = {int(place): float(until) for place, until in state["covered"]}

    def _taken(self, event: Event) -> bool:
        """Whether an event is a name of a sound that was told; the sound is then told of it."""
        taken = False
        for place, sound in enumerate(self.sounds):
            same = event.position == sound.event.position
            pause = pause_of(self.labels[event.position]) if same else PAUSE_SECONDS
            if event.start > sound.event.end + pause + ROUNDING:
                continue
            holds = self._holds(sound, event)
            if holds or self._hushed(sound, event):
                self.sounds[place] = sound = sound.with_name(event, holds)
                taken = True
                if not holds:
                    self.covered[event.position] = max(sound.event.end, self.covered.get(event.position, 0.0))
        return taken

    def _faded(self, sound: Sound, running: list[Event]) -> bool:
        return any(event.start < sound.event.end and self._holds(sound, event) for event in running)

    def _holds(self, sound: Sound, event: Event) -> bool:
        """Whether a name, as narrow as that of a sound or narrower, is one of it."""
        told = sound.event
        if event.position == told.position:
            return True
        label, other = self.labels[told.position], self.labels[event.position]
        if self.alone or other not in members_of(label):
            return False
        return label not in WIDE or event.score < SURER * told.score

    def _hushed(self, sound: Sound, event: Event) -> bool:
        """Whether a name says less than that of a sound does."""
        if self.alone:
            return False
        label, other = self.labels[sound.event.position], self.labels[event.position]
        return other in wider_names(label) or (kin(label, other) and other not in members_of(label))

    def _says_something(self, event: Event) -> bool:
        """Whether an event is more than a blip, and where it was hushed, more than the end of a sound."""
        until = self.covered.get(event.position)
        return matters(event) and (until is None or event.end - until >= PAUSE_SECONDS)

    def _waited(self, event: Event, now: float) -> bool:
        return self.alone or self.labels[event.position] not in WIDE or now - event.start >= WAIT_SECONDS

    def _named(self, first: Event, fresh: list[Event]) -> Sound:
        """The sound of these events, by the surest name that is no wide one."""
        label = self.labels[first.position]
        alike = [first] if self.alone else [event for event in fresh if kin(label, self.labels[event.position])]
        highest = max(event.score for event in alike)
        plain = [event for event in alike if self.labels[event.position] not in WIDE or self.alone]
        plain = [event for event in plain if event.score >= SURER * highest and matters(event)] or [first]
        told = max(plain, key=lambda event: (event.score, -event.position))
        start = max(told.start, self.covered.pop(told.position, told.start))
        return Sound(told._replace(start=start), {told.position: told.score})

    def _given_way(self, sound: Sound) -> list[Sound]:
        """The sounds whose wide names this one now has a better name for."""
        wide = wider_names(self.labels[sound.event.position])
        gone = [one for one in self.sounds if not self.alone and self.labels[one.event.position] in WIDE & wide]
        self.sounds = [one for one in self.sounds if one not in gone]
        start = sound.event.start
        return [
            one._replace(event=one.event._replace(end=start)) if one.event.start < start < one.event.end else one
            for one in gone
        ]

    def _over(self, now: float, running: list[Event]) -> list[tuple[Kind, Sound]]:
        """Sounds whose pause has passed; what has faded and may still rise again is the same sound, not another."""
        done = [
            sound
            for sound in self.sounds
            if now - sound.event.end > pause_of(self.labels[sound.event.position]) + ROUNDING
            and not self._faded(sound, running)
        ]
        self.sounds = [sound for sound in self.sounds if sound not in done]
        return _all("end", done)


def _all(kind: Kind, sounds: list[Sound]) -> list[tuple[Kind, Sound]]:
    return [(kind, sound) for sound in sounds]
