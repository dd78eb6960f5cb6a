"""Questions about a scene with answers that follow from it.

Every answer is true of the scene; what a sound cannot tell ("What colour is the car?") is answered so. Yes/no
questions are balanced: half ask about what is there, half about what is not, and of those most about sounds that are
easily taken for one that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from samcli.training.language import particulars, wording
from samcli.training.language.captions import write_caption
from samcli.training.language.scenes import Scene
from samcli.training.language.sounds import Kind, absent_kinds, askable

LETTERS = wording.LETTERS
Pair = tuple[str, str]

DESCRIBE = (
    "Describe the sound.", "What is going on?", "What do you hear?", "What can be heard?",
    "Describe this recording.", "What is happening?", "Describe what you hear.", "What is in this recording?",
    "Tell me what you hear.", "What does this sound like?", "What is this?", "Write a caption for this recording.",
    "What happens in this recording?", "Summarize the recording.", "Caption this.",
)  # fmt: skip


def ask(scene: Scene, rng: Random, doubtful: Collection[str] = ()) -> Pair:
    """A question about the scene and its answer.

    `doubtful` are AudioSet names that may be heard although the scene does not state them (a teacher's weaker
    guesses): they are never asked about as absent.
    """
    kinds = audible(scene)
    if not kinds:
        return _about_silence(scene, rng)
    for _ in range(8):
        writer = rng.choice(_DRAWN)
        pair = writer(scene, kinds, rng, frozenset(doubtful))
        if pair is not None:
            return wording.as_asked(pair[0], rng), pair[1]
    return rng.choice(DESCRIBE), write_caption(scene, rng)


def audible(scene: Scene) -> tuple[Kind, ...]:
    return tuple(kind for kind in scene.kinds if kind.name != "silence")


def _presence(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    if rng.random() < 0.5:
        kind = rng.choice(kinds)
        return wording.presence(kind, rng), wording.yes(kind, rng)
    absent = absent_kinds(kinds, 1, rng, doubtful)
    return (wording.presence(absent[0], rng), wording.no(absent[0], kinds, rng)) if absent else None


def _category(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    wanted = rng.random() < 0.5
    names = list(wording.CATEGORIES)
    rng.shuffle(names)
    for name in names:
        category = wording.CATEGORIES[name]
        members = [kind for kind in kinds if kind.group in category.groups]
        unsure = any(kind.group in category.unsure for kind in kinds) or not doubtful.isdisjoint(category.names)
        if bool(members) == wanted and (members or not unsure):
            question = rng.choice(category.questions)
            if members:
                return question, rng.choice(("Yes.", f"Yes, {rng.choice(rng.choice(members).sayings).present}."))
            return question, rng.choice(("No.", f"No, only {wording.listed(kinds, rng)} can be heard."))
    return None


def _which(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    if len(kinds) == 1:
        question = rng.choice(
            (
                "What is this sound?",
                "What makes this sound?",
                "What sound is this?",
                "Which sound is heard?",
                "What is it?",
            )
        )
    else:
        question = rng.choice(
            ("Which sounds are heard?", "What sounds can be heard?", "List the sounds.", "What is making these sounds?")
        )
    return question, wording.sentence(wording.listed(kinds, rng))


def _sort(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    questions, name, none = rng.choice(wording.SORTS)
    category = wording.CATEGORIES[name]
    members = [kind for kind in kinds if kind.group in category.groups and kind.name != "music"]
    if members:
        return rng.choice(questions), wording.sentence(wording.listed(members, rng))
    unsure = any(kind.group in category.unsure or kind.name == "music" for kind in kinds)
    if unsure or not doubtful.isdisjoint(category.names) or rng.random() < 0.6:
        return None
    return rng.choice(questions), none


def _whose(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    """Man, woman or child: only where one voice is heard and its kind is known."""
    voices = [kind for kind in kinds if kind.group in {"voice", "song", "body"}]
    who = voices[0].name.partition("_")[0] if len(voices) == 1 else ""
    return (rng.choice(wording.WHOSE), f"A {who}.") if who in {"man", "woman", "child"} else None


def _silent(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    question = rng.choice(("Is it silent?", "Is the recording silent?", "Is there nothing to hear?"))
    if "nothing" in question:
        return question, f"There is: {wording.listed(kinds, rng)}."
    return question, rng.choice(("No.", f"No, {wording.listed(kinds, rng)} can be heard."))


def _describe(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    return rng.choice(DESCRIBE), write_caption(scene, rng)


def _choice(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    count = rng.choices((4, 3, 2), (8, 1, 1))[0]
    absent = absent_kinds(kinds, count - 1, rng, doubtful)
    if len(absent) < count - 1:
        return None
    right = rng.choice(kinds)
    options = [(wording.thing(kind, rng), kind is right) for kind in (right, *absent)]
    rng.shuffle(options)
    place = next(at for at, (_, fits) in enumerate(options) if fits)
    texts = [text for text, _ in options]
    if rng.random() < 0.2:
        return f"{rng.choice(wording.WHICH_ONE)[:-1]}: {wording.either(texts)}?", wording.sentence(texts[place])
    return f"{rng.choice(wording.WHICH_ONE)} {wording.lettered(texts)}", f"{LETTERS[place]}) {texts[place]}"


def _not_heard(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    absent = absent_kinds(kinds, 1, rng, doubtful)
    if not absent:
        return None
    shown = rng.sample(kinds, min(len(kinds), 3))
    options = [wording.thing(kind, rng) for kind in (*shown, absent[0])]
    right = options[-1]
    rng.shuffle(options)
    if rng.random() < 0.5:
        question = f"{rng.choice(('Which of these is not heard?', 'What is not heard?'))} {wording.lettered(options)}"
        return question, f"{LETTERS[options.index(right)]}) {right}"
    return f"Which of these is not heard: {wording.either(options)}?", wording.sentence(right)


def _unknowable(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    kind = rng.choice(kinds)
    if rng.random() < 0.3:
        absent = absent_kinds(kinds, 1, rng, doubtful)
        if absent:
            question = wording.asked_with(
                ("How loud is {x}?", "When is {x} heard?", "What comes after {x}?"), absent[0], rng, single=True
            )
            return question, rng.choice(
                ("That is not heard here.", f"There is no such sound; only {wording.listed(kinds, rng)} can be heard.")
            )
    if kind.group == "voice" and "Speech" in kind.audioset and rng.random() < 0.5:
        if rng.random() < 0.35:
            return rng.choice(wording.WHICH_LANGUAGE), "I cannot tell the language."
        return rng.choice(wording.WHAT_IS_SAID), rng.choice(("I cannot tell the words.", "The words cannot be told."))
    return rng.choice(wording.unknowable(kind)), rng.choice(wording.UNKNOWN)


def _quality(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    if scene.quality is None:
        return None
    question = rng.choice(("How is the recording quality?", "What is the recording like?", "Is the recording clear?"))
    said = {"low quality": "of low quality", "thin": "thin and tinny"}.get(scene.quality, scene.quality)
    return question, f"{'No, it' if question.startswith('Is') else 'It'} is {said}."


def _about_silence(scene: Scene, rng: Random) -> Pair:
    if rng.random() < 0.4:
        return wording.presence(rng.choice(askable()), rng), rng.choice(
            ("No.", "No, nothing is heard.", "No, it is silent.")
        )
    if rng.random() < 0.3:
        return rng.choice(("Is it silent?", "Is the recording silent?", "Is it quiet?")), rng.choice(
            ("Yes.", "Yes, nothing is heard.")
        )
    if rng.random() < 0.3:
        options = [wording.thing(kind, rng) for kind in rng.sample(askable(), 3)] + ["nothing"]
        rng.shuffle(options)
        return (
            f"{rng.choice(wording.WHICH_ONE)} {wording.lettered(options)}",
            f"{LETTERS[options.index('nothing')]}) nothing",
        )
    return rng.choice(DESCRIBE), write_caption(scene, rng)


Writer = Callable[[Scene, tuple[Kind, ...], Random, frozenset[str]], "Pair | None"]
WRITERS: tuple[tuple[Writer, int], ...] = (
    (_presence, 30), (_category, 8), (_which, 9), (_describe, 10), (_choice, 26), (_not_heard, 4), (_unknowable, 7),
    (_quality, 3), (_sort, 6), (_whose, 4), (_silent, 1),
    (particulars.how_many, 9), (particulars.first_or_last, 6), (particulars.neighbour, 6), (particulars.order, 6),
    (particulars.how_loud, 5), (particulars.when, 5), (particulars.where, 5),
)  # fmt: skip
_DRAWN = [writer for writer, weight in WRITERS for _ in range(weight)]
