"""From what was heard to words. What makes no sense is said anew in other ways, and after that not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from samcli.engine.cores import Cores
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.rows import gather_states
from samcli.engine.segments import Part
from samcli.engine.task import Task
from samcli.models.interface import SoundModel, SpeakOptions
from samcli.text.judge import nonsense

if TYPE_CHECKING:
    from samcli.models.clap import ClapJudge

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
        self.prompt, self.model, self.cores, self.report, self.judge = task.prompt or "", model, cores, report, judge
        self.refine = (options.refine or judge is not None) and not self.prompt
        self.options = SpeakOptions(max_new_tokens=options.max_new_tokens, beams=options.beams, seed=options.seed)
        self.whole = options.max_new_tokens >= RunOptions.max_new_tokens  # asked to be short, it may break off

    @torch.inference_mode()
    def say(self, parts: Sequence[Part]) -> list[tuple[str | None, str]]:
        """A text for each that makes sense; or None, and what is wrong with what the model says."""
        state = gather_states([part.state for part in parts if part.state is not None], self.model)
        texts = self._refined(parts, state) if self.refine else self._said(state, len(parts), self.options)
        for beams in ANEW:
            bad = [row for row, text in enumerate(texts) if nonsense(text, self.whole)]
            if not bad:
                break
            options = replace(self.options, beams=beams)
            again = self._said(state if len(bad) == len(parts) else self.model.select(state, bad), len(bad), options)
            for row, text in zip(bad, again, strict=True):
                texts[row] = text
        problems = [nonsense(text, self.whole) for text in texts]
        return [(None, bad[0]) if bad else (text, "") for text, bad in zip(texts, problems, strict=True)]

    def _said(self, state: Any, rows: int, options: SpeakOptions) -> list[str]:
        prompts = [self.prompt] * rows
        texts: list[str] = self.report.timed(lambda: self.cores.speak(self.model, state, prompts, options))
        return texts

    def _refined(self, parts: Sequence[Part], state: Any) -> list[str]:
        from samcli.models.refine import refined

        def judge(row: int, texts: Sequence[str]) -> Sequence[float]:
            vector = parts[row].judged
            return [0.0] * len(texts) if self.judge is None or vector is None else self.judge.nats(vector, texts)

        texts: list[str] = self.report.timed(lambda: refined(self.model, state, len(parts), self.options, judge))
        return texts
