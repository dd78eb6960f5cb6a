"""METEOR and SPICE: the authors' programs where they are, and otherwise a sentence that says what is missing."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from samcli.errors import UsageError
from samcli.evaluation.comparison import compare
from samcli.evaluation.metrics import java_scores
from samcli.evaluation.metrics.caption_scores import caption_words

CANDIDATES = ["A dog barks.", "Rain falls on the tin roof", "music", "Birds are chirping and a man's speaking"]
REFERENCES = [
    ["A dog is barking loudly.", "Dogs bark"],
    ["It rains on a roof.", "Heavy rain", "Water drips"],
    ["A man plays a guitar."],
    ["A person talks while birds sing", "A man speaks, and birds chirp in the background."],
]
# It answers as SPICE does, the score being told by the sentence's length; the order of its answers is not that asked.
STAND_IN = """#!{python}
import json, sys
options = sys.argv[1:]
if "-Xmx8G" not in options:
    sys.exit("a strange way to be called")
asked = json.load(open(options[options.index("-jar") + 2], encoding="utf-8"))
if any(entry["test"] == "fail" for entry in asked):
    sys.exit("java.lang.OutOfMemoryError: Java heap space")
told = [
    dict(image_id=entry["image_id"], scores=dict(All=dict(f=len(entry["test"].split()) / 10)))
    for entry in reversed(asked)
]
json.dump(told, open(options[options.index("-out") + 1], "w", encoding="utf-8"))
"""


def cut(sentences: list[str]) -> list[tuple[str, ...]]:
    return [caption_words(sentence) for sentence in sentences]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `java` of our own, and a folder laid out like a SPICE that is whole."""
    folder = tmp_path / "cache" / "aac-metrics" / "spice"
    (folder / "lib").mkdir(parents=True)
    for name in ("spice-1.0.jar", *(f"lib/{part}" for part in java_scores.CORENLP)):
        (folder / name).touch()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(STAND_IN.format(python=sys.executable))
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("AAC_METRICS_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(java.parent))
    return folder


def test_spice_is_asked_and_understood(stand_in: Path) -> None:
    assert java_scores.why_no_spice() == ""
    found = java_scores.spice_scores(cut(CANDIDATES), [cut(group) for group in REFERENCES])
    assert found.tolist() == pytest.approx([0.3, 0.6, 0.1, 0.8])  # in the order asked
    with pytest.raises(UsageError, match="heap space"):
        java_scores.spice_scores([("fail",)], [[("a", "dog")]])


def test_spider_is_their_mean(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_scores, "why_no_meteor", lambda: "not asked for here")
    truth, said = tmp_path / "truth.csv", tmp_path / "said.json"
    rows = [f"{n}.wav,{caption}" for n, group in enumerate(REFERENCES) for caption in (f'"{text}"' for text in group)]
    truth.write_text("\n".join(["file_name,caption", *rows]) + "\n")
    said.write_text(json.dumps({f"{n}.wav": text for n, text in enumerate(CANDIDATES)}))
    figures = {entry["key"]: entry for entry in compare(said, truth)["figures"]}
    assert figures["spice"]["value"] == pytest.approx(np.mean([0.3, 0.6, 0.1, 0.8]))
    assert figures["spider"]["value"] == pytest.approx((figures["spice"]["value"] + figures["cider_d"]["value"]) / 2)
    assert figures["meteor"]["value"] is None and figures["meteor"]["note"] == "not asked for here"


def test_what_is_missing_is_named(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_scores, "find_spec", lambda name: None)
    (stand_in / "lib" / java_scores.CORENLP[0]).unlink()
    assert java_scores.CORENLP[0] in java_scores.why_no_spice()
    (stand_in / "spice-1.0.jar").unlink()
    assert "pip install pycocoevalcap" in java_scores.why_no_spice()
    assert "pip install pycocoevalcap" in java_scores.why_no_meteor()


needs_meteor = pytest.mark.skipif(
    bool(java_scores.why_no_meteor()) or shutil.which("java") is None, reason="needs pycocoevalcap and Java"
)


@pytest.mark.slow  # a program that reads its synonyms for some seconds
@needs_meteor
def test_meteor_as_coco() -> None:
    reference = pytest.importorskip("pycocoevalcap.meteor.meteor")
    mine, theirs = cut([*CANDIDATES, ""]), [*(cut(group) for group in REFERENCES), cut(["A dog barks."])]
    draws = [np.array([0, 0, 1, 3, 4]), np.arange(5)]
    found = java_scores.meteor_scores(mine, theirs, draws)
    said = {place: [" ".join(words)] for place, words in enumerate(mine)}
    truth = {place: [" ".join(words) for words in group] for place, group in enumerate(theirs)}
    score, each = reference.Meteor().compute_score(truth, said)
    assert found.score == pytest.approx(score)
    assert found.each.tolist() == pytest.approx(each)
    assert found.draws[1] == pytest.approx(score) and found.draws[0] != pytest.approx(score)


@pytest.mark.slow
@needs_meteor
def test_whole_sentences_as_aac_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From raw sentences to scores: tokenizer, BLEU, ROUGE-L and CIDEr-D of the field's own package."""
    try:
        import aac_metrics as metrics
    except (ImportError, OSError) as error:  # it imports much that it does not need here, such as torchaudio
        pytest.skip(f"needs aac-metrics: {error}")
    # It wants Java 8 to 13 for programs that are not run here; the tokenizer runs with any.
    monkeypatch.setattr("aac_metrics.utils.tokenization.check_java_path", lambda path: True)
    spec = find_spec("pycocoevalcap")
    assert spec is not None and spec.submodule_search_locations is not None
    jar = "stanford-corenlp-3.4.1.jar"
    place = tmp_path / "aac-metrics" / "stanford_nlp" / jar
    place.parent.mkdir(parents=True)
    place.symlink_to(Path(next(iter(spec.submodule_search_locations)), "tokenizer", jar))
    names = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"]
    places = {"cache_path": str(tmp_path), "tmp_path": str(tmp_path)}
    theirs, _ = metrics.evaluate(CANDIDATES, REFERENCES, metrics=names, **places)
    truth, said = tmp_path / "truth.csv", tmp_path / "said.json"
    rows = [f'{n}.wav,"{caption}"' for n, group in enumerate(REFERENCES) for caption in group]
    truth.write_text("\n".join(["file_name,caption", *rows]) + "\n")
    said.write_text(json.dumps({f"{n}.wav": text for n, text in enumerate(CANDIDATES)}))
    mine = {entry["key"]: entry["value"] for entry in compare(said, truth)["figures"]}
    for name in names:
        # Where no run of words agrees, COCO puts 1e-15 in place of nothing.
        assert mine[name] == pytest.approx(float(theirs[name]), abs=1e-5), name
