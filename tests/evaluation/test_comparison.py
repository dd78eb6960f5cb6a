"""Predictions against references: the field's files as they are, the figures they give, and what is refused."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from samcli.errors import UsageError
from samcli.evaluation.comparison import compare
from samcli.evaluation.datasets import read_references, stem
from samcli.evaluation.metrics import java_scores
from samcli.evaluation.metrics.text_scores import word_errors
from samcli.evaluation.predictions import Mismatch, as_predictions, read_entries
from samcli.records import Record, Tag
from samcli.writers.formats import to_json

AUDIOCAPS = """audiocap_id,youtube_id,start_time,caption
103549,7fmOlUlwoNg,20,"Constant rattling noise, then a bang"
103550,7fmOlUlwoNg,20,A machine rattles
103541,6BJ455B1aAs,0,A rocket flies by
"""
CLOTHO = """file_name,caption_1,caption_2,caption_3,caption_4,caption_5
Santa Motor.wav,A machine whines.,"A person is pulling, slowly.",A motor runs.,Someone drills.,A saw.
rain.on.tin.wav,Rain falls.,It rains.,Rain on a roof.,Heavy rain.,Water falls.
"""
AUDIOSET = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2, num_unique_labels=3, num_positive_labels=3
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/0bt9lr"
-0SdAVK79lg, 30.000, 40.000, "/m/04rlf"
"""
ESC50 = """filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
1-100038-A-14.wav,1,14,chirping_birds,False,100038,A
"""
FSD50K = """fname,labels,mids
64760,"Electric_guitar,Guitar","/m/02sgy,/m/0342h"
16399,Bark,/m/05tny_
"""
EVENTS = "filename\tonset\toffset\tevent_label\na.wav\t0.5\t2\tdog\nb.wav\t\t\t\n"
MMAU = [
    {"id": "q1", "audio_id": "./audio/a.wav", "question": "What is heard?", "choices": ["Rain", "Dog"], "answer": "Dog",
     "model_prediction": "(B) Dog"},
    {"id": "q2", "audio_id": "./audio/b.wav", "question": "Who speaks?", "choices": ["A man", "A woman"],
     "answer": "A man", "model_prediction": "A woman"},
]  # fmt: skip
OPENAQA = [
    {
        "instruction": "Is there a dog?",
        "input": "",
        "audio_id": "/data/a.flac",
        "dataset": "x",
        "task": "y",
        "output": "Yes",
    },
    {
        "instruction": "Is there rain?",
        "input": "",
        "audio_id": "/data/a.flac",
        "dataset": "x",
        "task": "y",
        "output": "No",
    },
    {
        "instruction": "What is it?",
        "input": "",
        "audio_id": "/data/a.flac",
        "dataset": "x",
        "task": "y",
        "output": "A dog.",
    },
]


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """METEOR's program takes seconds to start; tests of its own run it."""
    monkeypatch.setattr(java_scores, "why_no_meteor", lambda: "not asked for here")


def put(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def records(path: Path, *made: Record) -> Path:
    return put(path, "".join(to_json(record) + "\n" for record in made))


def figures(report: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in report["figures"]}


@pytest.mark.parametrize(
    ("name", "content", "kind", "source", "ids"),
    [
        ("a.csv", AUDIOCAPS, "captions", "AudioCaps", ["7fmOlUlwoNg", "6BJ455B1aAs"]),
        ("c.csv", CLOTHO, "captions", "Clotho", ["Santa Motor", "rain.on.tin"]),
        ("s.csv", AUDIOSET, "tags", "AudioSet", ["--4gqARaEJE", "-0SdAVK79lg"]),
        ("esc50.csv", ESC50, "tags", "ESC-50", ["1-100032-A-0", "1-100038-A-14"]),
        ("dev.csv", FSD50K, "tags", "FSD50K", ["64760", "16399"]),
        ("m.json", MMAU, "answers", "MMAU", ["q1", "q2"]),
        ("o.json", OPENAQA, "answers", "OpenAQA", ["a: is there a dog", "a: is there rain", "a: what is it"]),
        ("e.tsv", EVENTS, "events", "events", ["a", "b"]),
        ("t.csv", "file,transcript\nx/a.wav,hello there\n", "transcripts", "transcripts", ["a"]),
    ],
)  # fmt: skip
def test_the_field_s_files(tmp_path: Path, name: str, content: Any, kind: str, source: str, ids: list[str]) -> None:
    found = read_references(put(tmp_path / name, content))
    assert (found.kind, found.source, list(found.items)) == (kind, source, ids)


def test_what_is_read(tmp_path: Path) -> None:
    caps = read_references(put(tmp_path / "a.csv", AUDIOCAPS)).items["7fmOlUlwoNg"]
    assert caps.captions == ["Constant rattling noise, then a bang", "A machine rattles"]
    clotho = read_references(put(tmp_path / "c.csv", CLOTHO)).items["Santa Motor"]
    assert len(clotho.captions) == 5
    segment = read_references(put(tmp_path / "s.csv", AUDIOSET)).items["--4gqARaEJE"]
    assert segment.labels == ["Domestic animals, pets", "Dog"]
    sounds = read_references(put(tmp_path / "f.csv", FSD50K)).items["64760"]
    assert sounds.labels == ["Electric guitar", "Guitar"]
    assert read_references(put(tmp_path / "e.csv", ESC50)).single
    assert stem("a/b.c/rain.2") == "rain.2"
    assert stem("C:\\sounds\\dog.wav") == "dog"


def test_captions(tmp_path: Path) -> None:
    truth = put(tmp_path / "a.csv", AUDIOCAPS)
    said = records(
        tmp_path / "p.jsonl",
        Record(task="caption", path="sounds/Y7fmOlUlwoNg.wav", caption="A machine rattles"),
        Record(task="caption", path="sounds/6BJ455B1aAs_0.wav", caption="Music plays."),
    )
    report = compare(said, truth)
    found = figures(report)
    assert report["items"] == 2
    assert found["bleu_1"] == pytest.approx(3 / 5 * math.exp(1 - 7 / 5))  # and short by two words
    assert 0 < found["cider_d"] < 10
    assert found["rouge_l"] == pytest.approx(0.5)
    assert found["broken"] == 0.0
    assert found["spice"] is None
    if found["similarity"] is not None:
        assert found["fense_style"] == pytest.approx(found["similarity"])
    assert report["details"]["captions"]["6BJ455B1aAs"]["cider_d"] == pytest.approx(0.0)
    for entry in report["figures"]:
        if entry["low"] is not None:
            assert entry["low"] <= entry["value"] <= entry["high"]


def test_ids_that_do_not_match_are_listed(tmp_path: Path) -> None:
    truth = put(tmp_path / "a.csv", AUDIOCAPS)
    said = records(
        tmp_path / "p.jsonl",
        Record(task="caption", path="6BJ455B1aAs.wav", caption="A rocket."),
        Record(task="caption", path="other.wav", caption="A dog."),
    )
    with pytest.raises(
        Mismatch, match=r"1 references have no prediction: 7fmOlUlwoNg. 1 predictions .*: other"
    ) as caught:
        compare(said, truth)
    assert caught.value.unanswered == ("7fmOlUlwoNg",)
    assert caught.value.unknown == ("other",)


def test_failed_inputs_are_not_left_out_in_silence(tmp_path: Path) -> None:
    truth = put(tmp_path / "t.csv", "file,caption\na.wav,A dog barks.\n")
    said = put(tmp_path / "p.jsonl", json.dumps({"task": "caption", "path": "a.wav", "error": {"type": "empty"}}))
    with pytest.raises(Mismatch, match="it failed"):
        compare(said, truth)


def test_tags(tmp_path: Path) -> None:
    truth = put(tmp_path / "esc50.csv", ESC50)
    said = records(
        tmp_path / "p.jsonl",
        Record(task="tag", path="1-100032-A-0.wav", tags=(Tag("Dog", 0.9), Tag("Chirping birds", 0.3))),
        Record(task="tag", path="1-100038-A-14.wav", tags=(Tag("Dog", 0.5), Tag("Chirping birds", 0.4))),
    )
    report = compare(said, truth)
    found = figures(report)
    assert found["map"] == 1.0
    assert found["auc"] == 1.0
    assert found["top_1"] == 0.5
    assert [one["label"] for one in report["details"]["classes"]] == ["chirping birds", "dog"]
    table = put(
        tmp_path / "p.csv",
        "path,label,score\n1-100032-A-0.wav,Dog,0.9\n1-100032-A-0.wav,Chirping birds,0.3\n"
        "1-100038-A-14.wav,Dog,0.5\n1-100038-A-14.wav,Chirping birds,0.4\n",
    )
    assert figures(compare(table, truth)) == found
    strange = records(
        tmp_path / "q.jsonl",
        Record(task="tag", path="1-100032-A-0.wav", tags=(Tag("Hund", 0.9),)),
        Record(task="tag", path="1-100038-A-14.wav", tags=(Tag("Hund", 0.5),)),
    )
    with pytest.raises(UsageError, match="No predicted label"):
        compare(strange, truth)


def test_tags_of_generated_text(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    from samcli.evaluation.metrics.sentences import has_sentence_model

    if not has_sentence_model():
        pytest.skip("the sentence model is not installed")
    said = put(
        tmp_path / "p.json", {"1-100032-A-0.wav": "A dog barks.", "1-100038-A-14.wav": "Birds chirp in a forest."}
    )
    report = compare(said, put(tmp_path / "esc50.csv", ESC50))
    found = figures(report)
    assert found["text_top_1"] == 1.0
    assert not {"map", "top_1"} & found.keys()  # never under the names of a tag head's figures
    assert "not comparable" in report["figures"][0]["note"]


def test_answers(tmp_path: Path) -> None:
    found = figures(compare(put(tmp_path / "p.json", MMAU), put(tmp_path / "m.json", MMAU)))
    assert found["multiple_choice"] == 0.5
    said = records(
        tmp_path / "p.jsonl",
        Record(task="ask", path="sounds/a.flac", question="Is there a dog?", answer="Yes, a dog barks."),
        Record(task="ask", path="sounds/a.flac", question="is there rain", answer="Yes."),
        Record(task="ask", path="sounds/a.flac", question="What is it?", answer="a dog"),
    )
    found = figures(compare(said, put(tmp_path / "o.json", OPENAQA)))
    assert found["yes_no"] == 0.5  # always yes is no better than chance
    assert found["exact"] == 1.0
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_events_and_transcripts(tmp_path: Path) -> None:
    truth = put(tmp_path / "e.tsv", "filename\tonset\toffset\tevent_label\na.wav\t0.5\t2\tDog\na.wav\t5\t6\tRain\n")
    said = records(
        tmp_path / "p.jsonl",
        Record(task="tag", path="a.wav", start=0.6, end=2.1, tags=(Tag("Dog", 0.8),)),
        Record(task="tag", path="a.wav", start=3.0, end=3.5, tags=(Tag("Dog", 0.5),)),
    )
    found = figures(compare(said, truth))
    assert found["event_f1"] == pytest.approx(0.5)
    assert found["segment_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    words = put(tmp_path / "t.csv", "file,transcript\na.wav,the cat sat\nb.wav,on the mat\n")
    spoken = put(
        tmp_path / "t.json", [{"path": "a.wav", "text": "The cat sat!"}, {"path": "b.wav", "text": "on a mat"}]
    )
    assert figures(compare(spoken, words))["wer"] == pytest.approx(1 / 6)


def test_lines_of_a_transcript_are_one_text_and_librispeech_is_read_as_it_is(tmp_path: Path) -> None:
    words = put(tmp_path / "1-2.trans.txt", "1-2-0000 THE CAT SAT\n1-2-0001 ON THE MAT\n")
    lines = [
        Record(task="transcribe", path="x/1-2-0000.flac", start=0, end=1, transcript="the cat"),
        Record(task="transcribe", path="x/1-2-0000.flac", start=2, end=3, transcript="sat"),
        Record(task="transcribe", path="x/1-2-0001.flac", start=0, end=9, transcript=""),
    ]
    assert figures(compare(records(tmp_path / "p.jsonl", *lines), words))["wer"] == 0.5
    with pytest.raises(UsageError, match="predicted twice"):
        compare(records(tmp_path / "q.jsonl", *lines, replace(lines[1], path="y/1-2-0000.flac")), words)


def test_word_errors_are_those_of_jiwer() -> None:
    jiwer = pytest.importorskip("jiwer")
    chance = random.Random(0)
    for _ in range(50):
        ours, theirs = ([chance.choice("abcd") for _ in range(chance.randint(1, 9))] for _ in range(2))
        whole = jiwer.process_words(" ".join(theirs), " ".join(ours))
        assert word_errors(tuple(ours), tuple(theirs)) == whole.substitutions + whole.deletions + whole.insertions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "There are no predictions"),
        ("[1, 2]", "no list of objects"),
        ("{bad", "no JSON"),
        ('[{"caption": "x"}]', "no path and no id"),
        ('[{"path": "a.wav", "caption": "x"}, {"path": "b/a.wav", "caption": "y"}]', "predicted twice"),
    ],
)
def test_what_is_no_prediction(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_predictions(read_entries(path := put(tmp_path / "p.json", content)), path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("colour,size\nred,2\n", "no known format: colour, size"),
        ("", "no known format"),
        ("[]", "no entries"),
        ("{x", "no JSON"),
    ],
)
def test_what_is_no_reference(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_references(put(tmp_path / "r.csv", content))
    with pytest.raises(UsageError, match="cannot be read"):
        read_references(tmp_path / "missing.csv")
