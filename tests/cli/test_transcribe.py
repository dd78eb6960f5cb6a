"""`sam transcribe` and `sam train speech` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from samcli.checkpoints.format import save_module
from samcli.models.speech import SpeechConfig, SpeechNetwork
from samcli.records import Record, Word
from samcli.tasks.transcribe import LINE_SECONDS, lines, within

RATE = 16_000
CONFIG = SpeechConfig(" abc", d_model=16, encoder_layers=2, decoder_layers=1, d_state=8, headdim=8, joint=16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has learned nothing and writes now and then."""
    folder = tmp_path_factory.mktemp("model") / "speech"
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = SpeechNetwork(CONFIG).requires_grad_(False)
        network.out.weight *= 6
        network.out.bias[0] += 2.5
        save_module(folder, network, CONFIG)
    return folder


def talk(path: Path, seconds: float = 12.0, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(0, 0.3, round(10 * seconds)), RATE // 10)
    soundfile.write(path, rng.standard_normal(len(loud)) * loud, RATE)
    return path


def records(text: bytes) -> list[Record]:
    return [Record.from_dict(json.loads(line)) for line in text.splitlines()]


def test_without_a_model_a_person_is_told_what_to_do(here: Any, make_wav: Any) -> None:
    make_wav(here.folder / "a.wav")
    for more in ((), ("--model", "sam-nano")):
        done = here("transcribe", "a.wav", *more)
        assert done.returncode == 3 and done.stdout == b""
        assert b"--with-transcript FILE.srt" in done.stderr and b"sam train speech" in done.stderr


def test_a_recording_becomes_lines_whatever_way_it_comes(sam: Any, here: Any, model: Path) -> None:
    talk(sam.folder / "talk.wav")
    (sam.folder / "bad.wav").write_bytes(b"no sound")
    done = here("transcribe", "bad.wav", "talk.wav", "--model", model, "-f", "jsonl")
    assert done.returncode == 1 and b"bad.wav" in done.stderr, done.stderr
    failed, *told = records(done.stdout)
    assert failed.error is not None and failed.error.type == "not-audio" and failed.task == "transcribe"
    assert len(told) > 1 and all(one.words and one.duration == 12.0 for one in told)
    for one in told:
        assert one.words is not None and one.transcript == " ".join(word.text for word in one.words)
        assert one.start == one.words[0].start and one.end == one.words[-1].end
    assert told[-1].covered == 12.0 and told[0].model == str(model)
    piped = sam("transcribe", "-", "--model", model, "-f", "jsonl", input=(sam.folder / "talk.wav").read_bytes())
    assert [(one.start, one.transcript) for one in records(piped.stdout)] == [
        (one.start, one.transcript) for one in told
    ]
    subtitles = here("transcribe", "talk.wav", "--model", model, "-f", "srt").stdout.decode()
    assert subtitles.startswith("1\n00:00:") and all(one.transcript in subtitles for one in told if one.transcript)
    text = here("transcribe", "talk.wav", "--model", model, "-f", "txt").stdout.decode()
    assert text.splitlines() == [one.transcript for one in told]
    table = here("transcribe", "talk.wav", "--model", model, "-o", "t.csv")
    assert table.returncode == 0 and b",transcript," in (sam.folder / "t.csv").read_bytes()


def test_a_stopped_run_is_resumed_and_silence_has_a_record(here: Any, model: Path) -> None:
    talk(here.folder / "a.wav", 3)
    soundfile.write(here.folder / "b.wav", np.zeros(RATE), RATE)
    arguments = ("transcribe", "a.wav", "b.wav", "--model", model, "-o", "said.jsonl", "--resume")
    assert here(*arguments).returncode == 0
    first = (here.folder / "said.jsonl").read_bytes()
    (here.folder / "said.jsonl").unlink()
    assert here(*arguments).returncode == 0 and (here.folder / "said.jsonl").read_bytes() == first
    quiet = [one for one in records(first) if one.path == "b.wav"]
    assert len(quiet) == 1 and quiet[0].error is None and quiet[0].transcript is not None


def test_each_model_does_its_own_work(here: Any, model: Path, make_wav: Any) -> None:
    make_wav(here.folder / "a.wav")
    done = here("tag", "a.wav", "--model", model)
    assert done.returncode == 3 and b"sam transcribe" in done.stderr
    assert here("transcribe", "nowhere.wav", "--model", model).returncode == 2
    assert here("transcribe", "a.wav", "--model", model, "-o", "no/x.srt").returncode == 4
    assert here("transcribe", "a.wav", "--model", "./nowhere").returncode == 3
    assert here("transcribe", "a.wav", "--model", model, "--dtype", "float16").returncode == 2


def test_lines_end_at_pauses_and_before_they_are_too_long() -> None:
    words = [Word("a", 0.0, 0.4), Word("b", 0.5, 0.9), Word("c", 1.8, 2.0)]
    assert [[word.text for word in line] for line in lines([words[:1], [], words[1:]])] == [["a", "b"], ["c"]]
    steady = [Word("word", at / 2, at / 2 + 0.4) for at in range(40)]
    told = list(lines([steady]))
    assert [word for line in told for word in line] == steady
    assert all(line[-1].end - line[0].start <= LINE_SECONDS for line in told)
    assert within(Word("a", 2.1, 2.3), 2.0) == Word("a", 1.96, 2.0) and within(Word("a", 0, 1), 2.0).end == 1
    assert len(list(lines([[Word("x" * 50, 0, 0.1), Word("y" * 50, 0.1, 0.2)]]))) == 2 and not list(lines([[]]))


def test_a_model_is_taught_and_used(here: Any) -> None:
    (here.folder / "data").mkdir()
    for number in range(3):
        talk(here.folder / "data" / f"{number}.wav", 1.0, number)
    (here.folder / "data" / "x.trans.txt").write_text("0 ONE TWO\n1 THREE\n2 FOUR\n9 MISSING\n")
    arguments = ("train", "speech", "data", "-o", "mine", "--size", "tiny", "--steps", "2", "--batch-size", "2")
    done = here(*arguments)
    assert done.returncode == 0 and done.stdout == b"mine\n", done.stderr
    assert b"9.flac" in done.stderr and b"1 recordings cannot be read" in done.stderr
    config = json.loads((here.folder / "mine/config.json").read_text())
    assert config["model_type"] == "speech" and config["symbols"] == "".join(sorted(set("one two three four missing")))
    assert here("transcribe", "data/0.wav", "--model", "mine", "-f", "jsonl").returncode == 0
    assert here(*arguments).returncode == 0, "a finished course is delivered again"
    other = here(*arguments[:-1], "3")
    assert other.returncode == 2 and b"batch" in other.stderr
    assert here("train", "speech", "data", "-o", "x", "--size", "huge").returncode == 2
