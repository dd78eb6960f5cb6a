"""The real command line on models from the Hub and on hostile folders: commits in records, exit code 3 for failures."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.conftest import ROOT, Client
from tests.checkpoints.hub_server import HubServer, Repo
from tests.nursery import Nursery

FIXTURE = ROOT / "tests" / "fixtures" / "dass_hf" / "weights.safetensors"
NAMES = ["Speech", "Dog", "Rain", "Bell", "Car", "Hum", "Saw"]
CONFIG = {"model_type": "dass", "id2label": dict(zip("0123456", NAMES, strict=True))}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        samples = (int(8000 * math.sin(0.2 * number)) for number in range(16_000))
        file.writeframes(struct.pack("<16000h", *samples))
    return path


@pytest.fixture
def tagger(hub: HubServer) -> Repo:
    hub.repos["org/tagger"] = Repo(
        {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": FIXTURE.read_bytes()}
    )
    return hub.repos["org/tagger"]


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sam(nursery: Nursery, client: Client, tmp_path: Path) -> Program:
    """The program, with the client's cache."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        running = nursery.start(arguments, tmp_path, client.environment())
        stdout, stderr = running.communicate(timeout=250)
        return subprocess.CompletedProcess(arguments, running.wait(), stdout.decode(), stderr.decode())

    return run


def record(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[0])  # type: ignore[no-any-return]


def test_a_tagger_from_the_hub_writes_its_commit_in_every_record(
    hub: HubServer, sam: Program, tagger: Repo, sound: Path
) -> None:
    ask = ("tag", str(sound), "--model", "org/tagger", "--device", "cpu", "-f", "jsonl")
    first = record(sam(*ask))
    assert (first["model"], first["revision"]) == ("org/tagger", tagger.commit)
    assert {tag["label"] for tag in first["tags"]} <= set(NAMES)
    requests = len(hub.seen())
    again = record(sam(*ask, "--offline"))
    assert again["tags"] == first["tags"] and again["revision"] == tagger.commit
    assert len(hub.seen()) == requests


@pytest.mark.slow
def test_a_cached_file_that_was_damaged_is_fetched_again_once(
    hub: HubServer, sam: Program, tagger: Repo, sound: Path
) -> None:
    path = Path(sam("models", "pull", "org/tagger").stdout.strip()) / "model.safetensors"
    whole = path.read_bytes()
    path.resolve().write_bytes(whole[:-50])
    ask = ("tag", str(sound), "--model", "org/tagger", "--device", "cpu", "-f", "jsonl")
    offline = sam(*ask, "--offline")
    assert offline.returncode == 3 and "damaged" in offline.stderr
    hub.requests.clear()
    assert record(sam(*ask))["revision"] == tagger.commit
    assert len(hub.seen("signature", "GET")) == 1
    assert path.read_bytes() == whole


def test_pull_path_and_rm(sam: Program, tagger: Repo) -> None:
    assert sam("models", "path", "org/tagger").returncode == 3
    pulled = sam("models", "pull", "org/tagger")
    assert pulled.returncode == 0, pulled.stderr
    path = sam("models", "path", "org/tagger")
    assert path.stdout == pulled.stdout
    assert Path(path.stdout.strip()).name == tagger.commit
    assert sam("models", "rm", "org/tagger", "--dry-run").returncode == 0
    assert Path(path.stdout.strip()).exists()
    assert sam("models", "rm", "org/tagger").returncode == 0
    assert not Path(path.stdout.strip()).exists()


@pytest.mark.slow
def test_failures_are_one_sentence_and_exit_code_3(sam: Program, client: Client, sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "dass"}')
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**40) + b"{}")
    before = sorted(path for path in tmp_path.rglob("*") if client.home not in path.parents)
    for arguments in (
        ("tag", str(sound), "--model", str(folder)),
        ("tag", str(sound), "--model", "org/nowhere"),
        ("models", "pull", "org/nowhere"),
        ("models", "convert", str(folder), str(tmp_path / "out")),
        ("models", "show", str(folder)),
    ):
        done = sam(*arguments)
        assert done.returncode == 3, (arguments, done.stderr)
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
        assert "Traceback" not in done.stderr
    after = sorted(path for path in tmp_path.rglob("*") if client.home not in path.parents)
    assert [path for path in after if path != client.home] == [path for path in before if path != client.home]
