"""The same command goes on with a training; another one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samcli.errors import UsageError
from samcli.training.folder import ModelFolder

SETTINGS = {"size": "tiny", "loop": {"batch": 4, "seed": 0}}


def test_the_same_settings_go_on_and_others_are_refused(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path / "out")
    assert not folder.open(SETTINGS) and folder.open(SETTINGS)
    with pytest.raises(UsageError, match='has size "tiny", not "base": name another folder'):
        folder.open(SETTINGS | {"size": "base"})
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds no training"):
        ModelFolder(tmp_path).open(SETTINGS)


def test_a_training_of_the_first_version_goes_on(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path / "out")
    folder.open({"size": "tiny", "course": SETTINGS["loop"]})
    assert json.loads(folder.settings.read_text())["course"] == SETTINGS["loop"]
    assert folder.open(SETTINGS)
    with pytest.raises(UsageError, match="has loop"):
        folder.open(SETTINGS | {"loop": {"batch": 8, "seed": 0}})
