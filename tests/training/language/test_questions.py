"""Questions: every answer is true of its scene, yes and no are balanced, what cannot be told is not told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from random import Random

from samcli.text import inflection
from samcli.text.labels import unsupported
from samcli.text.prompts import normalise_question
from samcli.training.language import particulars, wording
from samcli.training.language.questions import ask, audible
from samcli.training.language.random_scenes import random_scene
from samcli.training.language.scenes import Event, Scene, clearly_before
from samcli.training.language.sounds import Kind, catalogue, find_kind, related

CATEGORY_QUESTIONS = {question for category in wording.CATEGORIES.values() for question in category.questions}
Said = Callable[[str], set[Kind]]
# Yes/no questions about something else than presence.
SPECIAL = r"before|same time|silent|quiet|room|clear|none"
YES_OR_NO = r"(Is|Are|Do|Does|Can|Could) "
OPTIONS = re.compile(r"([a-h])\) (.*?)(?= [a-h]\) |$)")
PLAIN_KINDS = [kind for kind in catalogue().values() if kind.name != "silence"]


def heard_in(scene: Scene) -> set[str]:
    return {name for kind in scene.kinds for name in kind.heard}


def agrees(said: set[Kind], present: tuple[Kind, ...], heard: bool) -> bool:
    """Whether what is said is heard, or, for what is not heard, can surely be denied."""
    if heard:
        return bool(said & set(present))
    return any(not any(related(one, other) for one in present) for other in said)


def asked(seed: int, count: int) -> list[tuple[Scene, str, str]]:
    rng = Random(seed)
    rows = []
    for _ in range(count):
        scene = random_scene(rng)
        question, answer = ask(scene, rng)
        rows.append((scene, question, answer))
    return rows


ROWS = asked(31, 8000)


def test_questions_and_answers_are_sentences() -> None:
    for _, question, answer in ROWS:
        assert (question[0].isupper() and question[-1] in "?.") or ") " in question, question
        assert answer and ((answer[0].isupper() and answer.endswith(".")) or re.match(r"[a-h]\) ", answer)), answer
        for text in (question, answer):
            assert "  " not in text and "{" not in text and ".." not in text, text
        assert normalise_question(question)


def test_yes_and_no_are_balanced() -> None:
    said = Counter(match[0] for _, _, answer in ROWS if (match := re.match(r"(Yes|No)(?=[.,])", answer)))
    assert 0.46 < said["Yes"] / (said["Yes"] + said["No"]) < 0.54
    assert said.total() > 0.25 * len(ROWS)


def test_presence_is_answered_by_what_is_heard(kinds_said: Said) -> None:
    checked = Counter[str]()
    for scene, question, answer in ROWS:
        match = re.match(r"(Yes|No)\b", answer)
        plain = question.removeprefix("Tell me, ")
        plain = plain[0].upper() + plain[1:]
        if not match or plain in CATEGORY_QUESTIONS or not re.match(YES_OR_NO, plain) or re.search(SPECIAL, plain):
            continue
        checked[match[0]] += 1
        assert agrees(kinds_said(question), audible(scene), match[0] == "Yes"), (question, answer, scene.kinds)
    assert min(checked.values()) > 500


def test_answers_name_nothing_that_is_not_heard() -> None:
    for scene, question, answer in ROWS:
        if re.search(r"not heard|What is (it|this)|nothing", question) or "cannot" in answer or "room" in answer:
            continue
        if re.match(r"(It could be|Perhaps|At|In|On|By|Near|Under|Outdoors|Indoors)\b", answer):
            continue  # places
        if scene.quality or scene.place or any(kind.name == "reverberation" for kind in scene.kinds):
            continue
        heard = heard_in(scene) | {"Silence", "silence"}
        if answer.startswith(("No ", "There is no such")):
            answer = answer.partition(";")[2]
        assert unsupported(answer, heard) == [], (question, answer, scene.kinds)


def test_of_lettered_options_exactly_one_is_right(kinds_said: Said) -> None:
    places = Counter[str]()
    for scene, question, answer in ROWS:
        options = dict(OPTIONS.findall(question))
        if len(options) < 2:
            continue
        letter, _, text = answer.partition(") ")
        assert options[letter] == text, (question, answer)
        places[letter] += 1
        if text == "nothing":
            assert audible(scene) == ()
            continue
        for key, option in options.items():
            heard = (key == letter) != ("not heard" in question)
            assert agrees(kinds_said(option), audible(scene), heard), (question, answer, scene.kinds)
    assert set(places) >= set("abcd") and max(places[key] for key in "abcd") < 1.6 * min(places[key] for key in "abc")


def test_numbers_are_counted(kinds_said: Said) -> None:
    rng = Random(32)
    seen = Counter[str]()
    for _ in range(4000):
        scene = random_scene(rng)
        kinds = audible(scene)
        pair = particulars.how_many(scene, kinds, rng, frozenset()) if kinds else None
        if pair is None:
            continue
        question, answer = pair
        if "different" in question or "How many sounds" in question:
            assert answer == f"{inflection.number(len(kinds)).capitalize()}."
            continue
        counts = {scene.count(kind) for kind in kinds} - {None}
        possible = {form for count in counts for form in (inflection.number(count or 0), inflection.times(count or 0))}
        said = [form for form in (*inflection.NUMBERS, *inflection.TIMES) if re.search(rf"\b{form}\b", answer.lower())]
        if answer.startswith(("None", "No ")):
            assert agrees(kinds_said(question), kinds, heard=False), (question, scene.kinds)
            seen["none"] += 1
        else:
            assert possible & {form for form in possible if form in answer.lower()} or not said, (question, answer)
            seen["some"] += 1
    assert min(seen.values()) > 100


def test_order_questions_know_the_order(kinds_said: Said) -> None:
    rng = Random(33)
    checked = 0
    for _ in range(3000):
        first, second = rng.sample(PLAIN_KINDS, 2)
        if related(first, second) or first.heard & second.heard:
            continue
        scene = Scene(10.0, (Event(second, 5.0, 8.0, -25), Event(first, 1.0, 4.0, -25)))
        assert clearly_before(*scene.order)
        for writer in (particulars.first_or_last, particulars.neighbour, particulars.order):
            pair = writer(scene, audible(scene), rng, frozenset())
            if pair is None:
                continue
            question, answer = pair
            checked += 1
            if re.search(r"same time", question):
                assert answer.startswith("No")
            elif question.startswith("Is "):
                head = question.partition(" heard before ")[0]
                assert answer.startswith("Yes" if first in kinds_said(head) else "No"), (question, answer)
            else:
                wanted = second if re.search(r"\b(last|end|after|follows)\b", question) else first
                assert wanted in kinds_said(answer), (question, answer)
    assert checked > 2000


def test_what_the_sound_does_not_tell_is_not_told() -> None:
    rng = Random(34)
    scene = Scene(5.0, (Event(find_kind("dog"), 0.0, 5.0, -25),))
    answers = {
        answer for _ in range(4000) for question, answer in [ask(scene, rng)] if re.search(r"colour|name|old", question)
    }
    assert answers <= set(wording.UNKNOWN) and len(answers) >= 2


def test_doubtful_sounds_are_never_denied() -> None:
    rng = Random(35)
    scene = Scene(5.0, (Event(find_kind("rain"), 0.0, 5.0, -25),))
    doubtful = {"Dog", "Bark", "Siren", "Thunder", "Thunderstorm", "Speech", "Applause", "Clapping"}
    for _ in range(4000):
        question, answer = ask(scene, rng, doubtful)
        if answer.startswith("No"):
            assert not re.search(r"\b(dog|siren|thunder|applause)", question), question


def test_questions_vary() -> None:
    assert len({question for _, question, _ in ROWS}) > 0.55 * len(ROWS)
    assert len({answer for _, _, answer in ROWS}) > 0.25 * len(ROWS)
