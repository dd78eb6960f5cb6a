"""Answers say what the digest holds, in sentences, and rest on events."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import pytest

from samcli.answers.answer import answer, answerers
from samcli.answers.captions import caption
from samcli.answers.facts import Facts
from samcli.evaluation.metrics.wording import yes_or_no
from samcli.questions.meaning import Name, Question
from samcli.questions.reader import INTENTS
from samcli.questions.times import Span
from samcli.text.labels import labels

DOG, SIREN, RAIN, CAT = (
    Name(word, label) for word, label in (("dog", "Dog"), ("siren", "Siren"), ("rain", "Rain"), ("cat", "Cat"))
)


def said(
    facts: Facts, intent: str, *asked: Name, other: tuple[Name, ...] = (), span: Span | None = None, lettered: str = ""
) -> str:
    return answer(facts, (Question(intent, asked, other, span, lettered),)).text


@pytest.mark.parametrize(
    ("intent", "asked", "other", "text"),
    [
        ("present", (DOG,), (), "Yes, a dog barks."),
        ("present", (CAT,), (), "No, no cat is heard."),
        ("absent", (CAT,), (), "That is right: no cat is heard."),
        ("absent", (DOG,), (), "That is not so: a dog barks."),
        ("both", (DOG, SIREN), (), "Yes, a dog barks and a siren wails."),
        ("both", (DOG, CAT), (), "No: a dog barks, but no cat is heard."),
        ("choice", (CAT, DOG), (), "A dog."),
        ("absent_of", (DOG, CAT, RAIN), (), "A cat is not heard."),
        ("when", (SIREN,), (), "The siren begins at 1:30."),
        ("when", (DOG,), (), "A dog barks three times, at 0:10, 0:30 and 1:10."),
        ("until", (RAIN,), (), "The rain ends at 1:00."),
        ("until", (DOG,), (), "A dog barks for the last time, from 1:10 to 1:11."),
        ("times", (DOG,), (), "A dog barks from 0:10 to 0:11, from 0:30 to 0:31 and from 1:10 to 1:11."),
        ("count", (DOG,), (), "A dog barks three times, about 1 second each."),
        ("count", (CAT,), (), "Not once: no cat is heard."),
        ("long", (SIREN,), (), "A siren wails for 4.8 seconds, from 1:30 to 1:35."),
        ("share", (RAIN,), (), "Rain can be heard for about 50 % of the time."),
        ("first", (), (), "Rain falls first, at 0:00."),
        ("last", (), (), "A siren wails last, from 1:30 to 1:35."),
        ("before", (), (SIREN,), "Before the siren, a dog barks, at 1:10."),
        ("after", (), (RAIN,), "After the rain, a dog barks, at 1:10."),
        ("between", (DOG, SIREN), (), "Between the barking and the siren, from 0:11 to 1:30: rain falling."),
        ("between", (SIREN, RAIN), (), "Between the rain and the siren, from 1:00 to 1:30: a dog barking."),
        ("count", (RAIN,), (), "Rain is heard once."),
        ("order", (DOG,), (SIREN,), "Yes, a dog barks at 0:10, and a siren wails at 1:30."),
        ("order", (SIREN,), (DOG,), "No, a dog barks at 0:10, and a siren wails at 1:30."),
        ("more", (DOG, RAIN), (), "The rain is heard for longer than the dog: 1 minute against 3.6 seconds."),
        ("main", (), (), "Rain, for about 50 % of the time."),
        ("kinds", (), (), "Three kinds of sound: barking, rain and a siren."),
        ("length", (), (), "The recording lasts 2 minutes."),
        ("continuous", (RAIN,), (), "Rain falls without a break, but only from 0:00 to 1:00."),
        ("rare", (), (), "A siren wails once, from 1:30 to 1:35."),
        ("kind", (Name("animal", "Animal"),), (), "Barking."),
        ("only", (RAIN,), (), "No, a dog barks and a siren wails as well."),
        ("else", (), (RAIN,), "Besides rain, a dog barks and a siren wails."),
        ("together", (RAIN, SIREN), (), "No, rain falls and a siren wails at different times."),
        ("together", (RAIN, DOG), (), "Yes, rain falls while a dog barks, first at 0:10."),
    ],
)  # fmt: skip
def test_what_is_said(street: Facts, intent: str, asked: tuple[Name, ...], other: tuple[Name, ...], text: str) -> None:
    assert said(street, intent, *asked, other=other) == text


def test_what_is_taken_for_granted_is_looked_for(made: Callable[..., Facts]) -> None:
    """A cat too faint to be heard: who asks what comes before it knows that there is one."""
    facts = made([("Rain", 0.0, 60.0), ("Siren", 70.0, 75.2)], faint=[("Cat", 80.0, 81.0)])
    assert said(facts, "present", CAT) == "No, no cat is heard."
    assert said(facts, "before", other=(CAT,)) == "Before the cat, perhaps at 1:20, a siren wails, at 1:10."
    assert said(facts, "after", other=(CAT,)) == "Nothing else can be made out after the cat."
    assert said(facts, "before", other=(DOG,)) == "No dog is heard."


def test_neighbours_among_hundreds_of_events(made: Callable[..., Facts]) -> None:
    """Of so many barks a few are kept as events; the rest is known by how much of each stretch they fill."""
    barks = [("Bark", 2.4 * place, 2.4 * place + 1.2) for place in range(60, 500)]
    facts = made([("Rain", 0.0, 140.0), *barks, ("Siren", 700.0, 705.2)], seconds=1300.0)
    assert not facts.accounts[facts.place["Dog"]].complete
    assert re.fullmatch(r"Before the siren, a dog barks, at 11:\d\d\.", said(facts, "before", other=(SIREN,)))
    assert re.fullmatch(r"After the siren, a dog barks, at 11:\d\d\.", said(facts, "after", other=(SIREN,)))


def test_which_comes_first_is_not_answered_by_yes(street: Facts) -> None:
    which = Question("order", (SIREN,), (DOG,), text="which comes first , the siren or the dog ?")
    assert answer(street, (which,)).text == "A dog barks first, at 0:10, then a siren wails, at 1:30."


def test_farm_animals_and_insects_are_animals(made: Callable[..., Facts]) -> None:
    facts = made([("Moo", 0.0, 2.0), ("Bark", 5.0, 6.0), ("Siren", 10.0, 14.0)])
    animals = said(facts, "kind", Name("animals", "Animal"))
    assert animals == "Barking and mooing."


def test_a_word_for_less_than_its_label_is_not_any_of_it(made: Callable[..., Facts]) -> None:
    """AudioSet has one label for elephants, foxes and bears: a bird under it is no elephant."""
    elephant = Name("an elephant", "Wild animals")
    bird = made([("Crow", 1.0, 4.0)])
    assert said(bird, "present", elephant) == "No, no elephant is heard."
    assert said(bird, "choice", elephant, Name("crow", "Crow")) == "A crow."
    assert said(bird, "absent_of", elephant, Name("crow", "Crow")) == "An elephant is not heard."
    assert said(bird, "when", elephant) == "No elephant is heard."
    assert said(bird, "present", Name("a wild animal", "Wild animals")).startswith("Yes, ")
    assert said(made([("Wild animals", 1.0, 4.0)]), "present", elephant) == "Yes, a wild animal calls."


def test_the_first_of_a_sort(street: Facts) -> None:
    assert said(street, "first", Name("Animal", "Animal")) == "A dog barks first, at 0:10."
    assert said(street, "last", Name("Animal", "Animal")).startswith("A dog barks last, ")


def test_times_within_one_second_are_told_once(made: Callable[..., Facts]) -> None:
    twice = made([("Bark", at, at + 0.2) for at in (3.04, 3.7, 9.04)])
    assert said(twice, "when", DOG) == "A dog barks three times, at 0:03 (twice) and 0:09."


def test_a_stretch_of_time(street: Facts) -> None:
    assert said(street, "at", span=Span(85.0, 95.0)) == "A siren wails from 1:25 to 1:35."
    assert said(street, "present", DOG, span=Span(80.0, None)) == "No, no dog is heard then."
    assert said(street, "present", DOG, span=Span(0.0, 0.5, True)).startswith("Yes, a dog barks from 0:10")


def test_options_with_letters_are_answered_by_their_letter(street: Facts) -> None:
    assert said(street, "choice", CAT, SIREN, lettered="ab") == "b) siren."


def test_evidence_is_of_what_was_heard(street: Facts) -> None:
    found = answer(street, (Question("present", (DOG,)),)).evidence
    assert [(event.label, event.start, event.end) for event in found] == [
        ("Bark", 10.0, 11.2),
        ("Bark", 30.0, 31.2),
        ("Bark", 70.4, 71.6),
    ]
    assert answer(street, (Question("present", (CAT,)),)).evidence == ()


def test_captions(street: Facts, made: Callable[..., Facts]) -> None:
    text, evidence = caption(street)
    assert text == (
        "Rain falls from 0:00 to 1:00. A dog barks at 0:10, 0:30 and 1:10. A siren wails from 1:30 to 1:35."
    )
    assert 0 < len(evidence) <= 12
    assert "then" in caption(made([("Bark", 1.0, 2.0), ("Slam", 5.0, 5.6)], 10.0))[0]
    assert caption(made([("Train", 1.0, 8.0)], 10.0, score=0.39))[0].endswith("a train passing.")


def test_clauses_with_times_are_kept_apart_by_commas(made: Callable[..., Facts]) -> None:
    text, _ = caption(made([("Bark", 50.2, 51.2), ("Meow", 61.2, 62.2)]))
    assert text == "A dog barks at 0:50 and a cat meows at 1:01."
    text, _ = caption(made([("Bark", 50.2, 51.2), ("Meow", 61.2, 62.2), ("Rain", 70.2, 80.2)]))
    assert text == "A dog barks at 0:50, a cat meows at 1:01, and rain falls from 1:10 to 1:20."


def test_what_is_loud_between_told_sounds_is_guessed(made: Callable[..., Facts]) -> None:
    """A sound for which the words are not sure is told as a guess where nothing else explains what is heard."""
    both = made([("Bark", 0.5, 2.5)], seconds=10.0, unsure=[("Siren", 5.0, 8.0)])
    assert caption(both)[0].endswith(", then perhaps a siren wailing.")
    assert {event.label for event in caption(both)[1]} == {"Bark", "Siren"}
    assert "perhaps" not in caption(made([("Bark", 0.5, 8.0)], seconds=10.0, unsure=[("Siren", 5.0, 8.0)]))[0]
    earlier = made([("Bark", 6.0, 8.0)], seconds=10.0, unsure=[("Siren", 1.0, 4.0)])
    assert caption(earlier)[0].startswith("Perhaps a siren wailing, then a dog")


def test_parts_of_a_drum_kit_are_one(made: Callable[..., Facts]) -> None:
    parts = [(label, 0.0, 8.0) for label in ("Drum", "Cymbal", "Snare drum")]
    assert "drum is struck" in caption(made(parts, seconds=8.0))[0].lower()
    assert "drums" in caption(made([*parts, ("Drum kit", 0.0, 8.0)], seconds=8.0))[0].lower()


def test_what_lasts_breaks_off_rather_than_happens_again(made: Callable[..., Facts]) -> None:
    fire = made([("Fire", 0.0, 10.0), ("Fire", 20.0, 30.0)])
    name = Name("fire", "Fire")
    assert said(fire, "count", name) == "A fire can be heard for 20 seconds in all, in two stretches."
    assert said(fire, "often", name) == "A fire can be heard for 20 seconds in all, in two stretches."


def test_a_pace_of_seconds_is_not_one_of_a_minute(made: Callable[..., Facts]) -> None:
    barks = [("Bark", at, at + 0.4) for at in (0.5, 2.0, 3.5)]
    assert said(made(barks, seconds=5.0), "often", DOG) == "A dog barks three times in 5 seconds."


def test_one_rule_for_bouts_in_sentences_and_paragraphs(made: Callable[..., Facts]) -> None:
    bouts = [("Meow", at, at + 3.0) for at in (2.0, 12.0, 22.0)]
    assert "several times" in caption(made(bouts, seconds=30.0))[0]
    long = caption(made([("Rain", 0.0, 120.0), *bouts]))[0]
    assert "A cat meows at 0:02, 0:12 and 0:22." in long


def test_what_lasts_is_not_counted_in_captions(made: Callable[..., Facts]) -> None:
    buzzes = [("Insect", at, at + 0.6) for at in (0.2, 60.2, 70.2, 80.2, 157.2)]
    assert caption(made(buzzes, 200.0))[0] == "An insect buzzes on and off between 0:00 and 2:37."


def test_many_sounds_now_and_then_are_one_sentence(made: Callable[..., Facts]) -> None:
    barks = [("Bark", at + 0.2, at + 1.2) for at in range(5, 600, 40)]
    meows = [("Meow", at + 0.2, at + 1.2) for at in range(20, 600, 40)]
    text, _ = caption(made([*barks, *meows], 600.0))
    assert text == "Now and then, a dog barks (first at 0:05) and a cat meows (first at 0:20)."


def test_two_names_for_one_unsure_sound_are_both_told(made: Callable[..., Facts]) -> None:
    cello = [("Cello", 1.0, 8.0), ("Double bass", 1.0, 8.0)]
    assert re.match("A (cello or a double bass|double bass or a cello) plays", caption(made(cello, 10.0, 0.5))[0])
    assert " or " not in caption(made(cello, 10.0, 0.9))[0]


def test_what_goes_on_is_told_beside_what_comes_next(made: Callable[..., Facts]) -> None:
    facts = made([("Rain", 0.0, 60.0), ("Bark", 20.0, 21.0), ("Siren", 90.0, 95.0)])
    assert said(facts, "before", other=(DOG,)) == "Before the barking, rain falls, at 0:00."
    assert said(facts, "after", other=(DOG,)) == "After the barking, a siren wails, at 1:30; rain is still falling."


def test_a_few_times_are_all_told(made: Callable[..., Facts]) -> None:
    barks = [("Bark", at + 0.2, at + 1.2) for at in range(5, 105, 10)]
    assert said(made(barks), "when", DOG) == (
        "A dog barks ten times, at 0:05, 0:15, 0:25, 0:35, 0:45, 0:55, 1:05, 1:15, 1:25 and 1:35."
    )
    many = [("Bark", at + 0.2, at + 1.2) for at in range(5, 995, 10)]
    assert said(made(many, 1000.0), "when", DOG) == "A dog barks 99 times, first at 0:05 and last at 16:25."


@pytest.mark.parametrize(
    ("intents", "text"),
    [
        (("count", "when"), "A dog barks three times, at 0:10, 0:30 and 1:10."),
        (("present", "count"), "Yes, a dog barks three times, about 1 second each."),
        (("present", "often"), "Yes, a dog barks three times in 2 minutes, about every 40 seconds."),
    ],
)
def test_two_questions_about_one_sound_are_one_sentence(street: Facts, intents: tuple[str, ...], text: str) -> None:
    assert answer(street, tuple(Question(intent, (DOG,)) for intent in intents)).text == text


def test_nothing_is_said_twice(street: Facts) -> None:
    assert answer(street, (Question("present", (CAT,)), Question("often", (CAT,)))).text == "No, no cat is heard."


def test_a_number_in_a_question_is_checked(street: Facts) -> None:
    for number, text in (
        ("twice", "No, a dog barks three times."),
        ("three times", "Yes, a dog barks three times."),
    ):
        assert answer(street, (Question("present", (DOG,), text=f"did a dog bark {number} ?"),)).text == text
    assert said(street, "count", DOG, span=Span(0.0, 60.0)) == "A dog barks twice from 0:00 to 1:00."


def test_an_hour_of_one_sound(made: Callable[..., Facts]) -> None:
    hour = made([("Rain", 0.0, 3600.0), ("Gunshot, gunfire", 2530.0, 2531.0)], 3600.0)
    text, _ = caption(hour)
    assert "ain" in text and text.endswith("at 42:10.")
    assert said(hour, "continuous", RAIN) == "Yes, rain falls without a break from beginning to end."


@pytest.mark.parametrize("seed", range(12))
def test_every_answer_is_a_sentence(made: Callable[..., Facts], seed: int) -> None:
    """Whatever is heard and asked: no phrase twice, evidence inside the recording, a yes names what was heard."""
    rng = Random(seed)
    seconds = rng.choice((4.0, 25.0, 90.0, 400.0))
    sounds = []
    for label in rng.sample(labels()[:500], rng.randrange(0, 6)):
        at = rng.uniform(0, seconds - 1)
        sounds.append((label, at, min(seconds, at + rng.uniform(0.4, seconds / 2))))
    facts = made(sounds, seconds, rng.choice((0.35, 0.6, 0.95)))
    names = [Name(label.lower(), label) for label in rng.sample(labels(), 3)] + [
        Name("it", sound[0]) for sound in sounds[:2]
    ]
    for intent in INTENTS:
        for asked in ((), (names[0],), (names[-1], names[1]), (Name("unicorn", None),), tuple(names)):
            found = answer(facts, (Question(intent, asked, span=Span(0.0, 3.0) if intent == "at" else None),))
            check(found.text, seconds)
            assert len(found.evidence) <= 12
            assert all(0 <= event.start <= event.end <= seconds + 0.01 for event in found.evidence)
            if intent == "present" and yes_or_no(found.text):
                assert found.evidence
    check(caption(facts)[0], seconds)


def check(text: str, seconds: float) -> None:
    assert text[0].isupper() or text[0] in '"' or text[0].isdigit(), text
    assert text.endswith((".", "!")), text
    words = re.findall(r"[\w:'-]+|[.,;:]", text.lower())
    for size in range(1, len(words) // 2 + 1):
        for at in range(len(words) - 2 * size + 1):
            assert words[at : at + size] != words[at + size : at + 2 * size] or words[at] == "no", text
    assert "  " not in text and "~" not in text and " ," not in text, text


def test_every_intent_has_an_answer() -> None:
    assert set(answerers()) == {*INTENTS, "between"}  # which its words alone tell
