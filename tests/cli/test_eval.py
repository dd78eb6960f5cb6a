"""sam eval from the command line: every kind of file, the tables for people and for machines, and what is refused."""

import json

import pytest

AUDIOSET = (
    '# YTID, start, end, labels\n--4gqARaEJE, 0.000, 10.000, "/m/0bt9lr"\n-0SdAVK79lg, 30.0, 40.0, "/m/04rlf"\n',
    [
        {"path": "--4gqARaEJE.wav", "tags": [{"label": "Dog", "score": 0.9}, {"label": "Music", "score": 0.1}]},
        {"path": "-0SdAVK79lg.wav", "tags": [{"label": "Music", "score": 0.9}]},
    ],
)


def test_tables_for_people_and_machines(here):
    references, said = AUDIOSET
    (here.folder / "truth.csv").write_text(references)
    (here.folder / "said.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in said))
    rows = [line.split("\t") for line in here("eval", "said.jsonl", "truth.csv").stdout.decode().splitlines()]
    assert rows[0][:4] == ["measure", "value", "95 % interval", "items"]
    assert rows[1][:2] == ["mean average precision", "100.0 %"]
    report = json.loads(here("eval", "said.jsonl", "truth.csv", "--json").stdout)
    figures = {figure["key"]: figure for figure in report["figures"]}
    assert report["format"] == "AudioSet" and {"map", "auc", "d_prime", "top_1"} <= figures.keys()
    for figure in figures.values():
        if figure["low"] is not None and figure["value"] is not None:
            assert figure["low"] <= figure["value"] + 1e-9 and figure["value"] - 1e-9 <= figure["high"]
    classes = here("eval", "said.jsonl", "truth.csv", "--classes").stdout.decode()
    rows = [line.split("\t") for line in classes.splitlines()]
    assert rows[0] == ["label", "positives", "average_precision", "auc", "d_prime"]
    assert [row[0] for row in rows[1:]] == ["Dog", "Music"]


def test_a_model_on_a_data_set(here, make_wav):
    make_wav(here.folder / "audio" / "1-A-0.wav")
    make_wav(here.folder / "audio" / "1-B-10.wav", pitch=900)
    (here.folder / "esc50.csv").write_text("filename,fold,target,category\n1-A-0.wav,1,0,dog\n1-B-10.wav,1,10,rain\n")
    done = here("eval", "esc50.csv", "--sounds", "audio", "--model", "tiny-random", "--json", "--offline")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["format"] == "ESC-50" and report["model"] == "tiny-random"
    (here.folder / "audio" / "1-B-10.wav").unlink()
    done = here("eval", "esc50.csv", "--sounds", "audio", "--model", "tiny-random")
    assert done.returncode == 2 and b"1-B-10" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("esc50.csv",), "--sounds FOLDER"),
        (("esc50.csv", "--sounds", "nowhere"), "nowhere"),
        (("missing.csv", "--sounds", "."), "missing.csv"),
        ((".", "--retrieval"), "manifest.csv"),
        (("esc50.csv", "esc50.csv", "--refine"), "name the data alone"),
        (("a", "b", "c"), "two files"),
    ],
)
def test_what_is_refused(here, arguments, words):
    (here.folder / "esc50.csv").write_text("filename,fold,target,category\n1-A-0.wav,1,0,dog\n")
    done = here("eval", *arguments)
    assert (done.returncode, done.stdout) == (2, b"") and words in done.stderr.decode()
