"""Samba-ASR's training: a transducer's loss over joined and varied recordings, and spelling by ear alone beside it.

The loss (arXiv 1211.3711) adds up all ways to write a text while hearing. A way is a path through a grid of steps and
symbols: one to the right hears on, one up writes the next symbol. With all that is written at one step taken together,
the recursion runs over the steps alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.models.speech import NOTHING, SIZES, STACK, SpeechConfig, SpeechNetwork
from samcli.training.frames import FrameStore
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.optimiser import Pace
from samcli.training.speech.material import Utterance, Variety, joined, symbols_of, varied
from samcli.training.stage import LoopOptions, Outcome, Shuffled, Stage, generator
from samcli.training.team import Team

PACE = Pace(rate=2e-3, warm_up=500, shape="cosine", betas=(0.9, 0.98), weight_decay=0.01, clip_norm=5.0)
MEAN = 0.999  # of the weights, which is what is kept


@dataclass(frozen=True)
class SpeechRecipe:
    network: SpeechConfig
    joined: int = 1  # utterances of an example at most
    alone: float = 0.3  # share of spelling by hearing alone in the loss
    variety: Variety = field(default_factory=Variety)
    steps: int = 0  # 0: as many as the epochs ask for
    epochs: float = 30.0
    pace: Pace = PACE
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(batch=32, average=MEAN))

    def length(self, utterances: int) -> int:
        """Steps of the whole training."""
        return self.steps or max(1, round(self.epochs * utterances / self.loop.batch))


def sized(size: str, utterances: Sequence[Utterance]) -> SpeechConfig:
    """The network of that size for what these utterances are written with."""
    return replace(SIZES[size], symbols=symbols_of(utterances))


class Speech(NamedTuple):
    frames: Tensor  # (batch, frames, mels), silence behind each row's end
    steps: Tensor  # (batch,)
    texts: Tensor  # (batch, longest text) symbols
    symbols: Tensor  # (batch,)


class Dictation:
    """The lesson: recordings and the texts to write."""

    def __init__(
        self, network: SpeechNetwork, store: FrameStore, utterances: Sequence[Utterance], recipe: SpeechRecipe
    ) -> None:
        codes = {symbol: code for code, symbol in enumerate(network.config.symbols, 1)}
        heard = [utterance for utterance in utterances if utterance.file in store]
        self.network, self.store, self.recipe = network, store, recipe
        self.numbers = [store.places[utterance.file] for utterance in heard]
        self.texts = [[codes[symbol] for symbol in utterance.text] for utterance in heard]
        self.space, self.seed = codes[" "], recipe.loop.seed
        self.order = Shuffled(len(heard), self.seed)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "network"}  # workers only read

    def batch(self, places: Sequence[int]) -> Speech:
        examples = [self.example(place) for place in places]
        steps = [len(frames) // STACK for frames, _ in examples]
        frames = np.full((len(examples), max(steps) * STACK, examples[0][0].shape[1]), examples[0][0].min(), np.float32)
        texts = torch.zeros(len(examples), max(len(text) for _, text in examples), dtype=torch.long)
        for row, (some, text) in enumerate(examples):
            frames[row, : len(some)] = some
            texts[row, : len(text)] = torch.tensor(text)
        symbols = torch.tensor([len(text) for _, text in examples])
        return Speech(torch.from_numpy(frames), torch.tensor(steps), texts, symbols)

    def example(self, place: int) -> tuple[np.ndarray, list[int]]:
        rng = generator(self.seed, place)
        others = rng.integers(0, len(self.order), int(rng.integers(0, self.recipe.joined)))
        chosen = [self.order[place], *map(int, others)]
        variety = self.recipe.variety
        parts = [varied(self.store[self.numbers[one]].astype(np.float32), variety, rng) for one in chosen]
        text: list[int] = []
        for one in chosen:
            text += [self.space, *self.texts[one]] if text else self.texts[one]
        return joined(parts, variety, rng), text

    def outcome(self, batch: Speech) -> Outcome:
        network, share = self.network, self.recipe.alone
        heard, _ = network.hear(batch.frames, lengths=batch.steps)
        read, _ = network.read(F.pad(batch.texts, (1, 0), value=NOTHING))
        scores = network.scores(heard[:, :, None], read[:, None])
        written = transducer_loss(scores.float(), batch.texts, batch.steps, batch.symbols).sum()
        alone = network.alone(heard).float().log_softmax(-1).transpose(0, 1)
        spelled = F.ctc_loss(alone, batch.texts, batch.steps, batch.symbols, reduction="sum", zero_infinity=True)
        total = (1 - share) * written.float() + share * spelled
        parts = {"loss": total, "transducer": written, "alone": spelled}
        sums = {name: value.detach() for name, value in parts.items()}
        return Outcome(total, batch.symbols.sum().float(), sums, len(batch.steps))


def teach(
    store: FrameStore,
    utterances: Sequence[Utterance],
    folder: Path,
    recipe: SpeechRecipe,
    team: Team,
    report: Report = lambda line: None,
) -> tuple[SpeechNetwork, bool]:
    """The network, and whether the training came to its end; its state is kept in `folder`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.loop.seed)
        network = SpeechNetwork(recipe.network).to(team.device)
    lesson = Dictation(network, store, utterances, recipe)
    stage = Stage("speech", recipe.length(len(lesson.order)), lambda: lesson, recipe.pace)
    trainer = Trainer(network, [stage], folder / STATE, recipe.loop, team)
    finished = trainer.run(report)
    if finished:
        trainer.average.give(network)
    return network.eval(), finished


def card(recipe: SpeechRecipe, utterances: int, seconds: float) -> str:
    """The README of the model's folder."""
    c = recipe.network
    return (
        "# A model that writes down speech\n\n"
        f"Samba-ASR (arXiv 2501.02832): {c.encoder_layers} Mamba-2 layers hear, {c.decoder_layers} read what is "
        f"written, {c.d_model} wide; taught by `sam train speech` on {utterances} utterances ({seconds / 3600:.2f} "
        "hours). It knows the words of these and little else: measure it on voices that it has not heard, with "
        "`sam transcribe` and `sam eval`, before you rely on it.\n"
    )


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
