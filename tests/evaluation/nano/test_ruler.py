"""The ruler itself: true captions by the grammar pass every rule, captions of something else pass none."""

from __future__ import annotations

from random import Random

import numpy as np

from samcli.evaluation.metrics.wording import invented, names_any, names_of_kind, stated_order
from samcli.evaluation.nano.dev_sounds import DevClip, distinguishable
from samcli.evaluation.nano.quiz import quiz_of
from samcli.text.labels import labels
from samcli.training.language.captions import write_caption
from samcli.training.language.scenes import Event, Scene
from samcli.training.language.sounds import Kind, catalogue
from samcli.training.nano.corpus import Clip

CLASSES = labels()


def clips() -> list[DevClip]:
    """One for each plain kind that the corpus has a label for."""
    made = []
    for kind in catalogue().values():
        if kind.labels and kind.base == kind.name and kind.group not in {"noise", ""}:
            clip = Clip(f"{kind.name}.opus", "dev", "freesound-clips", kind.labels[0], "class", kind.audioset, "", 3.0)
            made.append(DevClip(clip, np.zeros(10, np.float32), kind, np.zeros(len(CLASSES), np.float32)))
    return made


def supported(clip: DevClip) -> frozenset[str]:
    kind = clip.kind
    assert kind is not None
    return frozenset({*kind.heard, clip.clip.label, *clip.names})


def told(kind: Kind, rng: Random) -> str:
    return write_caption(Scene(5, (Event(kind, 0.3, 4.0, -20),)), rng)


def test_true_captions_name_and_invent_nothing() -> None:
    rng = Random(1)
    faults = []
    for clip in clips():
        for _ in range(3):
            assert clip.kind is not None
            caption = told(clip.kind, rng)
            if not names_any(caption, clip.names) or invented(caption, supported(clip)):
                faults.append((clip.clip.label, caption))
    assert len(faults) <= 0.01 * 3 * len(clips()), faults


def test_other_captions_do_not_name_and_invent() -> None:
    rng = Random(2)
    here = clips()
    pairs = [(clip, rng.choice(here)) for clip in here * 2]
    pairs = [(clip, other) for clip, other in pairs if distinguishable(clip, other)]
    captions = [told(other.kind, rng) for _, other in pairs if other.kind is not None]
    named = [names_any(caption, clip.names) for (clip, _), caption in zip(pairs, captions, strict=True)]
    inventions = [bool(invented(caption, supported(clip))) for (clip, _), caption in zip(pairs, captions, strict=True)]
    assert len(pairs) > 100
    assert np.mean(named) <= 0.03
    assert np.mean(inventions) >= 0.85  # some tell a sound in words that many things do: "something buzzes"


def test_orders_of_all_pairs() -> None:
    rng = Random(3)
    here = clips()
    wrong = []
    for _ in range(150):
        first, second = rng.sample(here, 2)
        if first.kind is None or second.kind is None or not distinguishable(first, second):
            continue
        scene = Scene(10, (Event(first.kind, 0.5, 4.0, -20), Event(second.kind, 4.6, 8.0, -20)))
        caption = write_caption(scene, rng)
        if stated_order(caption, first.names, second.names) != "forward":
            wrong.append((first.clip.label, second.clip.label, caption))
    assert len(wrong) <= 2, wrong


def test_silence_is_not_invented() -> None:
    assert invented("Nothing but a dog is heard.", frozenset({"Dog"})) == []
    assert invented("Silence.", frozenset({"Dog"})) == []
    assert invented("A dog barks near a siren.", frozenset({"Dog"})) == ["siren"]


def test_exams_are_fair() -> None:
    """The right option is named right and the others are not; where it stands tells nothing."""
    places = []
    for clip in clips():
        quiz = quiz_of(clip, CLASSES)
        assert quiz is not None, clip.clip.label
        assert names_any(quiz.present.text, clip.names), quiz.present.text
        assert not names_any(quiz.absent.text, clip.names), quiz.absent.text
        assert quiz.choice.right(f"{'abcd'[quiz.choice.truth]}) {quiz.choice.options[quiz.choice.truth]}")
        assert not quiz.choice.right(f"{'abcd'[quiz.choice.truth - 1]})")
        assert quiz.present.right("Yes.") and not quiz.present.right("No.") and not quiz.absent.right("Yes.")
        assert len(set(quiz.choice.options)) == 4
        places.append(quiz.choice.truth)
        assert quiz_of(clip, CLASSES) == quiz
    shares = np.bincount(places, minlength=4) / len(places)
    assert shares.min() > 0.15 and shares.max() < 0.35
    assert names_of_kind(catalogue()["dog"])
