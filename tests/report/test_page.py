"""Pages and pictures without a browser: what is in them, how large they are, and what their memory costs."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samcli.engine.inputs.recorded_at import Clock
from samcli.records import Event, Record, Tag
from samcli.report.entry import Entry, address, entries
from samcli.report.page import DROP, SCRIPTS, block, write_page
from samcli.report.picture import COLUMNS, Picture, webp
from samcli.writers.formats import to_json

SOURCE = Path(__file__).resolve().parents[2] / "samcli" / "report" / "page"
RATE = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1


@pytest.mark.parametrize("script", (*SCRIPTS, DROP))
def test_scripts_are_javascript(script: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    assert subprocess.run([node, "--check", SOURCE / script]).returncode == 0
    assert "</" not in (SOURCE / script).read_text(), "a script inside a page must not end it"


def test_scripts_keep_the_types_that_their_comments_promise() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("there is no tsc: npm install --global typescript")
    how = ("--allowJs", "--checkJs", "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom,dom.iterable")
    found = subprocess.run([compiler, *how, *SCRIPTS, DROP], cwd=SOURCE, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_what_stands_in_a_page_is_no_markup() -> None:
    evil = "</script><script>alert(1)</script><!-- ' \" & \u2028 \udcff"
    assert json.loads(block([evil])) == [evil]
    assert not re.search("[<>&'\u2028]", block([evil]))


def test_a_page_is_small_and_its_memory_flat() -> None:
    picture = Picture(RATE)
    picture.add(noise(60))
    image = picture.image()
    events = [Event("Dog", 0.5, float(at), at + 1.0) for at in range(30)]

    def many(count: int) -> int:
        tracemalloc.start()
        made = (Entry(f"{number}.wav", 60.0, events=list(events), picture=image) for number in range(count))
        size = sum(map(len, write_page(made, title="t", about="a")))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size / count < 40_000 or count < 10
        return peak

    many(1)  # loads the templates
    assert many(400) < many(20) + 200_000


def test_pictures_do_not_depend_on_how_the_sound_comes_and_do_not_grow() -> None:
    wave = noise(4.0)
    whole, pieces = Picture(RATE), Picture(RATE)
    whole.add(wave)
    for start in range(0, len(wave), RATE):
        pieces.add(wave[start : start + RATE])
    assert whole.levels().shape == pieces.levels().shape
    assert np.abs(whole.levels() - pieces.levels()).mean() < 1.0, "only the frames at the edges differ"
    long = Picture(RATE)
    for _ in range(30):
        long.add(noise(10.0))
        assert len(long.columns) < 2 * COLUMNS
    assert long.frames > 1 and len(long.levels()) + 1 >= COLUMNS


def test_a_tone_is_a_bright_line_at_its_height() -> None:
    picture = Picture(RATE)
    picture.add(np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32))
    levels = picture.levels()
    loudest = levels[5:-5].argmax(axis=1)
    assert (loudest == loudest[0]).all() and levels.max() == pytest.approx(0, abs=4)
    assert picture.image()[:4] == b"RIFF" and webp(np.zeros((4, 6, 3), np.uint8))[8:12] == b"WEBP"
    assert Picture(RATE).image() == b""


def test_entries_of_each_kind_of_record() -> None:
    shared = {"path": "20260512_043000.wav", "duration": 9.0}
    whole = Record(task="tag", start=0.0, end=9.0, tags=(Tag("Dog", 0.9), Tag("Rain", 0.2)), **shared)
    event = Record(task="tag", start=1.0, end=2.0, tags=(Tag("Dog", 0.8),), **shared)
    heard = (Event("Dog", 0.8, 1, 2),)
    told = Record(task="caption", start=0.0, end=9.0, caption="A dog barks.", evidence=heard, **shared)
    clock = Clock.of(None, "+00:00")
    (entry,) = entries([whole, event, told], clock)
    assert [tag.label for tag in entry.tags] == ["Dog", "Rain"] and entry.events == [Event("Dog", 0.8, 1, 2)]
    assert entry.words == [(0, 9, "A dog barks.")] and entry.clock == "2026-05-12T04:30:00+00:00"
    (entry,) = entries([whole], clock)
    assert [one.label for one in entry.events] == ["Dog", "Rain"], "tags alone can be judged, too"
    (entry,) = entries([event], clock)
    assert entry.tags == [] and len(entry.events) == 1


def test_addresses_lead_back_to_the_file(tmp_path: Path) -> None:
    from urllib.parse import unquote

    page = tmp_path / "pages" / "report.html"
    sound = tmp_path / "a b#?%20\udcff.wav"
    written = address(sound, page)
    assert re.fullmatch(r"[\w./%-]+", written)
    assert unquote(written, errors="surrogateescape") == "../a b#?%20\udcff.wav"


def test_a_report_of_recordings_heard_now(here, make_wav, tmp_path) -> None:
    make_wav(tmp_path / "a.wav", seconds=3)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    done = here("report", "a.wav", "b.wav", "--model", "tiny-random", "-o", "page.html")
    assert done.returncode == 1 and b"b.wav" in done.stderr and done.stdout == b""
    text = (tmp_path / "page.html").read_text()
    told = [json.loads(one) for one in re.findall(r'class="recording">(.*?)</script>', text)]
    pictures = re.findall(r'class="its-picture">(.*?)</script>', text)
    assert [one["path"] for one in told] == ["a.wav", "b.wav"] and told[1]["error"] and told[0]["duration"] == 3
    assert base64.b64decode(pictures[0])[:4] == b"RIFF" and pictures[1] == ""
    assert here("report", "a.wav", "-o", "a.wav", "--model", "tiny-random").returncode == 2
    assert here("report", "a.wav", "-o", "nowhere/x.html", "--model", "tiny-random").returncode == 4


def told_in(page: Path) -> list[dict[str, Any]]:
    return [json.loads(one) for one in re.findall(r'class="recording">(.*?)</script>', page.read_text())]


def test_what_is_said_stands_beside_what_is_heard(here, make_wav, tmp_path) -> None:
    """One file for the one recording there is; of several, each recording's own."""
    make_wav(tmp_path / "a.wav", seconds=3)
    (tmp_path / "said").mkdir()
    talk = tmp_path / "said" / "talk.srt"
    first, second = "1\n00:00:00,500 --> 00:00:01,250\n<i>Good</i>\nmorning.", "2\n00:00:02,000 --> 00:00:02,500\nBye."
    talk.write_text(f"{first}\n\n{second}\n")
    said = [[0.5, 1.25, "Good morning."], [2.0, 2.5, "Bye."]]
    done = here("report", "a.wav", "--with-transcript", "said/talk.srt", "--model", "tiny-random", "-o", "page.html")
    assert done.returncode == 0 and told_in(tmp_path / "page.html")[0]["said"] == said
    (tmp_path / "said" / "b.wav.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n</script><b>Hello\n")
    known = [
        Record(task="caption", path="x/talk.flac", start=0, end=9, duration=9, caption="A man speaks."),
        Record(task="tag", path="b.wav", start=0, end=9, duration=9, tags=(Tag("Speech", 0.5),)),
        Record(task="transcribe", path="c.wav", start=1, end=2, duration=9, transcript="one", words=()),
    ]
    (tmp_path / "heard.jsonl").write_text("".join(to_json(one) + "\n" for one in known))
    (tmp_path / "said" / "other.srt").write_text("00:00:01,000 --> 00:00:02,000\nNobody\n")
    done = here("report", "heard.jsonl", "--with-transcript", "said", "-o", "page.html")
    assert done.returncode == 0 and b"other.srt goes with none" in done.stderr and b"talk.srt" not in done.stderr
    told = told_in(tmp_path / "page.html")
    assert [one["said"] for one in told] == [said, [[1.0, 2.0, "Hello"]], [[1.0, 2.0, "one"]]]
    assert [[line[2] for line in one["words"]] for one in told] == [["A man speaks."], [], []]


@pytest.mark.parametrize("content", [None, b"", b"no subtitles at all"])
def test_what_is_no_transcript_is_refused_before_anything_is_heard(content, here, make_wav, tmp_path) -> None:
    make_wav(tmp_path / "a.wav")
    if content is not None:
        (tmp_path / "t.srt").write_bytes(content)
    done = here("report", "a.wav", "--with-transcript", "t.srt", "-o", "page.html")
    assert done.returncode == 2 and b"t.srt" in done.stderr and not (tmp_path / "page.html").exists()


def test_verdicts_teach_what_a_sound_is_not(tmp_path, make_wav, here) -> None:
    from samcli.training.tune.recordings import read_data

    rows = ["path,start,end,labels,wrong"]
    for number in range(6):
        make_wav(tmp_path / f"{number}.wav", seconds=2, seed=number)
        rows.append(f"{number}.wav,0,1,{'Dog' if number % 2 else ''},{'' if number % 2 else 'Dog'}")
    (tmp_path / "verdicts.csv").write_text("\r\n".join(rows) + "\r\n")
    found = read_data(tmp_path / "verdicts.csv")
    assert found.problems == [] and [one.wrong for one in found.recordings] == [("Dog",), ()] * 3
    done = here("calibrate", "verdicts.csv", "--model", "tiny-random", "--save", "mine", "-f", "jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["recordings"] == 3
    stored = json.loads((tmp_path / "mine" / "calibration.json").read_text())
    assert stored["made_from"]["recordings"] == 6, "the wrong ones count, too"
