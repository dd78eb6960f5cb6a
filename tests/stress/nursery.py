"""Runs of the program that begin with its libraries loaded: a process that has imported them forks for each.

From the fork on a run is the program, from the reading of its arguments to the end of its interpreter; what it is
spared are the seconds of imports in which it has not touched a file yet.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

LOADED = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
import huggingface_hub, numpy, safetensors.torch, soundfile, soxr, tokenizers, torch
import samcli.audio.decode, samcli.checkpoints.hub_client, samcli.checkpoints.loading, samcli.checkpoints.tiny
import samcli.cli.app, samcli.models.encoders.dass, samcli.tasks.run
from samcli.launcher import main

def live(command, out, err):
    for place, number, how in ((os.devnull, 0, os.O_RDONLY), (out, 1, os.O_WRONLY), (err, 2, os.O_WRONLY)):
        os.dup2(os.open(place, how if place == os.devnull else how | os.O_CREAT | os.O_TRUNC, 0o644), number)
    sys.argv = ["sam", *command]
    main()
"""

# Reads a command a line. Tells the number of each process it forks, and how that process ended.
NURSE = f"""{LOADED}
while line := sys.stdin.buffer.readline():
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # not what Python made of it for the nurse
        live(json.loads(line), os.devnull, "said")
    print(child, flush=True)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # its number is nobody else's until the next is asked for
    print("ended", flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if sys.stdin.buffer.readline() else "", flush=True)
"""

# Forks so many at once, and tells how each ended.
LITTER = f"""{LOADED}
children = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        live(sys.argv[3:], f"out{{number}}", f"err{{number}}")
    children.append(child)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


def litter(
    count: int, command: Sequence[str], environment: dict[str, str], folder: Path
) -> list[tuple[int, bytes, bytes]]:
    """So many runs of one command at once: the exit code of each, and what it wrote."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LITTER, str(ROOT), str(count), *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    codes = json.loads(done.stdout)
    return [
        (code, (folder / f"out{number}").read_bytes(), (folder / f"err{number}").read_bytes())
        for number, code in enumerate(codes)
    ]


class Nursery:
    """start("tag", "in"): a run as `subprocess.Popen` would give it, one at a time."""

    def __init__(self, sam: Any) -> None:
        self.folder: Path = sam.folder
        self.nurse = subprocess.Popen(
            [sys.executable, "-c", NURSE, str(ROOT)],
            cwd=sam.folder,
            env=sam.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *error: object) -> None:
        self.nurse.kill()
        self.nurse.communicate()

    def start(self, *arguments: str, **_: Any) -> Newborn:
        return Newborn(self, arguments)

    def tell(self, words: object) -> None:
        assert self.nurse.stdin is not None
        self.nurse.stdin.write(json.dumps(words).encode() + b"\n")
        self.nurse.stdin.flush()

    def hear(self) -> str:
        assert self.nurse.stdout is not None
        return self.nurse.stdout.readline().decode().strip()

    def silent(self) -> bool:
        assert self.nurse.stdout is not None
        return not select.select([self.nurse.stdout], [], [], 0)[0]


class Newborn:
    """A run under way, with as much of Popen as a test of stops needs."""

    def __init__(self, nursery: Nursery, arguments: tuple[str, ...]) -> None:
        self.nursery = nursery
        self.returncode: int | None = None
        nursery.tell(arguments)
        self.pid = int(nursery.hear())

    def poll(self) -> int | None:
        if self.returncode is None and not self.nursery.silent():
            self._end()
        return self.returncode

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)  # at worst it has just ended, and its number is still its own

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        if self.returncode is None:
            assert timeout is None or select.select([self.nursery.nurse.stdout], [], [], timeout)[0], "it hangs"
            self._end()
        return b"", (self.nursery.folder / "said").read_bytes()

    def _end(self) -> None:
        assert self.nursery.hear() == "ended"
        self.nursery.tell("how")
        self.returncode = int(self.nursery.hear())
