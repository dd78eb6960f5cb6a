"""The network that `sam train align` trains: put together from published parts, with the special tokens of our prompts.

The seven special tokens that show a language model where a question ends and an answer begins are in no published
vocabulary: they take spare rows of its table, begin as the mean of words that say the same, and learn in every stage.
The encoder's batch norms keep the statistics they came with. Recomputed blocks forget what they computed and compute it
again on the way back: a third more work for a fraction of the memory, and the same results to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from samcli.checkpoints.format import build
from samcli.models.connectors import ConnectorConfig, SeparatedConnector, build_connector
from samcli.models.encoders.base import Encoder
from samcli.models.encoders.registry import ENCODERS
from samcli.models.lora import AdapterConfig, add_adapter, merge_adapters
from samcli.models.sam import SamConfig, SamNetwork
from samcli.ssm.language.blocks import ResidualBlock
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.language.phi import PhiBlock, PhiLanguageModel
from samcli.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from samcli.training.stage import LoopOptions

ADAPTER = "align"
SEPARATOR = "&&"  # SAM's, between the groups of connectors b and c
FIRST_WORDS = {"<eos>": "\n", "<ask>": "Question:", "<answer>": "Answer:", "<caption>": "Audio caption:"}
BLOCKS: tuple[type[nn.Module], ...] = (ResidualBlock, PhiBlock, *(kind.block for kind in ENCODERS.values()))


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
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(batch=256, at_once=8))


class Parts(NamedTuple):
    """What the connector is trained between."""

    encoder: Encoder
    encoder_config: Any
    labels: tuple[str, ...]
    language: LanguageModel | PhiLanguageModel
    tokenizer: Tokenizer
    end_of_text: int | None  # the token that ends texts in the language model's own training


class QuestionBatch(NamedTuple):
    """A few questions with what they are about."""

    mel: Tensor  # (windows, frames, mel bins): every row's windows one after the other
    frames: Tensor  # (windows,) valid ones
    windows: Tensor  # (rows,) of each row
    tokens: Tensor  # (rows, longest): prompt, then answer, then end; right-padded
    lengths: Tensor  # (rows,)
    spoken_from: Tensor  # (rows,)


class AlignedNetwork(nn.Module):
    """The network with its special tokens in a small table of their own, so that the large one can stay as it is."""

    def __init__(self, sam: SamNetwork, marks: Sequence[int]) -> None:
        super().__init__()
        self.sam = sam
        self.register_buffer("places", torch.tensor(marks), persistent=False)
        table, head = sam.language.backbone.embedding.weight, sam.language.lm_head.weight
        self.marks = nn.Parameter(table.detach()[list(marks)].clone())
        self.tied = head is table
        self.spoken_marks = self.marks if self.tied else nn.Parameter(head.detach()[list(marks)].clone())

    def train(self, mode: bool = True) -> AlignedNetwork:
        super().train(mode)
        self.sam.encoder.eval()
        return self

    def embed(self, tokens: Tensor) -> Tensor:
        same = tokens[..., None] == self.get_buffer("places")  # (rows, longest, marks)
        mark = self.marks[same.int().argmax(-1)]
        return torch.where(same.any(-1)[..., None], mark, self.sam.language.embed(tokens))

    def forward(self, batch: QuestionBatch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the answers, summed, and how many tokens they have."""
        language = self.sam.language
        encoding = self.sam.encoder(batch.mel, batch.frames)
        audio, counts = self.sam.embed_audio(encoding)
        text = self.embed(batch.tokens)
        rows, starts, window = [], [], 0
        for row, windows in enumerate(batch.windows.tolist()):
            parts = [audio[at, : int(counts[at])].to(text.dtype) for at in range(window, window + windows)]
            window += windows
            starts.append(sum(len(part) for part in parts))
            rows.append(torch.cat([*parts, text[row, : int(batch.lengths[row])]]))
        x = pad_sequence(rows, batch_first=True)
        place = torch.arange(batch.tokens.shape[1], device=x.device)
        spoken = (place >= batch.spoken_from[:, None]) & (place < batch.lengths[:, None])  # (rows, longest)
        before = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        for row, start in enumerate(starts):  # the token at place t is predicted by the position before it
            before[row, start - 1 : start - 1 + spoken.shape[1]] = spoken[row, : x.shape[1] - start + 1]
        lengths = torch.tensor(starts, device=x.device) + batch.lengths
        hidden, _ = language.read(embeddings=x, lengths=lengths)
        said = hidden[before]
        logits = language.lm_head(said).float()
        places, bias = self.get_buffer("places"), language.lm_head.bias
        own = F.linear(said, self.spoken_marks.to(said.dtype), None if bias is None else bias[places]).float()
        logits = logits.index_copy(1, places, own)[:, : language.vocab_size]
        total = F.cross_entropy(logits, batch.tokens[spoken], reduction="sum")
        return total, spoken.sum()

    @torch.no_grad()
    def finish(self) -> SamNetwork:
        """The network as it is used: special tokens in their rows, adapters in the weights."""
        language = self.sam.language
        language.backbone.embedding.weight[self.get_buffer("places")] = self.marks
        language.lm_head.weight[self.get_buffer("places")] = self.spoken_marks
        merge_adapters(language)
        return self.sam


def assemble(parts: Parts, recipe: AlignRecipe) -> AlignedNetwork:
    """The network before training: published weights, a fresh connector, adapters without effect yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.loop.seed)
        language, marks = with_special_tokens(parts)
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
        network = cast(SamNetwork, build("sam", config))
        network.encoder, network.language = parts.encoder, language
        steps, bands = parts.encoder.grid()
        network.connector = build_connector(connector, parts.encoder.width, (steps, bands), language.config.d_model)
        if isinstance(network.connector, SeparatedConnector):
            separator = torch.tensor(parts.tokenizer.encode(SEPARATOR))
            network.connector.set_separator(language.embed(separator))
        if recipe.method != "full":
            add_adapter(language, adapter_of(recipe), ADAPTER)
    return AlignedNetwork(network.requires_grad_(True), marks)


def adapter_of(recipe: AlignRecipe) -> AdapterConfig:
    kind: Any = recipe.method
    return AdapterConfig(kind, recipe.rank, 2.0 * recipe.rank, recipe.dropout)


@torch.no_grad()
def with_special_tokens(parts: Parts) -> tuple[LanguageModel | PhiLanguageModel, list[int]]:
    """The language model with a row for every token of its tokenizer, and the rows of our special tokens."""
    language, tokenizer = parts.language, parts.tokenizer
    known = language.config.vocab_size
    marks = sorted(tokenizer.special_ids)
    if len(tokenizer) > known:
        config = replace(language.config, vocab_size=len(tokenizer))
        old = language.backbone.embedding.weight
        tied = language.lm_head.weight is old
        tables = [old] if tied else [old, language.lm_head.weight]
        size = config.padded_vocab_size
        made = [nn.Parameter(_longer(table, size, parts)) for table in tables]
        language.backbone.embedding.weight, language.lm_head.weight = made[0], made[-1]
        if language.lm_head.bias is not None:
            language.lm_head.bias = nn.Parameter(_longer(language.lm_head.bias[:, None], size, parts)[:, 0])
        language.backbone.embedding.num_embeddings = language.lm_head.out_features = size
        language.config = config
    return language, marks


def _longer(table: Tensor, size: int, parts: Parts) -> Tensor:
    """The table in `size` rows; those of our special tokens begin as the mean of words that say the same."""
    known, tokenizer = parts.language.config.vocab_size, parts.tokenizer
    rows = torch.zeros(size, table.shape[1], dtype=table.dtype, device=table.device)
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


def recompute(network: nn.Module) -> int:
    """Make every block of the network forget; how many there are."""
    blocks = [module for module in network.modules() if isinstance(module, BLOCKS)]
    for block in blocks:
        block.forward = _forgetful(block.forward)
    return len(blocks)


def _forgetful(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs)
        return checkpoint(forward, *inputs, use_reentrant=False)

    return run
