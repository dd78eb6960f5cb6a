"""Captions and answers from facts, through the engine: true, with evidence, and the same in any batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli import api
from samcli.audio import SAMPLE_RATE, read_sound
from samcli.engine.options import RunOptions
from samcli.records import Event, Record
from samcli.tasks.composed import composed, known
from samcli.text.labels import labels

DEMO = Path(str(files("samcli") / "data" / "demo"))


@pytest.fixture(scope="module")
def sam() -> api.Sam:
    return api.load("sam-nano", device="cpu")


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of nothing, a dog at 0:20, bells at 0:40."""
    wave = np.zeros(60 * SAMPLE_RATE, np.float32)
    for name, at in (("dog", 20), ("church-bells", 40)):
        clip = read_sound(DEMO / f"{name}.opus", SAMPLE_RATE)
        wave[at * SAMPLE_RATE : at * SAMPLE_RATE + len(clip)] += clip
    path = tmp_path_factory.mktemp("sound") / "minute.wav"
    soundfile.write(path, wave, SAMPLE_RATE)
    return path


def told(sam: api.Sam, paths: Sequence[Path], task: str, options: RunOptions, question: str = "") -> list[Record]:
    return list(sam.run([str(path) for path in paths], task, question=question, options=options))


def test_a_caption_rests_on_evidence(sam: api.Sam, minute: Path) -> None:
    record = sam.caption(minute)
    assert record.caption and "dog" in record.caption and "bells ring" in record.caption
    assert record.evidence and {event.label for event in record.evidence} <= set(labels())
    assert all(19 <= event.start <= event.end <= 46 for event in record.evidence)


def test_answers_know_times(sam: api.Sam, minute: Path) -> None:
    assert (sam.ask("when is the first bell?", minute).answer or "").find("0:40") > 0
    answer = sam.ask("Is there a dog?", minute)
    assert answer.answer and answer.answer.startswith("Yes, a dog") and answer.evidence
    nothing = sam.ask("is there a helicopter?", minute)
    assert nothing.answer and nothing.answer.startswith("No") and nothing.evidence == ()


def test_batches_change_nothing(sam: api.Sam, minute: Path) -> None:
    paths = [minute, *sorted(DEMO.glob("*.opus"))]
    one, many = (told(sam, paths, "caption", RunOptions(batch_size=size, threads=1)) for size in (1, "auto"))
    assert [record.caption for record in one] == [record.caption for record in many]
    assert [len(record.evidence or ()) for record in one] == [len(record.evidence or ()) for record in many]


def test_silence_is_silent(sam: api.Sam) -> None:
    record = sam.caption(np.zeros(3 * SAMPLE_RATE, np.float32))
    assert record.silent and record.caption is None and record.evidence is None


def test_segments_rest_on_evidence_of_their_own(sam: api.Sam, minute: Path) -> None:
    records = told(sam, [minute], "caption", RunOptions(segment=20.0))
    assert len(records) == 3
    for record in records:
        assert record.silent or record.evidence
        for event in record.evidence or ():
            assert record.start <= event.start < event.end <= record.end


def test_beams_are_of_the_language_model(sam: api.Sam) -> None:
    assert composed("caption", sam.model, RunOptions(beams=3)) is None


def test_only_labels_with_a_saying_are_composed() -> None:
    assert known(labels()) and not known((*labels(), "Unheard of")) and not known(())


def test_evidence_comes_back_from_json() -> None:
    record = Record(task="ask", path="a", answer="Yes.", evidence=(Event("Dog", 0.9, 1.0, 2.0),))
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    with pytest.raises(ValueError, match="evidence"):
        Record.from_dict({**record.to_dict(), "evidence": [{"label": "Dog"}]})
