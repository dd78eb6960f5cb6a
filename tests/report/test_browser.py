"""The page as a person uses it: found, heard, judged, saved, and read again. In a real browser, from a disk."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from samcli.records import Record, Tag
from samcli.report.entry import Entry
from samcli.report.page import write_page
from samcli.training.tune.recordings import read_data
from samcli.writers.formats import to_json

from .conftest import open_page, until

DEMO = Path(__file__).resolve().parents[2] / "samcli" / "data" / "demo"
HOSTILE = (
    "<script>window.owned=1</script>.opus", "\"><img src=x onerror='window.owned=1'>.opus", "quote'quote\".opus",
    "\u202egnp.opus", "</script><script>window.owned=1</script>.opus", "=cmd|calc.opus", "a b%20#?.opus",
    "{{7*7}}.opus",
)  # fmt: skip


def records(folder: Path) -> list[Record]:
    """Twenty recordings, a third of them named by an enemy; every one barks twice, and some are rained on."""
    found = []
    for number in range(20):
        evil = HOSTILE[number] if number < len(HOSTILE) else ""
        name = evil.replace("/", "\u2215") or f"{'yard' if number % 2 else 'roof'}-{number}.opus"
        place = folder / name
        shutil.copy(DEMO / "dog.opus", place)
        label = evil or "Dog"
        shared = {"task": "tag", "path": f"sounds/{name}", "duration": 4.0}
        found += [Record(start=0.5, end=1.5, tags=(Tag("Dog", 0.9),), **shared),
                  Record(start=2.0, end=3.0, tags=(Tag(label, 0.4 + number / 100),), **shared)]  # fmt: skip
        if number % 5 == 0:
            found.append(Record(start=0.0, end=4.0, tags=(Tag("Rain", 0.7),), **shared))
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report made by the program from records and the sounds they tell of."""
    import sys
    from subprocess import run

    folder = tmp_path_factory.mktemp("report")
    (folder / "sounds").mkdir()
    (folder / "tags.jsonl").write_text("".join(to_json(one) + "\n" for one in records(folder / "sounds")))
    command = [sys.executable, "-m", "samcli", "report", "tags.jsonl", "--sounds", ".", "-o", "report.html"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = run(command, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


def press(browser: Any, keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(keys).perform()


def test_filters_keys_player_and_verdicts(browser: Any, page: Path, here: Any) -> None:
    open_page(browser, page)
    assert "20 recordings" in until(browser, "document.getElementById('totals').textContent")

    # Found by a word, and by a label and a score.
    browser.find_element("id", "text").send_keys("yard")
    until(browser, "document.getElementById('totals').textContent.startsWith('6 of 20')")
    browser.find_element("css selector", "#filters button[type=reset]").click()
    browser.execute_script("document.getElementById('label').value = 'Rain'; filter()")
    until(browser, "document.getElementById('totals').textContent.startsWith('4 of 20')")
    browser.find_element("css selector", "#filters button[type=reset]").click()
    until(browser, "document.getElementById('totals').textContent.startsWith('20 rec')")

    # A click on an event plays from there and opens the recording; the clock moves.
    until(browser, "document.querySelectorAll('.row img[src^=data]').length")
    browser.find_elements("css selector", '.row[aria-posinset="1"] .bar[title^="Dog, 0:00.5"]')[0].click()
    until(browser, "audio.currentTime > 0.6")
    assert until(browser, "!document.getElementById('detail').hidden")
    assert browser.execute_script("return audio.currentTime") < 60

    # Right by a key, wrong by a click, and something else by name.
    press(browser, "y")
    until(browser, "document.querySelectorAll('#detail li.right').length === 1")
    browser.execute_script("document.querySelectorAll('#detail [aria-label^=Wrong]')[1].click()")
    until(browser, "document.querySelectorAll('#detail li.wrong').length === 1")
    press(browser, "\ue00c")  # Escape
    until(browser, "document.getElementById('detail').hidden")
    press(browser, "j")
    press(browser, "\ue007")
    until(browser, "!document.getElementById('detail').hidden")
    press(browser, "i")
    press(browser, "Fox\ue007")
    until(browser, "document.querySelectorAll('#detail li.other').length === 1")

    # Kept when the page is opened again, and saved as the table that tuning reads.
    open_page(browser, page)
    until(browser, "document.getElementById('totals').textContent.includes('3 verdicts')")
    browser.find_element("id", "export").click()
    saved = browser.saved / "verdicts.csv"
    deadline = time.monotonic() + 60
    while not saved.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = read_data(saved)
    assert found.problems == []
    by_labels = {one.labels: one for one in found.recordings}
    right, wrong, other = by_labels[("Dog",)], by_labels[()], by_labels[("Fox",)]
    assert (right.start, right.end, right.wrong) == (0.5, 1.5, ())
    assert wrong.wrong and other.wrong
    assert all(Path(found.root / one.path).is_file() for one in found.recordings), "the table leads to the sounds"
    checked = here("train", "check", str(saved), "--json")
    assert json.loads(checked.stdout)["recordings"] == 3, checked.stderr


def test_hostile_names_do_nothing_and_nothing_leaves_the_page(browser: Any, page: Path) -> None:
    open_page(browser, page)
    for place in range(len(HOSTILE)):
        browser.execute_script(f"rows.choose({place}); detail.open(rows.recordings[{place}])")
    browser.execute_script("document.getElementById('heat').open = true; play(rows.recordings[3], 0)")
    until(browser, "document.querySelectorAll('#heatmap button').length && audio.readyState")
    assert browser.execute_script("return window.owned") is None
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert sent and all(url.startswith(("file:", "data:", "blob:")) for url in sent), sent
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    # The policy itself: a script and a request that somebody would plant are refused.
    planted = "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s);"
    assert browser.execute_script(planted + "return window.owned") is None
    answer = "const d = arguments[0]; fetch('http://127.0.0.1:9/').then(() => d('sent'), e => d('refused'));"
    assert browser.execute_async_script(answer) == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_what_is_said_can_be_read_found_and_played_from(browser: Any, tmp_path: Path) -> None:
    entry = Entry("talk.opus", duration=4.0, said=[(1.5, 2.0, "good <b>morning</b>"), (2.5, 3.0, "bye")])
    others = [Entry("a.opus", duration=4.0), Entry("b.opus", duration=4.0)]
    page = tmp_path / "said.html"
    page.write_bytes(b"".join(write_page([*others, entry], title="t", about="")))
    open_page(browser, page)
    browser.find_element("id", "text").send_keys("morning")
    until(browser, "document.getElementById('totals').textContent.startsWith('1 of 3')")
    assert "morning" in until(browser, "document.querySelector('.row .words').textContent")
    browser.execute_script("detail.open(recordings[2])")
    shown = until(browser, "document.getElementById('detail').textContent")
    assert "What is said" in shown and "0:01.5–0:02.0 good <b>morning</b>" in shown and "What is heard" not in shown


def test_sound_that_travels_inside_the_page(browser: Any, page: Path, here: Any, tmp_path: Path) -> None:
    shutil.copytree(page.parent / "sounds", tmp_path / "sounds")
    shutil.copy(page.parent / "tags.jsonl", tmp_path)
    done = here("report", "tags.jsonl", "--sounds", ".", "--embed", "-o", "sent.html")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "sounds")
    open_page(browser, tmp_path / "sent.html")
    browser.execute_script("play(recordings[9], 1)")
    until(browser, "audio.currentTime > 1.2")


@pytest.mark.slow
def test_five_thousand_recordings_open_at_once_and_scroll(browser: Any, tmp_path: Path) -> None:
    noise = os.urandom(6000)
    entries = (
        Entry(f"folder{number % 40}/{number}.wav", 60.0, tags=[Tag("Dog", 0.5)], picture=noise,
              events=[_event(number, at) for at in range(12)])
        for number in range(5000)
    )  # fmt: skip
    page = tmp_path / "many.html"
    with page.open("wb") as file:
        file.writelines(write_page(entries, title="Many", about="now"))
    assert page.stat().st_size < 5000 * 40_000
    began = time.monotonic()
    open_page(browser, page)
    took = time.monotonic() - began
    print(f"opened within {took:.2f} s; {page.stat().st_size / 5000:.0f} bytes a recording")
    assert took < 20
    assert until(browser, "document.querySelectorAll('.row').length") < 40
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    until(browser, "document.querySelector('.row[aria-posinset=\"5000\"]')")
    assert browser.execute_script("return document.querySelectorAll('.row').length") < 40


def _event(number: int, at: int) -> Any:
    from samcli.records import Event

    return Event(("Dog", "Rain", "Speech", "Car")[(number + at) % 4], 0.5, at * 5.0, at * 5.0 + 3)
