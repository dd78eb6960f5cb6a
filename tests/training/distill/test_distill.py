"""Distillation: the teacher listens once, its word reaches the right window, and the loss is what the paper says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from samcli.audio.decode import read_sound
from samcli.audio.front_end import EVEN_32K
from samcli.checkpoints.loading import load_model
from samcli.engine.inputs.find import find_inputs
from samcli.errors import ModelError, UsageError
from samcli.models.encoders.nano import NanoConfig
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.text.labels import labels
from samcli.training.distill import recipe as distillation
from samcli.training.distill.recipe import (
    DistillBatch,
    DistillRecipe,
    DistillTask,
    distill,
    make_student,
    mask,
    mixed,
)
from samcli.training.distill.teacher import (
    SCORES,
    TeacherLabels,
    known_targets,
    label_windows,
    rarity,
    read_labels,
    teacher_labels,
    windows_of,
)
from samcli.training.folder import ModelFolder
from samcli.training.frames import FrameStore, make_frames
from samcli.training.optimiser import Pace
from samcli.training.stage import LoopOptions
from samcli.training.team import Team
from tests.training.conftest import make_corpus

SMALL = NanoConfig(trunk="tiny", hidden=16, layers=1, mixer=BidirectionalConfig(d_model=16, d_state=8, head_dim=8))
RECIPE = DistillRecipe(steps=6, pace=Pace(1e-2, 1), loop=LoopOptions(batch=3, average=0.9, report_every=2))


@pytest.fixture(scope="module")
def store(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return make_frames(find_inputs([sounds]), tmp_path_factory.mktemp("frames"), front_end=EVEN_32K)


def taught(store: FrameStore, classes: int = 3) -> TeacherLabels:
    scores = np.random.default_rng(1).integers(0, 255, (len(windows_of(store)), classes)).astype(np.uint8)
    return TeacherLabels(scores, tuple(f"class {number}" for number in range(classes)))


def test_the_store_holds_what_can_be_read(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("one.wav", "three.wav"):
        (tmp_path / "in" / name).write_bytes((sounds / name).read_bytes())
    (tmp_path / "in" / "bad.wav").write_bytes(b"RIFF nothing")
    inputs = find_inputs([tmp_path / "in"])
    made = make_frames(inputs, tmp_path / "frames")
    assert [Path(name).name for name in made.names] == ["one.wav", "three.wav"] and made.lengths == [38, 218]
    assert [Path(name).name for name in made.skipped] == ["bad.wav"]
    from samcli.audio.fbank import log_mel

    expected = log_mel(torch.from_numpy(read_sound(sounds / "three.wav"))[None])[0]
    assert np.allclose(made[1], expected, atol=0.02)  # half precision
    before = (tmp_path / "frames" / "frames.f16").stat().st_mtime_ns
    make_frames(inputs, tmp_path / "frames")
    assert (tmp_path / "frames" / "frames.f16").stat().st_mtime_ns == before  # not computed again


def test_the_teacher_listens_once_and_goes_on_where_it_was(store: FrameStore, tmp_path: Path) -> None:
    teacher = load_model("tiny-random")
    whole = label_windows(teacher, store, tmp_path)
    assert whole.scores.shape == (4, len(teacher.labels)) and whole.labels == teacher.labels
    expected = torch.sigmoid(teacher.encode(torch.zeros(1, 16000), torch.tensor([16000])).clip_logits)
    assert expected.shape[1] == whole.scores.shape[1]
    path = tmp_path / SCORES
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 3])  # stopped within a row
    again = label_windows(teacher, store, tmp_path)
    assert np.array_equal(again.scores, whole.scores) and path.read_bytes() == data
    languageless = load_model("tiny-random")
    languageless.tasks = frozenset({"caption"})
    with pytest.raises(ModelError, match="cannot teach tags"):
        label_windows(languageless, store, tmp_path)


def test_a_teacher_that_reads_other_frames_is_given_its_own(sounds: Path, tmp_path: Path) -> None:
    inputs = find_inputs([sounds])
    teacher: Any = load_model("tiny-random")
    store = make_frames(inputs, tmp_path / "frames")  # as DASS and its like read them
    with pytest.raises(ModelError, match="reads other frames"):
        label_windows(teacher, store, tmp_path)
    said = teacher_labels(teacher, inputs, store, tmp_path)
    assert len(said.scores) == len(windows_of(store)) == 4
    for number, name in enumerate(store.names):
        wave = torch.from_numpy(read_sound(name, teacher.sample_rate))[None]
        with torch.no_grad():
            logits = teacher.encode(wave, torch.tensor([wave.shape[1]])).clip_logits[0]
        assert np.allclose(said.of(number), logits.sigmoid(), atol=0.01)


def test_a_student_hears_the_level_that_it_will_hear(store: FrameStore) -> None:
    """Sounds are mixed as they were recorded; what the student reads of them is brought to level as in use."""
    student, _ = make_student("nano", 3, seed=0)
    still = replace(RECIPE, mix=0.0, bands=0, frames=0, balanced=False)
    task = DistillTask(student, store, taught(store), {}, still)
    place = 0
    batch = task.batch([place])
    wave = torch.from_numpy(read_sound(store.names[windows_of(store)[task.order[place]][0]], 32_000))
    assert torch.allclose(batch.mel[0], EVEN_32K.of_wave(wave), atol=0.02)  # half precision


def test_cached_labels_reach_their_windows(store: FrameStore, tmp_path: Path) -> None:
    rows = np.arange(4 * 527, dtype=np.uint32).reshape(4, 527).astype(np.uint8)
    files = np.array(["sounds/three.wav", "sounds/one.wav", "sounds/two.wav", "sounds/four.wav"])
    content = {"files": files, "file_index": np.array([1, 0, 2, 3]), "window": np.zeros(4, int), "sqrt_prob_255": rows}
    np.savez(tmp_path / "t.npz", **content)  # type: ignore[arg-type]
    found = read_labels(tmp_path / "t.npz", store)
    order = {"one.wav": 0, "three.wav": 1, "two.wav": 2, "four.wav": 3}
    for row, name in zip(found.scores, store.names, strict=True):
        assert np.array_equal(row, rows[order[Path(name).name]])
    assert found.labels == labels()
    np.savez(tmp_path / "t.npz", **{**content, "files": files[:1].repeat(4)})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="said nothing of"):
        read_labels(tmp_path / "t.npz", store)
    (tmp_path / "t.npz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="no teacher's labels"):
        read_labels(tmp_path / "t.npz", store)


def test_a_corpus_adds_what_its_labels_say(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    inputs = [item for item in find_inputs([corpus]) if "/train/" in item.path]
    store = make_frames(inputs, tmp_path / "frames")
    teacher = read_labels(corpus / "teacher_labels.npz", store)
    known = known_targets(corpus, store, teacher)
    names = [Path(store.names[number]).name for number, _ in windows_of(store)]
    assert {names[window] for window in known} == {"dog1.wav", "dog2.wav", "rain.wav", "bell.wav", "wash.wav"}
    dog = labels().index("Dog")
    assert known[names.index("dog2.wav")][dog] == pytest.approx(0.97)  # the teacher heard nothing; the label did
    assert known_targets(tmp_path / "train", store, teacher) == {}  # a plain folder has no labels


def test_the_loss_is_half_cross_entropy_and_half_divergence(store: FrameStore) -> None:
    class Fixed(torch.nn.Module):
        front_end = EVEN_32K

        def forward(self, mel: torch.Tensor, frames: torch.Tensor) -> Any:
            return type("Heard", (), {"clip_logits": logits})

    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
    target = torch.tensor([[1.0, 0.0, 0.2], [0.0, 0.9, 0.1]])
    teacher = torch.tensor([[0.7, 0.1, 0.3], [0.2, 0.9, 0.0]])
    task = DistillTask(Fixed(), store, taught(store), {}, replace(RECIPE, divergence=0.25))
    outcome = task.outcome(DistillBatch(torch.zeros(2, 5, 128), torch.tensor([5, 5]), target, teacher))
    p = torch.sigmoid(logits)
    cross = -(target * p.log() + (1 - target) * (1 - p).log()).mean(1).sum()
    clear = teacher.clamp(distillation.LEAST_PROBABILITY)
    odds = clear / (1 - clear)
    softmax = odds / odds.sum(1, keepdim=True)
    divergence = (softmax * (softmax.log() - F.log_softmax(logits, 1))).sum()
    assert outcome.total.item() == pytest.approx(float(0.75 * cross + 0.25 * divergence), rel=1e-5)
    assert outcome.weight.item() == 2


def test_mixing_and_blotting() -> None:
    one, other = np.full((4, 128), -2.0, np.float32), np.full((6, 128), 1.0, np.float32)
    both = mixed(one, other, 0.4)
    assert both.shape == (6, 128)
    assert both[0, 0] == pytest.approx(np.log(0.16 * np.exp(-2.0) + 0.36 * np.exp(1.0)), abs=1e-5)
    assert both[5, 0] == pytest.approx(np.log(0.36 * np.exp(1.0)), abs=1e-5)
    rng = np.random.default_rng(0)
    mel = rng.standard_normal((1000, 128)).astype(np.float32)
    for _ in range(20):
        masked = mel.copy()
        mask(masked, rng, 48, 192)
        changed = masked != mel
        assert changed.all(0).sum() <= 48 and changed.all(1).sum() <= 192


def test_rare_sounds_are_drawn_more_often() -> None:
    scores = np.zeros((10, 2), np.uint8)
    scores[:9, 0] = scores[9, 1] = 240
    weights = rarity(scores)
    assert weights[9] > 5 * weights[0] > 0


def test_a_stopped_student_learns_on_to_the_same(
    store: FrameStore, tmp_path: Path, alone: Team, monkeypatch: Any, same_weights: Any
) -> None:
    """With batch norms and a running mean of the weights, which a state must hold too."""
    import signal

    monkeypatch.setitem(distillation.SIZES, "nano", SMALL)

    def learn(folder: Path, stop: bool = False) -> torch.nn.Module:
        student, _ = make_student("nano", 3, seed=2)

        def report(line: dict[str, Any]) -> None:
            if stop and line["step"] == 2:
                signal.raise_signal(signal.SIGINT)

        distill(student, store, taught(store), {}, folder, RECIPE, alone, report)
        return student

    whole = learn(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "parts", stop=True)
    again = learn(tmp_path / "parts")
    same_weights(whole.state_dict(), again.state_dict())

    folder = ModelFolder(tmp_path / "out")
    folder.open({})
    folder.deliver(again, again.config, labels=("a", "b", "c"), card="# card\n")
    model = load_model(str(tmp_path / "out"))
    assert model.labels == ("a", "b", "c") and model.tasks == {"tag"}
    heard = model.encode(torch.randn(1, 32000 * 21) * 0.1, torch.tensor([32000 * 21]))  # longer than two windows
    assert heard.step_logits is not None and heard.step_logits.shape[1] == 125 + 125 + 13


def test_a_pretrained_encoder_becomes_a_student(tmp_path: Path) -> None:
    from samcli.checkpoints.format import save_module

    torch.manual_seed(4)
    config = SsambaConfig(width=16, layers=2, d_state=4, table_steps=4, window_frames=64)
    encoder = Ssamba(config)
    save_module(tmp_path / "encoder", encoder, config)
    student, revision = make_student(str(tmp_path / "encoder"), 5, seed=0)
    assert isinstance(student, Ssamba) and student.classes == 5 and revision
    state = student.state_dict()
    assert torch.equal(state["layers.1.mixer.in_proj.weight"], encoder.layers[1].mixer.in_proj.weight)
    assert state["head.weight"].shape == (5, 16) and not any("pred" in name for name in state)
    with pytest.raises(UsageError, match="no student"):
        make_student("nowhere", 5, seed=0)
