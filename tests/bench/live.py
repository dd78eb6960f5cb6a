"""From a sound to its event: how long `sam live` takes to tell of one, how many it tells, and of what else it tells.

    python tests/bench/live.py CORPUS [CLIPS]

CORPUS is a folder with `manifest.csv` (columns `file`, `split`, `audioset`). Each clip of its split `dev` begins, after
some seconds of quiet noise, at a moment known to the sample. Time is that of the sound, up to the hop with which the
event is told: the computing of that hop comes on top. A sound is certain where a run over the whole scene puts it where
it begins; what a clip's label calls by another name, or hears late even then, says nothing about listening live.

A late event has two parts: until a score of the sound's first reaches the limit of its label here, wide names such as
"Animal" left out, and from then until it is told. The first is the ears', the second that of the rules of
`samcli.live`. A sound that a run over the whole scene has begin late is late by the clip, or by what the model knows.
F1 counts a scene told by its name as right, every other name as wrong, noise that is told as such too.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import samcli
from samcli.audio import read_sound
from samcli.audio.waves import levels_db
from samcli.digest.names import kin
from samcli.live.folding import WIDE
from samcli.live.listener import Listener, LiveOptions

LEAD, LONGEST, REST = 4.6, 5.0, 1.6  # seconds before a clip, of it, and after it
BELOW_DB = (20.0, 30.0)  # of the noise, below the clip's loudest tenth of a second
CERTAIN = 0.35  # seconds between the two beginnings


class Heard(NamedTuple):
    delay: float | None  # seconds; None: it was not told
    reached: float | None  # seconds until a score of its reached its limit; None: none did
    certain: bool
    begins_late: bool  # in a run over the whole scene, too
    others: int  # begins of other names
    unheard: int  # of them, those that a run over the whole scene does not find
    seconds: float


def scene(clip: np.ndarray, rate: int, chance: np.random.Generator) -> tuple[np.ndarray, float]:
    """A clip in noise, and when it begins: with its first tenth of a second within 20 dB of its loudest."""
    levels = levels_db(clip, rate)
    first = int(np.argmax(levels > levels.max() - 20)) * rate // 10
    clip = clip[first : first + round(LONGEST * rate)]
    at = round((LEAD + chance.uniform(-0.2, 0.2)) * rate)
    size = at + len(clip) + round(REST * rate)
    spectrum = np.fft.rfft(chance.standard_normal(size))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), size)
    wave = noise / noise.std() * 10 ** ((levels.max() - chance.choice(BELOW_DB)) / 20)
    wave[at : at + len(clip)] += clip
    return wave.astype(np.float32), at / rate


def hear(sam: samcli.Sam, wave: np.ndarray, onset: float, names: list[str]) -> Heard:
    rate = sam.model.sample_rate
    whole = [
        (one.tags[0].label, one.start or 0.0) for one in sam.timeline(wave, rate=rate, all_events=True) if one.tags
    ]
    starts = [start for label, start in whole if any(kin(label, name) for name in names)]
    listener, delay, reached, others, unheard = Listener(sam.model, LiveOptions()), None, None, 0, 0
    limits = listener.tracker.finder.choice.limits
    mine = [
        place
        for place, label in enumerate(sam.model.labels)
        if any(kin(label, name) for name in names) and (label in names or label not in WIDE)
    ]
    for at in range(0, len(wave), listener.ear.hop):
        for told in listener.take(wave[at : at + listener.ear.hop]):
            if told.kind != "begin" or told.label is None:
                continue
            if any(kin(told.label, name) for name in names):
                delay = listener.seconds - onset if delay is None else delay
            else:
                others += 1
                unheard += not any(kin(told.label, label) for label, _ in whole)
        look = listener.tracker.last
        if reached is None and listener.seconds > onset and look is not None and look.steps is not None:
            plain = look.steps[:, mine].max(0) >= limits[mine]
            reached = listener.seconds - onset if plain.any() else None
    certain = bool(starts) and abs(min(starts) - onset) <= CERTAIN
    begins_late = bool(starts) and min(starts) - onset > CERTAIN
    return Heard(delay, reached, certain, begins_late, others, unheard, len(wave) / rate)


def report(name: str, found: list[Heard]) -> None:
    told = [one for one in found if one.delay is not None]
    if not told:
        return
    delays = [one.delay for one in told if one.delay is not None]
    late = [one for one in told if one.delay is not None and one.delay > 1.5]
    both = sum(one.begins_late for one in late)
    print(f"{name}: {len(told)} of {len(found)} told, {len(late)} after 1.5 s, {both} of these late in the whole, too")
    print("  seconds at 50, 75, 90, 95, 99 %:")
    print(f"  in all {cuts(delays)}")
    print(f"  until a score reaches its limit {cuts([one.reached for one in told if one.reached is not None])}")
    after = [one.delay - one.reached for one in told if one.delay is not None and one.reached is not None]
    print(f"  from then until it is told {cuts(after)}")
    hours = sum(one.seconds for one in found) / 3600
    others, unheard = (sum(getattr(one, what) for one in found) for what in ("others", "unheard"))
    print(f"  other names an hour: {others / hours:.0f}; a run over the whole does not find {unheard / hours:.0f}")
    print(f"  F1: {2 * len(told) / (len(told) + len(found) + others):.3f}")


def cuts(seconds: list[float]) -> str:
    return " ".join(f"{np.quantile(seconds, share):.2f}" for share in (0.5, 0.75, 0.9, 0.95, 0.99)) if seconds else "-"


def main(corpus: Path, clips: int) -> None:
    sam, chance = samcli.load(offline=True), np.random.default_rng(7)
    rate = sam.model.sample_rate
    with (corpus / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev" and row["audioset"]]
    chance.shuffle(rows)
    found, spent = [], time.process_time()
    for row in rows[:clips]:
        clip = read_sound(corpus / row["file"], rate)
        if len(clip) > 0.4 * rate and levels_db(clip, rate).max() > -45:
            found.append(hear(sam, *scene(clip, rate, chance), row["audioset"].split(";")))
    report("all", found)
    report("certain", [one for one in found if one.certain])
    print(f"computing: {time.process_time() - spent:.0f} s for {sum(one.seconds for one in found):.0f} s of sound")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
