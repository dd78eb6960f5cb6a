"""What the model is asked for: windows encoded and scored, and texts spoken from a listened state.

Nonsense is generated again with other beams, and after that dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from samcli.engine.cores import Cores, Pending, encoded
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.rows import gather_states, rows_of
from samcli.engine.segments import Part, Said
from samcli.engine.task import Scores, Task, Window
from samcli.engine.windows import Piece
from samcli.errors import ModelError
from samcli.models.interface import Encoding, SoundModel, SpeakOptions
from samcli.text.judge import nonsense

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


ANEW = (1, 4)  # beams of the further tries


class Speech:
    """A model that speaks for a task."""

    def __init__(
        self,
        task: Task,
        model: SoundModel,
        cores: Cores,
        options: RunOptions,
        report: RunReport,
        judge: ClapJudge | None,
    ) -> None:
        self.task, self.model, self.cores, self.report, self.judge = task, model, cores, report, judge
        self.options = options
        self.refine = options.refine or judge is not None
        self.whole = options.max_new_tokens >= RunOptions.max_new_tokens  # asked to be short, it may break off

    @torch.inference_mode()
    def say(self, parts: Sequence[Part]) -> list[Said]:
        """For each a text to each of its prompts, and the likelihood of the texts that are given."""
        state = gather_states([part.state for part in parts if part.state is not None], self.model)
        texts: list[list[tuple[str | None, str]]] = [[] for _ in parts]
        # The first prompt of every part, then the second: alike in kind, they finish together.
        for place in range(max(len(part.segment.file.prompts) for part in parts)):
            rows = [row for row, part in enumerate(parts) if place < len(part.segment.file.prompts)]
            own = self._rows(state, rows, len(parts))
            prompts = [parts[row].segment.file.prompts[place] for row in rows]
            for row, said in zip(rows, self._texts([parts[row] for row in rows], own, prompts), strict=True):
                texts[row].append(said)
        losses = self._losses(state, len(parts)) if self.task.given else [None] * len(parts)
        return [Said(*both) for both in zip(texts, losses, strict=True)]

    def _rows(self, state: Any, rows: Sequence[int], count: int) -> Any:
        return state if len(rows) == count else self.model.select(state, rows)

    def _texts(self, parts: Sequence[Part], state: Any, prompts: Sequence[str]) -> list[tuple[str | None, str]]:
        """A text for each that makes sense; or None, and what is wrong with what the model says."""
        refine = self.refine and not any(prompts)
        texts = self._refined(parts, state) if refine else self._said(state, prompts, self.options)
        if not self.task.refuses_nonsense:
            return [(text, "") for text in texts]
        for beams in ANEW:
            bad = [row for row, text in enumerate(texts) if nonsense(text, self.whole)]
            if not bad:
                break
            own = self._rows(state, bad, len(parts))
            again = self._said(own, [prompts[row] for row in bad], replace(self.options, beams=beams))
            for row, text in zip(bad, again, strict=True):
                texts[row] = text
        problems = [nonsense(text, self.whole) for text in texts]
        return [(None, bad[0]) if bad else (text, "") for text, bad in zip(texts, problems, strict=True)]

    def _said(self, state: Any, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        texts: list[str] = self.report.timed(lambda: self.cores.speak(self.model, state, prompts, options))
        return texts

    def _losses(self, state: Any, rows: int) -> list[Scores]:
        from samcli.models.likelihood import losses

        return list(self.report.timed(lambda: losses(self.model, state, rows, self.task.given)).numpy())

    def _refined(self, parts: Sequence[Part], state: Any) -> list[str]:
        from samcli.models.likelihood import refined

        def judge(row: int, texts: Sequence[str]) -> Sequence[float]:
            vector = parts[row].judged
            return [0.0] * len(texts) if self.judge is None or vector is None else self.judge.nats(vector, texts)

        texts: list[str] = self.report.timed(lambda: refined(self.model, state, len(parts), self.options, judge))
        return texts
