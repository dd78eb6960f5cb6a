"""How well a model knows the held-out recordings: heard as they are, window by window, as in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.engine.windows import window_lengths
from samcli.models.listener_state import step_probabilities, tags_of_window
from samcli.models.tuned import encoder_of
from samcli.text.prompts import caption_example, question_example
from samcli.training.language.script import STEP_SECONDS
from samcli.training.losses import word_loss
from samcli.training.nano.mixer import FRAMES_PER_SECOND
from samcli.training.nano.words import LONGEST, Row, words_of
from samcli.training.precision import mean_precision
from samcli.training.tune.base import Classes
from samcli.training.tune.batches import Mel, stretch_of
from samcli.training.tune.recordings import Recording

ROWS = 16  # windows heard at once


@dataclass(frozen=True)
class Judged:
    """Figures of one model, by name; higher `figure` is better, and of equal ones the lower loss."""

    figures: dict[str, float]

    @property
    def rank(self) -> tuple[float, float]:
        figure = self.figures.get("accuracy", self.figures.get("mAP", 0.0))
        loss = self.figures.get("validation", 0.0) + self.figures.get("validation words", 0.0)
        return round(figure, 6), -loss

    def beats(self, other: Judged) -> bool:
        return self.rank > other.rank


@torch.no_grad()
def judge(
    network: nn.Module,
    held: Sequence[Recording],
    sounds: Mapping[str, Mel],
    taught: Sequence[str],
    classes: Classes,
    tokenizer: Any,
    window_seconds: float,
    others: Sequence[Mel] = (),
) -> Judged | None:
    """None when nothing is held out.

    `validation` is the loss of the tags, `validation words` that of a token, and `false alarms` the share of `others`
    in which a taught name is more likely than not.
    """
    if not held:
        return None
    network.eval()
    figures: dict[str, float] = {}
    labelled = [recording for recording in held if recording.labels or recording.wrong]
    if labelled and taught:
        place = {name: number for number, name in enumerate(taught)}
        truth = np.zeros((len(labelled), len(taught)), bool)
        for row, recording in enumerate(labelled):
            truth[row, [place[label] for label in recording.labels if label in place]] = True
        logits = _logits(network, [stretch_of(r, sounds) for r in labelled], classes, window_seconds)
        target = torch.from_numpy(truth).float()
        figures["validation"] = float(
            F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1).mean()
        )
        if classes.one_each and bool((truth.sum(1) == 1).all()):
            right = logits.argmax(1).numpy() == truth.argmax(1)
            figures["accuracy"] = float(right.mean())
        else:
            wanted = np.flatnonzero(truth.any(0))
            figures["mAP"] = mean_precision(truth, logits.numpy(), wanted) if len(wanted) else 0.0
    if others and taught:
        alarms = _logits(network, others, classes, window_seconds).amax(1) > 0
        figures["false alarms"] = float(alarms.float().mean())
    if tokenizer is not None:
        loss = _word_loss(network, held, sounds, tokenizer, window_seconds)
        if loss is not None:
            figures["validation words"] = loss
    return Judged({name: round(value, 6) for name, value in figures.items()})


def _logits(network: nn.Module, heard: Sequence[Mel], classes: Classes, window_seconds: float) -> Tensor:
    """(sounds, names): each as in its best window."""
    longest = round(window_seconds * FRAMES_PER_SECOND)
    windows: list[tuple[int, Mel]] = []
    for number, mel in enumerate(heard):
        at = 0
        for length in window_lengths(len(mel), longest):
            windows.append((number, mel[at : at + length]))
            at += length
    windows.sort(key=lambda window: len(window[1]))
    best = torch.full((len(heard), len(classes.taught)), float("-inf"))
    encoder = encoder_of(network)
    for first in range(0, len(windows), ROWS):
        chosen = windows[first : first + ROWS]
        frames = torch.tensor([len(mel) for _, mel in chosen])
        batch = torch.zeros(len(chosen), int(frames.max()), chosen[0][1].shape[1])
        for row, (_, window) in enumerate(chosen):
            log_power = torch.from_numpy(np.asarray(window, np.float32))
            batch[row, : len(window)] = encoder.front_end.read(log_power[None])[0]
        found = encoder(batch, frames).clip_logits.float()[:, list(classes.taught)]
        for row, (number, _) in enumerate(chosen):
            best[number] = torch.maximum(best[number], found[row])
    return best


def _word_loss(
    network: Any, held: Sequence[Recording], sounds: Mapping[str, Mel], tokenizer: Any, window_seconds: float
) -> float | None:
    """Nats for each token of the captions and answers; of a long recording the first window is heard."""
    longest = round(window_seconds * FRAMES_PER_SECOND)
    total = tokens = 0.0
    for recording in held:
        examples = [caption_example(tokenizer, caption) for caption in recording.captions]
        examples += [question_example(tokenizer, *pair) for pair in recording.questions]
        words = words_of([Row(0, example) for example in examples if len(example.tokens) <= LONGEST], tokenizer)
        if words is None:
            continue
        mel = torch.from_numpy(np.asarray(stretch_of(recording, sounds)[:longest], np.float32))[None]
        encoding, embeddings, _ = network.encode_and_embed(encoder_of(network).front_end.read(mel))
        tags = None
        if network.config.reads_tags:
            tags = tags_of_window(step_probabilities(encoding), encoding, STEP_SECONDS)
        spoken = int((words.lengths - words.spoken_from).sum())
        total += float(word_loss(network, embeddings, tags, words)) * spoken
        tokens += spoken
    return total / tokens if tokens else None
