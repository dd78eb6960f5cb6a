"""`sam live` as a person runs it: lines in a pipe, a picture on a terminal, a state that outlives a kill."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import soundfile

import samcli
from tests.conftest import Here, Sam
from tests.live.conftest import RATE, scene
from tests.terminal import on_a_terminal

TINY = ("--model", "tiny-random", "--offline")
LOUD = ("--labels", "Dog,Siren,Rain,Music,Speech,Bark,Bird,Water,Vehicle", "--threshold", "0.52", *TINY)


@pytest.fixture
def sound(tmp_path: Path) -> str:
    soundfile.write(tmp_path / "a.wav", scene(30, seed=3), RATE)
    return "a.wav"


def plain(lines: bytes | str) -> list[dict[str, Any]]:
    """Lines without what the clock on the wall says."""
    found = [json.loads(line) for line in lines.splitlines()]
    for one in found:
        del one["time"], one["until"]
    return found


def test_lines_in_a_pipe(here: Here, sound: str) -> None:
    done = here("live", sound, "--captions-every", "10", *LOUD)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["event"] for line in lines} == {"begin", "end", "caption"}
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    first = datetime.fromisoformat(lines[0]["time"]).timestamp() - lines[0]["start"]
    for line in lines:
        assert line["schema"] == 1 and line["path"] == sound and line["error"] is None
        assert datetime.fromisoformat(line["time"]).timestamp() - line["start"] == pytest.approx(first, abs=0.01)
        assert (line["until"] is None) == (line["event"] == "begin") == (line["end"] is None)
    assert plain(here("live", sound, "--captions-every", "10", "--realtime=50", *LOUD).stdout) == plain(done.stdout)
    samples = soundfile.read(here.folder / sound, dtype="int16")[0].tobytes()
    piped = here("live", "-", "--raw", f"s16le:{RATE}", *LOUD, input=samples)
    assert piped.returncode == 0 and len(plain(piped.stdout)) == sum(line["event"] != "caption" for line in lines)


def test_a_state_goes_on_and_answers(here: Here, sound: str, tmp_path: Path) -> None:
    first = here("live", sound, "--state", "day.state", "-o", "day.jsonl", *LOUD)
    assert first.returncode == 0 and first.stdout == b"", first.stderr
    lines = (tmp_path / "day.jsonl").read_text()
    assert plain(lines) == plain(here("live", sound, *LOUD).stdout)
    again = here("live", sound, "--state", "day.state", "-o", "day.jsonl", *LOUD)  # nothing is left to hear
    assert again.returncode == 0 and (tmp_path / "day.jsonl").read_text() == lines
    asked = here("ask", "was there a dog?", "day.state", "-f", "jsonl", *TINY)
    whole = here("ask", "was there a dog?", sound, "-f", "jsonl", *TINY)
    kept, heard = json.loads(asked.stdout), json.loads(whole.stdout)
    assert kept["path"] == "day.state" and kept["answer"]
    assert {**kept, "path": sound} == heard
    assert json.loads(here("caption", "day.state", "-f", "jsonl", *TINY).stdout)["caption"]
    homeless = here("caption", "day.state", "-o", "captions/", *TINY)
    assert homeless.returncode == 2 and b"Say which format" in homeless.stderr
    other = here("live", sound, "--state", "day.state", "--labels", "Dog", *TINY)
    assert other.returncode == 2 and b"other labels" in other.stderr
    wrong = here("ask", "was there a dog?", "day.state", "--offline")  # of another model
    assert wrong.returncode == 2 and b"tiny-random" in wrong.stderr and not wrong.stdout


def killed(start: Callable[..., Any], sound: Path, times: int, every: Callable[[], float], pace: str) -> None:
    """Start, kill without a word, start again; it ends by itself at last."""
    state = sound.with_name("k.state")
    command = ("live", sound.name, "--state", state.name, "-o", "k.jsonl", "--state-every", "0.2")
    for _ in range(times):
        running = start(*command, f"--realtime={pace}", *LOUD)
        before = state.stat().st_mtime_ns if state.exists() else 0
        while running.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
            time.sleep(0.02)
        time.sleep(every())
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL, "it ended before it was killed"
    running = start(*command, *LOUD)  # as fast as can be
    _, errors = running.communicate()
    assert running.returncode == 0, errors


def test_kill_loses_and_doubles_nothing(sam: Sam, here: Here, sound: str, tmp_path: Path) -> None:
    whole = plain(here("live", sound, *LOUD).stdout)
    killed(sam.start, tmp_path / sound, 1, lambda: 0.5, "10")
    assert plain((tmp_path / "k.jsonl").read_text()) == whole


@pytest.mark.stress
@pytest.mark.timeout(7200)
def test_twenty_kills(sam: Sam, here: Here, tmp_path: Path) -> None:
    """Of runs that begin with their libraries loaded: what is killed is the listening, and not the imports."""
    soundfile.write(tmp_path / "long.wav", scene(120, seed=9), RATE)
    whole = plain(here("live", "long.wav", *LOUD).stdout)
    chance = random.Random(9)
    killed(sam.start, tmp_path / "long.wav", 20, lambda: chance.uniform(0, 2), "2")
    assert plain((tmp_path / "k.jsonl").read_text()) == whole and len(whole) > 30


def test_a_command_on_an_event(here: Here, sound: str, tmp_path: Path) -> None:
    (tmp_path / "note.sh").write_text('#!/bin/sh\necho "$SAM_LABEL $SAM_EVENT" >> log\n')
    (tmp_path / "note.sh").chmod(0o755)
    acting = ("--exec", "./note.sh", "--save", "clips", "--save-limit", "2M")
    done = here("live", sound, *acting, *LOUD, "--labels", "Dog,Siren,Rain")  # few events: each runs a program
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    begun = sorted(line["tags"][0]["label"] + " begin" for line in lines if line["event"] == "begin")
    assert sorted((tmp_path / "log").read_text().splitlines()) == begun
    clips = sorted((tmp_path / "clips").iterdir())
    assert clips and sum(path.stat().st_size for path in clips) <= 2_000_000
    assert all(soundfile.info(path).samplerate == 32_000 for path in clips)


def test_ctrl_c_keeps_what_was_heard(sam: Sam, sound: str, tmp_path: Path) -> None:
    running = sam.start("live", sound, "--realtime", "--state", "day.state", *LOUD)
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["event"] == "begin"  # told while it lasts
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=100)
    assert running.returncode == 130 and b"goes on from day.state" in stderr
    assert (tmp_path / "day.state").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.wav",), "no file named"),
        (("http://127.0.0.1/x", "--offline"), "--offline"),
        (("a.wav", "--input", "0"), "--input"),
        (("a.wav", "--realtime=0"), "--realtime"),
        (("a.wav", "--realtime=fast"), "--realtime"),
        (("a.wav", "--captions-every", "1"), "--captions-every"),
        (("a.wav", "--exec-on", "never"), "--exec-on"),
        (("a.wav", "--save", "clips", "--save-limit", "much"), "--save-limit"),
        (("a.wav", "--labels", "Unicorn"), "Unicorn"),
        (("a.wav", "--mqtt", "host"), "--mqtt"),
    ],
)
def test_what_cannot_be_heard(here: Here, sound: str, arguments: tuple[str, ...], words: str) -> None:
    done = here("live", *arguments, *(TINY[:2] if "http" in arguments[0] else TINY))
    assert done.returncode == 2 and words in done.stderr.decode() and not done.stdout


def test_bad_sound_is_one_sentence(here: Here, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound, only words" * 9)
    done = here("live", "bad.wav", *LOUD)
    assert done.returncode == 1 and b"no sound file" in done.stderr and not done.stdout


@pytest.fixture
def speaker(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A sound server whose only output is heard by its only microphone: the environment that finds it."""
    if not all(map(shutil.which, ("pulseaudio", "paplay", "pactl"))):
        pytest.skip("PulseAudio is not installed")
    pytest.importorskip(
        "sounddevice", reason="sounddevice or PortAudio is not installed", exc_type=(ImportError, OSError)
    )
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PULSE_RUNTIME_PATH": str(tmp_path / "pulse")}
    socket = f"unix:{tmp_path}/sock"
    door = f"module-native-protocol-unix socket={tmp_path}/sock auth-anonymous=1"
    loaded = (door, "module-null-sink sink_name=s rate=32000")
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "-L", loaded[0], "-L", loaded[1]],
        env={"PATH": "/usr/bin:/bin", **home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {**home, "PULSE_SERVER": socket, "PULSE_SOURCE": "s.monitor", "PULSE_SINK": "s"}
    try:
        deadline = time.monotonic() + 60
        plain_path = {"PATH": "/usr/bin:/bin", **environment}
        command = ["pactl", "list", "short", "sources"]
        while b"s.monitor" not in subprocess.run(command, env=plain_path, capture_output=True).stdout:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("PulseAudio does not start here")
            time.sleep(0.1)
        yield environment
    finally:
        server.terminate()
        server.wait()


def test_a_microphone(sam: Sam, sound: str, speaker: dict[str, str]) -> None:
    listed = sam("live", "--list-devices", environment=speaker)
    if b"pulse" not in listed.stdout:
        pytest.skip("PortAudio does not know PulseAudio here")
    running = sam.start("live", "--input", "pulse", *LOUD, environment=speaker)
    playing = ["sh", "-c", "while :; do paplay a.wav || exit; done"]
    player = subprocess.Popen(playing, cwd=sam.folder, env={"PATH": "/usr/bin:/bin", **speaker})
    assert running.stdout is not None
    try:
        line = json.loads(running.stdout.readline())
        assert line["event"] in ("begin", "gap") and line["path"].startswith("pulse")
        assert abs(time.time() - datetime.fromisoformat(line["time"]).timestamp()) < 240
    finally:
        player.kill()
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=100)
    assert running.returncode == 130


def test_a_calm_picture(sam: Sam, here: Here, sound: str) -> None:
    code, seen = on_a_terminal(sam, "live", sound, "--realtime=20", *LOUD)
    assert code == 0 and "a.wav" in seen and " dB" in seen and "now" in seen and '"schema"' not in seen
    assert "\x1b[J" in seen  # it renews itself in place
    label = json.loads(here("live", sound, *LOUD).stdout.splitlines()[0])["tags"][0]["label"]
    assert label in seen


def test_a_dog_is_told_once(here: Here) -> None:
    """By the real model: what is a dog, a bark, a bow-wow and an animal at once."""
    dog = str(Path(samcli.__file__).parent / "data/demo/dog.opus")
    lines = plain(here("live", dog, "--offline").stdout)
    assert [(one["event"], one["tags"][0]["label"]) for one in lines] == [("begin", "Dog"), ("end", "Dog")]
    assert {"Dog", "Bark", "Animal"} <= {tag["label"] for tag in lines[1]["tags"]}
    every = plain(here("live", dog, "--offline", "--all").stdout)
    assert {"Dog", "Bark", "Animal"} <= {one["tags"][0]["label"] for one in every} and len(every) > 2
