"""Search by likelihood: the loss is that of speaking word by word, company changes no ranking, the index agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samcli.audio import read_sound
from samcli.checkpoints.tiny import tiny_random
from samcli.engine.hearing import hear
from samcli.engine.index.store import Index, Window
from samcli.engine.inputs.find import find_inputs
from samcli.errors import ModelError, UsageError
from samcli.models.likelihood import losses
from samcli.tasks.embed import embed, save
from samcli.tasks.search import (
    FIRST_SHARE,
    USUAL_SHARE,
    Hit,
    like_the_best,
    rated,
    search_captions,
    search_contents,
    search_heard,
    shared_words,
    shortlist_scores,
    usual_losses,
)
from samcli.tasks.search_quickly import is_quick, search_quickly
from samcli.text.prompts import caption_prompt

TEXTS = ["a dog barks", "rain falls on a roof", "a", "a man is speaking and then music plays"]
MakeWav = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]


def search_index(query: str, index: Index, model: Any, k: int = 10, shortlist: int = 100) -> list[Hit]:
    return search_contents(query, index.contents(), index.labels, model, k, shortlist)


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    chance = np.random.default_rng(3)
    return [(0.1 * chance.standard_normal(round(16_000 * seconds))).astype(np.float32) for seconds in (1, 2.5, 13, 4)]


@pytest.fixture
def folder(tmp_path: Path, make_wav: MakeWav) -> Path:
    for number in range(6):
        make_wav(tmp_path / "sounds" / f"{number}.wav", seconds=1.0 + number, pitch=150.0 * (number + 1), seed=number)
    (tmp_path / "sounds" / "bad.wav").write_bytes(b"nothing")
    return tmp_path / "sounds"


def test_loss_is_that_of_speaking_word_by_word(waves: list[np.ndarray]) -> None:
    """Independent path: one token at a time through the decoder's own steps."""
    model = tiny_random()
    network, tokenizer = model.network, model.tokenizer
    assert tokenizer is not None
    wave = torch.from_numpy(waves[0])[None]
    state = model.listen(model.encode(wave, torch.tensor([wave.shape[1]])), None)
    for text in TEXTS:
        ids = [*tokenizer.encode(text), tokenizer.eos]
        logits, memory = network.language.prefill(torch.tensor([caption_prompt(tokenizer)]), state=state.memory)
        total = 0.0
        for token in ids:
            total -= float(logits.log_softmax(-1)[0, token])
            logits, memory = network.language.step(torch.tensor([token]), memory)
        assert float(losses(model, state, 1, [text])[0, 0]) == pytest.approx(total / len(ids), abs=1e-4)


def test_loss_does_not_depend_on_company(waves: list[np.ndarray]) -> None:
    model = tiny_random()
    together = hear(model, [*waves, np.zeros(16_000, np.float32)], given=TEXTS)
    assert together[-1].losses is None  # silence is not spoken of
    for wave, one in zip(waves, together, strict=False):
        for column, text in enumerate(TEXTS):
            alone = hear(model, [wave], given=[text])[0].losses
            assert one.losses is not None and alone is not None
            assert float(alone[0]) == pytest.approx(float(one.losses[column]), abs=1e-4)


def test_normalising_takes_off_what_is_usual(waves: list[np.ndarray]) -> None:
    model = tiny_random()
    usual = usual_losses(TEXTS, model)
    demo = [read_sound(path, model.sample_rate) for path in sorted((ROOT / "samcli" / "data" / "demo").glob("*.opus"))]
    assert len(demo) == 3
    expected = np.mean([one.losses for one in hear(model, demo, given=TEXTS)], axis=0)
    np.testing.assert_allclose(usual, expected, atol=1e-4)
    plain = search_captions(waves, TEXTS, model)
    fair = search_captions(waves, TEXTS, model, usual=usual)
    for one, other in zip(plain, fair, strict=True):
        raw = {match.text: match.score for match in one}
        for match in other:
            assert match.score == pytest.approx(
                raw[match.text] + USUAL_SHARE * usual[TEXTS.index(match.text)], abs=1e-5
            )
        assert [match.score for match in other] == sorted((match.score for match in other), reverse=True)


def test_search_ranks_by_loss(folder: Path) -> None:
    model = tiny_random()
    hits = search_heard(["a dog barks"], find_inputs([folder]), model, k=10)[0]
    assert len(hits) == 6  # the bad file is passed over
    for hit in hits:
        loss = hear(model, [read_sound(hit.path, model.sample_rate)], given=["a dog barks"])[0].losses
        assert loss is not None
        assert hit.score == pytest.approx(-float(loss[0]), abs=1e-4)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert search_heard(["a dog barks"], find_inputs([folder]), model, k=2)[0] == hits[:2]


def test_an_index_finds_the_same(folder: Path) -> None:
    """Every recording is on the shortlist: the order is that of hearing all, moved by the first stage's share alone."""
    model = tiny_random()
    with Index(folder / "i", model) as index:
        index.update(find_inputs([folder]), model)
        hits = search_index("a dog barks", index, model)
        plain = {hit.path: hit.score for hit in search_heard(["a dog barks"], find_inputs([folder]), model)[0]}
        first = {hit.path: hit.score for hit in search_index("a dog barks", index, model, shortlist=0)}
        assert plain.keys() == first.keys() == {hit.path for hit in hits}
        for hit in hits:
            assert hit.score == pytest.approx(plain[hit.path] + FIRST_SHARE * first[hit.path], abs=1e-3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        few = search_index("a dog barks", index, model, k=2, shortlist=3)
        best = search_index("a dog barks", index, model, k=3, shortlist=0)
        assert {hit.path for hit in few} <= {hit.path for hit in best}
        Path(hits[0].path).unlink()  # gone since: left out, not failed on
        assert [hit.path for hit in search_index("a dog barks", index, model)] == [hit.path for hit in hits[1:]]


def test_the_quick_way_is_an_index_without_captions(folder: Path, make_wav: MakeWav) -> None:
    make_wav(folder / "long.wav", seconds=25.0)
    model, inputs, failed = tiny_random(), find_inputs([folder]), list[str]()
    [hits] = search_quickly(["a dog barks"], inputs, model, failed=lambda item, error: failed.append(item.display))
    assert failed == [str(folder / "bad.wav")] and len(hits) == 7
    with Index(folder / "i", model) as index:
        index.update(inputs, model)
        held = index.contents()
    bare = held._replace(windows=[window._replace(caption="") for window in held.windows])
    expected = search_contents("a dog barks", bare, model.labels, model)
    assert [(hit.path, hit.start) for hit in hits] == [(hit.path, hit.start) for hit in expected]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-3)


def test_tags_choose_only_what_they_know(folder: Path) -> None:
    model, inputs = tiny_random(), find_inputs([folder])
    assert is_quick(["a dog barks"], inputs, model)
    assert not is_quick(["a dog barks", "a gloomy mood"], inputs, model)
    piped = replace(inputs[0], source=(np.zeros(16_000, np.float32), 16_000))
    assert not is_quick(["a dog barks"], [*inputs, piped], model)


def test_fit_is_the_score_on_a_scale_for_people() -> None:
    model = tiny_random()
    usual = float(usual_losses(["rain"], model)[0])
    hits = [Hit("a", 0, 1, 3.0 - usual), Hit("b", 0, 1, -usual), Hit("c", 0, 1, -5000.0)]
    [found] = rated(["rain"], [hits], model)
    assert [hit.fit for hit in found] == pytest.approx([0.952574, 0.5, 0.0], abs=1e-5)
    [alone] = rated(["rain"], [[Hit("a", 0, 1, 0.0)]], None)
    assert alone[0].fit == 0.5


def test_many_queries_are_heard_once(folder: Path) -> None:
    model = tiny_random()
    failed: list[str] = []
    done: list[int] = []
    inputs = find_inputs([folder])
    rankings = search_heard(TEXTS, inputs, model, 3, lambda item, error: failed.append(item.display), done.append)
    assert [len(hits) for hits in rankings] == [3] * len(TEXTS)
    for together, alone in zip(rankings[0], search_heard([TEXTS[0]], inputs, model, 3)[0], strict=True):
        assert together == replace(alone, score=pytest.approx(alone.score, abs=1e-4))
    assert failed == [str(folder / "bad.wav")]
    assert done == list(range(1, 8))


def test_what_sounds_alike_is_drawn_near() -> None:
    scores = np.array([3.0, -7.0, -7.0])
    embeddings = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    near = like_the_best(scores, embeddings)
    assert near[0] > near[1] > near[2]
    assert like_the_best(scores, np.zeros((3, 2), np.float32)).tolist() == [0, 0, 0]
    windows = [Window(f"{n}.wav", 0, 10, "") for n in range(3)]
    tags = np.array([[0.9], [0.0], [0.0]], np.float32)
    order = np.argsort(-shortlist_scores("a dog", windows, tags, ("Dog",), embeddings))
    assert order.tolist() == [0, 1, 2]


def test_shortlist_knows_what_is_meant() -> None:
    labels = ("Dog", "Bark", "Rain", "Siren")
    windows = [Window(f"{n}.wav", 0, 10, caption) for n, caption in enumerate(["", "", "", "rain falls", "a bell"])]
    tags = np.array([[0.9, 0.1, 0, 0], [0, 0, 0.9, 0], [0.8, 0, 0.7, 0], [0, 0, 0.6, 0], [0, 0, 0, 0.9]], np.float32)
    order = np.argsort(-shortlist_scores("a dog barking in the rain", windows, tags, labels))
    assert order[0] == 2
    assert order[-1] == 4
    assert np.argmax(shortlist_scores("heavy rain", windows, tags, labels)) == 3  # the caption says so too
    assert shared_words("dogs bark", ["a dog is barking", "a cat", ""]).tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert not shared_words("", ["a dog"]).any()


def test_taggers_cannot(waves: list[np.ndarray]) -> None:
    model = tiny_random()
    model.tasks = frozenset({"tag"})
    with pytest.raises(ModelError, match="sam-nano"):
        hear(model, waves[:1], given=["a dog"])


def test_embeddings(folder: Path, tmp_path: Path, make_wav: MakeWav) -> None:
    model = tiny_random()
    make_wav(folder / "long.wav", seconds=25.0)
    inputs = [item for item in find_inputs([folder]) if not item.path.endswith("bad.wav")]
    whole = list(embed(inputs, model))
    parts = list(embed(inputs, model, windows=True))
    assert [one.path for one in whole] == [item.display for item in inputs]
    assert len(parts) == len(whole) + 2
    for one in whole:
        assert np.linalg.norm(one.values) == pytest.approx(1, abs=1e-5)
        own = [part for part in parts if part.path == one.path]
        mean = sum(part.values * (part.end - part.start) for part in own)
        np.testing.assert_allclose(one.values, mean / np.linalg.norm(mean), atol=1e-5)
        assert one.end == pytest.approx(own[-1].end)
    assert save(whole, tmp_path / "v.npz") == 7
    with np.load(tmp_path / "v.npz") as stored:
        assert stored["paths"].tolist() == [one.path for one in whole]
        np.testing.assert_array_equal(stored["vectors"], np.stack([one.values for one in whole]))
    save(whole, tmp_path / "v.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([line["vector"] for line in lines], np.stack([one.values for one in whole]), atol=1e-6)
    with pytest.raises(UsageError, match="npz"):
        save(whole, tmp_path / "v.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sounds", "v.jsonl", "v.npz"]


def test_embedding_what_cannot_be_heard(folder: Path) -> None:
    vectors = list(embed(find_inputs([folder]), tiny_random()))
    assert [bool(one.problem) for one in vectors].count(True) == 1
    assert len(vectors) == 7


def test_a_file_that_the_model_fails_on_stops_no_other(
    tmp_path: Path, make_wav: MakeWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embeddings, searches and indexes are runs like any other: one error, and the rest as it is without it."""
    make_wav(tmp_path / "in" / "quiet.wav", level=0.1)
    alone = next(embed(find_inputs([tmp_path]), tiny_random()))
    loud = str(make_wav(tmp_path / "in" / "loud.wav", level=0.9))
    model, inputs, failed = tiny_random(), find_inputs([tmp_path]), dict[str, str]()
    encode = model.encode

    def choking(waves: torch.Tensor, lengths: torch.Tensor) -> Any:
        if waves.abs().max() > 0.5:
            raise RuntimeError("it is too loud")
        return encode(waves, lengths)

    monkeypatch.setattr(model, "encode", choking)
    first, second = embed(inputs, model)
    assert first.kind == "model" and "loud.wav" in first.problem and "it is too loud" in first.problem
    np.testing.assert_allclose(second.values, alone.values, atol=1e-6)
    [hits] = search_heard(["rain"], inputs, model, failed=lambda item, error: failed.update({item.path: error.kind}))
    assert [Path(hit.path).name for hit in hits] == ["quiet.wav"] and failed == {loud: "model"}
    with Index(tmp_path / "i", model) as index:
        changes = index.update(inputs, model)
        assert (changes.heard, changes.failed) == (1, 1) and "too loud" in dict(changes.problems)[loud]
