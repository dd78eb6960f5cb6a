"""Variants are judged by the same scenes, made of what none of them heard."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from samcli.cli.train.app import must_have
from samcli.errors import UsageError
from samcli.models.sam import SamNetwork
from samcli.text.labels import labels
from samcli.text.tokenizer import LEAST_SIZE, train_tokenizer
from samcli.training.nano import comparison, material
from samcli.training.nano.batches import SceneBatches
from samcli.training.nano.comparison import judged, table, unheard
from samcli.training.nano.corpus import Corpus
from samcli.training.nano.material import prepare, synthetic_clips
from samcli.training.nano.settings import VARIANTS
from tests.training.nano.test_recipe import TINY


@pytest.fixture(scope="module")
def corpus(corpus_folder: Path) -> Corpus:
    return Corpus.read(corpus_folder, labels())


def test_what_is_left_out_judges_and_else_the_development_clips(corpus: Corpus) -> None:
    left = unheard(corpus, ("game/one", "talk"))
    assert {clip.source for clip in left.split("train")} == {"game/one", "talk"} and not left.split("dev")
    files = {clip.file for clip in corpus.split("dev")}
    assert {clip.file for clip in unheard(corpus, ()).split("train")} == files


def test_a_source_that_is_not_there_is_refused(corpus: Corpus) -> None:
    must_have(corpus, ("game/one", "talk", "game/two"))
    with pytest.raises(UsageError, match="no source 'game/three'"):
        must_have(corpus, ("talk", "game/three"))


@pytest.mark.timeout(900)  # it may be the first to compile the loops, on a machine that others use
def test_the_same_scenes_judge_every_variant(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "BATCHES", 2)
    drawn: list[tuple[int, int, float]] = []
    make = SceneBatches.batch

    def noted(self: SceneBatches, number: int) -> object:
        batch = make(self, number)
        drawn.append((self.options.seed, number, float(batch.mel.double().sum())))
        return batch

    monkeypatch.setattr(SceneBatches, "batch", noted)
    monkeypatch.setattr(material, "synthetic_clips", partial(synthetic_clips, each=1))
    prepare(corpus, tmp_path)
    tokenizer = train_tokenizer(["a dog barks"], LEAST_SIZE + 10)
    rows = []
    for seed, name in enumerate(("connector-b", "mixture")):
        recipe = replace(VARIANTS[name](TINY), without=("game/one",), seed=seed)
        torch.manual_seed(seed)
        network = SamNetwork(recipe.config(len(tokenizer)))
        rows.append(judged(name, network, recipe, corpus, tmp_path, tokenizer))
        again = judged(name, network, recipe, corpus, tmp_path, tokenizer)
        assert again == rows[-1], "nothing is drawn anew"
    assert len(set(drawn)) == 2 and len(drawn) == 8
    assert rows[0].losses != rows[1].losses and all(row.losses["words"] > 1 for row in rows)
    assert rows[1].rest > rows[0].rest and rows[0].encoder == rows[1].encoder
    lines = table(rows).splitlines()
    assert len(lines) == 4 and {line.count("|") for line in lines} == {8} and lines[2].startswith("| connector-b | ")
