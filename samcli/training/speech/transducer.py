"""The transducer's loss (arXiv 1211.3711): all ways to write a text while hearing, added up.

A way is a path through a grid of steps and symbols: one to the right hears on, one up writes the next symbol. With
all that is written at one step taken together, the recursion runs over the steps alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from samcli.models.speech.network import NOTHING


def transducer_loss(scores: Tensor, texts: Tensor, steps: Tensor, symbols: Tensor) -> Tensor:
    """(batch,) negative log-likelihoods of texts (batch, U) of `symbols` symbols, heard in `steps` steps.

    `scores` (batch, T, U + 1, classes) before any softmax.
    """
    likely = scores.log_softmax(-1)
    on = likely[..., NOTHING].double()  # (batch, T, U + 1)  hear on after so many symbols
    wanted = texts[:, None, :, None].expand(-1, scores.shape[1], -1, -1)
    write = likely[:, :, :-1].gather(-1, wanted)[..., 0].double()  # (batch, T, U)  write the next one
    written = torch.nn.functional.pad(write.cumsum(-1), (1, 0))  # (batch, T, U + 1)  all up to there, at one step
    rows = torch.arange(len(texts), device=scores.device)
    reached = written[:, 0]
    ends = []
    for step in range(scores.shape[1]):
        if step:
            came = reached + on[:, step - 1]
            reached = written[:, step] + (came - written[:, step]).logcumsumexp(-1)
        ends.append(reached[rows, symbols] + on[rows, step, symbols])
    return -torch.stack(ends, 1)[rows, steps - 1]
