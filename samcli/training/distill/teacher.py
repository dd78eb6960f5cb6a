"""The teacher of a distillation: what it says of every ten seconds, and what is known of them beside.

The teacher listens once: its scores are kept as `training/teacher.u8`, square roots in 255 steps as in a corpus'
teacher_labels.npz, which does as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from samcli.audio.front_end import FrontEnd
from samcli.engine.inputs.find import Input
from samcli.errors import ModelError, UsageError
from samcli.models.encoders.base import Encoder
from samcli.text.labels import labels
from samcli.training.frames import FrameStore, make_frames
from samcli.training.nano.corpus import Clip, Corpus, Targets
from samcli.writers.disk import own_file
from samcli.writers.files import explain

WINDOW = 1000  # frames: the teacher judges ten seconds at a time
AT_ONCE = 8  # windows before the teacher
CLEAR_PROBABILITY = 0.1  # probability from which a class counts for how rare a window is
SCORES, OWN_FRAMES = "teacher.u8", "teacher-frames"

Probabilities = NDArray[np.float32]  # (windows, classes)


def windows_of(store: FrameStore) -> list[tuple[int, int]]:
    """Every started ten seconds: (recording, which)."""
    return [(number, at) for number, length in enumerate(store.lengths) for at in range(-(-length // WINDOW))]


def window_frames(store: FrameStore, number: int, at: int) -> NDArray[np.float32]:
    return np.array(store[number][at * WINDOW : (at + 1) * WINDOW], np.float32)


def read_all(front_end: FrontEnd, windows: Sequence[NDArray[np.float32]]) -> Tensor:
    """What an encoder reads of windows of log power: (batch, frames, bands), zero behind their ends."""
    return pad_sequence([front_end.read(torch.from_numpy(window)[None])[0] for window in windows], batch_first=True)


class TeacherLabels(NamedTuple):
    """What the teacher said of every window of the store, in order."""

    scores: NDArray[np.uint8]  # (windows, classes): square roots of probabilities, in 255 steps
    labels: tuple[str, ...]

    def of(self, window: int) -> Probabilities:
        return np.asarray((self.scores[window].astype(np.float32) / 255) ** 2)


def label_windows(
    model: Any, store: FrameStore, folder: Path, progress: Callable[[int, int], None] = lambda done, of: None
) -> TeacherLabels:
    """The teacher's labels, each window judged once: a stopped run goes on where it was."""
    encoder = tagging_encoder(model)
    if encoder.front_end.name != store.front_end:
        raise ModelError(f"{model.name} reads other frames ({encoder.front_end.name}) than were made of the sound.")
    windows, width, path = windows_of(store), len(model.labels), folder / SCORES
    try:
        done = path.stat().st_size // width if path.exists() else 0
        with own_file(path, "r+b" if done else "wb", own=2) as file:
            file.truncate(done * width)
            file.seek(done * width)
            while done < len(windows):
                part = windows[done : done + AT_ONCE]
                file.write(predict(encoder, [window_frames(store, *window) for window in part]).tobytes())
                file.flush()
                done += len(part)
                progress(done, len(windows))
    except OSError as error:
        raise explain(path, error) from error
    return TeacherLabels(np.memmap(path, np.uint8, "r").reshape(-1, width), tuple(model.labels))


def teacher_labels(
    model: Any,
    inputs: Sequence[Input],
    store: FrameStore,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> TeacherLabels:
    """The teacher's labels of a student's store; a teacher that reads other frames is given its own."""
    front_end = tagging_encoder(model).front_end
    if front_end.name == store.front_end:
        return label_windows(model, store, folder, progress)
    own = make_frames(inputs, folder / OWN_FRAMES, front_end=front_end)
    said = label_windows(model, own, folder, progress)
    rows = {(own.names[number], at): row for row, (number, at) in enumerate(windows_of(own))}
    # At a border the one may have started one window more than the other.
    wanted = [(store.names[number], at) for number, at in windows_of(store)]
    chosen = [rows.get((name, at), rows.get((name, at - 1), 0)) for name, at in wanted]
    return TeacherLabels(np.ascontiguousarray(said.scores[chosen]), said.labels)


def tagging_encoder(model: Any) -> Encoder:
    """The encoder of a model that tags."""
    if "tag" not in model.tasks:
        raise ModelError(f"{model.name} cannot tag, so it cannot teach tags: name a tagger, such as dass-medium.")
    encoder: Encoder = model.network.encoder if hasattr(model, "network") else model.encoder
    return encoder


@torch.no_grad()
def predict(encoder: Encoder, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.uint8]:
    device = next(encoder.parameters()).device
    frames = torch.tensor([len(window) for window in windows], device=device)
    heard = encoder(read_all(encoder.front_end, windows).to(device), frames)
    roots = torch.sigmoid(heard.clip_logits.float()).sqrt() * 255
    return np.asarray(roots.round().to(torch.uint8).cpu().numpy())


def read_labels(path: Path, store: FrameStore) -> TeacherLabels:
    """From a file such as a corpus' teacher_labels.npz, by the ends of the recordings' names."""
    try:
        with np.load(path) as stored:
            rows, index, at = stored["sqrt_prob_255"], stored["file_index"], stored["window"]
            files = [str(name) for name in stored["files"]]
            names = tuple(str(name) for name in stored["labels"]) if "labels" in stored else labels()
    except (OSError, ValueError, KeyError):
        raise UsageError(
            f"{str(path)!r} holds no teacher's labels (files, file_index, window, sqrt_prob_255)."
        ) from None
    if rows.ndim != 2 or rows.shape[1] != len(names) or len(rows) != len(index) or len(rows) != len(at):
        raise UsageError(f"The teacher's labels in {str(path)!r} do not fit together.")
    place = {(files[number], int(which)): row for row, (number, which) in enumerate(zip(index, at, strict=True))}
    known = set(files)
    chosen = []
    for number, which in windows_of(store):
        name = _end_of(store.names[number], known)
        row = None if name is None else place.get((name, which), place.get((name, which - 1)))
        if row is None:  # at a border the teacher's file may have started one window less
            raise UsageError(f"The teacher said nothing of {store.names[number]!r}, {10 * which} s on: {str(path)!r}.")
        chosen.append(row)
    return TeacherLabels(np.ascontiguousarray(rows[chosen]), names)


def _end_of(name: str, known: set[str]) -> str | None:
    """The longest end of a path that is a known name."""
    parts = Path(name).parts
    return next((end for at in range(len(parts)) if (end := "/".join(parts[at:])) in known), None)


def known_targets(folder: Path, store: FrameStore, teacher: TeacherLabels) -> dict[int, Probabilities]:
    """What a corpus' labels and the teacher say together, by window; empty for a plain folder."""
    if not (folder / "manifest.csv").is_file() or teacher.labels != labels():
        return {}
    corpus = Corpus.read(folder, labels())
    clips = {clip.file: clip for clip in corpus.clips}
    targets, names = Targets(corpus), set(clips)
    found: dict[int, Probabilities] = {}
    for window, (number, _) in enumerate(windows_of(store)):
        clip: Clip | None = clips.get(_end_of(store.names[number], names) or "")
        hard = targets.hard(clip) if clip is not None else []
        if clip is not None and hard:
            target = teacher.of(window).copy()
            target[hard] = np.maximum(target[hard], targets.confidence(clip))
            found[window] = target
    return found


def rarity(scores: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How often to draw each window: the sum of its classes, each divided by how common it is."""
    common = np.zeros(scores.shape[1])
    for rows in _clear(scores):
        common += rows.sum(0)
    weights = np.concatenate([(rows / np.maximum(common, 1)).sum(1) for rows in _clear(scores)])
    return np.asarray(weights + weights.mean() * 0.1 + 1e-12)  # what the teacher is not sure of is drawn too


def _clear(scores: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(scores), 4096):
        rows = np.asarray((scores[start : start + 4096] / np.float32(255)) ** 2, np.float32)
        rows[rows < CLEAR_PROBABILITY] = 0.0
        yield rows
