"""The index: only what changed is heard again, a kill loses at most the files under way, and models are not mixed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samcli.checkpoints.tiny import tiny_random
from samcli.engine.hearing import hear
from samcli.engine.index.store import NAME, Index
from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.inputs.sources import open_input
from samcli.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
MakeWav = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, make_wav: MakeWav) -> Path:
    for number, seconds in enumerate((1.0, 2.0, 25.0)):
        make_wav(tmp_path / "sounds" / f"{number}.wav", seconds=seconds, pitch=200.0 + 100 * number, seed=number)
    return tmp_path / "sounds"


class Counting:
    """The tiny model, with a count of the sounds it hears."""

    def __init__(self) -> None:
        self.inner = tiny_random()
        self.heard = 0
        self.revision = self.inner.revision

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def encode(self, waves, lengths):  # type: ignore[no-untyped-def]
        self.heard += len(waves)
        return self.inner.encode(waves, lengths)


def test_what_is_stored(folder: Path) -> None:
    model = tiny_random()
    with Index(folder / NAME, model) as index:
        changes = index.update(find_inputs([folder]), model)
        assert (changes.heard, changes.kept, changes.forgotten, changes.failed) == (3, 0, 0, 0)
        windows = index.contents().windows
        assert [Path(window.path).name for window in windows] == ["0.wav", "1.wav", "2.wav", "2.wav", "2.wav"]
        assert [round(window.end - window.start, 1) for window in windows][:3] == [1.0, 2.0, 10.0]
        assert windows[-1].end == pytest.approx(25.0)
        assert len(index) == len(index.contents().tags) == len(index.contents().embeddings) == 5
        np.testing.assert_allclose(np.linalg.norm(index.contents().embeddings, axis=1), 1, atol=1e-2)
    from samcli.audio import read_sound

    one = hear(model, [read_sound(folder / "1.wav", model.sample_rate)], [("",)])[0]
    with Index(folder / NAME) as index:  # without a model: only to look
        assert index.labels == model.labels
        np.testing.assert_allclose(index.contents().tags[1], one.tags, atol=0.005)
        assert index.contents().windows[1].caption in ("", one.texts[0])  # what makes no sense is not kept


def test_only_changes_are_heard(folder: Path, make_wav: MakeWav) -> None:
    model = Counting()
    with Index(folder / NAME, model) as index:  # type: ignore[arg-type]
        index.update(find_inputs([folder]), model)  # type: ignore[arg-type]
        assert model.heard == 5
        changes = index.update(find_inputs([folder]), model)  # type: ignore[arg-type]
        assert (changes.kept, model.heard) == (3, 5)
        make_wav(folder / "1.wav", seconds=3.0)
        make_wav(folder / "new.wav", seconds=1.0)
        (folder / "0.wav").unlink()
        changes = index.update(find_inputs([folder]), model)  # type: ignore[arg-type]
        assert (changes.heard, changes.kept, changes.forgotten) == (2, 1, 1)
        assert model.heard == 7
        assert sorted({Path(window.path).name for window in index.contents().windows}) == ["1.wav", "2.wav", "new.wav"]


def test_what_cannot_be_heard_is_remembered(folder: Path) -> None:
    model = tiny_random()
    (folder / "bad.wav").write_bytes(b"no sound at all")
    gone = Input(str(folder / "gone.wav"), "gone.wav", None, "gone.wav")
    with Index(folder / NAME, model) as index:
        changes = index.update([*find_inputs([folder]), gone], model)
        assert (changes.heard, changes.failed) == (3, 2)
        assert {name for name, _ in changes.problems} == {str(folder / "bad.wav"), "gone.wav"}
        assert index.update(find_inputs([folder]), model).kept == 4


@pytest.mark.parametrize("error", [RuntimeError("the decoder is lost"), MemoryError(), OSError(5, "I/O error")])
def test_a_decoder_that_fails_in_its_own_way(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """One file is noted, and the others go on."""
    from samcli.engine.inputs import sources

    def failing(item: Input, rate: int):  # type: ignore[no-untyped-def]
        if item.path.endswith("1.wav"):
            raise error
        return open_input(item, rate)

    monkeypatch.setattr(sources, "open_input", failing)
    model = tiny_random()
    with Index(folder / NAME, model) as index:
        changes = index.update(find_inputs([folder]), model)
        assert (changes.heard, changes.failed) == (2, 1)
        assert "1.wav" in changes.problems[0][1]
        assert {Path(window.path).name for window in index.contents().windows} == {"0.wav", "2.wav"}


def test_silence_and_names_of_any_bytes(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / os.fsdecode(b"still\xff.wav")
    with path.open("wb") as file:
        soundfile.write(file, np.zeros(16_000), 16_000, format="WAV")
    model = tiny_random()
    with Index(tmp_path / NAME, model) as index:
        index.update(find_inputs([tmp_path]), model)
        assert index.contents().windows[0].path == str(path)
        assert index.contents().windows[0].caption == ""
        assert not index.contents().tags.any()
        assert index.contents().embeddings.shape == (1, 0)


def test_models_are_not_mixed(folder: Path) -> None:
    model = Counting()
    Index(folder / NAME, model).close()  # type: ignore[arg-type]
    model.revision = "another"
    with pytest.raises(UsageError, match="belongs to tiny-random@"):
        Index(folder / NAME, model)  # type: ignore[arg-type]


def test_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sam index"):
        Index(tmp_path / "missing")
    (tmp_path / "text").write_text("this is not a data base, and long enough to be taken for one" * 20)
    with pytest.raises(UsageError, match="no index"):
        Index(tmp_path / "text", tiny_random())


@pytest.mark.slow
def test_killed_at_any_moment(folder: Path, tmp_path: Path) -> None:
    """Whatever is in the index after a kill is whole, and another run completes it."""
    for number in range(24):
        shutil.copy(folder / f"{number % 2}.wav", folder / f"copy-{number}.wav")
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from samcli.checkpoints.tiny import tiny_random\n"
        "from samcli.engine.inputs.find import find_inputs\n"
        "import samcli.engine.index.store as room\n"
        "model = tiny_random()\n"
        f"with room.Index({str(folder / NAME)!r}, model) as index:\n"
        f"    index.update(find_inputs([{str(folder)!r}]), model)\n"
    )
    model = tiny_random()
    sizes = []
    for _ in range(3):
        running = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + 60
        before = sizes[-1] if sizes else 0
        while running.poll() is None and time.monotonic() < deadline:
            if (folder / NAME).exists():
                with Index(folder / NAME, model) as index:
                    if len(index) > before:
                        running.send_signal(signal.SIGKILL)
                        break
            time.sleep(0.01)
        running.kill()
        running.wait()
        with Index(folder / NAME, model) as index:
            files = {window.path: 0.0 for window in index.contents().windows}
            for window in index.contents().windows:
                files[window.path] = max(files[window.path], window.end)
            assert all(round(end) in {1, 2, 25} for end in files.values())
            sizes.append(len(index))
    assert sizes == sorted(sizes)
    with Index(folder / NAME, model) as index:
        index.update(find_inputs([folder]), model)
        assert len(index) == 29
