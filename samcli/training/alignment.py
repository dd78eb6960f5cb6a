"""SAM at the paper's scale (arXiv 2509.15680): a published encoder, a fresh connector, a published language model.

Taught by LTU's curriculum (arXiv 2305.10790) on OpenAQA:

    1  the connector alone              classification            rate 1e-3, 2 epochs
    2  encoder, connector, adapters     classification            rate 1e-4, 2 epochs
    3  the same                         all closed-ended          rate 1e-4, 1 epoch
    4  the same                         everything                rate 1e-4, 1 epoch

The seven marks that tell a language model of ours where a question ends and an answer begins are in no published
vocabulary: they take spare rows of its table, begin as the mean of words that say the same, and learn in every stage.
The encoder's batch norms keep the statistics they came with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from samcli.audio.decode import open_sound
from samcli.audio.fbank import FRAME, SAMPLE_RATE, log_mel
from samcli.checkpoints.format import build
from samcli.errors import InputError, ModelError
from samcli.models.connectors import ConnectorConfig, SeparatedConnector, build_connector
from samcli.models.lora import AdapterConfig, add_adapter, merge_adapters
from samcli.models.nano import NanoConfig
from samcli.models.sam import Sam, SamConfig
from samcli.ssm.language import LanguageConfig, LanguageModel
from samcli.text.prompts import Example
from samcli.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from samcli.training.course import Course, CourseOptions, Outcome, Pace, Report, Stage
from samcli.training.openaqa import CAPTION_ANSWER, PREFIX, Questions
from samcli.training.order import Shuffled, generator
from samcli.training.recompute import recompute
from samcli.training.team import Team

ADAPTER = "align"
SEPARATOR = "&&"  # SAM's, between the groups of connectors b and c
FIRST_WORDS = {"<eos>": "\n", "<ask>": "Question:", "<answer>": "Answer:", "<caption>": "Audio caption:"}
LEAST_ANSWER = 16  # tokens that a long question leaves
TRIES = 20  # recordings in a row that cannot be read, until a course is given up


@dataclass(frozen=True)
class AlignRecipe:
    """Every choice; SAM's are the defaults, and LTU's where SAM's are not published."""

    connector: ConnectorConfig = field(default_factory=ConnectorConfig)
    method: str = "lora"  # lora, dora, or full: all of the language model learns
    rank: int = 256  # of the adapters; the paper's other one is 8
    dropout: float = 0.05
    freeze_encoder: bool = False  # then its tags stay what they are; the paper found tuning it better
    window_seconds: float = 10.0
    windows: int = 1  # of a recording, at most; LTU hears the first ten seconds
    longest: int = 108  # tokens of question and answer
    epochs: tuple[float, ...] = (2.0, 2.0, 1.0, 1.0)
    steps: tuple[int, ...] = ()  # instead of epochs
    rate: float = 1e-4  # of the stages in which everything learns; the first takes ten times as much
    warm_up: int = 100
    recompute: bool = False
    course: CourseOptions = field(default_factory=lambda: CourseOptions(batch=256, at_once=8))


class Parts(NamedTuple):
    """What the connector is trained between."""

    encoder: Any  # module with `config`
    encoder_config: Any
    labels: tuple[str, ...]
    language: LanguageModel
    tokenizer: Tokenizer
    end_of_text: int | None  # the token that ends texts in the language model's own training


class Heard(NamedTuple):
    """A few questions with what they are about."""

    mel: Tensor  # (windows, frames, mel bins): every row's windows one after the other
    frames: Tensor  # (windows,) valid ones
    windows: Tensor  # (rows,) of each row
    tokens: Tensor  # (rows, longest): prompt, then answer, then end; right-padded
    lengths: Tensor  # (rows,)
    spoken_from: Tensor  # (rows,)


class Pupil(nn.Module):
    """The network with its marks in a small table of their own, so that the large one can stay as it is."""

    def __init__(self, sam: Sam, marks: Sequence[int]) -> None:
        super().__init__()
        self.sam = sam
        self.register_buffer("places", torch.tensor(marks), persistent=False)
        table, head = sam.language.backbone.embedding.weight, sam.language.lm_head.weight
        self.marks = nn.Parameter(table.detach()[list(marks)].clone())
        self.tied = head is table
        self.spoken_marks = self.marks if self.tied else nn.Parameter(head.detach()[list(marks)].clone())

    def train(self, mode: bool = True) -> Pupil:
        super().train(mode)
        self.sam.encoder.eval()
        return self

    def embed(self, tokens: Tensor) -> Tensor:
        same = tokens[..., None] == self.get_buffer("places")  # (rows, longest, marks)
        mark = self.marks[same.int().argmax(-1)]
        return torch.where(same.any(-1)[..., None], mark, self.sam.language.embed(tokens))

    def forward(self, heard: Heard) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the answers, summed, and how many tokens they have."""
        language = self.sam.language
        encoding = self.sam.encoder(heard.mel, heard.frames)
        audio, counts = self.sam.embed_audio(encoding)
        text = self.embed(heard.tokens)
        rows, starts, window = [], [], 0
        for row, windows in enumerate(heard.windows.tolist()):
            parts = [audio[at, : int(counts[at])].to(text.dtype) for at in range(window, window + windows)]
            window += windows
            starts.append(sum(len(part) for part in parts))
            rows.append(torch.cat([*parts, text[row, : int(heard.lengths[row])]]))
        x = pad_sequence(rows, batch_first=True)
        place = torch.arange(heard.tokens.shape[1], device=x.device)
        spoken = (place >= heard.spoken_from[:, None]) & (place < heard.lengths[:, None])  # (rows, longest)
        before = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        for row, start in enumerate(starts):  # the token at place t is predicted by the position before it
            before[row, start - 1 : start - 1 + spoken.shape[1]] = spoken[row, : x.shape[1] - start + 1]
        lengths = torch.tensor(starts, device=x.device) + heard.lengths
        hidden, _ = language.read(embeddings=x, lengths=lengths)
        said = hidden[before]
        logits = language.lm_head(said).float()
        own = F.linear(said, self.spoken_marks.to(said.dtype)).float()
        logits = logits.index_copy(1, self.get_buffer("places"), own)[:, : language.vocab_size]
        total = F.cross_entropy(logits, heard.tokens[spoken], reduction="sum")
        return total, spoken.sum()

    @torch.no_grad()
    def settle(self) -> Sam:
        """The network as it is used: marks in their places, adapters in the weights."""
        language = self.sam.language
        language.backbone.embedding.weight[self.get_buffer("places")] = self.marks
        language.lm_head.weight[self.get_buffer("places")] = self.spoken_marks
        merge_adapters(language, keep_base=False)
        return self.sam


class Answers:
    """The lesson: recordings, questions about them, and their answers."""

    def __init__(
        self,
        questions: Questions,
        places: Sequence[str | None],
        chosen: Sequence[int],
        tokenizer: Tokenizer,
        recipe: AlignRecipe,
        unread: Path,
    ) -> None:
        self.questions, self.places, self.chosen, self.recipe, self.unread = questions, places, chosen, recipe, unread
        self.tokenizer = tokenizer
        self.order = Shuffled(len(chosen), recipe.course.seed)
        self.pupil: Pupil | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"pupil": None}  # workers only read

    def outcome(self, batch: Heard) -> Outcome:
        assert self.pupil is not None
        total, count = self.pupil(batch)
        return Outcome(total, count, {"loss": total.detach()})

    def batch(self, places: Sequence[int]) -> Heard:
        waves, rows = [], []
        for place in places:
            wave, example = self.example(place)
            waves.append(wave)
            rows.append(example)
        size = round(self.recipe.window_seconds * SAMPLE_RATE)
        windows = [part for wave in waves for part in _cut(wave, size)]
        mels = [log_mel(F.pad(part, (0, max(0, FRAME - len(part))))[None])[0] for part in windows]
        pad = self.tokenizer.pad
        return Heard(
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
        for tried in range(TRIES):
            item = self.chosen[(number + tried) % len(self.chosen)]
            path = self.places[self.questions.audio[item]]
            assert path is not None, "only items with a recording are chosen"
            try:
                wave = read_beginning(path, self.recipe.window_seconds * self.recipe.windows)
            except InputError as error:
                with suppress(OSError), self.unread.open("a", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(f"{path}\t{error}\n")
                continue
            return wave, self.words(item, place)
        raise InputError(f"{TRIES} recordings in a row cannot be read; {self.unread} names them.")

    def words(self, item: int, place: int) -> Example:
        """The question in one of its forms: people type it without the data set's prefix, or ask for a caption."""
        tokenizer = self.tokenizer
        question, answer = self.questions.questions[item], self.questions.answers[item]
        plain = generator(self.recipe.course.seed, place).random() < 0.5
        if not question or (self.questions.kinds[item] == "caption" and plain):
            opening, answer = tokenizer.caption_prompt(), CAPTION_ANSWER.sub("", answer, count=1)
        else:
            opening = tokenizer.question_prompt(PREFIX.sub("", question, count=1) if plain else question)
        said = [*tokenizer.encode(answer), tokenizer.eos][: max(LEAST_ANSWER, self.recipe.longest - len(opening))]
        return Example([*opening, *said], len(opening))


def _cut(wave: Tensor, size: int) -> list[Tensor]:
    """Windows, the last one as short as what is left."""
    return list(torch.split(wave, size)) if len(wave) else [wave]


def read_beginning(path: str, seconds: float) -> Tensor:
    """The first seconds of a recording, at 16 kHz."""
    parts, count, wanted = [], 0, round(seconds * SAMPLE_RATE)
    with open_sound(path, SAMPLE_RATE) as sound:
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


def assemble(parts: Parts, recipe: AlignRecipe) -> Pupil:
    """The network to be taught: published weights, a fresh connector, adapters without effect yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.course.seed)
        language, marks = with_marks(parts)
        connector = recipe.connector
        if connector.kind in ("time-major", "frequency-major"):
            connector = replace(connector, separator_tokens=len(parts.tokenizer.encode(SEPARATOR)))
        config = SamConfig(
            encoder=parts.encoder_config,
            language=language.config,
            connector=connector,
            window_seconds=recipe.window_seconds,
            aligned=True,
        )
        network = cast(Sam, build("sam", config))
        network.encoder, network.language = parts.encoder, language
        steps, bands = parts.encoder.grid()
        network.connector = build_connector(connector, parts.encoder.width, (steps, bands), language.config.d_model)
        if isinstance(network.connector, SeparatedConnector):
            separator = torch.tensor(parts.tokenizer.encode(SEPARATOR))
            network.connector.set_separator(language.embed(separator))
        if recipe.method != "full":
            add_adapter(language, adapter_of(recipe), ADAPTER)
    return Pupil(network.requires_grad_(True), marks)


def adapter_of(recipe: AlignRecipe) -> AdapterConfig:
    kind: Any = recipe.method
    return AdapterConfig(kind, recipe.rank, 2.0 * recipe.rank, recipe.dropout)


@torch.no_grad()
def with_marks(parts: Parts) -> tuple[LanguageModel, list[int]]:
    """The language model with a row for every token of its tokenizer, and the places of our marks."""
    language, tokenizer = parts.language, parts.tokenizer
    known = language.config.vocab_size
    marks = sorted(tokenizer.special_ids)
    if len(tokenizer) > known:
        config = replace(language.config, vocab_size=len(tokenizer))
        old = language.backbone.embedding.weight
        tied = language.lm_head.weight is old
        tables = [old] if tied else [old, language.lm_head.weight]
        made = [nn.Parameter(_longer(table, config, parts)) for table in tables]
        language.backbone.embedding.weight, language.lm_head.weight = made[0], made[-1]
        language.backbone.embedding.num_embeddings = language.lm_head.out_features = config.padded_vocab_size
        language.config = config
    return language, marks


def _longer(table: Tensor, config: LanguageConfig, parts: Parts) -> Tensor:
    """The table with rows for our marks, each beginning as the mean of words that say the same."""
    known, tokenizer = parts.language.config.vocab_size, parts.tokenizer
    rows = torch.zeros(config.padded_vocab_size, table.shape[1], dtype=table.dtype, device=table.device)
    rows[:known] = table[:known]
    rows[known : len(tokenizer)] = table[:known].mean(0)
    names = dict(zip(SPECIAL_TOKENS, (tokenizer.pad, tokenizer.bos, tokenizer.eos, tokenizer.audio,
                                      tokenizer.caption, tokenizer.ask, tokenizer.answer), strict=True))  # fmt: skip
    for name, words in FIRST_WORDS.items():
        if names[name] >= known:
            rows[names[name]] = table[[token for token in tokenizer.encode(words) if token < known]].mean(0)
    if names["<eos>"] >= known and parts.end_of_text is not None:
        rows[names["<eos>"]] = table[parts.end_of_text]
    return rows


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


TAG_HEADS = tuple(f"sam.encoder.{name}." for name in ("head", "head_norm", "fc_norm", "attention"))


def align(
    parts: Parts,
    questions: Questions,
    places: Sequence[str | None],
    folder: Path,
    recipe: AlignRecipe,
    team: Team,
    report: Report = lambda line: None,
) -> tuple[Sam, bool]:
    """The network, and whether the course came to its end; `places` are the files of `questions.ids`."""
    pupil = assemble(parts, recipe).to(team.device)
    if recipe.recompute:
        recompute(pupil)
    learns = (learns_connector, *(learns_everything(recipe),) * 3)
    stages = []
    pools = curriculum(questions, lambda item: places[questions.audio[item]] is not None)
    for number, (pool, learn) in enumerate(zip(pools, learns, strict=True)):
        lesson = Answers(questions, places, pool, parts.tokenizer, recipe, folder / "unread.txt")
        lesson.pupil = pupil
        steps = recipe.steps[number] if recipe.steps else round(recipe.epochs[number] * len(pool) / recipe.course.batch)
        if not recipe.steps and recipe.epochs[number]:
            steps = max(1, steps)
        pace = Pace(recipe.rate * (1 if number else 10), recipe.warm_up)
        stages.append(Stage(f"stage {number + 1}", lesson, steps, pace, learn))
    finished = Course(pupil.train(), stages, folder, recipe.course, team).run(report)
    return pupil.eval().settle(), finished


def without_stale_head(network: Sam, recipe: AlignRecipe) -> Sam:
    """A tag head that was trained on another encoder than this one has become is taken off, where that can be done."""
    if recipe.freeze_encoder or isinstance(network.config.encoder, NanoConfig):
        return network
    encoder = cast(Any, network.encoder)
    for name in ("head", "head_norm", "fc_norm"):
        if hasattr(encoder, name):
            setattr(encoder, name, None)
    encoder.config = replace(encoder.config, classes=0)
    network.config = replace(network.config, encoder=encoder.config)
    return network


def load_parts(
    encoder: str, language: str, *, offline: bool = False, progress: bool = False
) -> tuple[Parts, dict[str, str]]:
    """Both by catalogue name, Hub id or folder, and their revisions."""
    from samcli.checkpoints.loading import TINY, load_tokenizer, locate, with_second_fetch
    from samcli.checkpoints.pieces import Piece, load_piece
    from samcli.checkpoints.vocabulary import read_tokenizer, tokenizer_file

    def load(name: str) -> tuple[Piece, Any, str, int | None]:
        if name == TINY:
            from samcli.checkpoints.tiny import LABELS, REVISION, tiny_network, tiny_tokenizer

            tokenizer = tiny_tokenizer()
            network = tiny_network(tokenizer)
            return Piece("sam", network, network.config, LABELS), tokenizer, REVISION, None
        source = locate(name, offline=offline, progress=progress)
        piece = with_second_fetch(source, lambda at: load_piece(at.folder, dtype=torch.float32))
        path = tokenizer_file(source.folder)
        end = None if path is None else read_tokenizer(path).token_to_id("<|endoftext|>")
        return piece, load_tokenizer(source.folder), source.revision, end

    heard, _, heard_revision, _ = load(encoder)
    if heard.kind in ("language", "phi"):
        raise ModelError(f"{encoder} is a language model and hears nothing: name an encoder, such as eat-base.")
    spoken, tokenizer, spoken_revision, end = load(language)
    if spoken.kind not in ("language", "sam"):
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
