"""The whole program on a tiny model with random weights: inputs, formats, outputs.

It runs in a process of its own (`sam`) wherever that may matter, and once for each command; else in this one (`here`).
"""

import csv
import io
import json
import os
import re
import shutil

import pytest

from samcli.writers.formats import FORMATS
from tests.conftest import plain_cell

TINY = ("--model", "tiny-random", "--device", "cpu")
SHORT = ("--max-new-tokens", "2")  # in more tokens, random weights soon say what no record holds


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


BEGINNINGS = {
    "jsonl": "{", "json": "[", "csv": "path,", "tsv": "a.wav\t", "txt": "", "srt": "1\n00:00:00,000 --> 00:00:02,000\n",
    "vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n", "audacity": "0.000000\t2.000000\t",
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(name, here, make_wav):
    """Which is written; what it looks like is in the tests of the writers."""
    make_wav(here.folder / "a.wav", seconds=2)
    done = here("tag", "a.wav", "-f", name, "--top-k", "2", "--threshold", "0", *TINY)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(BEGINNINGS[name]) and len(done.stdout) > 10


def test_folders_lists_and_standard_input_in_one_run(sam, make_wav):
    for name in ("in/b.wav", "in/a.wav", "in/.hidden.wav", "in/deep/c.wav", "listed one.wav"):
        make_wav(sam.folder / name)
    (sam.folder / "in/loop").symlink_to(sam.folder / "in")
    (sam.folder / "list").write_text("listed one.wav\nmissing.wav\n")
    sound = (sam.folder / "in/a.wav").read_bytes()
    done = sam("caption", "in", "-", "--files-from", "list", "-f", "jsonl", *SHORT, *TINY, input=sound)
    records = lines(done)
    assert [record["path"] for record in records] == [
        *("in/a.wav", "in/b.wav", "in/deep/c.wav", "-", "listed one.wav", "missing.wav")
    ]
    assert records[0]["caption"] == records[3]["caption"] != None  # noqa: E711
    # A missing file of a list is one failed input; it does not stop the others.
    assert done.returncode == 1 and records[-1]["error"] and b"missing.wav" in done.stderr


ODD = [
    b"two words.wav",
    b"new\nline.wav",
    b"tab\t.wav",
    b'"quoted".wav',
    b"-dash.wav",
    b"caf\xe9.wav",
    b"back\\slash.wav",
]


def test_odd_names_survive_every_way_in_and_out(sam, here, make_wav):
    for name in ODD:
        make_wav(sam.folder / "odd" / os.fsdecode(name))
    (sam.folder / "list0").write_bytes(b"\0".join(b"odd/" + name for name in ODD))
    folder = here("tag", "odd", "-f", "jsonl", *TINY)
    assert folder.returncode == 0
    assert sorted(os.fsencode(record["path"]) for record in lines(folder)) == sorted(b"odd/" + name for name in ODD)
    table = here("tag", "--files0-from", "list0", "--top-k", "1", "--threshold", "0", *TINY)
    paths = [plain_cell(os.fsdecode(line).split("\t")[0]) for line in table.stdout.split(b"\n")[:-1]]
    assert [os.fsencode(path) for path in paths] == [b"odd/" + name for name in ODD]
    named = sam(
        "tag", "-f", "csv", "--top-k", "1", "--threshold", "0", *TINY, "--", b"odd/caf\xe9.wav", "odd/new\nline.wav"
    )
    rows = list(csv.reader(io.StringIO(os.fsdecode(named.stdout), newline="")))
    assert [row[0] for row in rows[1:]] == [os.fsdecode(b"odd/caf\xe9.wav"), "odd/new\nline.wav"]


def test_bad_inputs_are_named_and_the_good_ones_go_on(here, make_wav):
    make_wav(here.folder / "in/good.wav")
    (here.folder / "in/empty.wav").touch()
    (here.folder / "in/text.wav").write_text("This is no sound.")
    (here.folder / "in/folder.wav").mkdir()
    whole = make_wav(here.folder / "in/cut.wav", seconds=3).read_bytes()
    (here.folder / "in/cut.wav").write_bytes(whole[: len(whole) // 2])
    done = here("tag", "in", "-f", "jsonl", *TINY)
    found = {record["path"]: record for record in lines(done)}
    assert done.returncode == 1
    assert found["in/empty.wav"]["error"]["type"] == "empty"
    assert found["in/text.wav"]["error"]["type"] == "not-audio"
    assert found["in/cut.wav"]["covered"] < found["in/cut.wav"]["duration"] and found["in/cut.wav"]["warning"]
    assert found["in/good.wav"]["error"] is None and found["in/good.wav"]["tags"]
    messages = done.stderr.decode().splitlines()
    assert len(messages) == 3 and all(re.search("empty.wav|text.wav|cut.wav", message) for message in messages)


def test_fail_fast_stops_at_the_first_bad_input(here, make_wav):
    (here.folder / "in").mkdir()
    (here.folder / "in/a.wav").touch()
    make_wav(here.folder / "in/b.wav")
    done = here("tag", "in", "--fail-fast", "-f", "jsonl", *TINY)
    assert done.returncode == 1 and [record["path"] for record in lines(done)] == ["in/a.wav"]


def test_one_file_per_input(here, make_wav):
    for name in ("in/a.wav", "in/deep/a.wav"):
        make_wav(here.folder / name, seconds=2)
    done = here("tag", "in", "--segment", "1", "-f", "srt", "-o", "out/", *TINY)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    files = {str(path.relative_to(here.folder / "out")) for path in (here.folder / "out").rglob("*") if path.is_file()}
    assert files == {"a.wav.srt", "deep/a.wav.srt"}
    assert "00:00:01,000 --> 00:00:02,000" in (here.folder / "out/deep/a.wav.srt").read_text()


def test_the_suffix_tells_the_format_and_the_old_file_is_replaced(sam, make_wav):
    make_wav(sam.folder / "a.wav")
    (sam.folder / "out.json").write_text("old")
    done = sam("ask", "is there rain?", "a.wav", "-o", "out.json", *SHORT, *TINY)
    assert (done.returncode, done.stdout) == (0, b"")
    (value,) = json.loads((sam.folder / "out.json").read_text())
    assert value["question"] == "is there rain?" and value["answer"]
    assert sorted(path.name for path in sam.folder.iterdir() if path.name != "hf-home") == ["a.wav", "out.json"]


def test_resume_switches_the_format_without_hearing_again(here, make_wav):
    for name in "ab":
        make_wav(here.folder / f"in/{name}.wav")
    first = here("tag", "in", "-o", "out.jsonl", "--resume", "--verbose", *TINY)
    make_wav(here.folder / "in/c.wav")
    second = here("tag", "in", "-o", "out.csv", "--resume", "--verbose", *TINY)
    assert (first.returncode, second.returncode) == (0, 0)
    assert b"0 files were known" in first.stderr and b"2 files were known" in second.stderr
    rows = list(csv.DictReader(io.StringIO((here.folder / "out.csv").read_text(), newline="")))
    assert list(dict.fromkeys(row["path"] for row in rows)) == ["in/a.wav", "in/b.wav", "in/c.wav"]


def test_labels_from_a_list_and_from_a_file(here, make_wav):
    make_wav(here.folder / "a.wav")
    (here.folder / "labels.txt").write_text("Dog\nInside, small room\n")
    for labels in ('Dog,"Inside, small room"', "labels.txt"):
        done = here("tag", "a.wav", "--labels", labels, "-f", "jsonl", *TINY)
        (record,) = lines(done)
        assert {tag["label"] for tag in record["tags"]} == {"Dog", "Inside, small room"}
    wrong = here("tag", "a.wav", "--labels", "Dgo", *TINY)
    assert wrong.returncode == 2 and b"Dog" in wrong.stderr and wrong.stdout == b""


def test_shards_come_together_again(sam, here, make_wav):
    for number in range(6):
        make_wav(sam.folder / f"in/{number}.wav", pitch=200 + 50 * number)
    whole = here("tag", "in", "-f", "jsonl", *TINY)
    for shard in (1, 2):
        assert here("tag", "in", "--shard", f"{shard}/2", "-o", f"part{shard}.jsonl", *TINY).returncode == 0
    merged = sam("merge", "all.jsonl", "part1.jsonl", "part2.jsonl")
    assert merged.returncode == 0
    assert (sam.folder / "all.jsonl").read_bytes() == whole.stdout
    missing = here("merge", "less.jsonl", "part1.jsonl")
    assert missing.returncode == 2 and b"2/2" in missing.stderr and not (sam.folder / "less.jsonl").exists()


def test_the_environment_chooses_the_model(here, make_wav):
    make_wav(here.folder / "a.wav")
    done = here("tag", "a.wav", "-f", "jsonl", environment={"SAM_MODEL": "tiny-random", "SAM_DEVICE": "cpu"})
    assert lines(done)[0]["model"] == "tiny-random"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the file")
def test_sound_of_a_film_on_standard_input(sam, make_wav):
    import subprocess

    wav = make_wav(sam.folder / "a.wav", seconds=2)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", wav, sam.folder / "a.m4a"], check=True)
    done = sam("tag", "-", "-f", "jsonl", *TINY, input=(sam.folder / "a.m4a").read_bytes())
    assert done.returncode == 0 and lines(done)[0]["covered"] == pytest.approx(2, abs=0.1)
