"""Pre-training: what is hidden, what is heard, and that it helps where it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samcli.engine.inputs.find import find_inputs
from samcli.evaluation.probe import feature, judge
from samcli.models.encoders.ssamba import SsambaConfig
from samcli.training.frames import FrameStore, make_frames
from samcli.training.nano.corpus import Clip
from samcli.training.optimiser import Pace
from samcli.training.pretrain import PretrainRecipe, PretrainTask, fresh, hide, pretrain, sized
from samcli.training.stage import LoopOptions
from samcli.training.team import Team

ENCODER = SsambaConfig(width=16, layers=2, d_state=2, table_steps=4, window_frames=64)
RECIPE = PretrainRecipe(ENCODER, hidden=0.5, steps=8, pace=Pace(2e-3, 2), loop=LoopOptions(batch=3, report_every=4))


@pytest.fixture(scope="module")
def store(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return make_frames(find_inputs([sounds]), tmp_path_factory.mktemp("frames"))


def test_hidden_patches_lie_in_squares() -> None:
    rng = np.random.default_rng(0)
    neighbours = 0
    for _ in range(20):
        chosen = hide(rng, (8, 16), 60)
        assert len(set(chosen.tolist())) == 60 and chosen.min() >= 0 and chosen.max() < 128
        grid = np.zeros((8, 16), bool)
        grid.flat[chosen] = True
        neighbours += int((grid[:, 1:] & grid[:, :-1]).sum())
    assert neighbours / 20 > 1.15 * (60 / 128) ** 2 * 8 * 15  # scattered ones would touch as often as chance has it


def test_windows_cover_the_recordings(store: FrameStore) -> None:
    task = PretrainTask(fresh(RECIPE), store, RECIPE)
    assert len(task.order) == sum(max(1, length // 64) for length in store.lengths)
    batch = task.batch(range(5))
    assert batch.frames.shape == (5, 64, 128) and batch.hidden.shape == (5, 16)
    again = task.batch(range(3, 5))
    assert torch.equal(again.frames, batch.frames[3:]) and torch.equal(again.hidden, batch.hidden[3:])
    short = store.names.index(next(name for name in store.names if name.endswith("one.wav")))
    place = next(place for place in range(40) if task.order[place] < 1) if short == 0 else None
    if place is not None:  # 38 frames fill 64 by coming again
        mel = task.example(place)[0]
        assert np.array_equal(mel[:26], mel[38:])


def test_it_learns_and_stays_the_same_when_stopped(
    store: FrameStore, tmp_path: Path, alone: Team, same_weights: Any
) -> None:
    import signal

    lines: list[dict[str, Any]] = []
    longer = replace(RECIPE, steps=40)
    whole, finished = pretrain(store, tmp_path / "whole", longer, alone, lines.append)
    assert finished and lines[-1]["loss"] < lines[0]["loss"] and lines[-1]["mse"] < lines[0]["mse"]

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 12:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain(store, tmp_path / "parts", longer, alone, stop)
    parts, _ = pretrain(store, tmp_path / "parts", longer, alone)
    same_weights(whole.state_dict(), parts.state_dict())


def test_sizes_fit_the_window() -> None:
    config = sized("nano", 2.56)
    assert (config.table_steps, config.window_frames) == (16, 256)
    assert sized("base", 10.24) == SsambaConfig()


def clips(count: int, split: str) -> list[Clip]:
    return [Clip(f"{split}{i}", split, "freesound-clips", "ab"[i % 2], "class", (), "", 1.0) for i in range(count)]


def test_the_probe_finds_what_lies_open_and_nothing_where_nothing_is() -> None:
    rng = torch.Generator().manual_seed(0)
    every = clips(60, "train") + clips(40, "dev")
    noise = torch.randn(100, 8, generator=rng)
    telling = noise.clone()
    telling[::2, 3] += 6
    found, nothing = judge(telling, every), judge(noise, every)
    assert found.accuracy > 0.95 and len(found.hits) == 40 and found.classes == 2
    low, high = found.spread()
    assert low <= found.accuracy <= high
    assert 0.2 < nothing.accuracy < 0.75
    gain, least, most = found.gain(nothing)
    assert gain == pytest.approx(found.accuracy - nothing.accuracy) and 0 < least <= gain <= most
    assert nothing.gain(nothing) == (0, 0, 0), "the same clips: what both get wrong says nothing of the gain"


def test_a_feature_is_the_mean_over_windows() -> None:
    encoder = fresh(RECIPE).eval()
    mel = torch.randn(64 * 2, 128)
    both = torch.stack([feature(encoder, mel[:64]), feature(encoder, mel[64:])]).mean(0)
    assert torch.allclose(feature(encoder, mel), both, atol=1e-4)
