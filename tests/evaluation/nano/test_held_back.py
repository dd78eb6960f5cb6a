"""The bundled model, calibrated on a small corpus: its folder then says what the map makes of its scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samcli.checkpoints.calibration import read_calibration, write_calibration
from samcli.checkpoints.catalogue import DATA
from samcli.checkpoints.loading import load_model
from samcli.errors import UsageError
from samcli.evaluation.nano.dev_sounds import corpus_of
from samcli.evaluation.nano.held_back import calibrate_encoder
from samcli.evaluation.nano.left_out import LEFT_OUT, left_out_clips, scores_of, truth_of
from samcli.training.nano.recipe import load_trained
from samcli.training.nano.release import release


def quiet(what: str, done: int, total: int) -> None:
    pass


def test_scores_come_nearer_to_the_truth_in_the_same_order(corpus_folder: Path, tmp_path: Path) -> None:
    corpus = corpus_of(corpus_folder)
    network, _ = load_trained(DATA / "sam-nano")
    network.encoder.window_head.bias.data += 2.0  # type: ignore[union-attr, operator]  # far too sure of everything
    tokenizer = DATA / "sam-nano/tokenizer.json"
    release(network, tokenizer, tmp_path / "before")
    found = calibrate_encoder(network.encoder, tmp_path / "before", corpus, LEFT_OUT, quiet)
    release(network, tokenizer, tmp_path / "after")
    write_calibration(tmp_path / "after", found)

    clips = left_out_clips(corpus)
    truth = truth_of(clips, corpus, ancestors=True)
    before, after = (
        scores_of(load_model(str(tmp_path / name), device="cpu"), corpus, clips, quiet).clip(1e-6, 1 - 1e-6)
        for name in ("before", "after")
    )
    loss = [-(truth * np.log(scores) + ~truth * np.log(1 - scores)).sum() for scores in (before, after)]
    assert loss[1] < 0.8 * loss[0]
    plain = (before > 0.01) & (after > 0.01)
    for label in np.flatnonzero(plain.sum(0) > 5):
        rows = plain[:, label]
        order = np.argsort(before[rows, label])
        assert (np.diff(after[rows, label][order]) > -0.01).all(), "a label's clips keep their order"
    stored = read_calibration(tmp_path / "after")
    assert stored is not None and stored.made_from == {"recordings": len(clips), "sources": 2}
    assert 0 < stored.threshold < 1 and stored.labels


def test_sources_without_labelled_clips_are_refused(corpus_folder: Path) -> None:
    network, _ = load_trained(DATA / "sam-nano")
    with pytest.raises(UsageError, match="labelled"):
        calibrate_encoder(network.encoder, corpus_folder, corpus_of(corpus_folder), ("nobody",), quiet)
