"""The whole recipe in miniature: three stages, stopped and resumed, to a model that loads and speaks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.checkpoints.loading import load_model
from samcli.models.interface import SpeakOptions
from samcli.models.nano import NanoConfig
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.text.labels import labels
from samcli.training import nano
from samcli.training.batches import BatchOptions
from samcli.training.corpus import Corpus
from samcli.training.lexicon import single_sounds
from samcli.training.loop import LoopOptions
from samcli.training.nano import NanoRecipe, bigger, train_nano
from samcli.training.release import attribution, card, release
from samcli.training.synthetic import synthetic_clips

TINY = NanoRecipe(
    encoder=NanoConfig(
        stem=(4, 4, 8, 8),
        stem_depth=(0, 0, 0, 0),
        layers=1,
        mixer=BidirectionalConfig(d_model=64, d_state=8, head_dim=16),
    ),
    language_layers=1,
    language_width=64,
    language_state=8,
    tag_steps=2,
    read_steps=2,
    batches=BatchOptions(scenes_at_5_seconds=2),
    loop=LoopOptions(steps=6, report_every=1),
    vocabulary=320,
    told=200,
    counted=40,
)


def test_three_stages_resumed_and_released(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def counted(scripts: Any, sampler: Any, tokenizer: Any, count: int, seed: int) -> Any:
        counts.append(count)
        return single_sounds(scripts, sampler, tokenizer, count, seed)

    monkeypatch.setattr(nano, "single_sounds", counted)
    monkeypatch.setattr(nano, "synthetic_clips", partial(synthetic_clips, each=2))
    corpus = Corpus.read(corpus_folder, labels())
    stopped = train_nano(corpus, tmp_path / "work", replace(TINY, loop=replace(TINY.loop, steps=5)))
    network = train_nano(corpus, tmp_path / "work", TINY)
    assert counts == [40], "a training that goes on brings its lexicon and need not count again"
    known, kept = (one.tag_reader.lexicon.weight.detach() for one in (stopped, network))
    assert known.abs().max() > 0.1 and torch.allclose(known, kept, atol=0.02)
    lines = [json.loads(line) for line in (tmp_path / "work/state/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert "reading" not in lines[1] and "reading" in lines[2] and "words" in lines[5]
    thanks = attribution(corpus)
    release(network, tmp_path / "work/tokenizer.json", tmp_path / "model", card(network, TINY), thanks)
    assert "6 steps" in (tmp_path / "model/README.md").read_text()
    assert "Freesound" in (tmp_path / "model/ATTRIBUTION.md").read_text()
    model = load_model(str(tmp_path / "model"), device="cpu")
    assert model.tasks == {"tag", "caption", "ask"} and len(model.labels) == 527
    heard = model.listen(model.encode(torch.randn(1, 16000), torch.tensor([16000])), None)
    assert isinstance(model.speak(heard, [""], SpeakOptions(max_new_tokens=5))[0], str)
    further = replace(TINY, tag_steps=0, read_steps=0, loop=replace(TINY.loop, steps=1))
    train_nano(corpus, tmp_path / "more", further, tmp_path / "model")
    (line,) = (tmp_path / "more/state/metrics.jsonl").read_text().splitlines()
    assert "words" in json.loads(line), "a model that is trained on begins with the last stage"
    assert counts == [40], "nor does it count what it knows"


@pytest.mark.parametrize("size", ["small", "base"])
def test_bigger_recipes_fit_together(size: str) -> None:
    from samcli.models.sam import Sam

    with torch.device("meta"):
        network = Sam(bigger(NanoRecipe(), size).config(2560))
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert (20 if size == "small" else 70) < millions < (40 if size == "small" else 140)
