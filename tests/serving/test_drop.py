"""The page that files are dropped into: what a browser shows of them, what it may do, and what needs a token."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
import uvicorn
from starlette.testclient import TestClient

from samcli.engine.options import RunOptions
from samcli.serving.desk import Desk
from samcli.serving.gate import OPEN_PATHS, Rules
from samcli.serving.http.app import Settings, application
from tests.report.conftest import browser, until  # noqa: F401
from tests.serving.conftest import DEMO

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
DOG = (DEMO / "dog.opus").read_bytes()
TOKEN = "open sesame"


def app(desk: Desk, page: bool = True) -> Any:
    return application(desk, Rules(TOKEN, open_paths=(*OPEN_PATHS, "/")), Settings(page=page))


def test_only_the_page_itself_needs_no_token(desk, nano):
    with TestClient(app(desk), base_url="http://127.0.0.1") as client:
        page = client.get("/")
        assert page.status_code == 200 and 'id="drop"' in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
        for path in ("/docs", "/openapi.json", "/metrics"):
            assert client.get(path).status_code == 401
        assert client.post("/page/heard", files={"file": ("dog.opus", DOG)}).status_code == 401
        client.headers["authorization"] = f"Bearer {TOKEN}"
        heard = client.post("/page/heard", files={"file": ("../20260512_043000.opus", DOG)}).json()
        facts, record = heard["facts"], nano.tag(DEMO / "dog.opus")
        assert [label for label, _ in facts["tags"]] == [tag.label for tag in record.tags]
        assert facts["words"][0][2] == nano.caption(DEMO / "dog.opus").caption
        events = nano.run(DEMO / "dog.opus", "tag", options=RunOptions(timeline=True))
        assert [event[0] for event in facts["events"]] == [one.tags[0].label for one in events]
        assert facts["clock"].startswith("2026-05-12T04:30:00") and len(heard["picture"]) > 500
        bad = client.post("/page/heard", files={"file": ("notes.opus", b"no sound")}).json()
        assert "notes.opus" in bad["facts"]["error"] and bad["picture"] == ""
        two = client.post("/page/heard", files=[("file", ("a.opus", DOG)), ("file", ("b.opus", DOG))])
        assert two.status_code == 400


def test_without_it_the_plain_page_stays(desk):
    with TestClient(app(desk, page=False), base_url="http://127.0.0.1") as client:
        assert "POST /v1/tag" in client.get("/").text
        client.headers["authorization"] = f"Bearer {TOKEN}"
        assert client.post("/page/heard", files={"file": ("dog.opus", DOG)}).status_code == 404


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    """The page on a live port."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        server = uvicorn.Server(uvicorn.Config(app(desk), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{place.getsockname()[1]}/"
        server.should_exit = True
        thread.join(60)


def test_in_a_browser(browser, address, tmp_path):  # noqa: F811
    files = [tmp_path / "dog.opus", tmp_path / "<img src=x onerror='window.owned=1'>.opus", tmp_path / "notes.wav"]
    for file, content in zip(files, (DOG, DOG, b"no sound"), strict=True):
        file.write_bytes(content)
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(address)
    browser.find_element("id", "files").send_keys("\n".join(map(str, files)))
    until(browser, "!document.getElementById('token-form').hidden")
    browser.find_element("id", "token").send_keys(TOKEN + "\ue007")
    until(browser, "document.querySelectorAll('.row').length === 3")
    until(browser, "document.querySelectorAll('.row img[src^=data]').length === 2")
    rows = [row.text for row in browser.find_elements("css selector", ".row")]
    assert "dog" in rows[0].lower() and "onerror" in rows[1] and "notes.wav" in rows[2]
    assert browser.execute_script("return document.querySelectorAll('.row .bar').length") >= 2
    assert "Dog" in browser.execute_script("return document.getElementById('label').textContent")
    browser.execute_script("play(recordings[0], 1)")  # from the browser's own copy of the file
    until(browser, "audio.currentTime > 1.1")
    # Dropped as by a mouse.
    browser.execute_script(
        "const data = new DataTransfer(); data.items.add(new File(['x'], 'third.wav'));"
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))"
    )
    until(browser, "document.querySelectorAll('.row').length === 4")
    assert browser.execute_script("return window.owned") is None
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert sent and all(url.startswith((address, "data:", "blob:")) for url in sent), sent
    problems = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [one for one in problems if "401" not in one["message"] and "favicon" not in one["message"]] == []
    answer = "const d = arguments[0]; fetch('http://127.0.0.1:9/').then(() => d('sent'), e => d('refused'));"
    assert browser.execute_async_script(answer) == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))
