"""The loop: the same to the bit after a stop, the same by any share of the work, and never a broken file."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from samcli.errors import OutputError
from samcli.training.loop import DivergedError, Trainer
from samcli.training.optimiser import Pace, Plateau
from samcli.training.progress import LostWorkerError, Stopping, lost_workers
from samcli.training.stage import LoopOptions, Outcome, Shuffled, Stage, Weighted, computing, generator
from samcli.training.team import Team
from tests.conftest import files_up_to

QUICK = LoopOptions(batch=6, report_every=2, average=0.9)


class Network(nn.Module):
    """With everything that is easily forgotten: statistics, chance, a part that no stage touches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(8, 1)
        self.idle = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.dropout(torch.relu(self.norm(self.first(x)))))
        return y


class Points(NamedTuple):
    x: Tensor
    y: Tensor


class Fit:
    """Rows weigh unequally, as answers of unequal length do."""

    def __init__(self, network: nn.Module, spoil: int | None = None) -> None:
        self.network, self.spoil = network, spoil

    def batch(self, places: Sequence[int]) -> Points:
        rows = torch.stack([torch.from_numpy(generator(5, place).standard_normal(4)).float() for place in places])
        wanted = rows[:, :1] - rows[:, 1:2]
        if self.spoil is not None and places[-1] >= self.spoil:
            wanted = wanted * float("nan")
        return Points(rows, wanted)

    def outcome(self, batch: Points) -> Outcome:
        weight = 1 + (batch.x[:, :1] > 0).float()
        total = (weight * (self.network(batch.x) - batch.y).square()).sum()
        return Outcome(total, weight.sum(), {"loss": total.detach()}, len(batch.x))


def training(
    folder: Path, team: Team, options: LoopOptions = QUICK, network: Network | None = None, steps: int = 8
) -> Trainer:
    network = network or Network()
    task = Fit(network)
    stages = [
        Stage("head", 5, lambda: task, Pace(0.05, warm_up=2), lambda name: name.startswith("last.")),
        Stage("all", steps, lambda: task, Pace(0.01, warm_up=2, weight_decay=0.1), lambda name: "idle" not in name),
    ]
    return Trainer(network, stages, folder / "state.pt", options, team)


def mean_of(trainer: Trainer) -> dict[str, Tensor]:
    assert trainer.average.network is not None
    return trainer.average.network.state_dict()


def test_a_stopped_training_ends_as_an_undisturbed_one(tmp_path: Path, alone: Team, same_weights: Any) -> None:
    whole = training(tmp_path / "whole", alone)
    assert whole.run()

    for stop in (2, 8):  # in the first stage, and in the second one; the step under way is finished

        def stop_there(line: dict[str, Any], stop: int = stop) -> None:
            if line["step"] >= stop:
                signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            training(tmp_path / "parts", alone).run(stop_there)
    parts = training(tmp_path / "parts", alone)
    assert parts.step == 8
    assert parts.run()
    same_weights(whole.network.state_dict(), parts.network.state_dict())
    same_weights(mean_of(whole), mean_of(parts))

    def log(name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key not in ("seconds", "examples/s")} for line in lines]

    assert log("whole") == log("parts")
    assert [line["stage"] for line in log("whole")] == ["head"] * 3 + ["all"] * 5


def test_a_killed_training_goes_on_from_its_last_save(tmp_path: Path, alone: Team, same_weights: Any) -> None:
    whole = training(tmp_path / "whole", alone)
    whole.run()

    def die(line: dict[str, Any]) -> None:
        if line["step"] == 10:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        training(tmp_path / "killed", alone).run(die)
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1')  # half a line
    again = training(tmp_path / "killed", alone)
    assert again.step == 5  # the end of the first stage is always saved
    assert again.run()
    same_weights(whole.network.state_dict(), again.network.state_dict())
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 5, 6, 8, 10, 12, 13]  # each once


def test_a_finished_training_is_not_taught_again(tmp_path: Path, alone: Team, same_weights: Any) -> None:
    first = training(tmp_path, alone)
    first.run()
    again = training(tmp_path, alone)
    assert again.run(lambda line: pytest.fail("it was taught again"))
    same_weights(first.network.state_dict(), again.network.state_dict())


def test_what_a_stage_leaves_frozen_does_not_change(tmp_path: Path, alone: Team) -> None:
    untouched = Network().state_dict()
    only_head = training(tmp_path / "a", alone, steps=0, options=LoopOptions(batch=6))
    only_head.run()
    for name, value in only_head.network.state_dict().items():
        changed = not torch.equal(value, untouched[name])
        assert changed == name.startswith(("last.", "norm.running", "norm.num")), name
    both = training(tmp_path / "b", alone, options=LoopOptions(batch=6))
    both.run()
    assert not torch.equal(both.network.state_dict()["first.weight"], untouched["first.weight"])
    assert torch.equal(both.network.state_dict()["idle.weight"], untouched["idle.weight"])
    assert not any(name.startswith("idle.") for name in torch.load(tmp_path / "b" / "state.pt")["network"])


def test_little_memory_changes_rounding_only(tmp_path: Path, alone: Team) -> None:
    def weights(at_once: int) -> dict[str, Tensor]:
        network = Network()
        network.dropout.p = 0.0
        network.norm = nn.Identity()  # type: ignore[assignment]  # statistics of a batch depend on its size
        made = training(tmp_path / str(at_once), alone, LoopOptions(batch=6, at_once=at_once), network)
        made.run()
        return network.state_dict()

    whole, pieces = weights(0), weights(4)
    for name, value in whole.items():
        assert torch.allclose(value, pieces[name], atol=1e-5), name


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine, or a share of one, with one core
def test_who_prepares_the_examples_does_not_matter(tmp_path: Path, alone: Team, same_weights: Any) -> None:
    helped, by_itself = (
        training(tmp_path / str(workers), alone, LoopOptions(batch=6, workers=workers)) for workers in (2, 0)
    )
    assert helped.run() and by_itself.run()
    same_weights(helped.network.state_dict(), by_itself.network.state_dict())


def test_a_state_of_the_first_version_goes_on(tmp_path: Path, alone: Team, same_weights: Any) -> None:
    """It counted the steps of each stage, and called the average a mean."""
    whole = training(tmp_path / "whole", alone)
    whole.run()

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 8:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "parts", alone).run(stop)
    path = tmp_path / "parts" / "state.pt"
    state = torch.load(path, weights_only=True)
    del state["notes"]
    floats = {name: mean for name, mean in state.pop("average").items() if mean.is_floating_point()}
    torch.save(state | {"stage": 1, "step": state["step"] - 5, "mean": floats}, path)
    parts = training(tmp_path / "parts", alone)
    assert parts.step == 8 and parts.run()
    same_weights(whole.network.state_dict(), parts.network.state_dict())
    parts.average.give(parts.network)
    whole.average.give(whole.network)
    same_weights(whole.network.state_dict(), parts.network.state_dict())


def test_stages_that_share_an_optimiser_keep_its_moments(tmp_path: Path, alone: Team, same_weights: Any) -> None:
    def ends(lengths: tuple[int, ...], own: bool) -> dict[str, Tensor]:
        network = Network()
        pace = Pace(0.01, warm_up=0, shape="constant")
        stages = [Stage("part", steps, lambda: Fit(network), pace, own_optimiser=own) for steps in lengths]
        options = LoopOptions(batch=6, seed=-1)
        Trainer(network, stages, tmp_path / f"{own}{lengths}" / "state.pt", options, alone).run()
        return network.state_dict()

    whole = ends((6,), own=False)
    same_weights(whole, ends((2, 4), own=False))
    assert not torch.equal(whole["first.weight"], ends((2, 4), own=True)["first.weight"])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="each core is given one process")
def test_a_second_core_lends_its_gradients(tmp_path: Path, alone: Team) -> None:
    network, threads = Network(), torch.get_num_threads()
    stage = Stage("all", 10**9, lambda: Fit(network), Pace(1e-3), helper=lambda: Fit(network))
    lent: list[int] = []

    def stop(line: dict[str, Any]) -> None:
        lent.append(line["lent"])
        if sum(lent) == 2:
            signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            Trainer(network, [stage], tmp_path / "state.pt", LoopOptions(batch=2, report_every=1), alone).run(stop)
    finally:
        torch.set_num_threads(threads)
    assert sum(lent) >= 2 and multiprocessing.active_children() == []


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path, alone: Team) -> None:
    network = Network()
    stage = Stage("all", 100, lambda: Fit(network, spoil=30), Pace(0.01))
    taught = Trainer(network, [stage], tmp_path / "state.pt", LoopOptions(batch=6), alone)
    with pytest.raises(DivergedError, match="not been a number"):
        taught.run()
    assert all(torch.isfinite(value).all() for name, value in network.named_parameters())


def test_a_killed_helper_is_a_sentence() -> None:
    """Torch raises wherever the program happens to be, so a real kill would also strike the test runner."""
    with pytest.raises(LostWorkerError, match="goes on from the last save"), lost_workers(Stopping()):
        raise RuntimeError("DataLoader worker (pid 10879) is killed by signal: Killed. ")
    with pytest.raises(RuntimeError, match="shapes"), lost_workers(Stopping()):
        raise RuntimeError("shapes do not fit")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_stop_of_the_whole_group_is_saved(tmp_path: Path, alone: Team) -> None:
    """The system signals every process of the group; the helpers outlast it, or the step would be lost."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))

    def stop(line: dict[str, Any]) -> None:
        if trainer.step == 6:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGTERM)
        if trainer.step == 20:
            signal.raise_signal(signal.SIGTERM)

    try:
        trainer = training(tmp_path, alone, LoopOptions(batch=6, workers=1, report_every=2), steps=200)
        assert trainer.run(stop) is False
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
    assert training(tmp_path, alone, LoopOptions(batch=6), steps=200).step == 20


def test_a_full_disk_is_a_sentence(tmp_path: Path, alone: Team) -> None:
    trainer = training(tmp_path, alone)
    with files_up_to(0), pytest.raises(OutputError, match=r"metrics\.jsonl': File too large"):
        trainer.run()


def test_the_pace_rises_and_falls() -> None:
    for shape in ("linear", "cosine"):
        pace = Pace(warm_up=10, shape=shape)  # type: ignore[arg-type]
        shares = [pace.share(step, 100) for step in range(100)]
        assert shares[0] == 0.1 and shares[9] == shares[10] == 1.0
        assert all(a > b for a, b in pairwise(shares[10:])) and 0 < shares[-1] < 0.05
    assert Pace(warm_up=2, shape="constant").share(50, 60) == 1.0
    rates = [Plateau(warm_up=10, decay_share=0.5).share(step, 100) for step in range(100)]
    assert rates[0] < rates[5] < rates[10] == 1.0 and rates[10:50] == [1.0] * 40
    assert all(a >= b for a, b in pairwise(rates[50:])) and rates[-1] < 0.05


def test_every_example_comes_once_an_epoch() -> None:
    order = Shuffled(7, seed=3)
    epochs = [[order[place] for place in range(start, start + 7)] for start in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and epochs[0] != epochs[1]
    assert [Shuffled(7, seed=3)[place] for place in range(7)] == epochs[0]


def test_weighted_examples_come_by_their_weight() -> None:
    import numpy as np

    order = Weighted(np.array([1.0, 0.0, 3.0]), seed=0)
    drawn = np.bincount([order[place] for place in range(400)], minlength=3)
    assert drawn[1] == 0 and 2 < drawn[2] / drawn[0] < 4.5


def test_a_team_shares_a_step_in_pieces() -> None:
    shares = [Team(torch.device("cpu"), rank, 3).share_of(range(10, 17)) for rank in range(3)]
    assert [list(share) for share in shares] == [[10, 11, 12], [13, 14, 15], [16]]


@pytest.mark.parametrize(("quick", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_left_alone_where_it_is_emulated(
    monkeypatch: pytest.MonkeyPatch, quick: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: quick)
    with computing(torch.device("cpu"), True):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype is dtype
