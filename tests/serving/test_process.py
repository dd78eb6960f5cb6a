"""The server as a process: it starts on a free port, answers many at once, and ends in order."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import DEMO

pytest.importorskip("starlette")
CLIPS = {path.name: path.read_bytes() for path in sorted(DEMO.glob("*.opus"))}


@contextmanager
def serving(sam: Any, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server and its port."""
    process = sam.start("serve", "--port", "0", *flags)
    try:
        line = process.stderr.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, line + process.stderr.read().decode()
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def posted(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=250)
    try:
        connection.request("POST", path, body, {"content-type": "audio/ogg"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_small_load_is_answered_and_a_stop_lets_it_end(sam, here):
    with serving(sam, "--max-mb", "1", "--page") as (process, port):
        assert b'id="drop"' in page(port, "/")
        clips = list(CLIPS) * 4
        with ThreadPoolExecutor(len(clips)) as pool:
            answers = list(pool.map(lambda name: posted(port, "/v1/tag", CLIPS[name]), clips))
        assert {status for status, _ in answers} == {200}
        done = here("tag", DEMO, "-f", "jsonl")
        own = {Path(record["path"]).name: record["tags"] for record in map(json.loads, done.stdout.splitlines())}
        assert [json.loads(body)["tags"] for _, body in answers] == [own[name] for name in clips]
        with ThreadPoolExecutor(1) as pool:
            last = pool.submit(posted, port, "/v1/events", CLIPS["dog.opus"])
            while b"sam_orders_waiting 1.0" not in page(port) and not last.done():
                time.sleep(0.01)
            assert endless(port)[:12] in (b"HTTP/1.1 413", b"")
            process.send_signal(signal.SIGTERM)
            assert last.result()[0] == 200
        assert process.wait(120) == 143


def endless(port: int) -> bytes:
    """The answer to a body that has no end; nothing where the connection was cut before it could be read."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as place:
        place.sendall(b"POST /v1/tag HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not select.select([place], [], [], 0)[0]:
                place.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            return place.recv(1000)
    return b""


def page(port: int, path: str = "/metrics") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident megabytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def computed(pid: int | str) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.stress
@pytest.mark.timeout(1200)
def test_fifty_clients_for_minutes(cold, tmp_path, capsys):
    """No request fails, memory stays flat, and the server hears as much a second of processor time as `sam tag`."""
    import os
    import resource

    clients, seconds = 50, float(os.environ.get("SAM_LOAD_SECONDS", "300"))
    folder = tmp_path / "many"
    folder.mkdir()
    count = int(os.environ.get("SAM_LOAD_FILES", "600"))
    for number in range(count):
        name = list(CLIPS)[number % 3]
        (folder / f"{number:04d}-{name}").write_bytes(CLIPS[name])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    assert cold("tag", folder, "-o", "tags.jsonl").returncode == 0
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with serving(cold, "--queue", "100") as (process, port):
        posted(port, "/v1/tag", CLIPS["dog.opus"])
        sizes, at, start, done, failed = [], computed(process.pid), time.monotonic(), 0, 0
        ends = start + seconds

        def client(number: int) -> None:
            nonlocal done, failed
            while time.monotonic() < ends:
                status, _ = posted(port, "/v1/tag", list(CLIPS.values())[number % 3])
                done, failed = done + 1, failed + (status != 200)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            sizes.append(memory(process))
            time.sleep(1)
        took, used = time.monotonic() - start, computed(process.pid) - at
    figures = {
        "requests": done, "failed": failed, "a second": round(done / took, 2),
        "sam tag a second": round(count / wall, 2), "processor seconds each": round(used / done, 4),
        "of sam tag, with its start": round(spent / count, 4), 
        "memory": [round(sizes[len(sizes) // 4]), round(sizes[-1])],
    }  # fmt: skip
    with capsys.disabled():
        print("\n", figures)
    assert failed == 0 and sizes[-1] < 1.15 * sizes[len(sizes) // 4]


@pytest.mark.stress
def test_those_who_say_nothing_are_hung_up_on(sam):
    """Two hundred connections that send a byte now and then keep nobody else out, and are closed."""
    with serving(sam) as (_, port):
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        for place in silent:
            place.sendall(b"POST /v1/tag HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert posted(port, "/v1/tag", CLIPS["dog.opus"])[0] == 200
        half = socket.create_connection(("127.0.0.1", port))
        half.sendall(b"POST /v1/tag HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nOggS")
        half.settimeout(60)
        for place in silent:
            place.settimeout(60)
            assert place.recv(100) == b""
            place.close()
        assert b"408" in half.recv(1000)
        half.close()
        assert posted(port, "/v1/tag", CLIPS["dog.opus"])[0] == 200
