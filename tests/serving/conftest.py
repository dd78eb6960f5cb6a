"""One bundled model and its desk for all tests of the servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import samcli
from samcli.serving.desk import Desk

DEMO = Path(samcli.__file__).parent / "data" / "demo"


@pytest.fixture(scope="session")
def nano() -> samcli.Sam:
    return samcli.load("sam-nano", device="cpu", offline=True)


@pytest.fixture(scope="session")
def desk(nano: samcli.Sam) -> Iterator[Desk]:
    with Desk(nano.model) as desk:
        yield desk


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with the demo clips, one of them below another folder."""
    folder = tmp_path / "recordings"
    (folder / "deep").mkdir(parents=True)
    for clip in DEMO.glob("*.opus"):
        (folder / clip.name).write_bytes(clip.read_bytes())
    (folder / "dog.opus").rename(folder / "deep" / "dog.opus")
    return folder
