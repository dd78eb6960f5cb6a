"""search, index and embed as a person runs them: rankings, formats, what failed, stopping, and what is left on disk.

The first run of a kind has a process of its own (`sam`); what follows from it is asked in this one (`here`).
"""

import csv
import io
import json
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import samcli

TINY = ("--model", "tiny-random", "--device", "cpu", "--offline")
KEYS = [
    *("schema", "task", "query", "path", "rank", "start", "end", "score", "caption"),
    *("model", "revision", "version", "fit"),
]
NAME = ".sam-index.sqlite"


@pytest.fixture
def folder(sam, make_wav):
    for number, name in enumerate(("a.wav", "deep/b c.wav", "d.wav")):
        make_wav(sam.folder / "in" / name, seconds=1 + number, pitch=200 * (number + 1), seed=number)
    return sam.folder / "in"


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_search_hears_a_folder_and_ranks_it(sam, here, folder):
    (folder / "bad.wav").write_bytes(b"nothing")
    done = sam("search", "a dog barks", "in", *TINY)
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    # The bad file is named, the others are ranked.
    errors = [line for line in done.stderr.splitlines() if b"Nothing fits" not in line]  # chance decides
    assert done.returncode == 1 and len(errors) == 1 and b"in/bad.wav" in errors[0]
    assert sorted(row[0] for row in rows) == ["in/a.wav", "in/d.wav", "in/deep/b c.wav"]
    assert [float(row[3]) for row in rows] == sorted((float(row[3]) for row in rows), reverse=True)
    (folder / "bad.wav").unlink()
    records = lines(here("search", "a dog barks", "in", "-k", "2", "-f", "jsonl", *TINY))
    assert [list(record) for record in records] == [KEYS, KEYS]
    assert [(record["rank"], record["path"]) for record in records] == [(1, rows[0][0]), (2, rows[1][0])]
    assert {record["query"] for record in records} == {"a dog barks"} and records[0]["model"] == "tiny-random"


def test_an_index_is_made_used_and_refreshed(sam, here, folder, make_wav):
    (folder / "bad.wav").write_bytes(b"nothing")
    done = sam("index", "in", *TINY)
    assert (done.returncode, done.stdout) == (1, f"in/{NAME}\n".encode())
    assert b"heard 3, kept 0, forgot 0 files, 1 cannot be heard" in done.stderr and b"in/bad.wav" in done.stderr
    (folder / "bad.wav").unlink()
    assert b"heard 0, kept 3, forgot 1" in here("index", "in", *TINY).stderr
    done = here("search", "rain", "in", "-o", "hits.csv", "-q", *TINY)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    rows = list(csv.DictReader(io.StringIO((sam.folder / "hits.csv").read_text(), newline="")))
    assert list(rows[0]) == KEYS
    assert sorted(row["path"] for row in rows) == ["in/a.wav", "in/d.wav", "in/deep/b c.wav"]  # as they were given
    # Without a second stage no model is loaded; the order is the index's own.
    first = here("search", "rain", "in", "--shortlist", "0", "-f", "txt", "-q")
    assert first.returncode == 0 and len(first.stdout.splitlines()) == 3
    part = here("search", "rain", "in/deep", "--index", f"in/{NAME}", "--shortlist", "0", "-f", "json")
    assert [hit["path"] for hit in json.loads(part.stdout)] == ["in/deep/b c.wav"]
    # What came since is told, not lost in silence.
    make_wav(folder / "new.wav")
    done = here("search", "rain", "in", "--shortlist", "0", "-f", "txt")
    assert len(done.stdout.splitlines()) == 3 and b"1 files are new or changed" in done.stderr


def test_what_fits_nothing_is_said_and_what_fits_is_not(here):
    """With the model of the package: a dog, bells and thunder are there, and no violin."""
    demo = Path(samcli.__file__).parent / "data" / "demo"
    shutil.copytree(demo, here.folder / "demo", ignore=shutil.ignore_patterns("*.md"))
    found = here("search", "a dog barking", "demo", "-f", "jsonl")
    assert (found.returncode, found.stderr) == (0, b"")
    hits = lines(found)
    assert hits[0]["path"] == "demo/dog.opus" and hits[0]["fit"] > 0.6 > 0.4 > hits[1]["fit"]
    for more in ((), ("--no-index",), ("--shortlist", "0")):
        none = here("search", "a violin playing", "demo", "-f", "jsonl", *more)
        assert none.returncode == 0 and len(lines(none)) == 3  # the nearest are told all the same
        assert none.stderr == b"sam: Nothing fits 'a violin playing'; what comes nearest is listed.\n"
        assert all(0 <= hit["fit"] < 0.6 for hit in lines(none))


def test_silence_fits_nothing(here):
    (here.folder / "in").mkdir()
    soundfile.write(here.folder / "in" / "silent.wav", np.zeros(16_000), 16_000)
    done = here("search", "rain", "in", *TINY)
    assert (done.returncode, done.stdout) == (0, b"") and b"Nothing fits 'rain': there is no sound" in done.stderr


def test_captions_are_ranked_for_a_sound(sam, here, folder):
    texts = ["a dog barks", "rain falls on a roof", "music"]
    (sam.folder / "captions.txt").write_text("\n".join([*texts, "", texts[0]]) + "\n")
    done = here("search", "--audio", "in/a.wav", "captions.txt", *TINY)
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert done.returncode == 0 and sorted(row[1] for row in rows) == sorted(texts)
    assert {row[0] for row in rows} == {"in/a.wav"}
    raw = sam("search", "--audio", "in", "-", "--raw-scores", "-f", "jsonl", *TINY, input=b"a dog barks\nmusic\n")
    found = lines(raw)
    assert [hit["rank"] for hit in found] == [1, 2] * 3 and {hit["path"] for hit in found[:2]} == {"in/a.wav"}
    scores = {row[1]: float(row[2]) for row in rows}
    for hit in found[:2]:  # normalising takes something off, of each caption its own
        assert scores[hit["caption"]] > hit["score"]


def test_many_queries_make_what_eval_reads(here, folder):
    (here.folder / "truth.csv").write_text(
        "file_name,caption\na.wav,a dog barks\nb c.wav,it rains\nd.wav,music plays\n"
    )
    done = here("search", "--queries", "truth.csv", "in", "-o", "hits.jsonl", *TINY)
    assert done.returncode == 0, done.stderr
    report = json.loads(here("eval", "hits.jsonl", "truth.csv", "--json").stdout)
    figures = {figure["key"]: figure["value"] for figure in report["figures"]}
    assert report["kind"] == "retrieval" and report["items"] == 3
    assert figures["text_audio_r1"] <= figures["text_audio_r5"] == figures["text_audio_r10"] == 1.0
    hits = [json.loads(line) for line in (here.folder / "hits.jsonl").read_text().splitlines()]
    (here.folder / "less.jsonl").write_text("".join(json.dumps(hit) + "\n" for hit in hits[:3]))
    less = here("eval", "less.jsonl", "truth.csv")
    assert less.returncode == 2 and b"2 references have no prediction" in less.stderr and b"it rains" in less.stderr


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("search", " ", "in"), 2, "empty"),
        (("search", "rain", "nowhere"), 2, "nowhere"),
        (("search", "rain", "in", "-f", "srt"), 2, "jsonl"),
        (("search", "rain", "in", "-o", "hits.doc"), 2, ".jsonl"),
        (("search", "rain", "in", "-o", "gone/hits.csv"), 4, "gone"),
        (("search", "rain", "in", "--index", "missing.sqlite"), 2, "sam index"),
        (("search", "--audio", "in/a.wav", "missing.txt"), 2, "missing.txt"),
        (("search", "--audio", "in/a.wav", "empty.txt"), 2, "no sentences"),
        (("index", "in/a.wav"), 2, "--index FILE"),
        (("index", "nowhere"), 2, "nowhere"),
        (("embed", "in", "-o", "v.txt"), 2, ".npz"),
        (("embed", "in", "-o", "gone/v.npz"), 4, "gone"),
    ],
)
def test_what_cannot_be_met_is_refused_at_once(here, folder, arguments, code, words):
    (here.folder / "empty.txt").write_text("\n")
    done = here(*arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    text = done.stderr.decode()
    assert words in text and text.count("\n") == 1 and "Traceback" not in text


def test_another_model_s_index_and_no_index_are_refused(here, folder):
    (folder / NAME).write_bytes(b"no index at all, but long enough to be taken for one" * 40)
    done = here("index", "in", *TINY)
    assert done.returncode == 2 and b"is no index of sam" in done.stderr
    (folder / NAME).unlink()
    assert here("index", "in", *TINY).returncode == 0
    with sqlite3.connect(folder / NAME) as base:
        base.execute("UPDATE about SET value = 'other@1' WHERE key = 'model'")
    base.close()
    done = here("search", "rain", "in", *TINY)
    assert done.returncode == 2 and b"belongs to other@1" in done.stderr


def test_stopping_an_index_keeps_what_was_heard(sam, here, folder, make_wav):
    for number in range(150):
        make_wav(folder / f"more-{number:03}.wav", seconds=1.0, seed=number)
    running = sam.start("index", "in", *TINY)
    end = time.monotonic() + 200
    while time.monotonic() < end and running.poll() is None:
        if (folder / NAME).exists() and held(folder / NAME):
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode in (130, 0)
    if running.returncode == 130:
        assert b"the same command goes on" in said
    before = held(folder / NAME)
    assert before
    done = here("index", "in", *TINY)
    assert done.returncode == 0 and f"kept {before}".encode() in done.stderr
    assert [path.name for path in folder.iterdir() if path.name.startswith(NAME)] == [NAME]
    assert held(folder / NAME) == 153


def held(path):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return base.execute("SELECT count(*) FROM files").fetchone()[0]
    except sqlite3.OperationalError:  # its tables are just being made
        return 0
    finally:
        base.close()


def test_embed_writes_vectors(sam, here, folder, make_wav):
    make_wav(folder / "long.wav", seconds=12)
    (folder / "bad.wav").write_bytes(b"nothing")
    done = sam("embed", "in", *TINY)
    rows = lines(done)
    assert done.returncode == 1 and b"in/bad.wav" in done.stderr
    assert [list(row) for row in rows] == [["path", "start", "end", "vector", "error"]] * 5
    by_path = {row["path"]: row for row in rows}
    assert by_path["in/bad.wav"]["vector"] is None and by_path["in/bad.wav"]["error"]["type"]
    assert np.linalg.norm(by_path["in/long.wav"]["vector"]) == pytest.approx(1, abs=1e-3)
    (folder / "bad.wav").unlink()
    done = here("embed", "in", "--windows", "-o", "v.npz", *TINY)
    assert (done.returncode, done.stdout) == (0, b"")
    with np.load(sam.folder / "v.npz") as stored:
        paths = stored["paths"].tolist()
        assert paths.count("in/long.wav") == 2 and len(paths) == 5
        np.testing.assert_allclose(stored["vectors"][0], by_path["in/a.wav"]["vector"], atol=1e-4)
    assert sorted(path.name for path in sam.folder.iterdir() if path.name.startswith(("v", ".v"))) == ["v.npz"]


def test_embed_writes_parquet_where_pyarrow_is(here, folder):
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    assert here("embed", "in", "-o", "v.parquet", *TINY).returncode == 0
    table = parquet.read_table(here.folder / "v.parquet").to_pydict()
    assert table["path"] == ["in/a.wav", "in/d.wav", "in/deep/b c.wav"]
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-3) for vector in table["vector"])


def test_parquet_without_pyarrow_says_what_to_do(here, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # importing it fails, as where it is not installed
    done = here("embed", "in", "-o", "v.parquet")
    assert done.returncode == 2 and b"pip install pyarrow" in done.stderr


def test_refined_captions_from_the_command_line(here, folder):
    plain = lines(here("caption", "in", "-f", "jsonl", "--max-new-tokens", "2", *TINY))
    done = here("caption", "in", "-f", "jsonl", "--max-new-tokens", "2", "--refine", *TINY)
    refined = lines(done)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [record["path"] for record in refined] == [record["path"] for record in plain]
    assert all(record["caption"] and record["error"] is None for record in refined)
    refused = here("caption", "in", "--refine-with", "nowhere", *TINY)
    assert refused.returncode == 3 and b"CLAP" in refused.stderr
