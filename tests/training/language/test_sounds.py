"""The catalogue: every phrase names its sound and nothing else; every clip of the corpus has a kind."""

from __future__ import annotations

import csv
import os
import pickle
from pathlib import Path
from random import Random

import pytest

from samcli.text.labels import labels, names_sound, synonyms, unsupported
from samcli.training.language.sounds import (
    Kind,
    absent_kinds,
    askable,
    catalogue,
    confusable,
    find_kind,
    kind_of,
    kind_of_audioset,
    related,
)

KINDS = list(catalogue().values())


def own_names(kind: Kind) -> list[str]:
    found = []
    for name in (*kind.labels, *kind.audioset[:1], kind.name, kind.base):
        try:
            synonyms(name)
        except KeyError:
            continue
        found.append(name)
    return found


def phrases(kind: Kind) -> list[str]:
    said = [form for saying in kind.sayings for form in (saying.present, saying.progressive, saying.ongoing)]
    counted = [f"two {kind.counted}", f"one {kind.unit}"] if kind.unit else []
    return [*said, *(noun.text for noun in kind.nouns), *counted]


def test_every_phrase_names_its_sound_and_no_other() -> None:
    for kind in KINDS:
        if kind.name == "silence":
            continue
        names = own_names(kind)
        assert names, kind.name
        for phrase in phrases(kind):
            assert any(names_sound(phrase, name) for name in names), phrase
            assert unsupported(phrase, kind.heard) == [], phrase


def test_the_catalogue_is_whole() -> None:
    known = set(labels())
    groups = {kind.group for kind in KINDS}
    assert len(KINDS) > 300 and "" not in groups
    for kind in KINDS:
        assert set(kind.audioset) <= known, kind.name
        assert len(kind.sayings) >= 1 and len(kind.nouns) >= 1, kind.name
        assert kind.base in catalogue(), kind.name
        wrong = {name for name in kind.near if name not in catalogue() and name.removeprefix("*") not in groups}
        assert not wrong, (kind.name, wrong)
        assert not any("+" in noun.text or "  " in noun.text for noun in kind.nouns), kind.name


def test_a_kind_is_one_object_also_after_a_journey() -> None:
    dog = find_kind("dog")
    assert pickle.loads(pickle.dumps(dog)) is dog
    assert kind_of("Dog") is dog and kind_of("dog") is dog and kind_of_audioset("Dog") is dog
    assert kind_of("") is None and kind_of("unknown") is None


@pytest.mark.parametrize(
    ("label", "title", "name"),
    [
        ("Footsteps", "footsteps on gravel.wav", "footsteps_on_gravel"),
        ("Siren", "police siren perpignan.wav", "police_siren"),
        ("speech", "sounds/en_female_2", "woman_speaking"),
        ("speech", "kajongg/voices/de/male2/c6", "man_speaking"),
        ("lion_tiger_bear_roar", "Aslan/aslan_8", "lion"),
        ("splash_swim", "ForzeeStereo/Splash10-1", "cymbal"),
        ("rain", "berklee/rainstick1", "rainstick"),
        ("dog", "sounds/dog2", "dog"),
    ],
)
def test_a_title_makes_a_kind_more_exact(label: str, title: str, name: str) -> None:
    found = kind_of(label, title)
    assert found is not None and found.name == name


def test_what_is_confusable_can_be_told_apart() -> None:
    for kind in KINDS:
        for other in confusable(kind):
            assert not related(kind, other) and not related(other, kind)
    assert find_kind("wolf") not in confusable(find_kind("dog"))
    assert find_kind("cat") in confusable(find_kind("dog"))
    assert find_kind("clarinet") in confusable(find_kind("flute"))


def test_absent_kinds_are_absent() -> None:
    rng = Random(2)
    few = 0
    for _ in range(2000):
        present = rng.sample(KINDS, rng.randint(1, 4))
        absent = absent_kinds(present, 3, rng, frozenset({"Dog", "Rain"}))
        few += len(absent) < 3
        assert len(set(absent)) == len(absent)
        for other in absent:
            assert other in askable() and not any(related(one, other) for one in present)
            assert "Dog" not in other.audioset[:2] and "Rain" not in other.audioset[:2]
    assert few < 20


@pytest.mark.skipif("SAMCLI_CORPUS" not in os.environ, reason="SAMCLI_CORPUS names no corpus")
def test_every_labelled_clip_has_a_kind_that_its_labels_bear_out() -> None:
    with (Path(os.environ["SAMCLI_CORPUS"]) / "manifest.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["label"] for row in rows if kind_of(row["label"], row["title"]) is None} == {"", "unknown"}
    agree = [
        bool(set(row["audioset"].split(";")) & set(kind.audioset))
        for row in rows
        if row["audioset"] and (kind := kind_of(row["label"], row["title"])) is not None
    ]
    assert sum(agree) / len(agree) > 0.97
