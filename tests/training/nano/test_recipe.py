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
from samcli.cli.train.app import NanoFlags, recipe_of
from samcli.errors import ModelError
from samcli.models.encoders.nano import NanoConfig
from samcli.models.interface import SpeakOptions
from samcli.models.sam import Sam
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.text.labels import labels
from samcli.training.loop import LoopOptions
from samcli.training.nano import recipe as nano
from samcli.training.nano.batches import BatchOptions
from samcli.training.nano.corpus import Corpus
from samcli.training.nano.lexicon import single_sounds
from samcli.training.nano.recipe import begun, train_nano, untaught
from samcli.training.nano.release import attribution, card, release
from samcli.training.nano.settings import VARIANTS, NanoRecipe, bigger
from samcli.training.nano.synthetic import synthetic_clips

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
    with torch.device("meta"):
        network = Sam(bigger(NanoRecipe(), size).config(2560))
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert (20 if size == "small" else 70) < millions < (40 if size == "small" else 140)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_another_network_or_another_teaching(name: str) -> None:
    changed = VARIANTS[name](NanoRecipe())
    assert changed != NanoRecipe()
    with torch.device("meta"):
        one, other = (Sam(recipe.config(2560)).state_dict() for recipe in (NanoRecipe(), changed))
    assert ({n: v.shape for n, v in one.items()} == {n: v.shape for n, v in other.items()}) == (name == "no-teacher")


def test_words_alone_are_learned_with_the_ears_of_another(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nano, "synthetic_clips", partial(synthetic_clips, each=2))
    corpus = Corpus.read(corpus_folder, labels())
    heard = train_nano(corpus, tmp_path / "work", replace(TINY, loop=replace(TINY.loop, steps=5)))
    release(heard, tmp_path / "work/tokenizer.json", tmp_path / "model")
    kept = begun(tmp_path / "model")[0].encoder.state_dict()
    for name in ("connector-b", "connector-c", "language-without-scan"):
        recipe = VARIANTS[name](replace(TINY, tag_steps=0, loop=replace(TINY.loop, steps=4)))
        network = train_nano(corpus, tmp_path / name, recipe, ears=tmp_path / "model")
        assert all(torch.equal(value, kept[key]) for key, value in network.encoder.state_dict().items()), name
        release(network, tmp_path / name / "tokenizer.json", tmp_path / name / "model")
        model = load_model(str(tmp_path / name / "model"), device="cpu")
        state = model.listen(model.encode(torch.randn(1, 16000), torch.tensor([16000])), None)
        assert isinstance(model.speak(state, [""], SpeakOptions(max_new_tokens=5))[0], str)

    unlike = VARIANTS["no-scan"](replace(TINY, tag_steps=0))
    with pytest.raises(ModelError, match="another encoder"):
        train_nano(corpus, tmp_path / "other", unlike, ears=tmp_path / "model")


def test_tags_alone_make_a_tagger(corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nano, "synthetic_clips", partial(synthetic_clips, each=2))
    recipe = recipe_of(NanoFlags(tags_only=True, steps=20))
    assert (recipe.tag_steps, recipe.read_steps, recipe.loop.steps) == (0, 0, 20)
    recipe = replace(TINY, tag_steps=0, read_steps=0, loop=replace(TINY.loop, weights=recipe.loop.weights))
    network = train_nano(Corpus.read(corpus_folder, labels()), tmp_path / "work", recipe)
    lines = [json.loads(line) for line in (tmp_path / "work/state/metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 6 and not any(line["words"] for line in lines) and lines[-1]["rate"] < lines[3]["rate"]
    assert not network.tag_reader.lexicon.weight.any(), "no words are counted where none are learned"
    release(network.encoder, None, tmp_path / "model", card(network.encoder, recipe))
    assert "language model" not in (tmp_path / "model/README.md").read_text()
    model = load_model(str(tmp_path / "model"), device="cpu")
    assert model.tasks == {"tag"} and len(model.labels) == 527


def test_without_the_teacher_only_labels_teach(corpus_folder: Path) -> None:
    corpus = Corpus.read(corpus_folder, labels())
    alone = untaught(corpus)
    assert {clip.file for clip in corpus.clips} - {clip.file for clip in alone.clips} == {"train/c/talk.wav"}
    assert all(not windows.any() for windows in alone.teacher.values())
