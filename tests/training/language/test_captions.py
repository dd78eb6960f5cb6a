"""Captions keep the facts, vary their words, and repeat with their seed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samcli.text.inflection import times
from samcli.text.labels import mentions, names_sound, unsupported
from samcli.training.language.captions import write_caption
from samcli.training.language.phrases import FAINT_ADJECTIVES, FAINTLY, lean
from samcli.training.language.random_scenes import random_scene
from samcli.training.language.scenes import (
    FAINT_DB,
    LOUD_DB,
    PLACES,
    QUALITIES,
    QUIETER_DB,
    Event,
    Scene,
    clearly_before,
)
from samcli.training.language.sounds import Kind, catalogue, find_kind, related

ROOM_WORDS = re.compile(r"\b(small room|little room|large room|big room|roomy|large hall|echo\w*|tunnel)\b")
FAULT_WORDS = re.compile(
    r"\b(muffled|thin|tinny|noisy|hiss in|full of hiss|noise in the recording|distorted|overloaded|quality|poor)\b"
)
PLAIN_KINDS = [kind for kind in catalogue().values() if kind.name != "silence"]


def heard_in(scene: Scene) -> set[str]:
    heard = {name for kind in scene.kinds for name in kind.heard} | {"Silence", "silence"}
    if scene.place:
        heard |= {"Echo", "Reverberation", "Inside, small room", "Inside, large room or hall"}
    if scene.quality:
        heard |= {"Noise", "Static", "Hiss", "Distortion"}
    return heard


def named(caption: str, kind: Kind) -> bool:
    return any(not unsupported(mention.words, kind.heard) for mention in mentions(caption)) or any(
        names_sound(caption, name) for name in kind.audioset[:1]
    )


def test_a_caption_mentions_only_what_is_in_its_scene() -> None:
    rng = Random(11)
    for _ in range(6000):
        scene = random_scene(rng)
        caption = write_caption(scene, rng)
        assert unsupported(caption, heard_in(scene)) == [], (caption, scene)
        echoing = scene.place or any(kind.name == "reverberation" for kind in scene.kinds)
        assert echoing or not ROOM_WORDS.search(caption), caption
        assert scene.quality or not FAULT_WORDS.search(caption), caption


def test_a_caption_is_one_short_text_in_sentence_case() -> None:
    rng = Random(12)
    lengths = []
    for _ in range(4000):
        caption = write_caption(random_scene(rng), rng)
        assert caption[0].isupper() and caption.endswith(".") and not caption.endswith(".."), caption
        assert "  " not in caption and "{" not in caption and " ." not in caption and " ," not in caption, caption
        lengths.append(len(caption.split()))
    assert max(lengths) <= 30
    assert sum(length <= 20 for length in lengths) > 0.97 * len(lengths)
    assert 7 < sum(lengths) / len(lengths) < 14


def test_one_or_two_sounds_are_always_named_and_in_their_order() -> None:
    rng = Random(13)
    ordered = 0
    for _ in range(3000):
        first, second = rng.sample(PLAIN_KINDS, 2)
        if related(first, second) or first.heard & second.heard:
            continue
        gap = rng.uniform(0.3, 2.0)
        scene = Scene(10.0, (Event(second, 4.0 + gap, 8.0, -25), Event(first, 1.0, 4.0, -25)))
        caption = write_caption(scene, rng)
        assert named(caption, first) and named(caption, second), caption
        words = mentions(caption)
        fits = [[not unsupported(mention.words, kind.heard) for kind in (first, second)] for mention in words]
        telling = [fit for fit in fits if fit[0] != fit[1]]  # a word that fits both tells nothing
        if [True, False] in telling and [False, True] in telling:
            assert clearly_before(scene.order[0], scene.order[1])
            ordered += 1
            assert telling[0] == [True, False], caption
    assert ordered > 1500


def test_numbers_are_those_of_the_scene() -> None:
    rng = Random(14)
    countable = [kind for kind in PLAIN_KINDS if kind.countable]
    said = dict.fromkeys(range(1, 10), 0)
    for _ in range(6000):
        kind, count = rng.choice(countable), rng.randint(1, 9)
        caption = write_caption(Scene(10.0, (Event(kind, 1.0, 9.0, -25, count),)), rng).lower()
        for other in range(1, 10):
            number = {1: r"\bonce\b|\b(one|a single) (?!can)", 2: r"\b(twice|two)\b"}.get(
                other, rf"\b{times(other).split()[0]}\b"
            )
            if re.search(number, caption):
                assert other == count, caption
                said[count] += 1
    assert min(said.values()) > 60


def test_loudness_follows_the_levels() -> None:
    rng = Random(15)
    loud = faint = 0
    for _ in range(4000):
        kind, level = rng.choice(PLAIN_KINDS), rng.uniform(-55, -5)
        if any(
            word in phrase for word in ("loud", "heav", "quiet", "distan", "soft", "low") for phrase in phrases_of(kind)
        ):
            continue
        caption = write_caption(Scene(10.0, (Event(kind, 1.0, 6.0, level),)), rng).lower()
        if re.search(r"\b(loud\w*|high volume)\b", caption):
            assert level > LOUD_DB, caption
            loud += 1
        if any(words in caption for words in (*FAINTLY, *FAINT_ADJECTIVES) if words != "quiet"):
            assert level < FAINT_DB, caption
            faint += 1
    assert loud > 200 and faint > 200
    assert QUIETER_DB > 0


def phrases_of(kind: Kind) -> list[str]:
    return [saying.present for saying in kind.sayings] + [noun.text for noun in kind.nouns]


def test_silence_is_said_only_where_there_is_some() -> None:
    rng = Random(16)
    for _ in range(3000):
        kind = rng.choice(PLAIN_KINDS)
        start = rng.choice((0.0, rng.uniform(0, 6)))
        end = rng.choice((10.0, start + rng.uniform(0.5, 3)))
        scene = Scene(10.0, (Event(kind, start, end, -25),))
        caption = write_caption(scene, rng).lower()
        if (
            re.search(r"\b(silence|at first|after a pause|starts quietly|a moment of quiet)\b", caption)
            or "quiet" in caption
        ):
            assert start > 1 or end < 9, caption


@pytest.mark.parametrize("kind", ["silence", None])
def test_nothing_is_said_to_be_nothing(kind: str | None) -> None:
    rng = Random(17)
    events = (Event(find_kind(kind), 0.0, 5.0, -90),) if kind else ()
    captions = {write_caption(Scene(5.0, events), rng) for _ in range(400)}
    assert len(captions) >= 10
    for caption in captions:
        assert names_sound(caption, "Silence"), caption
        assert unsupported(caption, {"Silence"}) == [], caption


@pytest.mark.parametrize(
    ("kind", "label"), [("tone", "Sine wave"), ("noise", "White noise"), ("speech", "Speech"), ("music", "Music")]
)
def test_plain_signals_are_called_what_they_are(kind: str, label: str) -> None:
    rng = Random(18)
    for _ in range(300):
        caption = write_caption(Scene(5.0, (Event(find_kind(kind), 0.0, 5.0, -25),)), rng)
        assert names_sound(caption, label), caption


def test_one_scene_is_told_in_hundreds_of_ways() -> None:
    rng = Random(19)
    told, alone = set(), set()
    for _ in range(3000):
        level = rng.uniform(-40, -20)
        dog, horn = Event(find_kind("dog"), 1.0, 3.0, level, 2), Event(find_kind("car_horn"), 5.0, 6.0, level - 4, 1)
        told.add(write_caption(Scene(10.0, (dog, horn), find_kind("rain"), level - 20), rng))
        alone.add(write_caption(Scene(5.0, (Event(find_kind("dog"), 0.0, 5.0, level),)), rng))
    assert len(told) > 1500 and len(alone) > 100


@pytest.mark.parametrize("kind", ["dog", "rain", "keyboard", "laughter"])
def test_the_likeliest_wording_drifts_with_the_level(kind: str) -> None:
    rng = Random(22)
    likeliest = set()
    for level in range(-40, -16, 3):
        scene = Scene(5.0, (Event(find_kind(kind), 0.0, 5.0, level),))
        likeliest.add(Counter(write_caption(scene, rng) for _ in range(300)).most_common(1)[0][0])
    assert len(likeliest) >= 5


@given(st.floats(-100, 10), st.floats(-0.5, 0.5), st.sampled_from([9.0, 11.0, 13.0, 17.0]))
def test_the_drift_makes_no_leaps(level: float, change: float, period: float) -> None:
    assert 0 <= lean(level, period) <= 1
    assert abs(lean(level + change, period) - lean(level, period)) <= abs(change) / period + 1e-9


def test_captions_of_many_scenes_hardly_repeat() -> None:
    rng = Random(20)
    captions = [write_caption(random_scene(rng), rng) for _ in range(5000)]
    assert len(set(captions)) > 0.9 * len(captions)
    openings = {" ".join(caption.split()[:2]) for caption in captions}
    assert len(openings) > 400


def test_every_place_and_fault_can_be_said() -> None:
    rng = Random(21)
    dog = (Event(find_kind("dog"), 0.0, 5.0, -25),)
    for place in PLACES:
        assert any(ROOM_WORDS.search(write_caption(Scene(5.0, dog, place=place), rng)) for _ in range(50))
    for quality in QUALITIES:
        assert any(FAULT_WORDS.search(write_caption(Scene(5.0, dog, quality=quality), rng)) for _ in range(50))


def test_the_same_seed_tells_the_same_in_any_process() -> None:
    program = (
        "from random import Random\n"
        "from samcli.training.language.captions import write_caption\n"
        "from samcli.training.language.questions import ask\n"
        "from samcli.training.language.random_scenes import random_scene\n"
        "rng = Random(5)\n"
        "for _ in range(200):\n"
        "    scene = random_scene(rng)\n"
        "    print(write_caption(scene, rng), *ask(scene, rng))\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] and len(told[0].splitlines()) == 200
