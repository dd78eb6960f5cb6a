"""From a listened state to text. Nonsense is generated again with other beams, and after that dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from samcli.engine.cores import Cores
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.rows import gather_states
from samcli.engine.segments import Part, Said
from samcli.engine.task import Scores, Task
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
