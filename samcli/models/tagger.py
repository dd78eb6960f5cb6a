"""A tagger: an encoder with its head behind the interface that the rest of the house sees.

It takes sound of any length. The filter bank runs over the whole of it; what is longer than the encoder's window is
read window by window, a label is as sure as in its best window, and time steps follow one another without overlap.
It has no language model: asked to caption or to answer, it says so and names a model that can.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from samcli.errors import ModelError
from samcli.models.encoders.base import Encoder
from samcli.models.facts import Thresholds
from samcli.models.interface import Encoding, SpeakOptions

WINDOW_SECONDS = 10.0  # every published tagger was trained on AudioSet's clips of ten seconds
WINDOWS_AT_ONCE = 16  # of a long sound: bounds memory, not results


class Tagger(nn.Module):
    """Implements SoundModel for an encoder; without a head it has no task but makes features."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        name: str,
        revision: str,
        labels: Sequence[str] = (),
        thresholds: Thresholds | None = None,
    ) -> None:
        super().__init__()
        if encoder.classes and len(labels) != encoder.classes:
            raise ModelError(f"{name} scores {encoder.classes} classes but has names for {len(labels)}.")
        self.encoder = encoder.eval().requires_grad_(False)
        self.name, self.revision = name, revision
        self.labels = tuple(labels)
        self.thresholds, self.step_thresholds, self.calibrated = thresholds or Thresholds.unknown(len(self.labels))
        self.tasks = frozenset({"tag"} if encoder.classes else ())
        self.sample_rate, self.step_seconds = encoder.sample_rate, encoder.step_seconds
        self.window_seconds = WINDOW_SECONDS

    @torch.no_grad()
    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        """waves (batch, samples), zero behind `lengths` samples."""
        device = next(self.encoder.parameters()).device
        mel, frames = self.encoder.features(waves.to(device), lengths)
        window = self.encoder.window_frames
        if mel.shape[1] <= window:
            encoding: Encoding = self.encoder(mel, frames)
            return encoding
        return self._encode_long(mel, frames, window)

    def _encode_long(self, mel: Tensor, frames: Tensor, window: int) -> Encoding:
        """Every row in windows of its own, then put together again."""
        spots = [(row, start) for row, count in enumerate(frames.tolist()) for start in range(0, count, window)]
        mel = F.pad(mel, (0, 0, 0, -mel.shape[1] % window))  # (batch, whole windows, mel bins)
        heard: list[list[Encoding]] = [[] for _ in range(len(mel))]
        for first in range(0, len(spots), WINDOWS_AT_ONCE):
            chosen = spots[first : first + WINDOWS_AT_ONCE]
            inside = torch.stack([frames[row] - start for row, start in chosen]).clamp(max=window)
            encoding = self.encoder(torch.stack([mel[row, start : start + window] for row, start in chosen]), inside)
            for number, (row, _) in enumerate(chosen):
                heard[row].append(one_row(encoding, number))
        return join_rows([one_after_another(windows) for windows in heard])

    def listen(self, encoding: Encoding, state: Any | None) -> NoReturn:
        raise self._refusal("caption")

    def speak(self, state: Any, prompts: Sequence[str], options: SpeakOptions) -> NoReturn:
        raise self._refusal("answer questions" if any(prompts) else "caption")

    def bears(self, state: Any) -> NoReturn:
        raise self._refusal("caption")

    def select(self, state: Any, rows: Sequence[int]) -> NoReturn:
        raise self._refusal("caption")

    def join(self, states: Sequence[Any]) -> NoReturn:
        raise self._refusal("caption")

    def _refusal(self, verb: str) -> ModelError:
        return ModelError(f"{self.name} cannot {verb}: it has no language model. Use --model sam-nano.")


class Unaligned(Tagger):
    """The encoder of a SAM put together from published parts, of which no trained connector is published.

    It tags with the encoder's head, and refuses to caption or to answer rather than speak as if it had heard.
    """

    def _refusal(self, verb: str) -> ModelError:
        return ModelError(
            f"{self.name} has no connector trained for words, and none is published: it tags, but cannot caption or "
            f"answer. Use --model sam-nano, or train one with sam train."
        )


def one_row(encoding: Encoding, row: int) -> Encoding:
    """A batch of one, without the padding behind it."""
    features, lengths, clip, steps, pooled = encoding
    valid = int(lengths[row])
    return Encoding(
        features[row : row + 1, :valid],
        lengths[row : row + 1],
        None if clip is None else clip[row : row + 1],
        None if steps is None else steps[row : row + 1, :valid],
        None if pooled is None else pooled[row : row + 1],
    )


def one_after_another(windows: list[Encoding]) -> Encoding:
    """Windows of one recording as one encoding: steps in order, each class as in its best window."""
    clips = [window.clip_logits for window in windows if window.clip_logits is not None]
    steps = [window.step_logits for window in windows if window.step_logits is not None]
    return Encoding(
        torch.cat([window.features for window in windows], dim=1),
        torch.stack([window.lengths for window in windows]).sum(0),
        torch.stack(clips).amax(0) if clips else None,
        torch.cat(steps, dim=1) if steps else None,
    )


def join_rows(rows: list[Encoding]) -> Encoding:
    """Batches of one as one batch, zero-padded."""
    clips = [row.clip_logits for row in rows if row.clip_logits is not None]
    steps = [row.step_logits[0] for row in rows if row.step_logits is not None]
    return Encoding(
        pad_sequence([row.features[0] for row in rows], batch_first=True),
        torch.cat([row.lengths for row in rows]),
        torch.cat(clips) if clips else None,
        pad_sequence(steps, batch_first=True) if steps else None,
    )
