"""`sam train check` and `sam train tune` as a person meets them: the real program on real files."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import soundfile

from tests.conftest import files_up_to
from tests.training.tune.small_base import save_base, write_sound, write_sounds


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_base(tmp_path_factory.mktemp("bases") / "base")


@pytest.fixture
def desk(sam, base):
    """Recordings of two kinds beside a base that knows neither."""
    write_sounds(sam.folder / "birds")
    shutil.copytree(base, sam.folder / "base")
    return sam


def test_check_says_what_would_be_learned(desk, here):
    done = here("train", "check", "birds")
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert done.returncode == 0, done.stderr
    assert rows[0] == ["what", "name", "train", "held out", "seconds", "note"]
    assert ["label", "Hiss", "5", "1", "5", "known to sam-nano"] in rows
    assert ["label", "warble", "5", "1", "5", "new"] in rows
    assert b"held out by file" in done.stderr and b"Nothing would bite." in done.stderr


def test_check_ends_with_1_when_something_would_bite(desk, here):
    samples, rate = soundfile.read(desk.folder / "birds/hiss/hiss a.wav", dtype="int16")
    soundfile.write(desk.folder / "copy.flac", samples, rate)
    (desk.folder / "data.csv").write_text(
        "path,labels,caption,split,weather\nbirds/hiss/hiss a.wav,Dog,A dog.,train,wet\n"
        "copy.flac,Dog,,validation,\nnowhere.wav,Dog,,train,\nbirds/hiss/hiss b.wav,,,train,\n"
    )
    done = here("train", "check", "data.csv", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["ok"] is False
    assert {problem["kind"] for problem in report["problems"]} == {"in both splits", "unreadable", "empty label"}
    assert {column["column"]: column["teaches"] for column in report["columns"]} == {
        "path": "which sound", "labels": "tags", "caption": "captions", "split": "what is held out", "weather": None,
    }  # fmt: skip
    assert [(label["label"], label["new"]) for label in report["labels"]] == [("Dog", False)]
    refused = here("train", "tune", "data.csv", "-o", "mine", "--base", "base")
    assert refused.returncode == 2 and b"3 problems would bite" in refused.stderr and b"--anyway" in refused.stderr
    assert not (desk.folder / "mine").exists()


def test_a_tuned_model_is_used_by_its_name(desk, here):
    done = desk("train", "tune", "birds", "-o", "mine", "--base", "base", "--method", "head", "--epochs", "40")
    assert (done.returncode, done.stdout) == (0, b"mine\n"), done.stderr
    assert b"4 names" not in done.stderr and b"2 names, 2 of them new" in done.stderr and b"% before" in done.stderr
    write_sound(desk.folder / "new/warble.wav", "warble", 20)
    write_sound(desk.folder / "new/hiss.wav", "hiss", 20)
    tagged = here("tag", "new", "--model", "mine", "--labels", "hiss,warble", "-f", "jsonl")
    records = [json.loads(line) for line in tagged.stdout.splitlines()]
    assert [record["tags"][0]["label"] for record in records] == ["hiss", "warble"]
    assert records[0]["model"] == "mine" and "+" in records[0]["revision"]
    unknown = here("tag", "new", "--model", "mine", "--labels", "warbel")
    assert unknown.returncode == 2 and b"'warble'" in unknown.stderr
    shown = json.loads(here("models", "show", "mine", "--json").stdout)
    assert shown["base"].startswith(str(desk.folder / "base")) and shown["labels"] == ["hiss", "warble"]
    about = json.loads((desk.folder / "mine" / "adapter.json").read_text())
    assert (about["recordings"], about["verdicts"]) == (10, 0)
    assert shown["kind"] == "adapter (head)" and shown["bytes"] < 3_000_000
    save_base(desk.folder / "other", seed=3)
    assert here("tag", "new", "--model", "other+mine").returncode == 3
    chart = here("train", "plot", "mine", "--only", "loss")
    assert chart.returncode == 0 and "█" in chart.stdout.decode() and chart.stdout.startswith(b"loss: ")


def test_ctrl_c_saves_and_resume_ends_in_the_same_bits(desk, here):
    def command(out):
        return ("train", "tune", "birds", "-o", out, "--base", "base", "--epochs", "45", "--rank", "2")

    running = desk.start(*command("parts"))
    while b"step 0" not in running.stderr.readline():
        assert running.poll() is None
    while b"step " not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130 and b"--resume" in errors and b"Traceback" not in errors
    stopped = json.loads((desk.folder / "parts/training/metrics.jsonl").read_text().splitlines()[-1])
    assert stopped["step"] < stopped["of"]
    done, whole = here(*command("parts"), "--resume"), here(*command("whole"))
    assert done.returncode == whole.returncode == 0, done.stderr + whole.stderr
    for name in ("adapter.safetensors", "adapter.json", "README.md"):
        assert (desk.folder / "parts" / name).read_bytes() == (desk.folder / "whole" / name).read_bytes()


def test_a_full_disk_is_a_sentence(desk, here):
    with files_up_to(3000):
        done = here("train", "tune", "birds", "-o", "mine", "--base", "base", "--method", "head", "--epochs", "5")
    assert done.returncode == 4 and b"Cannot write" in done.stderr and b"Traceback" not in done.stderr
    assert not list((desk.folder / "mine").rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("birds",), b"-o FOLDER"),
        (("birds", "-o", "mine", "--method", "magic"), b"lora, dora, full, head"),
        (("birds", "-o", "mine", "--epochs", "2", "--minutes", "2"), b"not both"),
        (("nowhere", "-o", "mine"), b"nowhere"),
        (("birds", "-o", "birds"), b"is there already"),
        (("birds", "-o", "mine", "--resume"), b"nothing to go on with"),
    ],
)
def test_what_cannot_be_is_refused(here, arguments, sentence):
    write_sound(here.folder / "birds/hiss/a.wav", "hiss", 0)
    done = here("train", "tune", *arguments)
    assert done.returncode == 2 and sentence in done.stderr and not (here.folder / "mine").exists()


def test_a_png_where_matplotlib_is(here):
    rows = [{"step": step, "loss": 1 / step} for step in range(1, 30)]
    Path(here.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = here("train", "plot", "metrics.jsonl", "-o", "loss.png")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert done.returncode == 2 and b"matplotlib" in done.stderr
    else:
        assert done.returncode == 0 and (here.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
