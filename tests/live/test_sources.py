"""Where live sound comes from: nothing is lost unsaid, and what breaks is taken up again."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli.audio.decode import read_sound
from samcli.engine.inputs.find import Input
from samcli.errors import InputError
from samcli.live.capture import TOO_SLOW, Capture, Missing, News, Remark
from samcli.live.stream import Address, Recording, is_address, shown

RATE = 16_000


class Given:
    """A source that gives what it is told to."""

    name, keeps_time = "given", True

    def __init__(self, news: list[News], waits: bool) -> None:
        self._news, self.waits = news, waits
        self.given = threading.Event()

    def news(self, skip: int) -> Iterator[News]:
        yield from self._news
        self.given.set()


def seconds(count: int) -> list[News]:
    return [np.full(RATE, number, np.float32) for number in range(count)]


def test_what_finds_no_room_is_told() -> None:
    source = Given([*seconds(10), Remark("x"), np.zeros(1, np.float32)], waits=False)
    with Capture(source, RATE, room_seconds=4.0) as capture:
        assert source.given.wait(60)  # nobody listened meanwhile
        found = list(capture.until(threading.Event()))
    waves = [news for news in found if isinstance(news, np.ndarray)]
    assert [int(wave[0]) for wave in waves[:4]] == [0, 1, 2, 3]
    gaps = [news for news in found if isinstance(news, Missing)]
    assert {gap.why for gap in gaps} == {TOO_SLOW}
    lost = sum(gap.seconds for gap in gaps)
    assert sum(map(len, waves)) / RATE + lost == pytest.approx(10 + 1 / RATE)


def test_what_is_lost_is_lost_in_one_piece() -> None:
    """A full room is half emptied first: where twice as much comes as is heard, not every second block is a gap."""
    capture = Capture(Given([], waits=False), RATE, room_seconds=4.0)
    for wave in seconds(5):
        capture._put(wave)
    heard: list[News] = []
    for news in itertools.islice(capture.until(threading.Event()), 4):
        heard.append(news)
        for wave in seconds(2):
            capture._put(wave)
    gaps = [news for news in (*heard, *capture._news) if isinstance(news, Missing)]
    assert [gap.seconds for gap in gaps] == [5.0]


def test_a_source_that_can_wait_loses_nothing() -> None:
    with Capture(Given(seconds(30), waits=True), RATE, room_seconds=2.0) as capture:
        found = []
        for news in capture.until(threading.Event()):
            assert capture.behind <= 2.0
            found.append(int(news[0]) if isinstance(news, np.ndarray) else -1)
    assert found == list(range(30))


def test_what_breaks_a_source_is_raised_after_its_sound() -> None:
    class Broken(Given):
        def news(self, skip: int) -> Iterator[News]:
            yield from super().news(skip)
            raise InputError("gone", "gone")

    heard = []
    with Capture(Broken(seconds(3), waits=True), RATE) as capture, pytest.raises(InputError, match="gone"):
        for news in capture.until(threading.Event()):
            heard.append(news)
    assert len(heard) == 3


def test_a_recording_goes_on_where_it_stopped(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 25 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    item = Input(str(tmp_path / "a.wav"), "a.wav", None, "a.wav")
    for skip in (0, 7, 11 * RATE + 3, 25 * RATE):
        rest = [news for news in Recording(item, RATE, None).news(skip) if isinstance(news, np.ndarray)]
        assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *rest]), wave[skip:])


def test_a_pace_is_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(4 * RATE, np.float32), RATE)
    item = Input(str(tmp_path / "a.wav"), "a.wav", None, "a.wav")
    began = time.monotonic()
    blocks = list(Recording(item, RATE, 8.0).news(0))
    assert time.monotonic() - began >= 0.49 and len(blocks) == 40


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """Three seconds of sound at an address, on each request; and the requests so far."""
    file = io.BytesIO()
    wave = np.random.default_rng(1).uniform(-0.3, 0.3, 3 * RATE).astype(np.float32)
    soundfile.write(file, wave, RATE, format="FLAC")
    requests: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(len(requests))
            if len(requests) == 2:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "audio/flac")
            self.end_headers()
            self.wfile.write(file.getvalue())

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/radio", requests
        http.shutdown()


def test_a_lost_connection_is_made_anew_and_said_once(server: tuple[str, list[int]]) -> None:
    address, requests = server
    pauses: list[float] = []
    heard, kinds = 0, []
    for news in Address(address, RATE, sleep=pauses.append).news(0):
        if isinstance(news, np.ndarray):
            heard += len(news)
            if heard > 4 * RATE:
                break
        else:
            kinds.append(type(news))
    # Lost, refused once, there again: one sentence for each way, and the time between counts as missed.
    assert kinds == [Remark, Missing, Remark] and pauses == [1.0, 2.0] and len(requests) >= 3


def test_an_address_that_is_wrong_is_an_error() -> None:
    with pytest.raises(InputError, match="cannot be heard"):
        next(Address("http://127.0.0.1:9/none", RATE).news(0))


def test_an_address_does_not_read_this_machine(tmp_path: Path, server: tuple[str, list[int]]) -> None:
    soundfile.write(tmp_path / "secret.wav", np.zeros(RATE, np.float32), RATE)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(playlist)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        with pytest.raises(InputError):
            next(Address(f"http://127.0.0.1:{http.server_address[1]}/list.m3u8", RATE).news(0))
        http.shutdown()
    assert len(read_sound(tmp_path / "secret.wav", RATE)) == RATE


def test_what_an_address_is() -> None:
    assert is_address("rtsp://camera/1") and is_address("HTTPS://radio/x.mp3")
    assert not any(map(is_address, ["a.wav", "file:///etc/passwd", "concat://x", "x:y"]))
    assert shown("rtsp://me:secret@camera/1") == "rtsp://camera/1"
