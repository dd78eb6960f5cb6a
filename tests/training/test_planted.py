"""A training that a stranger began: nothing is written through the links that he left in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from samcli.engine.inputs.find import find_inputs
from samcli.errors import OutputError
from samcli.training.folder import ModelFolder, forget_after, read_state
from samcli.training.frames import FRAMES, INDEX, make_frames
from samcli.training.tune.folder import open_folder
from samcli.writers.files import append_line

DIARY = "dear diary\n"
SETTINGS = {"size": "tiny"}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    place = tmp_path / "home" / "diary"
    place.write_text(DIARY)
    return place


def unharmed(victim: Path) -> bool:
    return victim.read_text() == DIARY and [path.name for path in victim.parent.iterdir()] == [victim.name]


def test_the_state_of_a_training(tmp_path: Path, victim: Path) -> None:
    out = tmp_path / "out"
    assert not ModelFolder(out).open(SETTINGS) and ModelFolder(out).open(SETTINGS)
    state = out / "training"
    (state / "settings.json").unlink()
    (state / "settings.json").symlink_to(victim)
    with pytest.raises(OutputError, match=r"training/settings\.json': it is a link"):
        ModelFolder(out).open(SETTINGS)
    (state / "settings.json").unlink()
    (state / "settings.json").write_text('{"size": "tiny"}')
    state.rename(tmp_path / "moved")
    state.symlink_to(tmp_path / "moved")
    with pytest.raises(OutputError, match="out/training': it is a link"):
        ModelFolder(out).open(SETTINGS)
    assert unharmed(victim)


def test_a_tuning(tmp_path: Path, victim: Path) -> None:
    out = tmp_path / "out"
    assert open_folder(out, SETTINGS, resume=False) and open_folder(out, SETTINGS, resume=True)
    settings = next(out.glob("*/settings.json"))
    settings.unlink()
    settings.symlink_to(victim)
    with pytest.raises(OutputError, match="it is a link"):
        open_folder(out, SETTINGS, resume=True)
    assert unharmed(victim)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("plant", [Path.symlink_to, Path.hardlink_to, lambda name, victim: os.mkfifo(name)])
def test_the_log_and_the_weights(tmp_path: Path, victim: Path, plant: Callable[[Path, Path], None]) -> None:
    state = tmp_path / "training"
    state.mkdir()
    plant(state / "metrics.jsonl", victim)
    with pytest.raises(OutputError, match=r"metrics\.jsonl': it is a"):
        append_line(state / "metrics.jsonl", "{}", own=2)
    assert unharmed(victim)
    if plant is not Path.hardlink_to:  # to read a second name is no harm, and what is written next takes its place
        with pytest.raises(OutputError, match=r"metrics\.jsonl': it is a"):
            forget_after(state / "metrics.jsonl", 0)
        plant(state / "state.pt", victim)
        with pytest.raises(OutputError, match=r"state\.pt': it is a"):
            read_state(state / "state.pt")
    assert unharmed(victim)


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    torch.save({"step": torch.tensor(3)}, tmp_path / "training" / "state.pt")
    assert read_state(tmp_path / "training" / "state.pt")["step"] == 3


@pytest.mark.parametrize("name", [FRAMES, f".{INDEX}.part"])
def test_the_frames(tmp_path: Path, victim: Path, make_wav: Callable[..., Path], name: str) -> None:
    make_wav(tmp_path / "in" / "a.wav")
    frames = tmp_path / "training" / "frames"
    frames.mkdir(parents=True)
    (frames / name).symlink_to(victim)
    with pytest.raises(OutputError, match="it is a link"):
        make_frames(find_inputs([tmp_path / "in"]), frames)
    assert unharmed(victim)
    frames.rename(tmp_path / "moved")
    frames.symlink_to(victim.parent)
    with pytest.raises(OutputError, match="training/frames': it is a link"):
        make_frames(find_inputs([tmp_path / "in"]), frames)
    assert unharmed(victim)
