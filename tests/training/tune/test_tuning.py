"""A trained model is taught further names: it learns them, keeps the rest, and comes back from a folder as it was."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from samcli.audio.front_end import EVEN_32K, KALDI, FrontEnd
from samcli.audio.waves import resampled
from samcli.checkpoints.loading import load_model
from samcli.checkpoints.tiny import LABELS
from samcli.errors import ModelError, UsageError
from samcli.training import loop as training_loop
from samcli.training.loop import DivergedError
from samcli.training.tune import recipe as tuning
from samcli.training.tune.base import Base, TuneRecipe, load_base
from samcli.training.tune.batches import Mel, TuneBatches, TuneBatchOptions, features_of
from samcli.training.tune.examine import Examined, examine
from samcli.training.tune.folder import check_new, open_folder, settings_of
from samcli.training.tune.recipe import TUNE_LOOP, Tuned, tune
from samcli.training.tune.recordings import read_data
from tests.training.tune.small_base import RATE, save_base, sound, write_sound, write_sounds

FIXTURES = Path(__file__).parents[2] / "fixtures"
QUICK = TuneRecipe(rank=2, epochs=30, rate=1e-2, full_rate=1e-3, head_rate=5e-2).of_size(4)
LOOP = replace(TUNE_LOOP, bfloat16=False)


class Desk:
    """Data, a base, and what comes of them."""

    def __init__(self, data: Path, base: Path, front_end: FrontEnd = EVEN_32K) -> None:
        self.data, self.base_folder, self.front_end = data, base, front_end
        self.sounds: dict[str, Mel] = {}
        self.examined = self.look(data)

    def look(self, data: Path) -> Examined:
        def keep(path: str, wave: Any) -> None:
            self.sounds[path] = features_of(wave, self.front_end)

        return examine(read_data(data), LABELS, rate=self.front_end.sample_rate, keep=keep)

    @property
    def base(self) -> Base:
        return load_base(str(self.base_folder))

    def tune(self, out: Path, method: Any = "lora", **more: Any) -> Tuned:
        recipe = replace(more.pop("recipe", QUICK), method=method)
        open_folder(out, {}, resume=more.pop("resume", False))
        return tune(self.examined, self.sounds, self.base, out, recipe, LOOP, **more)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("tuning")
    return Desk(write_sounds(folder / "data"), save_base(folder / "base"))


def scores(model: Any, kind: str = "warble", number: int = 9) -> torch.Tensor:
    wave = torch.from_numpy(resampled(sound(kind, number), RATE, model.sample_rate))[None]
    logits: torch.Tensor = model.encode(wave, torch.tensor([wave.shape[1]])).clip_logits[0]
    return logits


@pytest.mark.parametrize("method", ["head", "lora", "dora", "full"])
def test_it_learns_the_names_and_keeps_the_others(desk: Desk, tmp_path: Path, method: str) -> None:
    done = desk.tune(tmp_path / "mine", method)
    assert done.figure == "accuracy" and done.before["accuracy"] == 0.5 and done.best["accuracy"] == 1.0
    model, base = load_model(str(tmp_path / "mine"), device="cpu"), load_model(str(desk.base_folder), device="cpu")
    assert model.labels == (*LABELS, "hiss", "warble") and model.tasks == base.tasks
    for kind, best in (("hiss", 12), ("warble", 13)):
        assert int(scores(model, kind)[12:].argmax()) == best - 12
    moved = (scores(model)[:12].sigmoid() - scores(base)[:12].sigmoid()).abs().max()
    if method == "head":
        assert torch.equal(scores(model)[:12], scores(base)[:12])  # not one bit
    assert moved < 0.1
    files = {path.name for path in (tmp_path / "mine").iterdir()}
    assert files >= {"README.md", "metrics.jsonl"} and "training" not in files
    assert ("config.json" in files) == (method == "full") and ("adapter.json" in files) == (method != "full")


def test_other_sounds_teach_where_the_names_are_not(desk: Desk, tmp_path: Path) -> None:
    time = np.arange(32_000) / 32_000
    pitches = np.linspace(150, 400, 30)
    others = [features_of((0.2 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), EVEN_32K) for pitch in pitches]
    done = desk.tune(tmp_path / "mine", "head", others=others)
    assert done.best["false alarms"] <= 0.2 and done.best["accuracy"] == 1.0
    assert settings_of(desk.examined, desk.base, QUICK, others) != settings_of(desk.examined, desk.base, QUICK)


@pytest.mark.parametrize("method", ["head", "lora"])
def test_a_published_tagger_is_taught_too(desk: Desk, tmp_path: Path, method: str) -> None:
    """DASS takes its time steps in strides of its own, and has no language model."""
    folder = tmp_path / "dass"
    folder.mkdir()
    shutil.copyfile(FIXTURES / "dass_original" / "weights.safetensors", folder / "model.safetensors")
    own = Desk(desk.data, folder, KALDI)
    done = own.tune(tmp_path / "mine", method, recipe=replace(QUICK, epochs=2).of_size(2))
    model, base = load_model(str(tmp_path / "mine"), device="cpu"), load_model(str(folder), device="cpu")
    assert model.labels == (*base.labels, "hiss", "warble") and done.steps == 10
    change = (scores(model)[: len(base.labels)] - scores(base)).abs().max()
    assert change < (1e-5 if method == "head" else 1)  # a wider product may round otherwise


def test_a_name_that_the_base_knows_takes_its_old_row(desk: Desk, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number, letter in enumerate("abcdef"):
        write_sound(data / "dog" / f"{letter}.wav", "warble", number)
        write_sound(data / "Wren" / f"{letter}.wav", "hiss", number)
    own = Desk(data, desk.base_folder)
    own.tune(tmp_path / "mine", "head")
    model = load_model(str(tmp_path / "mine"), device="cpu")
    assert model.labels == (*LABELS, "Wren")
    base = load_model(str(desk.base_folder), device="cpu")
    assert scores(model)[LABELS.index("Dog")] > scores(base)[LABELS.index("Dog")]
    others = [place for place, name in enumerate(LABELS) if name != "Dog"]
    assert torch.equal(scores(model)[others], scores(base)[others])


@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_stopped_run_goes_on_to_the_same_bits(desk: Desk, tmp_path: Path, monkeypatch: Any, method: str) -> None:
    desk.tune(tmp_path / "whole", method)

    def stop_at(line: dict[str, Any]) -> None:
        if line["step"] >= 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        desk.tune(tmp_path / "parts", method, report=stop_at)
    assert (tmp_path / "parts" / "training" / "last.pt").exists()
    assert load_model(str(tmp_path / "parts"), device="cpu").labels[-1] == "warble"  # the best so far is in place
    done = desk.tune(tmp_path / "parts", method, resume=True)
    whole, parts = (load_file(tmp_path / name / "adapter.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    judged = [[json.loads(line) for line in log if "validation" in line] for log in logs]
    figures = [[(line["step"], line["validation"]) for line in lines] for lines in judged]
    assert figures[0] == figures[1] and done.steps == figures[0][-1][0]


def test_captions_and_answers_are_learned_too(desk: Desk, tmp_path: Path) -> None:
    for number, letter in enumerate("abcdef"):
        write_sound(tmp_path / f"warble {letter}.wav", "warble", number)
        write_sound(tmp_path / f"hiss {letter}.wav", "hiss", number)
    rows = [
        f"{kind} {letter}.wav,{caption},{question},{answer},{'validation' if letter == 'f' else 'train'}"
        for letter in "abcdef"
        for kind, caption, question, answer in (
            ("warble", "a bird sings nearby", "is it a bird?", "yes"),
            ("hiss", "rain falls softly", "is it a bird?", "no"),
        )
    ]
    table = tmp_path / "data.csv"
    table.write_text("path,caption,question,answer,split\n" + "\n".join(rows) + "\n")
    own = Desk(table, desk.base_folder)
    done = own.tune(tmp_path / "mine", recipe=replace(QUICK, epochs=60))
    assert done.figure == "validation words"
    assert done.best["validation words"] < 0.6 * done.before["validation words"]
    model = load_model(str(tmp_path / "mine"), device="cpu")
    assert model.labels == LABELS and "caption" in model.tasks
    with pytest.raises(UsageError, match="learns nothing"):
        own.tune(tmp_path / "heads", "head")


def test_several_names_at_once_are_judged_by_precision(desk: Desk, tmp_path: Path) -> None:
    for number, letter in enumerate("abcdef"):
        write_sound(tmp_path / f"{letter}.wav", "warble", number)
        write_sound(tmp_path / f"{letter}{letter}.wav", "hiss", number)
    rows = [f"{letter}.wav,tone;sway\n{letter}{letter}.wav,noise" for letter in "abcdef"]
    table = tmp_path / "data.csv"
    table.write_text("path,labels\n" + "\n".join(rows) + "\n")
    assert Desk(table, desk.base_folder).tune(tmp_path / "mine", "head").figure == "mAP"


def test_an_adapter_is_for_its_base_alone(desk: Desk, tmp_path: Path) -> None:
    desk.tune(tmp_path / "mine", recipe=replace(QUICK, epochs=1))
    other = save_base(tmp_path / "other", seed=3)
    with pytest.raises(ModelError, match="was trained on revision"):
        load_model(f"{other}+{tmp_path / 'mine'}", device="cpu")
    copied = save_base(tmp_path / "copied")  # the same weights elsewhere are the same base
    assert load_model(f"{copied}+{tmp_path / 'mine'}", device="cpu").labels[-1] == "warble"
    about = json.loads((tmp_path / "mine" / "adapter.json").read_text())
    assert about["base"] == str(desk.base_folder)
    for change, sentence in (
        ({"base": str(tmp_path / "gone")}, "which no longer exists"),
        ({"base": ""}, "does not say what it was trained on"),
        ({"labels": [*about["labels"], "extra"]}, "does not fit"),
        ({"rank": 3}, "made for another model"),
    ):
        (tmp_path / "mine" / "adapter.json").write_text(json.dumps(about | change))
        with pytest.raises(ModelError, match=sentence):
            load_model(str(tmp_path / "mine"), device="cpu")
    (tmp_path / "mine" / "adapter.json").write_text(json.dumps(about))
    state = load_file(tmp_path / "mine" / "adapter.safetensors")
    state["rows.elsewhere"] = torch.zeros(1)
    save_file(state, tmp_path / "mine" / "adapter.safetensors")
    with pytest.raises(ModelError, match="made for another model"):
        load_model(str(tmp_path / "mine"), device="cpu")
    with pytest.raises(ModelError, match="is an adapter"):
        load_base(str(tmp_path / "mine"))


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_best(desk: Desk, tmp_path: Path) -> None:
    poisoned = copy.copy(desk)
    path = poisoned.examined.split("train")[0].path
    poisoned.sounds = {name: np.full_like(mel, np.nan) for name, mel in desk.sounds.items()}
    assert path in poisoned.sounds
    with pytest.raises(DivergedError, match="not been a number"):
        poisoned.tune(tmp_path / "mine", recipe=replace(QUICK, epochs=100))


def test_a_run_goes_on_only_as_it_was_begun(desk: Desk, tmp_path: Path) -> None:
    settings = settings_of(desk.examined, desk.base, QUICK)
    with pytest.raises(UsageError, match="nothing to go on with"):
        open_folder(tmp_path / "mine", settings, resume=True)
    assert open_folder(tmp_path / "mine", settings, resume=False)
    with pytest.raises(UsageError, match="--resume"):
        check_new(tmp_path / "mine")
    with pytest.raises(UsageError, match="has rank 2, not 5"):
        open_folder(tmp_path / "mine", settings | {"rank": 5}, resume=True)
    with pytest.raises(UsageError, match="state of the data"):
        open_folder(tmp_path / "mine", settings | {"state of the data": "x"}, resume=True)
    assert open_folder(tmp_path / "mine", settings, resume=True)
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "adapter.json").touch()
    assert not open_folder(tmp_path / "done", settings, resume=True)  # it is finished
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="is there already"):
        open_folder(tmp_path / "full", settings, resume=False)


def test_batches_depend_on_the_seed_and_the_number_alone(desk: Desk) -> None:
    learners = desk.examined.split("train")
    names = ["hiss", "warble"]
    options = TuneBatchOptions(scenes=4)
    one, other = (TuneBatches(learners, desk.sounds, names, options) for _ in range(2))
    one.batch(0)
    assert torch.equal(one.batch(3).mel, other.batch(3).mel)
    assert not torch.equal(one.batch(3).mel, one.batch(4).mel)
    batch = one.batch(5)
    assert batch.tags.shape == (4, 2) and batch.steps.shape == (4, -(-batch.mel.shape[1] // 8), 2)
    assert float(batch.tags.max()) <= 1.0 and bool(batch.known.all())


def test_minutes_become_steps(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own, which goes on by a tenth of a second with every look at it."""
    looks = itertools.count()
    for module in (tuning, training_loop):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(looks) * 0.1))
    done = desk.tune(tmp_path / "mine", "head", recipe=replace(QUICK, epochs=None, minutes=0.1))
    assert done.steps > 5 and done.seconds < 60
