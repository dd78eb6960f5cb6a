"""Questions as they are published, and as people write them: read whole, or refused with the place of the damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from samcli.errors import UsageError
from samcli.training.align import openaqa
from samcli.training.align.openaqa import find_audio, kind_of, read_objects, read_questions

ITEM = {"audio_id": "a.wav", "instruction": "What?", "input": "", "output": "A dog."}
WHOLE = json.dumps(ITEM)


def write(folder: Path, value: Any, name: str = "q.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize("piece", [3, 17, 1000])
def test_a_list_of_any_size_is_read_piece_by_piece(tmp_path: Path, monkeypatch: Any, piece: int) -> None:
    items = [ITEM | {"output": 'Sound "x", [y] }{' * number, "n": [number, {"m": None}]} for number in range(12)]
    monkeypatch.setattr(openaqa, "PIECE", piece)
    for text in (json.dumps(items), json.dumps(items, indent=2), "\ufeff  " + json.dumps(items) + "\n"):
        assert list(read_objects(write(tmp_path, text))) == items
    lines = "\n".join(json.dumps(item) for item in items)
    for text in (lines, lines + "\n", "\n\n" + lines.replace("\n", "\r\n")):
        assert list(read_objects(write(tmp_path, text))) == items


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[{WHOLE}, {{"audio', "ends in the middle of item 2"),
        (f"[{WHOLE}", "ends in the middle of item 2"),
        (f"{WHOLE}\n{{oops", "Line 2"),
        ("[1]", "Item 1 .* is no object"),
        ('[{"instruction": "w", "output": "o"}]', "has no 'audio_id'"),
        ('[{"audio_id": "", "instruction": "w", "output": "o"}]', "names no recording"),
        ('[{"audio_id": "a", "instruction": 3, "output": "o"}]', "other than text as 'instruction'"),
        ('[{"audio_id": "a", "instruction": "w", "output": null}]', "has no 'output'"),
        ("[]", "no question with an answer"),
        ("", "no question with an answer"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_questions([write(tmp_path, text)])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "q.json").write_bytes(b'[{"audio_id": "\xff\xfe"}]')
    with pytest.raises(UsageError, match="UTF-8"):
        read_questions([tmp_path / "q.json"])


def test_items_become_columns(tmp_path: Path) -> None:
    first = write(tmp_path, [ITEM, ITEM | {"output": "  "}, ITEM | {"input": "hello there", "audio_id": "b.wav"}])
    second = write(tmp_path, [{key: ITEM[key] for key in ("audio_id", "instruction", "output")}], "more.json")
    found = read_questions([first, second])
    assert found.ids == ["a.wav", "b.wav"] and found.audio == [0, 1, 0] and found.blank == 1
    assert found.questions == ["What?", "What? hello there", "What?"]


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"task": "cla_label_des"}, "classification"),
        ({"task": "open-ended question", "instruction": "Close-ended question: x"}, "open"),
        ({"task": "caption"}, "caption"),
        ({"task": "temporal"}, "closed"),
        ({"instruction": "Close-ended question: Classify it.", "output": "Labels: Dog; Rain"}, "classification"),
        ({"instruction": "Closed-ended question: Write an audio caption.", "output": "A dog."}, "caption"),
        ({"instruction": "x", "output": "Audio caption: A dog."}, "caption"),
        ({"instruction": "Close-ended question: Is it loud?", "output": "Yes."}, "closed"),
        ({"instruction": "Why is it loud?", "output": "Because: it is near."}, "open"),
        ({"instruction": "", "output": "A dog."}, "caption"),
    ],
)
def test_a_question_is_of_a_kind(item: dict[str, str], kind: str) -> None:
    whole = ITEM | item
    assert kind_of(whole, whole["instruction"], whole["output"]) == kind


def test_recordings_are_found_under_other_roots_and_suffixes(tmp_path: Path) -> None:
    for name in ("beside.wav", "sounds/x/one.wav", "sounds/y/one.wav", "sounds/x/two.wav", "sounds/rel/three.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    absolute = str(tmp_path / "beside.wav")
    asked = [absolute, "beside.wav", "rel/three.wav", "/data/y/one.flac", "one.flac", "D:\\a\\two.mp3", "none.wav"]
    found = find_audio(asked, [tmp_path / "q.json"], tmp_path / "sounds")
    assert {name: str(Path(place).relative_to(tmp_path)) for name, place in found.items()} == {
        absolute: "beside.wav",
        "beside.wav": "beside.wav",
        "rel/three.wav": "sounds/rel/three.wav",
        "/data/y/one.flac": "sounds/y/one.wav",
        "D:\\a\\two.mp3": "sounds/x/two.wav",
    }  # "one.flac" may be either of two and is left out, not guessed
