"""SAM at the paper's scale (arXiv 2509.15680): a published encoder, a fresh connector, a published language model.

Trained by LTU's curriculum (arXiv 2305.10790) on OpenAQA:

    1  the connector alone              classification            rate 1e-3, 2 epochs
    2  encoder, connector, adapters     classification            rate 1e-4, 2 epochs
    3  the same                         all closed-ended          rate 1e-4, 1 epoch
    4  the same                         everything                rate 1e-4, 1 epoch
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from samcli.audio.decode import open_sound
from samcli.audio.front_end import KALDI, FrontEnd
from samcli.errors import InputError, ModelError, OutputError
from samcli.models.encoders.registry import ENCODERS
from samcli.models.sam import SamNetwork
from samcli.text.prompts import Example, caption_prompt, question_prompt
from samcli.text.tokenizer import Tokenizer
from samcli.training.align.network import (
    ADAPTER,
    AlignedNetwork,
    AlignRecipe,
    Parts,
    QuestionBatch,
    assemble,
    recompute,
)
from samcli.training.align.openaqa import CAPTION_ANSWER, PREFIX, Questions
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.optimiser import Pace
from samcli.training.stage import Outcome, Shuffled, Stage, generator
from samcli.training.team import Team
from samcli.writers.files import append_line

LEAST_ANSWER = 16  # tokens that a long question leaves
MOST_UNREADABLE = 20  # recordings in a row that cannot be read, until a training is given up


class AlignTask:
    """The task: recordings, questions about them, and their answers."""

    def __init__(
        self,
        questions: Questions,
        places: Sequence[str | None],
        chosen: Sequence[int],
        tokenizer: Tokenizer,
        recipe: AlignRecipe,
        unread: Path,
        front_end: FrontEnd = KALDI,
        network: AlignedNetwork | None = None,
    ) -> None:
        self.questions, self.places, self.chosen, self.recipe, self.unread = questions, places, chosen, recipe, unread
        self.tokenizer, self.front_end, self.network = tokenizer, front_end, network
        self.order = Shuffled(len(chosen), recipe.loop.seed)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"network": None}  # workers only read

    def outcome(self, batch: QuestionBatch) -> Outcome:
        assert self.network is not None
        total, count = self.network(batch)
        return Outcome(total, count, {"loss": total.detach()}, len(batch.lengths))

    def batch(self, places: Sequence[int]) -> QuestionBatch:
        waves, rows = [], []
        for place in places:
            wave, example = self.example(place)
            waves.append(wave)
            rows.append(example)
        size = round(self.recipe.window_seconds * self.front_end.sample_rate)
        windows = [part for wave in waves for part in _cut(wave, size)]
        mels = [self.front_end.of_wave(part) for part in windows]
        pad = self.tokenizer.pad
        return QuestionBatch(
            pad_sequence(mels, batch_first=True),
            torch.tensor([len(mel) for mel in mels]),
            torch.tensor([len(_cut(wave, size)) for wave in waves]),
            pad_sequence([torch.tensor(row.tokens) for row in rows], batch_first=True, padding_value=float(pad)),
            torch.tensor([len(row.tokens) for row in rows]),
            torch.tensor([row.answer_start for row in rows]),
        )

    def example(self, place: int) -> tuple[Tensor, Example]:
        """A recording's beginning and a question; one that cannot be read gives its place to the next."""
        number = self.order[place]
        for tried in range(MOST_UNREADABLE):
            item = self.chosen[(number + tried) % len(self.chosen)]
            path = self.places[self.questions.audio[item]]
            assert path is not None, "only items with a recording are chosen"
            try:
                seconds = self.recipe.window_seconds * self.recipe.windows
                wave = read_beginning(path, seconds, self.front_end.sample_rate)
            except InputError as error:
                with suppress(OutputError):
                    append_line(self.unread, f"{path}\t{error}", own=2)
                continue
            return wave, self.words(item, place)
        raise InputError(f"{MOST_UNREADABLE} recordings in a row cannot be read; {self.unread} names them.")

    def words(self, item: int, place: int) -> Example:
        """The question in one of its forms: people type it without the data set's prefix, or ask for a caption."""
        tokenizer = self.tokenizer
        question, answer = self.questions.questions[item], self.questions.answers[item]
        plain = generator(self.recipe.loop.seed, place).random() < 0.5
        if not question or (self.questions.kinds[item] == "caption" and plain):
            opening, answer = caption_prompt(tokenizer), CAPTION_ANSWER.sub("", answer, count=1)
        else:
            opening = question_prompt(tokenizer, PREFIX.sub("", question, count=1) if plain else question)
        said = [*tokenizer.encode(answer), tokenizer.eos][: max(LEAST_ANSWER, self.recipe.longest - len(opening))]
        return Example([*opening, *said], len(opening))


def _cut(wave: Tensor, size: int) -> list[Tensor]:
    """Windows, the last one as short as what is left."""
    return list(torch.split(wave, size)) if len(wave) else [wave]


def read_beginning(path: str, seconds: float, rate: int) -> Tensor:
    """The first seconds of a recording."""
    parts, count, wanted = [], 0, round(seconds * rate)
    with open_sound(path, rate) as sound:
        for block in sound:
            parts.append(torch.from_numpy(block))
            count += block.size
            if count >= wanted:
                break
    return torch.cat([torch.zeros(0), *parts])[:wanted]


def curriculum(questions: Questions, heard: Callable[[int], bool]) -> list[list[int]]:
    """The items of each stage, of those whose recording is there; a stage without any takes the next one's."""
    kinds: tuple[tuple[Any, ...], ...] = (("classification",), ("classification", "caption", "closed"))
    narrow, closed = ([item for item in questions.of(*kind) if heard(item)] for kind in kinds)
    everything = [item for item in range(len(questions)) if heard(item)]
    closed = closed or everything
    return [narrow or closed, narrow or closed, closed, everything]


def learns_connector(name: str) -> bool:
    """What learns in the first stage."""
    return name.startswith(("marks", "spoken_marks", "sam.connector.")) and name != "sam.connector.separator"


def learns_everything(recipe: AlignRecipe) -> Callable[[str], bool]:
    """What learns in the others."""

    def learns(name: str) -> bool:
        if name.startswith("sam.encoder."):
            return not recipe.freeze_encoder and not name.startswith(TAG_HEADS)
        if name.startswith("sam.language."):
            return recipe.method == "full" or f".adapters.{ADAPTER}." in name
        return learns_connector(name)

    return learns


TAG_HEADS = tuple(f"sam.encoder.{part}." for kind in ENCODERS.values() for part in kind.encoder.head_parts)


def align(
    parts: Parts,
    questions: Questions,
    places: Sequence[str | None],
    folder: Path,
    recipe: AlignRecipe,
    team: Team,
    report: Report = lambda line: None,
) -> tuple[SamNetwork, bool]:
    """The network, and whether the training came to its end; `places` are the files of `questions.ids`."""
    front_end = parts.encoder.front_end
    network = assemble(parts, recipe).to(team.device)
    if recipe.recompute:
        recompute(network)
    learns = (learns_connector, *(learns_everything(recipe),) * 3)
    stages = []
    pools = curriculum(questions, lambda item: places[questions.audio[item]] is not None)
    for number, (pool, learn) in enumerate(zip(pools, learns, strict=True)):
        task = partial(
            AlignTask, questions, places, pool, parts.tokenizer, recipe, folder / "unread.txt", front_end, network
        )
        steps = recipe.steps[number] if recipe.steps else round(recipe.epochs[number] * len(pool) / recipe.loop.batch)
        if not recipe.steps and recipe.epochs[number]:
            steps = max(1, steps)
        pace = Pace(recipe.rate * (1 if number else 10), recipe.warm_up)
        stages.append(Stage(f"stage {number + 1}", steps, task, pace, learn))
    finished = Trainer(network, stages, folder / STATE, recipe.loop, team).run(report)
    return network.eval().finish(), finished


def without_stale_head(network: SamNetwork, recipe: AlignRecipe) -> SamNetwork:
    """A tag head that was trained on another encoder than this one has become is taken off, where that can be done."""
    if recipe.freeze_encoder or network.encoder.keeps_head:
        return network
    encoder = network.encoder
    for name in encoder.head_parts:
        setattr(encoder, name, None)
    encoder.config = replace(encoder.config, classes=0)
    network.config = replace(network.config, encoder=encoder.config)
    return network


def load_parts(
    encoder: str, language: str, *, offline: bool = False, progress: bool = False
) -> tuple[Parts, dict[str, str]]:
    """Both by catalogue name, Hub id or folder, and their revisions."""
    from samcli.checkpoints.files import read_tokenizer, tokenizer_file
    from samcli.checkpoints.loading import TINY, load_tokenizer, locate, refetch_if_damaged
    from samcli.checkpoints.modules import LoadedModule, load_folder

    def load(name: str) -> tuple[LoadedModule, Any, str, int | None]:
        if name == TINY:
            from samcli.checkpoints.tiny import LABELS, REVISION, tiny_network, tiny_tokenizer

            tokenizer = tiny_tokenizer()
            network = tiny_network(tokenizer)
            return LoadedModule("sam", network, network.config, LABELS), tokenizer, REVISION, None
        source = locate(name, offline=offline, progress=progress)
        piece = refetch_if_damaged(source, lambda at: load_folder(at.folder, dtype=torch.float32))
        path = tokenizer_file(source.folder)
        end = None if path is None else read_tokenizer(path).token_to_id("<|endoftext|>")
        return piece, load_tokenizer(source.folder), source.revision, end

    heard, _, heard_revision, _ = load(encoder)
    if heard.kind in ("language", "phi"):
        raise ModelError(f"{encoder} is a language model and hears nothing: name an encoder, such as eat-base.")
    spoken, tokenizer, spoken_revision, end = load(language)
    if spoken.kind not in ("language", "phi", "sam"):
        raise ModelError(f"{language} is no language model of Mamba blocks: name one, such as mamba2-130m.")
    if tokenizer is None:
        raise ModelError(f"{language} has no tokenizer.json beside its weights.")
    hearing: Any = heard.module.encoder if heard.kind == "sam" else heard.module
    speaking: Any = spoken.module.language if spoken.kind == "sam" else spoken.module
    config = heard.config.encoder if heard.kind == "sam" else heard.config
    if spoken.kind == "sam" and (spoken.config.split_projections or spoken.config.reads_tags):
        raise ModelError(f"The language model inside {language} does not stand alone: name one, such as mamba2-130m.")
    revisions = {"encoder": heard_revision, "language": spoken_revision}
    return Parts(hearing, config, heard.labels, speaking, tokenizer, end), revisions
