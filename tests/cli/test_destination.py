"""Where results go: what `-o` and `-f` mean together, and what is refused before any work starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samcli.cli.destination import Destination
from samcli.engine.inputs.find import Input, find_inputs
from samcli.errors import OutputError, UsageError


@pytest.mark.parametrize("output", [None, "", "-"])
def test_standard_output_has_no_name(output: str | None) -> None:
    destination = Destination(output)
    assert (destination.name, destination.kept, destination.is_folder) == (None, None, False)
    destination.check_file()
    destination.check_rows()
    destination.check_records([])


def test_what_stays_on_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "old.csv").touch()
    kept = {name: Destination(str(tmp_path / name)).kept for name in ("old.csv", "new.csv", "pipe.csv")}
    assert kept == {"old.csv": str(tmp_path / "old.csv"), "new.csv": str(tmp_path / "new.csv"), "pipe.csv": None}
    folders = [Destination(str(tmp_path)), Destination(f"{tmp_path}/new/")]
    assert all(one.is_folder and one.kept for one in folders)


def test_a_name_chooses_the_format_unless_one_is_named(tmp_path: Path) -> None:
    def name(output: str | None, format: str | None = None) -> str | None:
        chosen = Destination(output, format).record_format()
        return chosen and chosen.name

    assert (name("a.srt"), name("a.srt", "vtt"), name("a/", "vtt"), name("a/"), name("-"), name(None, "csv")) == (
        "srt", "vtt", "vtt", None, None, "csv",
    )  # fmt: skip
    with pytest.raises(UsageError, match="does not tell its format"):
        name("a.xyz")


def sounds(tmp_path: Path, *names: str) -> list[Input]:
    for name in names:
        (tmp_path / name).touch()
    return find_inputs([str(tmp_path / name) for name in names])


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    one, two = sounds(tmp_path, "a.wav"), sounds(tmp_path, "a.wav", "b.wav")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.wav")
    with pytest.raises(UsageError, match="Say which format"):
        Destination(str(tmp_path)).check_records(one)
    with pytest.raises(UsageError, match="--resume"):
        Destination(None, resume=True).check_records(one)
    with pytest.raises(UsageError, match="holds one recording, and there are 2"):
        Destination(str(tmp_path / "x.srt")).check_records(two)
    with pytest.raises(OutputError, match="there is no folder"):
        Destination(str(tmp_path / "none" / "x.csv")).check_records(one)
    with pytest.raises(UsageError, match="is a folder"):
        Destination(f"{tmp_path}/").check_file()
    for name in ("a.wav", "link.csv"):
        with pytest.raises(UsageError, match="is what is read"):
            Destination(str(tmp_path / name), "csv").check_rows(two)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav", "link.csv"]
    Destination(str(tmp_path / "x.srt")).check_records(one)
    Destination(f"{tmp_path}/", "srt").check_records(two)
