"""The tasks of MOHAWK's three stages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.language.phi import PhiLanguageModel
from samcli.training.mohawk.passages import Passages
from samcli.training.mohawk.teacher import Teacher
from samcli.training.stage import Outcome

MIXING = (".mixer.in_proj.", ".mixer.conv1d.", ".mixer.D")


class Reading:
    """Windows of the text; what is learned from them is another matter in each stage."""

    def __init__(self, teacher: Teacher, student: PhiLanguageModel, passages: Passages) -> None:
        self.teacher, self.student, self.passages = teacher, student, passages

    def __getstate__(self) -> dict[str, object]:
        return {"passages": self.passages}  # workers only read

    def batch(self, places: Sequence[int]) -> Tensor:
        return torch.stack([self.passages.learned(place) for place in places])


class Matrices(Reading):
    """Frobenius norms of what is between the two matrices of a head."""

    @staticmethod
    def learns(name: str) -> bool:
        return any(part in name for part in MIXING)

    def outcome(self, batch: Tensor) -> Outcome:
        with torch.no_grad():
            streams = self.teacher.streams(batch)
        losses = []
        for theirs, ours, x in zip(self.teacher.backbone.layers, self.student.backbone.layers, streams, strict=False):
            with torch.no_grad():
                h = theirs.input_layernorm(x)  # type: ignore[operator]
                wanted = theirs.mixer.transfer_matrix(h)  # type: ignore[operator, union-attr]
            apart = wanted - ours.mixer.transfer_matrix(h)  # type: ignore[operator, union-attr]
            losses.append(torch.linalg.matrix_norm(apart).mean(1))  # (batch,) of Frobenius norms
        return _outcome(torch.stack(losses).mean(0), 1)


class Hidden(Reading):
    """Norms of what is between the outputs of two blocks."""

    @staticmethod
    def learns(name: str) -> bool:
        return ".mixer." in name

    def outcome(self, batch: Tensor) -> Outcome:
        with torch.no_grad():
            streams = self.teacher.streams(batch)
        blocks = zip(self.student.backbone.layers, pairwise(streams), strict=True)
        losses = [torch.linalg.vector_norm(layer(x)[0] - wanted, dim=-1).mean(1) for layer, (x, wanted) in blocks]
        return _outcome(torch.stack(losses).mean(0), 1)


class Whole(Reading):
    """Divergence of what the student says from what the teacher says, in nats a token."""

    @staticmethod
    def learns(name: str) -> bool:
        return True

    def outcome(self, batch: Tensor) -> Outcome:
        with torch.no_grad():
            wanted = self.teacher(batch)[0].float().log_softmax(-1)
        said = self.student(batch)[0].float().log_softmax(-1)
        apart = F.kl_div(said, wanted, log_target=True, reduction="none").sum(-1)  # (batch, length), nats
        return _outcome(apart.sum(1), batch.shape[1])


def _outcome(losses: Tensor, each: int) -> Outcome:
    """Of one loss per window, a sum over `each`."""
    total = losses.sum()
    return Outcome(
        total, torch.tensor(float(len(losses) * each), device=losses.device), {"loss": total.detach()}, len(losses)
    )
