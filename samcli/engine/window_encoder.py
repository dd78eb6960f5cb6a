"""Windows of sound to what a task needs of them: probabilities, and what the language model is to listen to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from samcli.engine.cores import Cores, Pending, encoded
from samcli.engine.options import RunReport
from samcli.engine.rows import rows_of
from samcli.engine.task import Scores, Task, Window
from samcli.engine.windows import Piece
from samcli.errors import ModelError
from samcli.models.interface import Encoding, SoundModel

if TYPE_CHECKING:
    from samcli.models.clap import ClapJudge


class WindowEncoder:
    def __init__(
        self, task: Task, model: SoundModel, cores: Cores, report: RunReport, judge: ClapJudge | None = None
    ) -> None:
        self.task, self.model, self.cores, self.report, self.judge = task, model, cores, report, judge

    def begin(self, length: int, pieces: Sequence[Piece]) -> Pending[list[Window]]:
        """Windows padded to `length` samples, in lists of some each."""

        def work(part: slice) -> list[Window]:
            some = pieces[part]
            waves = [piece.wave for piece in some]
            found: list[Window] = self.report.timed(
                lambda: self._windows(encoded(self.model, waves, length, self.cores.device), some)
            )
            return found

        with torch.inference_mode():
            return self.cores.begin(len(pieces), work)

    def _windows(self, encoding: Encoding, pieces: Sequence[Piece]) -> list[Window]:
        clips, steps = self._scores(encoding)
        # With its scores: a model may listen to its own tags.
        kept = rows_of(encoding, len(pieces)) if self.task.listens else [None] * len(pieces)
        judged: Sequence[Scores | None] = [None] * len(pieces)
        if self.judge is not None:
            judged = list(self.judge.embed_sounds([piece.wave for piece in pieces], self.model.sample_rate))
        tokens, rate = encoding.lengths.tolist(), self.model.sample_rate
        means = _means(encoding.features, tokens) if self.task.wants_features else None
        return [
            Window(
                start=piece.start / rate,
                end=(piece.start + len(piece.wave)) / rate,
                clip=None if clips is None else clips[row],
                steps=None if steps is None else steps[row, : tokens[row]],
                features=None if means is None else means[row],
                tokens=tokens[row],
                levels=piece.levels,
                encoding=kept[row],
                judged=judged[row],
            )
            for row, piece in enumerate(pieces)
        ]

    def _scores(self, encoding: Encoding) -> tuple[Scores | None, Scores | None]:
        """Probabilities (batch, classes) and (batch, steps, classes), as far as the task uses them."""
        clips = _probabilities(encoding.clip_logits) if self.task.wants_clip else None
        steps = _probabilities(encoding.step_logits) if self.task.wants_steps else None
        if (self.task.wants_clip and clips is None) or (self.task.wants_steps and steps is None):
            raise ModelError(f"The model {self.model.name!r} has no tag scores of this kind.")
        return clips, steps


def _means(features: Tensor, tokens: Sequence[int]) -> list[Scores]:
    """(batch, tokens, width) to the mean over each row's own tokens (width,); a card is waited for once."""
    sums = torch.stack([row[:count].float().sum(0) for row, count in zip(features, tokens, strict=True)]).cpu().numpy()
    return [np.asarray(each / max(1, count), np.float32) for each, count in zip(sums, tokens, strict=True)]


def _probabilities(logits: Tensor | None) -> Scores | None:
    return None if logits is None else logits.float().sigmoid().cpu().numpy()
