"""The server: answers equal to the program's, many at once; and what a stranger may not do."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import samcli
from samcli.audio import read_sound
from samcli.engine.options import RunOptions
from samcli.serving.desk import Desk, Order
from samcli.serving.gate import Rules
from samcli.serving.http.app import Settings, application
from samcli.serving.http.bodies import AllowList
from samcli.writers.formats import to_json
from tests.serving.conftest import DEMO

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CLIPS = {path.name: path.read_bytes() for path in sorted(DEMO.glob("*.opus"))}
LIVE = "ws://127.0.0.1/v1/live"
DOG, HERE = CLIPS["dog.opus"], "http://127.0.0.1"


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(application(desk, Rules(most_bytes=1 << 20)), base_url=HERE) as client:
        yield client


def own(nano: samcli.Sam, name: str, task: str, **options: Any) -> list[dict[str, Any]]:
    """What the program writes of a clip."""
    records = nano.run(DEMO / name, task, options=RunOptions(**options))
    return [json.loads(to_json(record)) | {"path": name} for record in records]


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_answers_are_the_programs_own(client, nano):
    requests = [
        ("tag", {"top_k": "3"}, {"top_k": 3}), ("tag", {"labels": "Dog,Siren"}, {"labels": ("Dog", "Siren")}),
        ("caption", {}, {}), ("ask", {"question": "is there a dog?"}, {"question": "is there a dog?"}),
    ]  # fmt: skip
    with ThreadPoolExecutor(len(requests)) as pool:  # all at once
        posts = [
            pool.submit(client.post, f"/v1/{task}", data=wishes, files={"file": ("dog.opus", DOG)})
            for task, wishes, _ in requests
        ]
    for (task, _, options), post in zip(requests, posts, strict=True):
        assert post.result().status_code == 200, post.result().text
        assert post.result().headers["content-type"].startswith("application/x-ndjson")
        assert lines(post.result()) == own(nano, "dog.opus", task, **options)
    events = client.post("/v1/events", files={"file": ("dog.opus", DOG)}, headers={"accept": "application/json"})
    assert events.json() == own(nano, "dog.opus", "tag", timeline=True)
    array = client.post("/v1/tag?segment=2", files={"file": ("dog.opus", DOG)}, headers={"accept": "application/json"})
    assert array.json() == own(nano, "dog.opus", "tag", segment=2.0)


def test_segments_of_an_upload_come_as_they_are_heard(desk, nano, monkeypatch):
    """The first lines are at the client's while the end of the recording still waits to be decoded."""
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 12 * 16_000).astype(np.float32)
    sound = io.BytesIO()
    soundfile.write(sound, wave, 16_000, format="WAV")
    told, may_end = threading.Event(), threading.Event()
    taken = Order.see

    def see(order: Order, item: Any, piece: Any) -> None:
        taken(order, item, piece)
        if piece.start >= 10 * nano.model.sample_rate:
            assert may_end.wait(200)

    monkeypatch.setattr(Order, "see", see)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message.get("body"):
                told.set()
            await send(message)

        await application(desk, Rules())(scope, receive, sent)

    with TestClient(app, base_url=HERE) as client, ThreadPoolExecutor(1) as pool:
        post = pool.submit(client.post, "/v1/tag?segment=2&top_k=1", files={"file": ("a.wav", sound.getvalue())})
        assert told.wait(200) and not post.done()
        may_end.set()
        records = lines(post.result(200))
    assert [(one["start"], one["end"]) for one in records] == [(at, at + 2) for at in range(0, 12, 2)]
    assert [one["duration"] for one in records] == [one["covered"] for one in records] == list(range(2, 13, 2))


def test_several_files_and_bare_bodies(client, nano):
    several = client.post("/v1/caption", files=[("file", (name, data)) for name, data in CLIPS.items()])
    assert [line["path"] for line in lines(several)] == list(CLIPS)
    assert lines(several) == [line for name in CLIPS for line in own(nano, name, "caption")]
    bare = client.post("/v1/tag?top_k=1", content=DOG, headers={"content-type": "audio/ogg"})
    assert lines(bare)[0]["tags"] == own(nano, "dog.opus", "tag", top_k=1)[0]["tags"]


def test_as_localai_has_it(client, nano):
    answer = client.post(
        "/v1/audio/classification", data={"model": "sam-nano", "top_k": "2"}, files={"file": ("dog.opus", DOG)}
    ).json()
    tags = nano.tag(DEMO / "dog.opus", top_k=2).tags
    assert answer["model"] == "sam-nano"
    assert answer["detections"] == [
        {"index": nano.labels.index(tag.label), "label": tag.label, "score": tag.score} for tag in tags
    ]
    other = client.post("/v1/audio/classification", data={"model": "ced"}, files={"file": ("dog.opus", DOG)})
    assert other.status_code == 404 and "sam-nano" in other.json()["error"]["message"]


BAD = [
    ("/v1/tag", {"content": b""}, 400), ("/v1/tag", {"content": b"no sound at all"}, 422),
    ("/v1/tag", {"content": DOG[:300]}, 422), ("/v1/tag", {"content": b"RIFF\xff\xff\xff\xffWAVEfmt "}, 422),
    ("/v1/tag?top_k=0", {"content": DOG}, 400), ("/v1/tag?top_k=99999999999999999999", {"content": DOG}, 400),
    ("/v1/tag?threshold=nan", {"content": DOG}, 400), ("/v1/tag?labels=no+such+sound", {"content": DOG}, 400),
    ("/v1/tag?segment=inf", {"content": DOG}, 400), ("/v1/caption?top_k=3", {"content": DOG}, 400),
    ("/v1/ask", {"content": DOG}, 400), ("/v1/ask?question=+", {"content": DOG}, 400),
    ("/v1/tag?refine_with=/etc", {"content": DOG}, 400), ("/v1/tag", {"data": {"file": "x"}}, 415),
    ("/v1/tag", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
    ("/v1/tag", {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400),
    ("/v1/tag", {"files": [("file", ("a", DOG))] * 40}, 400), ("/v1/tag", {"json": [1]}, 400),
    ("/v1/tag", {"json": {"url": "file:///etc/passwd"}}, 403), ("/v1/tag", {"json": {"url": HERE}}, 403),
    ("/v1/tag", {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400),
    ("/v1/tag", {"content": b"x" * (1 << 21)}, 413), ("/v1/nothing", {"content": DOG}, 404),
    ("/v1/tag", {"content": DOG, "headers": {"origin": "https://evil.example"}}, 403),
    ("/v1/tag", {"content": DOG, "headers": {"host": "evil.example"}}, 421),
]  # fmt: skip


@pytest.mark.parametrize(("path", "request_", "status"), BAD)
def test_what_is_wrong_is_told(client, path, request_, status):
    answer = client.post(path, **request_)
    assert answer.status_code == status, answer.text
    told = lines(answer)[0]["error"]
    assert told["type"] and told["message"] and "Traceback" not in answer.text


def test_a_token_is_asked_for(desk):
    with TestClient(application(desk, Rules(token="secret")), base_url=HERE) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/metrics").status_code == 401
        refused = client.post("/v1/tag", content=DOG, headers={"authorization": "Bearer wrong"})
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics", headers={"authorization": "Bearer secret"}).status_code == 200
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(LIVE):
            pass


def test_a_full_queue_says_when_to_come_again(nano):
    full = Desk(nano.model, most=0)
    with TestClient(application(full, Rules()), base_url=HERE) as client:
        answer = client.post("/v1/tag", content=DOG)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1


def test_what_is_not_heard_in_time_is_given_up(nano):
    idle = Desk(nano.model)  # nobody works in it
    with TestClient(application(idle, Rules(), Settings(answer_seconds=1.0)), base_url=HERE) as client:
        assert client.post("/v1/tag", content=DOG).status_code == 504
    assert idle.waiting == 0


def test_what_is_answered_no_longer_waits(nano, monkeypatch):
    """However long the desk takes to let an order go."""
    let_go = Desk._leave
    monkeypatch.setattr(Desk, "_leave", lambda desk, order: (time.sleep(0.3), let_go(desk, order)))
    with Desk(nano.model) as desk, TestClient(application(desk, Rules()), base_url=HERE) as client:
        client.post("/v1/tag", content=DOG)
        assert "sam_orders_waiting 0.0" in client.get("/metrics").text


def test_figures_and_pages(client):
    client.post("/v1/tag", content=DOG)
    figures = client.get("/metrics").text
    assert 'sam_requests_total{path="/v1/tag",status="200"}' in figures and "sam_orders_waiting 0.0" in figures
    page = client.get("/").text
    assert "/v1/audio/classification" in page and "<script" not in page
    assert client.get("/openapi.json").json()["openapi"] == "3.1.0"
    assert client.get("/health").json()["model"] == "sam-nano"


class Sounds(BaseHTTPRequestHandler):
    """A site with one sound, and a way out of it."""

    def do_GET(self) -> None:
        if self.path == "/ok/away.opus":
            self.send_response(302)
            self.send_header("Location", "/secret/dog.opus")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(DOG)

    def log_message(self, *rest: Any) -> None:
        pass


def test_addresses_come_from_the_allowed_places_only(desk):
    site = ThreadingHTTPServer(("127.0.0.1", 0), Sounds)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    place = f"{HERE}:{site.server_port}"
    settings = Settings(allow=[f"{place}/ok/"])
    with TestClient(application(desk, Rules(), settings), base_url=HERE) as client:
        answers = {
            way: client.post("/v1/caption", json={"url": f"{place}{way}"})
            for way in ("/ok/dog.opus", "/secret/dog.opus", "/ok/../secret/dog.opus", "/ok/%2e%2e/x", "/ok/away.opus")
        }
    site.shutdown()
    site.server_close()
    assert [answer.status_code for answer in answers.values()] == [200, 403, 403, 403, 502]
    assert lines(answers["/ok/dog.opus"])[0]["caption"]


@pytest.mark.parametrize(
    "address",
    ["http://a.example/x", "https://a.example:444/x", "https://b@a.example/x", "https://a.example.evil/x",
     "https://a.example/xy", "https://a.example/x/%252e%252e/y", "https://a.example/x\\..\\y", "https://[/x", "//x"],
)  # fmt: skip
def test_addresses_beside_the_allowed_are_refused(address):
    assert not AllowList.of(["https://a.example/x"]).admits(address)


def test_live_sound_gives_a_record_for_every_segment(client, nano):
    wave = read_sound(DEMO / "dog.opus", 16_000)
    samples = (np.clip(wave, -1, 1) * 32767).astype("<i2")
    told = []
    with client.websocket_connect(f"{LIVE}?task=caption&segment=2&rate=16000") as socket:
        for at in range(0, len(samples), 5000):
            socket.send_bytes(samples[at : at + 5000].tobytes())
        socket.send_text("end")
        while "end" not in (message := json.loads(socket.receive_text())) or "schema" in message:
            told.append(message)
    assert [(one["start"], one["end"]) for one in told] == [(0, 2), (2, 4), (4, pytest.approx(len(wave) / 16_000))]
    first = nano.caption(samples[: 2 * 16_000].astype(np.float32) / 32768, rate=16_000)
    assert told[0]["caption"] == first.caption and told[0]["path"] == "live"


@pytest.mark.parametrize("query", ["task=dance", "rate=1", "rate=x", "segment=0", "top_k=-1"])
def test_live_refuses_in_words(client, query):
    with client.websocket_connect(f"{LIVE}?{query}") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert closed.value.code == 1008 and closed.value.reason


def test_the_command_refuses_what_cannot_be(here):
    open_to_all = here("serve", "--host", "0.0.0.0")
    assert open_to_all.returncode == 2 and b"token" in open_to_all.stderr
    assert here("serve", "--allow", "ftp://x").returncode == 2


def test_noise_of_every_kind_is_answered(client):
    noise = io.BytesIO(np.random.default_rng(0).bytes(10_000))
    assert client.post("/v1/events", files={"file": ("../../etc/passwd\n", noise)}).status_code == 422


def test_a_busy_desk_asks_live_sound_to_come_again(nano):
    idle = Desk(nano.model, most=1)  # nobody works in it
    client = TestClient(application(idle, Rules()), base_url=HERE)
    with client, client.websocket_connect(f"{LIVE}?segment=1") as socket:
        socket.send_bytes(bytes(4 * 32_000))
        with pytest.raises(WebSocketDisconnect) as gone:
            socket.receive_text()
    assert gone.value.code == 1013
