"""A CLAP model as a judge of captions: a tiny one with random weights, in the layout that real ones have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samcli.checkpoints.tiny import tiny_random
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions
from samcli.errors import ModelError
from samcli.models.clap import ClapJudge
from samcli.tasks.run import run

transformers = pytest.importorskip("transformers")
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "a", "dog", "barks", "rain", "falls"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("clap")
    text = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "max_position_embeddings": 64}
    audio = {"num_mel_bins": 16, "spec_size": 64, "window_size": 4, "patch_size": 2, "patch_stride": 2}
    audio |= {"hidden_size": 32, "patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2]}
    audio |= {"num_hidden_layers": 2}
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    transformers.ClapModel(config).save_pretrained(place)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>").save_pretrained(place)
    transformers.ClapFeatureExtractor(feature_size=16, max_length_s=2, truncation="rand_trunc").save_pretrained(place)
    return place


def test_what_it_gives(folder: Path) -> None:
    judge = ClapJudge(folder)
    chance = np.random.default_rng(0)
    waves = [(0.1 * chance.standard_normal(16_000 + 800 * n)).astype(np.float32) for n in range(3)]
    vectors = judge.hear(waves, 16_000)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(judge.hear(waves[1:2], 16_000)[0], vectors[1], atol=1e-4)
    nats = judge.nats(vectors[0], ["a dog barks", "rain falls"])
    assert judge.nats(3 * vectors[0], ["a dog barks"])[0] == pytest.approx(nats[0], abs=1e-4)  # a sum is as good
    assert all(abs(value) <= judge.scale * 1.001 for value in nats) and nats[0] != nats[1]


def test_its_word_decides_where_it_is_loud(
    folder: Path, tmp_path: Path, make_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def longest(self: ClapJudge, sound: np.ndarray, texts: list[str]) -> list[float]:
        assert np.linalg.norm(sound) > 0
        asked.append(list(texts))
        return [100.0 * len(text) for text in texts]

    monkeypatch.setattr(ClapJudge, "nats", longest)
    for number in range(3):
        make_wav(tmp_path / f"{number}.wav", pitch=200.0 * (number + 1), seconds=1.0 + 10 * number, seed=number)
    model = tiny_random()
    options = RunOptions(max_new_tokens=8, refine_with=str(folder))
    records = list(run("caption", find_inputs([tmp_path]), model, options))
    assert not any(record.error for record in records) and asked
    said = {record.caption for record in records}
    for texts in asked:
        assert max(texts, key=len) in said


def test_what_is_no_clap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        ClapJudge(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="'bert'"):
        ClapJudge(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clap"}))
    with pytest.raises(ModelError, match="cannot be read"):
        ClapJudge(tmp_path)
