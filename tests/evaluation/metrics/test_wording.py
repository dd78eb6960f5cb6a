"""What a text says: names, order, answers; held against the grammar that writes captions with a known script."""

from __future__ import annotations

from random import Random

import pytest

from samcli.evaluation.metrics.wording import (
    chosen_letter,
    commonest_share,
    distinct_share,
    names_any,
    names_of,
    names_of_kind,
    shares_words,
    stated_order,
    yes_or_no,
)
from samcli.training.language.captions import write_caption
from samcli.training.language.scenes import Event, Scene
from samcli.training.language.sounds import find_kind, related

DOG, SIREN = names_of("Dog", ("Dog",)), names_of("Siren", ("Siren",))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("A dog barks, then a siren wails.", "forward"),
        ("A dog barks and then a siren wails.", "forward"),
        ("A dog barks before a siren wails.", "forward"),
        ("Dog barks are followed by a siren.", "forward"),
        ("After a dog barks, a siren wails.", "forward"),
        ("A siren wails after a dog barks.", "forward"),
        ("A siren, preceded by a dog barking.", "forward"),
        ("Before a siren wails, a dog barks.", "forward"),
        ("A dog barks, and after that a siren wails.", "forward"),
        ("A dog barks, and after a short pause a siren wails.", "forward"),
        ("A dog barks and a siren wails.", "forward"),
        ("It starts with a dog barking, then a siren wails.", "forward"),
        ("A dog barks in a tunnel as if far away, then a siren.", "forward"),
        ("A siren wails, then a dog barks.", "backward"),
        ("A dog barks after a siren wails.", "backward"),
        ("Before a dog barks, a siren wails.", "backward"),
        ("A siren and a dog barking.", "backward"),
        ("A dog barks while a siren wails.", "together"),
        ("While a dog barks, a siren wails.", "together"),
        ("A dog barking with a siren in the background.", "together"),
        ("A dog barks and a siren wails at the same time.", "together"),
        ("A dog barks.", None),
        ("A bird sings.", None),
        ("", None),
    ],
)
def test_order(text: str, order: str | None) -> None:
    assert stated_order(text, DOG, SIREN) == order


def test_order_of_the_grammar_s_captions() -> None:
    """Two sounds, one clearly after the other: whatever way the grammar tells it, the order is read back."""
    pairs = [("dog", "siren"), ("rain", "car_horn"), ("sneeze", "church_bell"), ("rooster", "chainsaw")]
    rng = Random(3)
    read = []
    for one, other in pairs * 100:
        first, second = find_kind(one), find_kind(other)
        scene = Scene(10, (Event(first, 0.5, 3.5, -20), Event(second, 4.5, 8.0, -20)))
        caption = write_caption(scene, rng)
        read.append((stated_order(caption, names_of_kind(first), names_of_kind(second)), caption))
    wrong = [entry for entry in read if entry[0] != "forward"]
    assert len(wrong) <= 0.01 * len(read), wrong[:20]


def test_together_of_the_grammar_s_captions() -> None:
    rng = Random(4)
    first, second = find_kind("dog"), find_kind("siren")
    scene = Scene(10, (Event(first, 0.5, 9.0, -20), Event(second, 0.6, 9.1, -20)))
    captions = [write_caption(scene, rng) for _ in range(200)]
    orders = [stated_order(text, names_of_kind(first), names_of_kind(second)) for text in captions]
    # "A dog barks and a siren wails" leaves it open; the rest says so.
    plain = [text for text, order in zip(captions, orders, strict=True) if order != "together"]
    assert all(" and " in text for text in plain), plain


def test_names() -> None:
    assert names_any("A big dog barks.", DOG)
    assert not names_any("An animal calls.", names_of("cat", ("Cat", "Domestic animals, pets", "Animal")))
    assert names_any("A kitten meows.", names_of("cat", ("Cat", "Domestic animals, pets", "Animal")))
    assert "Animal" not in names_of("monkey", ("Animal", "Wild animals"))
    assert names_of("no such label") == ()


def test_shared_words_forbid_a_pair() -> None:
    assert shares_words(names_of("Rooster", ("Crowing, cock-a-doodle-doo",)), names_of("Hen", ("Chicken, rooster",)))
    assert not shares_words(DOG, SIREN)
    assert not related(find_kind("dog"), find_kind("siren"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes.", True),
        ("yes, a dog barks", True),
        ("No.", False),
        ("No, only rain can be heard.", False),
        ("There is no dog.", False),
        ("I don't hear one.", False),
        ("That is correct.", True),
        ("Yes, but not loudly.", True),
        ("A dog.", None),
        ("", None),
    ],
)
def test_yes_or_no(answer: str, said: bool | None) -> None:
    assert yes_or_no(answer) is said


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("b) rain", 1),
        ("(B)", 1),
        ("B", 1),
        ("b.", 1),
        ("The answer is c", 2),
        ("Option d: a siren", 3),
        ("a) a dog barking", 0),
        ("a dog barking", 0),
        ("A siren.", 3),
        ("It is rain.", 1),
        ("It is (c).", 2),
        ("a dog barking or rain", None),
        ("a train", None),
        ("", None),
    ],
)
def test_chosen_letter(answer: str, choice: int | None) -> None:
    assert chosen_letter(answer, ("a dog barking", "rain", "music", "a siren")) == choice


def test_variety() -> None:
    captions = ["A dog barks.", "a dog barks", "Rain.", "Rain falls."]
    assert distinct_share(captions) == 0.75
    assert commonest_share(captions) == 0.5
