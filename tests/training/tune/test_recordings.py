"""What a person has, read: folders and tables; what is held out; what would bite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli.errors import UsageError
from samcli.training.tune.examine import Examined, content_hash, examine
from samcli.training.tune.held_out import hold_out
from samcli.training.tune.recordings import Recording, read_data
from tests.training.tune.small_base import RATE, sound, write_sound, write_sounds


def table(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def kinds(examined: Examined) -> list[str]:
    return sorted(problem.kind for problem in examined.problems)


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    write_sounds(tmp_path, each=2)
    (tmp_path / "hiss" / "notes.txt").touch()
    found = read_data(tmp_path)
    assert found.labels == ("hiss", "warble") and len(found.recordings) == 4
    assert found.recordings[0] == Recording("hiss/hiss a.wav", labels=("hiss",)) and not found.problems


def test_splits_above_the_labels(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_sounds(tmp_path / split, each=1)
    found = read_data(tmp_path)
    assert found.labels == ("hiss", "warble")
    assert {recording.split for recording in found.recordings} == {"train", "validation"}


def test_a_table_with_every_column(tmp_path: Path) -> None:
    rows = (
        "path,labels,caption,question,answer,start,end,split,mood\n"
        'a.wav,"Dog; Vehicle horn, car horn, honking",A dog.,,,0,1.5,dev,glad\n'
        "a.wav,,,What is it?,A dog.,0,1.5,,\n"
        "a.wav,Cat,,,,1.5,,train,\n"
    )
    found = read_data(table(tmp_path, "\ufeff" + rows))
    first, second = found.recordings
    assert first.labels == ("Dog", "Vehicle horn, car horn, honking") and first.captions == ("A dog.",)
    assert first.questions == (("What is it?", "A dog."),) and first.split == "validation"
    assert (second.start, second.end, second.labels) == (1.5, None, ("Cat",))
    assert found.columns["caption"] == "captions" and found.columns["mood"] == "" and not found.problems


def test_json_lines_mean_the_same(tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "labels": ["Dog", "Cat"], "start": 1}, {"file": "b.wav", "label": "Dog; Cat"}]
    found = read_data(table(tmp_path, "\n".join(map(json.dumps, rows)) + "\n", "data.jsonl"))
    assert [recording.labels for recording in found.recordings] == [("Dog", "Cat"), ("Dog", "Cat")]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a.wav,,,,,,", "empty label"),
        (",Dog,,,,,", "bad row"),
        ("a.wav,Dog,Why?,,,,", "bad row"),
        ("a.wav,Dog,,,2,1,", "bad row"),
        ("a.wav,Dog,,,soon,,", "bad row"),
        ("a.wav,Dog,,,-1,,", "bad row"),
        ("a.wav,Dog,,,,,maybe", "bad row"),
        ("a.wav,Dog,,,,,,one too many", "bad row"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: str, kind: str) -> None:
    found = read_data(table(tmp_path, f"path,labels,question,answer,start,end,split\nok.wav,Dog,,,,,\n{row}\n"))
    assert [problem.kind for problem in found.problems] == [kind]
    assert found.problems[0].where == "data.csv:3" and len(found.recordings) == 1


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("data.csv", "file_id,labels\n1,Dog\n", "no column 'path'"),
        ("data.csv", "", "no rows"),
        ("data.txt", "path\n", "no table"),
        ("data.csv", 'path,labels\n"a\0', "cannot be read|bad row|no rows|path"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    if "\0" in text:
        (tmp_path / name).write_bytes(b"\xff\xfe\x00p")
    else:
        table(tmp_path, text, name)
    with pytest.raises(UsageError, match=sentence):
        read_data(tmp_path / name)


def test_a_folder_without_labels_points_to_its_table(tmp_path: Path) -> None:
    table(tmp_path, "path,labels\n")
    with pytest.raises(UsageError, match=r"data\.csv"):
        read_data(tmp_path)
    with pytest.raises(UsageError, match="no file or folder"):
        read_data(tmp_path / "nowhere")


def recordings(*paths: str) -> list[Recording]:
    return [Recording(path, labels=(path.split("/")[0],)) for path in paths]


@pytest.mark.parametrize("how", ["folder", "name", "file"])
def test_whole_sources_are_held_out(how: str) -> None:
    """Ten sources of four clips each: none is cut in two, every label is on both sides."""
    shape = {
        "folder": "{label}/garden {source}/clip {clip}.wav",
        "name": "{label}/garden {letter}_{clip:02}.wav",
        "file": "{label}/{letter}{extra}.wav",
    }[how]
    paths = [
        shape.format(label=label, source=source, letter="abcde"[source], clip=clip, extra="xyzw"[clip])
        for label in ("robin", "wren")
        for source in range(5)
        for clip in range(4)
    ]
    made, by = hold_out(recordings(*paths), {})
    assert by == how
    held = {recording.path for recording in made if recording.split == "validation"}
    for label in ("robin", "wren"):
        mine = [path for path in held if path.startswith(label)]
        assert 0 < len(mine) <= 8
    if how != "file":
        source_of = (lambda path: path.rsplit("/", 1)[0]) if how == "folder" else (lambda path: path.rsplit("_", 1)[0])
        assert {source_of(path) for path in held}.isdisjoint(source_of(path) for path in paths if path not in held)
    assert hold_out(recordings(*reversed(paths)), {})[1] == by
    again = hold_out(recordings(*paths), {})[0]
    assert again == made and hold_out(recordings(*paths), {}, seed=5)[0] != made


def test_stretches_of_one_file_and_copies_stay_together() -> None:
    rows = [Recording("long.wav", ("robin",), start=at, end=at + 1) for at in range(8)]
    rows += [Recording(f"{name}.wav", ("robin",)) for name in ("one", "two", "three")]
    made, _ = hold_out(rows, {"one.wav": "same", "two.wav": "same"})
    splits = {recording.path: recording.split for recording in made}
    assert len({recording.split for recording in made if recording.path == "long.wav"}) == 1
    assert splits["one.wav"] == splits["two.wav"] and set(splits.values()) == {"train", "validation"}


def test_a_label_never_loses_its_last_source() -> None:
    made, _ = hold_out(recordings("wren/a.wav", "robin/a.wav", "robin/b.wav"), {})
    assert {r.labels[0] for r in made if r.split == "train"} == {"wren", "robin"}


def test_what_the_data_say_of_the_split_counts() -> None:
    rows = [Recording("a.wav", ("x",), split="validation"), Recording("b.wav", ("x",))]
    assert [recording.split for recording in hold_out(rows, {})[0]] == ["validation", "train"]


def test_the_same_sound_has_the_same_hash(tmp_path: Path) -> None:
    wave = sound("warble", 1)
    samples = (wave * 32767).astype(np.int16)  # as numbers: each format would round floats in its own way
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    soundfile.write(tmp_path / "b.flac", samples, RATE)
    data = table(tmp_path, "path,labels,split\na.wav,x,train\nb.flac,x,validation\n")
    examined = examine(read_data(data))
    assert kinds(examined) == ["in both splits"] and "a.wav" in examined.problems[0].sentence
    assert content_hash(wave) != content_hash(sound("warble", 2))


def test_stretches_that_do_not_overlap_are_no_doubles(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", "hiss", 1, seconds=2)
    rows = "path,labels,start,end,split\na.wav,x,0,1,train\na.wav,x,1,2,validation\n"
    assert kinds(examine(read_data(table(tmp_path, rows)))) == []
    rows = rows.replace("x,1,2", "x,0.5,2")
    assert kinds(examine(read_data(table(tmp_path, rows)))) == ["in both splits"]


def test_everything_that_would_bite(tmp_path: Path) -> None:
    for number, name in enumerate("abcdef"):
        write_sound(tmp_path / f"{name}.wav", "hiss", number)
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    soundfile.write(tmp_path / "copy.wav", sound("hiss", 0), RATE)
    rows = (
        "path,labels,start,end,split\na.wav,rain,,,train\ncopy.wav,wind,,,train\nb.wav,rain,,,validation\n"
        "c.wav,storm,,,validation\nd.wav,Rain_,,,train\nbroken.wav,rain,,,train\nmissing.wav,rain,,,train\n"
        "e.wav,wind,5,,train\nf.wav,wind,,9,train\n"
    )
    examined = examine(read_data(table(tmp_path, rows)))
    assert kinds(examined) == [
        "never trained",
        "past the end",
        "too short",
        "two labels",
        "two spellings",
        "unreadable",
        "unreadable",
    ]


def test_known_names_are_found_in_any_case(tmp_path: Path) -> None:
    write_sounds(tmp_path, each=2)
    (tmp_path / "hiss").rename(tmp_path / "HISS")
    counts = examine(read_data(tmp_path), ["Hiss", "Dog"]).labels
    assert [(count.label, count.known) for count in counts] == [("Hiss", True), ("warble", False)]
    assert sum(count.train + count.validation for count in counts) == 4
