"""Runs of the program that begin with its libraries loaded: a process that has imported them forks for each.

From the fork on a run is the program, from its own first import to the end of its interpreter. What it is spared is
loading torch and numba, two seconds of a processor that are the same every time. A run whose very start matters, or
that needs a function called or a variable set before Python starts, is not for this.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 1 << 17  # of a request: arguments and variables


class Nursery:
    """start(["tag", "in"], folder, environment): a run as `subprocess.Popen` would give it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.nurse = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def start(self, arguments: Sequence[str], folder: Path, environment: dict[str, str], **streams: Any) -> Run:
        run = Run(arguments)
        passed = [run.end_of(name, streams.get(name, subprocess.PIPE)) for name in ("stdin", "stdout", "stderr")]
        told, tells = os.pipe()
        request = json.dumps([arguments, str(folder), environment]).encode()
        socket.send_fds(self.door, [request], [*passed, tells])
        for number in (*run.lent, tells):
            os.close(number)
        run.told = os.fdopen(told, "rb", buffering=0)
        run.pid = int(run.told.readline())
        return run

    def close(self) -> None:
        self.door.close()
        self.nurse.wait()


class Run:
    """A run under way, with as much of Popen as the tests need."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.args, self.pid = list(arguments), 0
        self.told: Any = None  # its number, and later its exit code
        self.asking = threading.Lock()
        self.returncode: int | None = None
        self.lent: list[int] = []  # ours only until the run has them
        self.stdin: Any = None
        self.stdout: Any = None
        self.stderr: Any = None

    def end_of(self, name: str, wanted: Any) -> int:
        """The end of a stream that the run gets; of a pipe, the other one stays here."""
        if wanted not in (subprocess.PIPE, subprocess.DEVNULL):
            return wanted if isinstance(wanted, int) else wanted.fileno()
        if wanted == subprocess.DEVNULL:
            self.lent.append(os.open(os.devnull, os.O_RDWR))
        else:
            reading, writing = os.pipe()
            theirs, ours = (reading, writing) if name == "stdin" else (writing, reading)
            setattr(self, name, os.fdopen(ours, "wb" if name == "stdin" else "rb"))
            self.lent.append(theirs)
        return self.lent[-1]

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        while self.returncode is None:  # another thread may be asking, too
            if not select.select([self.told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self.asking:
                if self.returncode is None:
                    self.returncode = int(self.told.read())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        with ThreadPoolExecutor(2) as pool:
            said = [pool.submit(stream.read if stream and not stream.closed else bytes)
                    for stream in (self.stdout, self.stderr)]  # fmt: skip
            if self.stdin and not self.stdin.closed:
                with suppress(BrokenPipeError):
                    self.stdin.write(input or b"")
                with suppress(BrokenPipeError):
                    self.stdin.close()
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        return said[0].result(), said[1].result()


def nurse(door: socket.socket) -> None:
    """Fork for each request, twice: the first of the two stays to tell how the second, the program, ended."""
    sys.path[0] = str(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started with
    import av, numba, numpy, safetensors.torch, soundfile, soxr, tokenizers, torch  # noqa: E401, F401, I001

    gc.freeze()  # what is loaded is no garbage: to look it through would copy it for each run
    # What reads HF_HOME, COLUMNS and the like when it is imported is imported by each run.
    assert not {"huggingface_hub", "rich", "typer", "samcli"} & sys.modules.keys()
    while True:
        request, descriptors, *_ = socket.recv_fds(door, MOST_BYTES, 4)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not request:
            os._exit(0)  # what is loaded need not be taken apart
        if not os.fork():
            door.close()
            tells = descriptors[3]
            child = os.fork()
            if not child:
                os.close(tells)
                break
            for number in descriptors[:3]:
                os.close(number)
            os.write(tells, b"%d\n" % child)
            os.write(tells, b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            os._exit(0)
        for number in descriptors:
            os.close(number)
    program(*json.loads(request), descriptors[:3])


def program(arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """What `sam` does, with these streams, in this folder and environment."""
    for wanted, number in enumerate(streams):
        os.dup2(number, wanted)
        os.close(number)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        before = getattr(sys, name)
        made = open(number, mode, encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
        made.reconfigure(line_buffering=before is sys.stderr or made.line_buffering)
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["sam", *arguments]
    from samcli.launcher import main

    main()


if __name__ == "__main__":
    nurse(socket.socket(fileno=int(sys.argv[1])))
