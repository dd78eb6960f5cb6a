"""A model on a data set as it is: the same figures as running it and comparing, and what is missing is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samcli.checkpoints.tiny import tiny_random
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions
from samcli.errors import UsageError
from samcli.evaluation.comparison import compare
from samcli.evaluation.data_suite import data_figures
from samcli.evaluation.datasets import read_references
from samcli.evaluation.metrics import java_scores
from samcli.evaluation.predictions import Mismatch, groups_of
from samcli.records import Record, Tag
from samcli.tasks.run import run
from samcli.writers.formats import to_json


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_scores, "why_no_meteor", lambda: "not asked for here")


@pytest.fixture
def sounds(tmp_path: Path, make_wav: Callable[..., Path]) -> Path:
    for number, name in enumerate(("1-A-0", "deep/1-B-14")):
        make_wav(tmp_path / "sounds" / f"{name}.wav", seconds=1.5, pitch=300.0 * (number + 1), seed=number)
    return tmp_path / "sounds"


def values(report: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in report["figures"]}


@pytest.mark.parametrize(
    ("task", "options", "content"),
    [
        (
            "tag",
            RunOptions(top_k=527, threshold=0.0),
            "filename,fold,target,category\n1-A-0.wav,1,0,dog\n1-B-14.wav,1,14,rain\n",
        ),
        (
            "caption",
            RunOptions(),
            "file_name,caption_1,caption_2\n1-A-0.wav,A dog.,A bark.\n1-B-14.wav,It rains.,Rain.\n",
        ),
        (
            "tag",
            RunOptions(timeline=True, all_events=True),
            "filename\tonset\toffset\tevent_label\n1-A-0.wav\t0\t1\tDog\n1-B-14.wav\t0.2\t1\tRain\n",
        ),
    ],
)
def test_as_run_and_compared(tmp_path: Path, sounds: Path, task: str, options: RunOptions, content: str) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(content)
    model = tiny_random()
    records = run(task, find_inputs([sounds]), model, options)
    said = tmp_path / "said.jsonl"
    said.write_text("".join(to_json(record) + "\n" for record in records))
    report = data_figures(model, truth, sounds)
    assert values(report) == pytest.approx(values(compare(said, truth)), abs=1e-4)
    assert report["items"] == 2 and report["model"] == "tiny-random"


def test_questions_are_asked_with_their_choices(tmp_path: Path, sounds: Path) -> None:
    entries = [
        {"id": name, "audio_id": f"./x/{audio}.wav", "question": question, "choices": choices, "answer": answer}
        for name, audio, question, choices, answer in (
            ("q1", "1-A-0", "What is heard?", ["Rain", "Dog"], "Dog"),
            ("q2", "1-A-0", "Who barks?", ["A cat", "A dog"], "A dog"),
            ("q3", "1-B-14", "Wet?", ["Yes", "No"], "Yes"),
        )
    ]
    truth = tmp_path / "mmau.json"
    truth.write_text(json.dumps(entries))
    report = data_figures(tiny_random(), truth, sounds)
    assert report["kind"] == "answers" and set(report["details"]["answers"]) == {"q1", "q2", "q3"}
    assert 0 <= values(report)["multiple_choice"] <= 1
    assert read_references(truth).items["q1"].audio == "1-A-0"
    # Records of `sam ask` go by the recording and the question.
    said = tmp_path / "said.jsonl"
    answers = [("1-A-0", "What is heard?", "b) Dog"), ("1-A-0", "Who barks?", "A dog."), ("1-B-14", "Wet?", "No")]
    made = [Record(task="ask", path=f"{path}.wav", question=asked, answer=text) for path, asked, text in answers]
    said.write_text("".join(to_json(record) + "\n" for record in made))
    assert values(compare(said, truth))["multiple_choice"] == pytest.approx(2 / 3)


def test_what_is_missing_is_listed(tmp_path: Path, sounds: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("file_name,caption\n1-A-0.wav,A dog.\ngone.wav,Rain.\n")
    with pytest.raises(Mismatch, match="gone"):
        data_figures(tiny_random(), truth, sounds)
    (sounds / "bad.wav").write_bytes(b"nothing")
    truth.write_text("file_name,caption\n1-A-0.wav,A dog.\nbad.wav,Rain.\n")
    with pytest.raises(Mismatch, match=r"bad \("):
        data_figures(tiny_random(), truth, sounds)
    truth.write_text("file,transcript\n1-A-0.wav,hello\n")
    with pytest.raises(UsageError, match="transcripts"):
        data_figures(tiny_random(), truth, sounds)


def test_labels_of_a_data_set_under_a_tagger_s_names(tmp_path: Path) -> None:
    known = ["Dog", "Ocean", "Waves, surf", "Knock", "Thunderstorm", "Alarm clock", "Clock"]
    labels = ["dog", "sea_waves", "door_wood_knock", "clock_alarm", "can_opening", "helicopter"]
    groups = groups_of(labels, known)
    assert groups[0] == [["Dog"]]
    assert [sorted(group) for group in groups[1]] == [["Ocean", "Waves, surf"]] * 2
    assert groups[2:] == [[["Knock"]], [["Alarm clock"]], [], []]
    truth, said = tmp_path / "esc50.csv", tmp_path / "said.jsonl"
    truth.write_text("filename,fold,target,category\na.wav,1,11,sea_waves\nb.wav,1,0,dog\n")
    made = [
        Record(task="tag", path="a.wav", tags=(Tag("Waves, surf", 0.8), Tag("Dog", 0.1))),
        Record(task="tag", path="b.wav", tags=(Tag("Dog", 0.6),)),
    ]
    said.write_text("".join(to_json(record) + "\n" for record in made))
    report = compare(said, truth)
    assert values(report)["top_1"] == 1.0
    truth.write_text("filename,fold,target,category\na.wav,1,34,can_opening\nb.wav,1,0,dog\n")
    report = compare(said, truth)
    assert "never predicted: can opening" in report["figures"][0]["note"]
