"""A day for `sam live`, with kills: nothing is lost or told twice, and memory stays as it is.

    python tests/bench/day.py CORPUS WORK [--hours 24] [--kills 20] [--events 250] [--alone HOURS]

CORPUS is a folder with `manifest.csv` (columns `file`, `split`, `audioset`). From it a day is made: rain, a fan, a
quiet room and, for a third of the time, the silence of a night; over them, at known moments, clips of the split `dev`.
It begins in the evening, so that the first hour is one with sounds. `sam live` hears it as fast as one core can, keeps
its state, and is killed (SIGKILL) and started again; then once more in one go, or the first hours of it alone. Records,
memory and statistics of both must be the same. Exit code 1 if they are not, or if memory grew.

WORK keeps the sound (5.5 GB a day) and what was found; the same command goes on from there after a stop. Linux only.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from samcli.audio import read_sound
from samcli.audio.waves import levels_db
from samcli.digest.names import kin
from samcli.live.state import Saved, read_state

RATE = 32_000
SEED = 24
BACKGROUNDS = {"Rain": -48.0, "Mechanical fan": -50.0, "room": -58.0, "night": -85.0}  # dB of full scale
NIGHT = 1.5 / 24, 9.5 / 24  # of the day
LOOP_SECONDS = 300
LOUD_DB = -30.0, -14.0  # of a clip's loudest tenth of a second
LONGEST = 6.0  # seconds of a clip
APART = 15.0  # seconds between the beginnings of two clips, at least
STATE_SECONDS = 3.0  # between two savings: a minute or two of sound at this pace
GROWTH = 1.05  # of the first hour's memory


class Placed(NamedTuple):
    """A clip in the day."""

    at: float  # seconds
    seconds: float
    names: str
    file: str


# The sound


def make(corpus: Path, work: Path, seconds: int, events: int) -> None:
    """`day.wav` and `placed.csv`, unless they are there."""
    if (work / "day.wav").exists():
        return
    chance = np.random.default_rng(SEED)
    with (corpus / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["audioset"]]
    placed, begun = [], dict[int, np.ndarray]()
    for at in moments(seconds, events, chance):
        row, clip = loud_clip(corpus, [row for row in rows if row["split"] == "dev"], chance)
        placed.append(Placed(at, len(clip) / RATE, row["audioset"], row["file"]))
        begun[round(at * RATE)] = clip
    with (work / "placed.csv").open("w", newline="") as file:
        csv.writer(file).writerows(placed)
    with soundfile.SoundFile(work / "day.part", "w", RATE, 1, "PCM_16", format="RF64") as sound:
        held = np.zeros(0, np.float32)  # what of the clips reaches beyond this second
        for number, wave in enumerate(background(corpus, rows, seconds, chance)):
            held = np.pad(held, (0, RATE + round(LONGEST * RATE) - len(held)))
            for at in [at for at in begun if at // RATE == number]:
                clip = begun.pop(at)
                held[at - number * RATE :][: len(clip)] += clip
            sound.write(np.clip(wave + held[:RATE], -1, 1))
            held = held[RATE:]
    (work / "day.part").rename(work / "day.wav")


def moments(seconds: int, events: int, chance: np.random.Generator) -> list[float]:
    """When something happens: a sixth as often by night."""
    found: list[float] = []
    while len(found) < events:
        at = round(chance.uniform(5, seconds - LONGEST - 5), 3)
        night = NIGHT[0] <= at / seconds < NIGHT[1]
        if (not night or chance.random() < 1 / 6) and all(abs(at - other) >= APART for other in found):
            found.append(at)
    return sorted(found)


def loud_clip(
    corpus: Path, rows: list[dict[str, str]], chance: np.random.Generator
) -> tuple[dict[str, str], np.ndarray]:
    while True:
        row = rows[chance.integers(len(rows))]
        clip = read_sound(corpus / row["file"], RATE)[: round(LONGEST * RATE)]
        loudest = levels_db(clip, RATE).max(initial=-np.inf)
        if loudest > -45:
            clip = clip * np.minimum(1, np.arange(len(clip), 0, -1) / (0.05 * RATE))  # no click at its end
            return row, (clip * 10 ** ((chance.uniform(*LOUD_DB) - loudest) / 20)).astype(np.float32)


def background(
    corpus: Path, rows: list[dict[str, str]], seconds: int, chance: np.random.Generator
) -> Iterator[np.ndarray]:
    """Second after second; what follows another fades in."""
    of = {kind: [row for row in rows if kind in row["audioset"].split(";")] for kind in BACKGROUNDS}
    loops = {
        kind: [loop(kind, clip, chance) for clip in (steadiest(corpus, of[kind]) if of[kind] else [None])]
        for kind in BACKGROUNDS
    }
    fade = np.sin(np.linspace(0, np.pi / 2, RATE, endpoint=False))
    day = sound = last = loops["room"][0]
    until = 0.0
    for now in range(seconds):
        if now >= until:
            kind, until = str(chance.choice(["Rain", "Mechanical fan", "room"])), now + chance.uniform(1200, 3600)
            day = loops[kind][chance.integers(len(loops[kind]))]
        last, sound = sound, loops["night"][0] if NIGHT[0] <= now / seconds < NIGHT[1] else day
        wave = sound[now % LOOP_SECONDS]
        yield wave if sound is last else last[now % LOOP_SECONDS] * fade[::-1] + wave * fade


def loop(kind: str, clip: np.ndarray | None, chance: np.random.Generator) -> np.ndarray:
    """(seconds, samples) of a background that goes on without a seam, made of pieces that fade into each other."""
    fade = np.sin(np.linspace(0, np.pi / 2, RATE, endpoint=False))
    sound = np.zeros((LOOP_SECONDS, RATE))
    for second in range(LOOP_SECONDS):
        grain = grain_of(kind, clip, chance)
        sound[second] += grain[:RATE] * fade
        sound[(second + 1) % LOOP_SECONDS] += grain[RATE:] * fade[::-1]
    return sound.astype(np.float32)


def grain_of(kind: str, clip: np.ndarray | None, chance: np.random.Generator) -> np.ndarray:
    """Two seconds of a background, always as loud."""
    if clip is not None:
        at = chance.integers(len(clip) - 2 * RATE + 1)
        grain = clip[at : at + 2 * RATE].astype(float)
    else:
        spectrum = np.fft.rfft(chance.standard_normal(2 * RATE))
        grain = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20)), 2 * RATE)
    loudness = float(np.sqrt(np.mean(grain**2)))
    return np.asarray(grain / max(loudness, 1e-9) * 10 ** (BACKGROUNDS[kind] / 20))


def steadiest(corpus: Path, rows: list[dict[str, str]], count: int = 2) -> list[np.ndarray]:
    """The clips whose level moves least."""
    clips = [read_sound(corpus / row["file"], RATE) for row in rows]
    clips = [clip for clip in clips if len(clip) >= 3 * RATE and levels_db(clip, RATE).min() > -60]
    return sorted(clips, key=lambda clip: float(np.ptp(levels_db(clip, RATE)[:-1])))[:count]


# The hearing


class Hearing:
    """One `sam live` after the other, on the same state and output."""

    def __init__(self, work: Path, name: str) -> None:
        self.work, self.name = work, name
        self.state, self.output = work / f"{name}.state", work / f"{name}.jsonl"

    def start(self) -> subprocess.Popen[bytes]:
        command = ["live", "day.wav", "--offline", "--quiet", "--captions-every", "3600"]
        kept = ["--state", self.state.name, "--state-every", str(STATE_SECONDS), "-o", self.output.name]
        with (self.work / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "samcli", *command, *kept], cwd=self.work, stdout=log, stderr=log
            )

    def until(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Let it hear up to this moment; False if it ended before. Its memory is noted every second."""
        with (self.work / "memory.csv").open("a") as file:
            while process.poll() is None:
                time.sleep(1)
                now = self.heard()
                print(self.name, f"{now:.1f}", resident(process.pid), sep=",", file=file, flush=True)
                if now >= seconds:
                    return True
        return False

    def heard(self) -> float:
        return read_state(self.state).values["position"] / RATE if self.state.exists() else 0.0


def resident(process: int) -> int:
    """Kilobytes in memory."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def with_kills(work: Path, seconds: int, kills: int) -> None:
    """`kills.csv` has a row for each kill: what was saved by then, and the last line's number."""
    chance = np.random.default_rng(SEED + 1)
    targets = [seconds * (number + chance.uniform(0.6, 1.4)) / (kills + 1) for number in range(kills)]
    hearing, notes = Hearing(work, "killed"), work / "kills.csv"
    done = len(notes.read_text().splitlines()) if notes.exists() else 0
    for target in [*targets[done:], float("inf")]:
        if hearing.heard() >= seconds:
            return
        process = hearing.start()
        try:
            if hearing.until(process, target):
                time.sleep(float(np.random.default_rng().uniform(0, 2 * STATE_SECONDS)))
                if process.poll() is None:
                    process.kill()
                    process.wait()
                    lines = hearing.output.read_bytes().count(b"\n")
                    with notes.open("a") as file:
                        print(f"{hearing.heard():.1f},{lines}", file=file)
        finally:
            process.kill()
        if process.wait() not in (0, -9):
            sys.exit(f"sam live ended with {process.returncode}: see killed.log")


def in_one_go(work: Path, seconds: float) -> None:
    hearing = Hearing(work, "alone")
    hearing.state.unlink(missing_ok=True)
    hearing.output.unlink(missing_ok=True)
    process = hearing.start()
    try:
        hearing.until(process, seconds)
    finally:
        process.kill()
        process.wait()


# What was found


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def started(lines: list[dict[str, Any]]) -> float:
    first = lines[0]
    return datetime.fromisoformat(first["time"]).timestamp() - float(first["start"])


def plain(line: dict[str, Any], began: float) -> dict[str, Any]:
    """A record with its times of day counted from the beginning, to the hundredth."""
    times = {
        key: round(datetime.fromisoformat(line[key]).timestamp() - began, 2) for key in ("time", "until") if line[key]
    }
    return {**line, **times}


def same(line: dict[str, Any], other: dict[str, Any]) -> bool:
    clocks = all(abs((line[key] or 0) - (other[key] or 0)) < 0.02 for key in ("time", "until"))
    return clocks and {**line, "time": 0, "until": 0} == {**other, "time": 0, "until": 0}


def compare(work: Path) -> bool:
    """Whether nothing is lost, doubled or different."""
    killed, alone = lines_of(work / "killed.jsonl"), lines_of(work / "alone.jsonl")
    once = [line["number"] for line in killed] == list(range(1, len(killed) + 1))
    kinds = Counter(line["event"] for line in killed)
    print(f"with kills: {len(killed)} lines {dict(kinds)}; numbered without a gap or a double: {once}")
    print(f"kills: {len((work / 'kills.csv').read_text().splitlines())}; saved seconds, lines by then:")
    print("  " + " ".join((work / "kills.csv").read_text().split()))
    if not alone:
        print("in one go: not heard")
        return once
    pairs = zip(alone, killed, strict=False)
    differ = sum(not same(plain(a, started(alone)), plain(k, started(killed))) for a, k in pairs)
    one, other = read_state(work / "alone.state"), read_state(work / "killed.state")
    whole = one.values["position"] == other.values["position"]
    print(f"in one go: {one.values['position'] / RATE / 3600:.2f} h, {len(alone)} lines, of which {differ} differ")
    if whole:
        whole = len(alone) == len(killed) and kept(one) == kept(other)
        print(f"whole: as many lines, the same memory and statistics: {whole}")
        return once and whole and not differ
    return once and not differ


def kept(state: Saved) -> dict[str, Any]:
    """What of a state is not the time of day and not the place of a file."""
    return {key: value for key, value in state.values.items() if key not in ("started", "more")}


def memory(work: Path) -> bool:
    """Whether it stayed as it was in the first hour."""
    flat = True
    with (work / "memory.csv").open() as file:
        rows = [(name, float(at), int(size)) for name, at, size in csv.reader(file)]
    for name in ("killed", "alone"):
        by_hour: dict[int, int] = {}
        for _, at, size in (row for row in rows if row[0] == name):
            by_hour[int(at // 3600)] = max(size, by_hour.get(int(at // 3600), 0))
        if by_hour:
            growth = max(by_hour.values()) / by_hour[0]
            flat = flat and growth <= GROWTH
            print(f"memory, {name}: most in the first hour {by_hour[0] / 1024:.0f} MiB, ever {growth:.3f} of that")
            print("  MiB by hour: " + " ".join(f"{by_hour[hour] / 1024:.0f}" for hour in sorted(by_hour)))
    return flat


def judge(work: Path) -> None:
    """What was told of what was placed, and what besides, as far as it was heard."""
    seconds = Hearing(work, "killed").heard()
    with (work / "placed.csv").open(newline="") as file:
        placed = [Placed(float(at), float(length), names, name) for at, length, names, name in csv.reader(file)]
    placed = [one for one in placed if one.at + one.seconds < seconds]
    begins = [line for line in lines_of(work / "killed.jsonl") if line["event"] == "begin"]
    within = [[line for line in begins if one.at - 1 <= line["start"] <= one.at + one.seconds + 1] for one in placed]
    named = [
        any(kin(line["tags"][0]["label"], name) for line in lines for name in one.names.split(";"))
        for one, lines in zip(placed, within, strict=True)
    ]
    numbers = {line["number"] for lines in within for line in lines}
    rest = Counter(line["tags"][0]["label"] for line in begins if line["number"] not in numbers)
    print(f"{len(placed)} sounds placed: {sum(map(bool, within))} told, {sum(named)} by their name")
    print(
        f"told besides: {sum(rest.values())}, {sum(rest.values()) * 3600 / seconds:.1f} an hour: {rest.most_common(12)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--events", type=int, default=250)
    parser.add_argument("--alone", type=float, default=float("inf"), metavar="HOURS", help="heard in one go")
    parser.add_argument("--report", action="store_true", help="only what was found so far")
    flags = parser.parse_args()
    seconds = round(flags.hours * 3600)
    if not flags.report:
        flags.work.mkdir(parents=True, exist_ok=True)
        make(flags.corpus, flags.work, seconds, flags.events)
        with_kills(flags.work, seconds, flags.kills)
        in_one_go(flags.work, flags.alone * 3600)
    judge(flags.work)
    return 0 if compare(flags.work) & memory(flags.work) else 1


if __name__ == "__main__":
    sys.exit(main())
