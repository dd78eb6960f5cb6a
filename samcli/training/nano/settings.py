"""What sam-nano's recipe lets one choose: sizes, stages, and the choices that were tried one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

from torch import nn

from samcli.models.connectors import ConnectorConfig, Kind
from samcli.models.encoders.nano import NanoConfig
from samcli.models.sam import SamConfig
from samcli.ssm.language.blocks import LanguageConfig
from samcli.training.losses import LossWeights
from samcli.training.nano.batches import BatchOptions
from samcli.training.nano.mixer import MixOptions
from samcli.training.nano.words import WordOptions
from samcli.training.optimiser import Plateau
from samcli.training.stage import LoopOptions

# A process of its own makes the batches; the state holds everything, for a next training may begin with another trunk.
NANO_LOOP = LoopOptions(
    workers=1, bfloat16=True, average=0.999, report_every=50, save_every_seconds=150.0, save_all=True, seed=-1
)


# When much is known already: longer scenes, more sounds in them at nearly one level.
TWO_VIEWS = BatchOptions(
    share=(0.25, 0.2, 0.1, 0.35, 0.05, 0.05),
    two_views=True,
    mix=MixOptions(sources=(0.02, 0.38, 0.45, 0.15), second_level_db=(-10.0, 3.0), turn_level_db=(-6.0, 6.0)),
)


@dataclass(frozen=True)
class NanoPace(Plateau):
    rate: float = 1.4e-3
    weight_decay: float = 0.03
    encoder_rate: float = 1.0  # share of the rate that the encoder gets
    trunk_rate: float = 0.6  # share of the encoder's that its trunk gets, which begins with what is known

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Of the whole network: all stages share one optimiser."""
        trunk = self.rate * (self.encoder_rate * self.trunk_rate)
        rates = {"encoder.trunk.": trunk, "encoder.": self.rate * self.encoder_rate, "": self.rate}
        places = [(part, flat) for part in rates for flat in (False, True)]
        groups: dict[tuple[str, bool], list[nn.Parameter]] = {place: [] for place in places}
        for name, parameter in network.named_parameters():
            part = next(part for part in rates if name.startswith(part))
            groups[part, parameter.ndim <= 1].append(parameter)
        return [
            {"params": parameters, "weight_decay": 0.0 if flat else self.weight_decay, "lr": rates[part]}
            for (part, flat), parameters in groups.items()
            if parameters
        ]


@dataclass(frozen=True)
class NanoRecipe:
    """Every choice of the training; the shipped model's values are the defaults."""

    encoder: NanoConfig = field(default_factory=NanoConfig)
    language_layers: int = 6
    language_width: int = 256
    language_state: int = 64
    language_layer: Literal["mamba2", "mamba3", "convolution"] = "mamba2"
    split_projections: bool = False  # audio and text tokens with projections of their own (Mixture-of-Mamba)
    connector: Kind = "concat"
    teacher: bool = True  # learn from its opinion of every clip; False: from labels alone
    stack: int = 4  # encoder steps per audio token: 3.1 tokens a second
    ear_steps: int = 2_000  # of the encoder, with the teacher's opinions
    ear_steps_again: int = 4_000  # the same with better ones
    view_steps: int = 4_000  # the same, every scene heard twice
    read_steps: int = 1_500  # of words alone, from targets
    word_steps: int = 6_000  # of words, from what the encoder hears
    without: tuple[str, ...] = ()  # sources of the corpus to leave out, to judge by
    batches: BatchOptions = field(default_factory=BatchOptions)
    views: BatchOptions = TWO_VIEWS
    words: WordOptions = field(default_factory=WordOptions)
    weights: LossWeights = field(default_factory=LossWeights)
    step_weight_in_views: float = 0.6
    pace: NanoPace = field(default_factory=NanoPace)
    loop: LoopOptions = NANO_LOOP
    second_core: bool = False
    vocabulary: int = 2560
    sentences: int = 200_000  # written to make the vocabulary
    counted: int = 12_000  # sounds described to make the lexicon
    seed: int = 0

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(self._stages())

    def _stages(self) -> tuple[int, ...]:
        return self.ear_steps, self.ear_steps_again, self.view_steps, self.read_steps, self.word_steps

    def scaled(self, share: float) -> NanoRecipe:
        """The same stages, shorter or longer; what rounding takes from one it gives to its neighbour."""
        warm_up = max(1, min(self.pace.warm_up, round(self.steps * share / 10)))
        lasts = accumulate(self._stages(), initial=0)
        ears, again, views, read, words = (last - first for first, last in pairwise(round(at * share) for at in lasts))
        return replace(
            self,
            ear_steps=ears,
            ear_steps_again=again,
            view_steps=views,
            read_steps=read,
            word_steps=words,
            pace=replace(self.pace, warm_up=warm_up),
        )

    def config(self, vocabulary: int, aligned: bool = False) -> SamConfig:
        language = LanguageConfig(
            d_model=self.language_width,
            n_layer=self.language_layers,
            vocab_size=vocabulary,
            d_state=self.language_state,
            layer=self.language_layer,
        )
        connector = ConnectorConfig(kind=self.connector)
        return SamConfig(
            self.encoder,
            language,
            connector,
            stack=self.stack,
            reads_tags=True,
            split_projections=self.split_projections,
            beams=2,
            aligned=aligned,
        )


def bigger(recipe: NanoRecipe, size: str) -> NanoRecipe:
    """The same recipe for more hardware: `small` (38 M parameters) or `base` (129 M)."""
    widths = {"small": (384, 12, 512, 12), "base": (768, 16, 768, 16)}
    width, layers, words, language_layers = widths[size]
    mixer = replace(recipe.encoder.mixer, d_model=width)
    encoder = replace(recipe.encoder, mixer=mixer, layers=layers)
    return replace(recipe, encoder=encoder, language_width=words, language_layers=language_layers)


PLAIN = "plain"  # the recipe as it is, among others

# One choice made otherwise, to see what it is worth.
VARIANTS: dict[str, Callable[[NanoRecipe], NanoRecipe]] = {
    "connector-b": lambda recipe: replace(recipe, connector="time-major"),
    "connector-c": lambda recipe: replace(recipe, connector="frequency-major"),
    "connector-convolution": lambda recipe: replace(recipe, connector="convolution"),
    "connector-scan": lambda recipe: replace(recipe, connector="scan"),
    "mixture": lambda recipe: replace(recipe, split_projections=True),
    "no-teacher": lambda recipe: replace(recipe, teacher=False),
    "no-scan": lambda recipe: replace(
        recipe, encoder=replace(recipe.encoder, mixer=replace(recipe.encoder.mixer, scan=False))
    ),
    "mambaout": lambda recipe: replace(recipe, encoder=replace(recipe.encoder, mixing="mambaout")),
    "language-mamba3": lambda recipe: replace(recipe, language_layer="mamba3"),
    "language-without-scan": lambda recipe: replace(recipe, language_layer="convolution"),
    "small-language": lambda recipe: replace(recipe, language_layers=3),
    "large-language": lambda recipe: replace(recipe, language_layers=10),
}
