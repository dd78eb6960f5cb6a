"""What is said of long scenes, held against what is true of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samcli.answers.answer import answer
from samcli.answers.captions import caption
from samcli.answers.facts import Facts
from samcli.answers.phrases import Answer
from samcli.digest.digest import Digest
from samcli.engine.hearing import Progress
from samcli.evaluation.figures import Figure
from samcli.evaluation.metrics.sentences import faults
from samcli.evaluation.metrics.wording import names_any, names_of, shares_words, yes_or_no
from samcli.evaluation.nano.dev_sounds import HEARD_BY_TEACHER, DevSounds
from samcli.evaluation.nano.long_scenes import MAIN_SHARE, MINUTES, LongScene, digests, long_scenes
from samcli.evaluation.nano.minute_scenes import timeline_classes
from samcli.evaluation.nano.targets import share_figure, table_figure
from samcli.models.interface import SoundModel
from samcli.questions.meaning import understand
from samcli.tasks.composed import ComposedTask
from samcli.text.inflection import NUMBERS
from samcli.text.labels import broader, labels, mentions
from samcli.text.sayings import saying

CLOCK = re.compile(r"\d+(?::\d\d)+")
NEAR = 2.0  # seconds
AROUND = 12.0  # seconds before or after a sound in which another is its neighbour
SHARE_POINTS = 0.1
EXACT, LOOSELY = 5, 0.2  # up to so many exactly, beyond within this share


@dataclass
class Scoreboard:
    """Right or wrong, by what was asked; with every question and its answer."""

    rights: dict[str, list[float]] = field(default_factory=dict)
    details: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, right: float, question: str, said: str, truth: object) -> None:
        self.rights.setdefault(kind, []).append(float(right))
        self.details.append({"kind": kind, "right": right, "question": question, "answer": said, "truth": truth})

    def mean(self, kind: str) -> float:
        return float(np.mean(self.rights[kind])) if self.rights.get(kind) else float("nan")

    @property
    def yes_no(self) -> float | None:
        """Present and absent sounds count alike."""
        return (self.mean("present") + self.mean("absent")) / 2 if self.rights.get("present") else None


def judge(scenes: Sequence[LongScene], facts: Sequence[Facts], sounds: DevSounds) -> Scoreboard:
    """Every scene captioned and asked about."""
    scores = Scoreboard()
    classes = sorted(timeline_classes(sounds))
    for number, (scene, own) in enumerate(zip(scenes, facts, strict=True)):
        _captions(scores, scene, own, sounds)
        _presence(scores, scene, own, _absent(scene, classes, np.random.default_rng(number), sounds))
        for place in range(len(scene.clips)):
            if scene.events(place):
                _about(scores, scene, own, place)
        _orders(scores, scene, own)
    return scores


def ask(facts: Facts, question: str) -> Answer:
    return answer(facts, understand(question))


def _captions(scores: Scoreboard, scene: LongScene, facts: Facts, sounds: DevSounds) -> None:
    text, _ = caption(facts)
    broken = [fault for part in re.split(r"(?<=[.!?]) ", _times_as_words(text)) for fault in faults(part)]
    scores.add("caption_sound", not broken, "", text, broken)
    for place in range(len(scene.clips) - 1):
        if scene.share(place) >= MAIN_SHARE:
            scores.add("caption_main", names_any(text, scene.clips[place].names), "", text, scene.label(place))
    supported = frozenset(label for clip in scene.clips for label in sounds.supported(clip))
    known = supported & frozenset(labels())
    supported |= frozenset(wide for label in known for wide in broader(label))
    for mention in mentions(text):
        scores.add("caption_invented", not supported & mention.labels, "", text, mention.words)


def _times_as_words(text: str) -> str:
    """With every time as a word of its own: two times are no word said twice."""
    return CLOCK.sub(lambda found: "t" + found[0].replace(":", ""), text)


def _presence(scores: Scoreboard, scene: LongScene, facts: Facts, absent: Sequence[str]) -> None:
    for place in range(len(scene.clips)):
        if not scene.events(place):
            continue
        question = f"Is there {saying(scene.label(place)).noun}?"
        said = ask(facts, question).text
        scores.add("present", yes_or_no(said) is True, question, said, True)
        if place == scene.rare:
            scores.add("present_rare", yes_or_no(said) is True, question, said, True)
    for label in absent:
        question = f"Is there {saying(label).noun}?"
        said = ask(facts, question).text
        scores.add("absent", yes_or_no(said) is False, question, said, False)


def _absent(scene: LongScene, classes: Sequence[str], chance: np.random.Generator, sounds: DevSounds) -> list[str]:
    """As many labels as the scene has clips, of kinds that are surely not there."""
    found: list[str] = []
    for label in chance.permutation(classes).tolist():
        names = names_of(label, (label,))
        if any(shares_words(clip.names, names) for clip in scene.clips):
            continue
        place = sounds.corpus.names.index(label)
        if any(clip.teacher[place] > HEARD_BY_TEACHER for clip in scene.clips):
            continue
        found.append(label)
        if len(found) == len(scene.clips):
            break
    return found


def _about(scores: Scoreboard, scene: LongScene, facts: Facts, place: int) -> None:
    """When, how often and how much of the time one sound is heard."""
    said, events = saying(scene.label(place)), scene.events(place)
    start, end = events[0]
    if _found(facts, scene.label(place), start, end):
        question = f"When is {said.noun} first heard?"
        reply = ask(facts, question)
        at = reply.evidence[0].start if reply.evidence else float("inf")
        scores.add("when", abs(at - start) <= NEAR, question, reply.text, start)
    if said.counted:
        question = f"How many times is {said.noun} heard?"
        reply = ask(facts, question)
        scores.add("count", _counted(reply.text, len(events)), question, reply.text, len(events))
    question = f"What share of the time is {said.noun} heard?"
    reply = ask(facts, question)
    share = percent_in(reply.text)
    scores.add(
        "share", abs(share - scene.share(place)) <= SHARE_POINTS, question, reply.text, round(scene.share(place), 3)
    )


def _found(facts: Facts, label: str, start: float, end: float) -> bool:
    account = facts.accounts.get(facts.place.get(label, -1))
    events = () if account is None else account.first
    return any(event.start < 1000 * end and event.end > 1000 * start for event in events)


def _orders(scores: Scoreboard, scene: LongScene, facts: Facts) -> None:
    """What comes first and last, and before and after the rare sound."""
    heard = [place for place in range(len(scene.clips)) if scene.events(place)]
    begins = {place: scene.events(place)[0][0] for place in heard}
    ends = {place: scene.events(place)[-1] for place in heard}
    first = [place for place in heard if begins[place] <= min(begins.values()) + NEAR]
    last_end = max(end for _, end in ends.values())
    last = [place for place in heard if ends[place][1] >= last_end - NEAR]
    _named(scores, scene, facts, "first", "What is heard first?", first)
    _named(scores, scene, facts, "last", "What is heard last?", last)
    if not scene.events(scene.rare):
        return
    start, end = scene.events(scene.rare)[0]
    rare = saying(scene.label(scene.rare)).bare
    _named(
        scores,
        scene,
        facts,
        "before",
        f"What is heard before the {rare}?",
        list(_neighbours(scene, start - AROUND, start)),
    )
    _named(
        scores, scene, facts, "after", f"What is heard after the {rare}?", list(_neighbours(scene, end, end + AROUND))
    )


def _neighbours(scene: LongScene, start: float, end: float) -> Iterator[int]:
    for place in range(len(scene.clips) - 1):
        if any(begin < end and finish > start for begin, finish in scene.events(place)):
            yield place


def _named(scores: Scoreboard, scene: LongScene, facts: Facts, kind: str, question: str, places: Sequence[int]) -> None:
    if places:
        said = ask(facts, question).text
        named = re.sub(r"^(Before|After) [^,]*, ", "", said)
        right = any(names_any(named, scene.clips[place].names) for place in places)
        scores.add(kind, right, question, said, [scene.label(place) for place in places])


def _counted(text: str, truth: int) -> bool:
    number = times_in(text)
    if number is None:
        return False
    return number == truth if truth <= EXACT else abs(number - truth) <= LOOSELY * truth


def times_in(text: str) -> int | None:
    """How many times a text says: "twice", "three times", "23 times"."""
    lowered = text.lower()
    for word, number in (("not once", 0), ("once", 1), ("twice", 2)):
        if re.search(rf"\b{word}\b", lowered):
            return number
    found = re.search(r"\b(\w+) times\b", lowered)
    if found is None:
        return None
    return NUMBERS.index(found[1]) if found[1] in NUMBERS else int(found[1]) if found[1].isdecimal() else None


def percent_in(text: str) -> float:
    if "all of the time" in text:
        return 1.0
    found = re.search(r"(\d+) %", text)
    return int(found[1]) / 100 if found and "less than" not in text else 0.0


def long_figures(
    sounds: DevSounds, model: SoundModel, task: ComposedTask, count: int, progress: Progress
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """The table's rows of long scenes, with every question and answer."""
    scenes = long_scenes(sounds, count)
    kept = digests(model, scenes, task.rows, lambda done, total: progress("hearing long scenes", done, total))

    def judged(digests: Iterable[Digest]) -> Scoreboard:
        return judge(scenes, [Facts(digest, task.rows, task.sureness) for digest in digests], sounds)

    scores = judged(digest.whole for digest in kept)
    kinds = {"caption_sound": "sound", "caption_main": "main", "caption_invented": "invented", "present_rare": "rare"}
    kinds |= {kind: kind for kind in ("when", "count", "first", "last", "before", "after", "share")}
    figures = [share_figure(f"long_{key}", scores.rights.get(kind, [])) for kind, key in kinds.items()]
    asked = len(scores.rights.get("present", [])) + len(scores.rights.get("absent", []))
    figures.append(table_figure("long_yes_no", scores.yes_no, count=asked))
    # the same questions without the memory, and with that of another scene as long
    figures += _without_memory("emptied", judged(digest.last for digest in kept))
    away = len(MINUTES) if len(kept) > len(MINUTES) else 1
    figures += _without_memory("swapped", judged(kept[(n + away) % len(kept)].whole for n in range(len(kept))))
    return figures, scores.details


def _without_memory(how: str, scores: Scoreboard) -> list[Figure]:
    shares = {"main": "caption_main", "first": "first", "count": "count"}
    found = [table_figure(f"memory_{how}_yes_no", scores.yes_no)]
    return found + [share_figure(f"memory_{how}_{key}", scores.rights.get(kind, [])) for key, kind in shares.items()]
