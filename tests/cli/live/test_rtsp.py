"""`sam live rtsp://...` with a real server that dies and comes back."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT, Sam

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SERVER = ROOT / "tests/live/rtsp_server.py"
NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
ALWAYS = ("--labels", "Dog,Siren,Rain", "--threshold", "0.3", "--model", "tiny-random")


@pytest.fixture(scope="module")
def python() -> str:
    """One that has GStreamer: mostly the system's."""
    for path in (sys.executable, "/usr/bin/python3"):
        if Path(path).exists() and subprocess.run([path, "-c", NEEDS], capture_output=True).returncode == 0:
            return path
    pytest.skip("GStreamer's RTSP server is not installed: gir1.2-gst-rtsp-server-1.0, python3-gi")


@contextmanager
def serving(python: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen([python, SERVER, str(port)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        yield server
    finally:
        server.kill()
        server.communicate()


def refusals(port: int, count: int) -> list[float]:
    """When somebody came, so many times, to a door behind which nobody is."""
    times = []
    with socket.create_server(("127.0.0.1", port)) as door:
        door.settimeout(300)
        for _ in range(count):
            visitor, _ = door.accept()
            times.append(time.monotonic())
            visitor.close()
    return times


def test_a_camera_that_goes_and_comes_back(sam: Sam, python: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    remarks: list[bytes] = []
    there_again = threading.Event()

    def read(errors: Iterator[bytes]) -> None:
        for line in errors:
            remarks.append(line)
            if b"there again" in line:
                there_again.set()

    with serving(python, port):
        running = sam.start("live", f"rtsp://me:secret@127.0.0.1:{port}/sound", *ALWAYS)
        assert running.stdout is not None and running.stderr is not None
        reader = threading.Thread(target=read, args=(running.stderr,), daemon=True)
        reader.start()
        first = json.loads(running.stdout.readline())
        assert first["event"] == "begin" and first["path"] == f"rtsp://127.0.0.1:{port}/sound"
    came = refusals(port, 4)
    pauses = [after - before for before, after in itertools.pairwise(came)]
    assert all(pause >= least for pause, least in zip(pauses, (1.9, 3.9, 7.9), strict=True)), pauses
    with serving(python, port):
        assert there_again.wait(300)
        for line in running.stdout:
            told = json.loads(line)
            if told["event"] == "gap":
                break
        assert told["end"] - told["start"] >= 14 and "connection was lost" in told["warning"]
        running.send_signal(signal.SIGINT)
        assert running.wait(100) == 130
    reader.join(100)
    said = b"".join(remarks)
    assert said.count(b"was lost (") == 1 and said.count(b"is there again") == 1 and b"secret" not in said
