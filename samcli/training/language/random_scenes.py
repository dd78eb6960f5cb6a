"""Scenes without sound, drawn at random from all kinds: to train a tokenizer on their language, to test the grammar."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

from samcli.text.prompts import normalise_question
from samcli.training.language.captions import write_caption
from samcli.training.language.questions import ask
from samcli.training.language.scenes import PLACES, QUALITIES, Event, Scene
from samcli.training.language.sounds import Kind, catalogue

SECONDS = (5.0, 10.0, 10.0)


def random_scene(rng: Random) -> Scene:
    """A scene of up to four sounds such as a mixer could make."""
    kinds, lasting = _kinds()
    duration = rng.choice(SECONDS)
    count = rng.choices((0, 1, 2, 3, 4), (1, 10, 9, 5, 1))[0]
    return Scene(
        duration=duration,
        events=tuple(_event(rng.choice(kinds), duration, rng) for _ in range(count)),
        background=rng.choice(lasting) if rng.random() < 0.3 else None,
        background_level_db=rng.uniform(-55, -20),
        place=rng.choice(PLACES) if rng.random() < 0.15 else None,
        quality=rng.choice(QUALITIES) if rng.random() < 0.12 else None,
    )


def random_sentences(count: int, seed: int = 0) -> Iterator[str]:
    """Captions, questions in their written form, and answers, about as often as training meets them."""
    rng = Random(seed)
    made = 0
    while made < count:
        scene = random_scene(rng)
        if rng.random() < 0.5:
            yield write_caption(scene, rng)
            made += 1
        else:
            question, answer = ask(scene, rng)
            yield normalise_question(question)
            yield answer
            made += 2


def _event(kind: Kind, duration: float, rng: Random) -> Event:
    level = rng.uniform(-52, -8)
    if kind.shape == "lasting":
        start = rng.choice((0.0, rng.uniform(0, duration - 1)))
        return Event(kind, start, min(duration, start + rng.uniform(0.6, duration)), level)
    start = rng.uniform(0, duration - 0.4)
    repeats = rng.choice((None, 1, 1, 1, 2, 3, rng.randint(2, 9)))
    return Event(kind, start, min(duration, start + rng.uniform(0.3, 1.5) * (repeats or 2)), level, repeats)


@cache
def _kinds() -> tuple[list[Kind], list[Kind]]:
    """All kinds, and those that make a background."""
    kinds = list(catalogue().values())
    lasting = [kind for kind in kinds if kind.shape == "lasting"]
    return kinds, [kind for kind in lasting if kind.name not in {"silence", "tone", "sine_sweep"}]
