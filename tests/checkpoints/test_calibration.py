"""Thresholds beside a model, beside an adapter, and in a folder of their own; what is none is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from samcli.checkpoints.calibration import (
    FILE,
    Calibration,
    is_calibration,
    read_calibration,
    thresholds_in,
    write_calibration,
)
from samcli.checkpoints.format import save_module
from samcli.checkpoints.loading import load_model
from samcli.checkpoints.tiny import LABELS, tiny_network, tiny_tokenizer
from samcli.engine.journal import fingerprint
from samcli.engine.options import RunOptions
from samcli.errors import ModelError, OutputError, UsageError
from samcli.records import AUTO
from samcli.tasks.run import task_for

DOG = LABELS.index("Dog")
SOME = Calibration(0.4, {"Dog": {"threshold": 0.2, "step_threshold": 0.1, "recordings": 9}}, 0.3, {"sources": 3})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny-random as a folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer)
    words = tokenizer.save(folder.parent / "tokenizer.json")
    save_module(folder, network, network.config, tokenizer=words)
    (folder / "labels.json").write_text(json.dumps(list(LABELS)))
    return folder


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None
    path = write_calibration(tmp_path / "new" / "folder", SOME)
    assert read_calibration(path.parent) == SOME
    assert SOME.of("Dog") == (0.2, 0.1) and SOME.of("Rain") == (0.4, 0.3)
    assert Calibration(0.4, {"Dog": {"threshold": 0.2}}).of("Dog") == (0.2, 0.2)


def test_later_folders_say_more(tmp_path: Path) -> None:
    write_calibration(tmp_path / "base", SOME)
    write_calibration(tmp_path / "adapter", Calibration(0.9, {"Wren": {"threshold": 0.6}}))
    labels = ("Dog", "Rain", "Wren")
    found = thresholds_in([tmp_path / "base", tmp_path / "adapter"], labels)
    assert found is not None and found.calibrated
    assert found.clips == (0.2, 0.4, 0.6) and found.steps == (0.1, 0.3, 0.6)
    assert thresholds_in([tmp_path], labels) is None


def test_a_model_brings_its_thresholds(tiny: Path, tmp_path: Path) -> None:
    plain: Any = load_model(str(tiny), device="cpu")
    assert not plain.calibrated and plain.thresholds == plain.step_thresholds == (0.5,) * len(LABELS)
    with pytest.raises(UsageError, match="no thresholds of its own"):
        task_for("tag", plain, RunOptions(threshold=AUTO))
    assert task_for("tag", plain, RunOptions(timeline=True)).choice.told == 0.3  # type: ignore[attr-defined]
    before = fingerprint("tag", plain, RunOptions())
    try:
        write_calibration(tiny, SOME)
        model: Any = load_model(str(tiny), device="cpu")
    finally:
        (tiny / FILE).unlink()
    assert model.calibrated and model.thresholds[DOG] == 0.2 and model.step_thresholds[DOG] == 0.1
    assert set(model.thresholds) == {0.2, 0.4} and set(model.step_thresholds) == {0.1, 0.3}
    assert model.revision == plain.revision, "the weights are the same"
    assert fingerprint("tag", model, RunOptions()) != before, "but a run does not go on with other thresholds"
    assert fingerprint("caption", model, RunOptions()) == fingerprint("caption", plain, RunOptions())
    clip = task_for("tag", model, RunOptions(threshold=AUTO)).choice  # type: ignore[attr-defined]
    timeline = task_for("tag", model, RunOptions(timeline=True)).choice  # type: ignore[attr-defined]
    assert (clip.threshold, timeline.threshold) == (model.thresholds, model.step_thresholds)
    assert clip.told == timeline.told == AUTO
    assert task_for("tag", model, RunOptions()).choice.told == 0.1  # type: ignore[attr-defined]
    assert task_for("tag", model, RunOptions(timeline=True, threshold=0.7)).choice.told == 0.7  # type: ignore[attr-defined]


def test_a_folder_of_its_own_is_its_base(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_calibration(folder, Calibration(0.4, {"Dog": {"threshold": 0.2}}, base=str(tiny)))
    assert is_calibration(str(folder)) and not is_calibration(str(tiny)) and not is_calibration("")
    model: Any = load_model(str(folder), device="cpu")
    base: Any = load_model(str(tiny), device="cpu")
    assert (model.name, model.revision, model.tasks) == (str(folder), base.revision, base.tasks)
    assert model.thresholds[DOG] == 0.2 and model.calibrated
    write_calibration(tmp_path / "other", Calibration(0.4, {}, base="tiny-random"))
    assert load_model(str(tmp_path / "other"), device="cpu").thresholds == (0.4,) * len(LABELS)
    write_calibration(tmp_path / "circle", Calibration(0.4, {}, base=str(tmp_path / "circle")))
    with pytest.raises(ModelError, match="a calibration of another one"):
        load_model(str(tmp_path / "circle"))
    write_calibration(tmp_path / "baseless", Calibration(0.4, {}))
    with pytest.raises(ModelError, match="which model they are for"):
        load_model(str(tmp_path / "baseless"))


GOOD: dict[str, Any] = {"schema": 1, "threshold": 0.4, "labels": {"Dog": {"threshold": 0.2}}}
BAD: dict[str, tuple[Any, str]] = {
    "of tomorrow": (GOOD | {"schema": 2}, "is of schema '2'"),
    "without a schema": ({"threshold": 0.4}, "is of schema"),
    "without a threshold": ({"schema": 1}, "sets the threshold to 'None'"),
    "above one": (GOOD | {"threshold": 1.5}, "no score from 0 to 1"),
    "a truth": (GOOD | {"threshold": True}, "no score from 0 to 1"),
    "a text": (GOOD | {"labels": {"Dog": {"threshold": "high"}}}, "threshold of 'Dog' to 'high'"),
    "below zero": (GOOD | {"labels": {"Dog": {"threshold": 0.1, "step_threshold": -1}}}, "step_threshold of 'Dog'"),
    "a label without one": (GOOD | {"labels": {"Dog": {}}}, "threshold of 'Dog' to 'None'"),
    "a label that is a number": (GOOD | {"labels": {"Dog": 0.3}}, "gives 'Dog' no threshold"),
    "a list": (GOOD | {"labels": [0.3]}, "no calibration"),
    "a base that is a list": (GOOD | {"base": ["sam-nano"]}, "no calibration"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_none_is_refused(name: str, tmp_path: Path) -> None:
    values, sentence = BAD[name]
    (tmp_path / FILE).write_text(json.dumps(values))
    with pytest.raises(ModelError, match=sentence):
        read_calibration(tmp_path)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"\xff\xfe", b'{"schema": 1, "threshold": NaN}', b"[" * 100_000, b" " * (5 * 2**20)]
)
def test_what_is_no_json_is_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(raw)
    with pytest.raises(ModelError):
        read_calibration(tmp_path)


def test_no_link_leads_out_of_a_folder(tmp_path: Path) -> None:
    """Neither to be read nor to be written through."""
    (tmp_path / "model").mkdir()
    (tmp_path / "diary.txt").write_text("secret")
    (tmp_path / "model" / FILE).symlink_to(tmp_path / "diary.txt")
    with pytest.raises(ModelError, match="outside its folder"):
        read_calibration(tmp_path / "model")
    with pytest.raises(ModelError, match="outside its folder"):
        write_calibration(tmp_path / "model", SOME)
    assert (tmp_path / "diary.txt").read_text() == "secret"


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        write_calibration(tmp_path / "file" / "folder", SOME)
