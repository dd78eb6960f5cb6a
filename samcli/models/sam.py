"""SAM: an audio encoder, a connector, and a Mamba-2 language model that listens first and then speaks.

    waves -> filter bank -> encoder -> (stacked) tokens -> connector -> language model's carried state -> text

The encoder hears one window at a time; the language model carries its state from window to window, so a recording of
any length is a fold over its windows and costs constant memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.connectors import ConnectorConfig, build_connector
from samcli.models.encoders.base import Encoder
from samcli.models.encoders.registry import EncoderConfig, build_encoder
from samcli.models.facts import Thresholds
from samcli.models.interface import Encoding, SpeakOptions
from samcli.models.listener_state import (
    ListenerState,
    TagContext,
    TagGuidedSpeaker,
    TagReader,
    combine_tags,
    left_to_say,
    no_tags,
    step_probabilities,
    tags_of_window,
    tellable,
)
from samcli.models.mixture import AUDIO, split_projections, use_modality
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, beam_candidates, generate
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel
from samcli.ssm.state import State, join, select
from samcli.text.prompts import caption_prompt, question_prompt, spoken

if TYPE_CHECKING:
    from samcli.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class SamConfig:
    encoder: EncoderConfig
    language: LanguageConfig | PhiConfig
    connector: ConnectorConfig = field(default_factory=ConnectorConfig)
    stack: int = 1  # encoder steps that the connector reads as one: fewer, richer tokens
    reads_tags: bool = False  # the language model also reads the tag head's probabilities: listener_state.py
    split_projections: bool = False  # audio and text tokens each have projections of their own (Mixture-of-Mamba)
    window_seconds: float = 10.0
    beams: int = 1  # texts that are weighed side by side when it speaks, unless one asks otherwise
    aligned: bool = False  # True once connector and language model were trained together

    def __post_init__(self) -> None:
        if self.stack < 1 or self.beams < 1 or self.window_seconds <= 0:
            raise ValueError("stack and beams count from 1, and a window lasts longer than 0 seconds")


def build_language(config: LanguageConfig | PhiConfig) -> LanguageModel | PhiLanguageModel:
    """Phi is what `sam train mohawk` makes of a transformer."""
    return PhiLanguageModel(config) if isinstance(config, PhiConfig) else LanguageModel(config)


class SamNetwork(nn.Module):
    """The network alone: no tokenizer, no names."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.config = config
        encoder = build_encoder(config.encoder)
        self.encoder = encoder
        self.classes = encoder.classes
        steps, bands = encoder.grid()
        self.connector = build_connector(
            config.connector, encoder.width, (steps // config.stack, bands * config.stack), config.language.d_model
        )
        if config.reads_tags:
            self.tag_reader = TagReader(self.classes, config.language.d_model, config.language.padded_vocab_size)
        self.language = build_language(config.language)
        if config.split_projections:
            split_projections(self.language)

    def encode_and_embed(self, mel: Tensor, frames: Tensor | None = None) -> tuple[Encoding, Tensor, Tensor]:
        """Log-mel (batch, frames, bins) to the encoding, the audio embeddings and their valid counts."""
        encoding = self.encoder(mel, frames)
        return (encoding, *self.embed_audio(encoding))

    def embed_audio(self, encoding: Encoding) -> tuple[Tensor, Tensor]:
        """What the language model reads of a window: (batch, tokens, d_model) and valid counts."""
        stack = self.config.stack
        features, lengths = stack_steps(encoding.features, encoding.lengths, stack)
        embeddings, counts = self.connector(features, lengths)
        if self.config.reads_tags:
            steps, _ = stack_steps(step_probabilities(encoding), encoding.lengths, stack)
            steps = steps.reshape(*steps.shape[:2], stack, -1).mean(2)  # (batch, tokens, classes)
            along = self.tag_reader.embed_steps(steps).to(embeddings.dtype)
            embeddings = embeddings + self.connector.spread_steps(along, lengths)
        return embeddings, counts

    def predict(
        self, tokens: Tensor, lengths: Tensor, spoken: Tensor, memory: State, context: TagContext | None
    ) -> Tensor:
        """Logits (spoken tokens, vocabulary), row by row, of each spoken token from what stands before it.

        `tokens` and `spoken` are (rows, longest); `context` is what was heard in each row, None where no tags are read.
        """
        ahead = F.pad(spoken[:, 1:], (0, 1))  # the token at place t is predicted by the one before it
        embeddings = self.language.embed(tokens)
        if context is None:
            return self._logits(embeddings, memory, lengths, ahead)
        left = left_to_say(context, self.tag_reader.said(tokens, spoken))
        embeddings = self.tag_reader.read(embeddings, tokens, context, left)
        urges = self.tag_reader.urges(context, left[ahead], ahead.nonzero()[:, 0])
        return self._logits(embeddings, memory, lengths, ahead) + urges

    def _logits(self, embeddings: Tensor, memory: State, lengths: Tensor, places: Tensor) -> Tensor:
        found: Tensor = self.language(embeddings=embeddings, state=memory, lengths=lengths, positions=places)[0]
        return found


def stack_steps(features: Tensor, lengths: Tensor, stack: int) -> tuple[Tensor, Tensor]:
    """(batch, steps, width) to (batch, ceil(steps / stack), stack * width); what is behind a row's end becomes zero."""
    if stack == 1:
        return features, lengths
    valid = torch.arange(features.shape[1], device=features.device) < lengths[:, None]
    features = F.pad(features * valid[..., None], (0, 0, 0, -features.shape[1] % stack))
    return features.reshape(features.shape[0], -1, stack * features.shape[2]), (lengths + stack - 1) // stack


class Listener:
    """A SoundModel around the network: waves in, words out."""

    def __init__(
        self,
        network: SamNetwork,
        tokenizer: Tokenizer | None,
        labels: Sequence[str],
        name: str,
        revision: str,
        thresholds: Thresholds | None = None,
    ) -> None:
        self.network = network
        network.encoder.lay_out()
        self.tokenizer = tokenizer
        self.labels = tuple(labels)
        self.name, self.revision = name, revision
        self._voice: TagGuidedSpeaker | None = None
        self.thresholds, self.step_thresholds, self.calibrated = thresholds or Thresholds.unknown(len(self.labels))
        self.window_seconds = network.config.window_seconds
        tags = network.classes > 0 and len(self.labels) > 0
        words = network.config.aligned and tokenizer is not None
        self.tasks = frozenset({"tag"} if tags else set()) | frozenset({"caption", "ask"} if words else set())
        self.sample_rate, self.step_seconds = network.encoder.sample_rate, network.encoder.step_seconds

    @property
    def encoder(self) -> Encoder:
        return self.network.encoder

    @torch.no_grad()
    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        device = next(self.network.parameters()).device
        mel, frames = self.network.encoder.features(waves.to(device), lengths)
        alike = bool((frames == mel.shape[1]).all())  # rows without padding need no masks
        encoding: Encoding = self.network.encoder(mel, None if alike else frames.to(device))
        return encoding

    @torch.no_grad()
    def listen(self, encoding: Encoding, state: ListenerState | None) -> ListenerState:
        self._require_words()
        embeddings, counts = self.network.embed_audio(encoding)
        with use_modality(AUDIO):
            memory = state and state.memory
            memory = self.network.language.read(embeddings=embeddings, state=memory, lengths=counts)[1]
        if not self.network.config.reads_tags:
            return ListenerState(memory, no_tags(len(counts), counts.device))
        tags = tags_of_window(step_probabilities(encoding), encoding, self.step_seconds or 0.0)
        return ListenerState(memory, tags if state is None else combine_tags(state.tags, tags))

    @torch.no_grad()
    def speak(self, state: ListenerState, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        tokenizer = self._require_words()
        voice, memory, tokens, lengths = self._asked(state, prompts)
        rows = generate(voice, memory, tokens, self._generation(tokenizer, options), lengths)
        return [spoken(tokenizer, row) for row in rows]

    @torch.no_grad()
    def propose(self, state: ListenerState, prompts: Sequence[str], options: SpeakOptions) -> list[list[str]]:
        """What beam search has in hand at its end, the likeliest first: at most as many texts per row as beams."""
        tokenizer = self._require_words()
        voice, memory, tokens, lengths = self._asked(state, prompts)
        logits, memory = voice.prefill(tokens, state=memory, lengths=lengths)
        voice.prepare()
        rows = beam_candidates(voice, memory, logits, self._generation(tokenizer, options))
        return [[spoken(tokenizer, tokens) for tokens in row] for row in rows]

    def _asked(self, state: ListenerState, prompts: Sequence[str]) -> tuple[Any, Any, Tensor, Tensor]:
        """Who speaks, from which state, and the prompts as tokens (batch, longest) with their lengths."""
        tokenizer = self._require_words()
        ids = [question_prompt(tokenizer, text) if text.strip() else caption_prompt(tokenizer) for text in prompts]
        longest = max(len(row) for row in ids)
        device = next(self.network.parameters()).device
        tokens = torch.tensor([row + [tokenizer.pad] * (longest - len(row)) for row in ids], device=device)
        lengths = torch.tensor([len(row) for row in ids], device=device)
        if self.network.config.reads_tags:
            return self._guided(), state, tokens, lengths
        return self.network.language, state.memory, tokens, lengths

    def _guided(self) -> TagGuidedSpeaker:
        """The same every time: it holds what was captured of its steps."""
        language, reader = self.network.language, self.network.tag_reader
        if self._voice is None or self._voice.language is not language or self._voice.reader is not reader:
            self._voice = TagGuidedSpeaker(language, reader)
        return self._voice

    def bears(self, state: ListenerState) -> list[bool]:
        return tellable(state.tags)

    def select(self, state: ListenerState, rows: Sequence[int]) -> ListenerState:
        return select(state, rows)

    def join(self, states: Sequence[ListenerState]) -> ListenerState:
        return join(states)

    def _require_words(self) -> Tokenizer:
        if "caption" not in self.tasks or self.tokenizer is None:
            raise ModelError(
                f"{self.name} has no connector trained for words: it cannot caption or answer. sam-nano can."
            )
        return self.tokenizer

    def _generation(self, tokenizer: Tokenizer, options: SpeakOptions) -> GenerationOptions:
        return GenerationOptions(
            max_new_tokens=options.max_new_tokens,
            stop_tokens=(tokenizer.eos,),
            suppressed=tuple(tokenizer.special_ids - {tokenizer.eos}),
            beams=options.beams or (self.network.config.beams if options.temperature == 0 else 1),
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
        )
