"""Hours at a microphone: nothing may be lost, on a busy machine either.

    python tests/bench/microphone.py SOUND WORK [MINUTES]

SOUND is a file as long as MINUTES (60). PulseAudio plays it to a speaker that does not exist, and `sam live --input`
hears that as its microphone, in real time, with its state kept in WORK. Start it beside whatever is to be the load, and
on the core that is to be judged (`taskset -c 1`). It prints what was told of lost sound, how many seconds came in
against those the clock saw, and what it took. It needs pulseaudio, paplay, pactl and PortAudio. Exit code 1 if sound
was lost.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samcli.live.state import read_state

RATE = 32_000
SLACK = 5.0  # seconds that may wait to be heard when it is asked how many came in


@contextmanager
def speaker(work: Path) -> Iterator[dict[str, str]]:
    """A sound server whose only output is heard by its only microphone: the environment that finds it."""
    home = {"HOME": str(work), "XDG_RUNTIME_DIR": str(work), "PULSE_RUNTIME_PATH": str(work / "pulse")}
    modules = (
        f"module-native-protocol-unix socket={work}/sock auth-anonymous=1",
        f"module-null-sink sink_name=s rate={RATE}",
    )
    loaded = [word for module in modules for word in ("-L", module)]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", *loaded], env={**os.environ, **home}
    )
    found = {**os.environ, **home, "PULSE_SERVER": f"unix:{work}/sock", "PULSE_SOURCE": "s.monitor", "PULSE_SINK": "s"}
    try:
        listed = ["pactl", "list", "short", "sources"]
        while b"s.monitor" not in subprocess.run(listed, env=found, capture_output=True).stdout:
            if server.poll() is not None:
                sys.exit("PulseAudio does not start here.")
            time.sleep(0.2)
        yield found
    finally:
        server.terminate()
        server.wait()


def hear(sound: Path, work: Path, seconds: float) -> tuple[float, float]:
    """Seconds by the clock, from the first state to the last, and seconds that came in between."""
    state = work / "hour.state"
    kept = ["--state", str(state), "--state-every", "5", "-o", str(work / "hour.jsonl")]
    command = [sys.executable, "-m", "samcli", "live", "--input", "pulse", "--offline", *kept]
    with speaker(work) as environment, (work / "hour.log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        while running.poll() is None and position(state) == 0:  # it is loaded, and hears
            time.sleep(0.2)
        player = subprocess.Popen(["paplay", str(sound)], env=environment)
        began, first = mark(state, running)
        while running.poll() is None and time.time() - began < seconds:
            time.sleep(1)
        ended, last = mark(state, running)
        player.kill()
        running.terminate()
        running.wait()
        player.wait()
    return ended - began, last - first


def position(state: Path) -> float:
    """Seconds that had come in when it was saved."""
    return read_state(state).values["position"] / RATE if state.exists() else 0.0


def mark(state: Path, running: subprocess.Popen[bytes]) -> tuple[float, float]:
    """The moment of the next saving, and the seconds that had come in by then."""
    before = state.stat().st_mtime
    while state.stat().st_mtime == before:
        if running.poll() is not None:
            sys.exit("sam live has ended: see hour.log")
        time.sleep(0.02)
    return state.stat().st_mtime, position(state)


def main(sound: Path, work: Path, minutes: float) -> int:
    work.mkdir(parents=True, exist_ok=True)
    for name in ("hour.state", "hour.jsonl"):
        (work / name).unlink(missing_ok=True)
    clock, heard = hear(sound, work.resolve(), 60 * minutes)
    lines = [json.loads(line) for line in (work / "hour.jsonl").read_text().splitlines()]
    kinds = Counter(line["event"] for line in lines)
    missed = read_state(work / "hour.state").values["statistics"]["missed"]
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"by the clock {clock:.2f} s, came in {heard:.2f} s; told as lost: {missed:.3f} s in {kinds['gap']} gaps")
    print(
        f"told: {dict(kinds)}; {(spent.ru_utime + spent.ru_stime) / clock:.1%} of a core with player and sound server"
    )
    print(f"said: {(work / 'hour.log').read_text().strip() or 'nothing'}")
    return int(missed > 0 or kinds["gap"] > 0 or abs(clock - heard) > SLACK)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 60.0))
