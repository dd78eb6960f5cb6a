"""Low-rank adapters on a model's projections: LoRA (arXiv 2106.09685) and DoRA (arXiv 2402.09353).

    LoRA   W' = W + alpha / rank * up @ down
    DoRA   W' = magnitude * (W + alpha / rank * up @ down), every row divided by its norm first

An adapted layer keeps the name and the tensor of its weight, so base checkpoints load as before; its adapters are
small, named, and applied in the order in which they were added. Merging writes W' into the weight, for inference and
for kernels that read the weight itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.ssm.fast.linear import FastLinear, linear


@dataclass(frozen=True)
class AdapterConfig:
    """What is needed to use an adapter again; saved beside its tensors."""

    kind: Literal["lora", "dora", "head"] = "lora"  # head: no low rank, only rows of the tag head (tuned.py)
    rank: int = 8  # r
    alpha: float = 16.0  # the update is scaled by alpha / rank
    dropout: float = 0.0  # on the adapter's input, while training
    targets: tuple[str, ...] = ("in_proj", "out_proj")  # last parts of the layers' names
    base: str = ""  # id of the model it was trained on
    base_revision: str = ""
    places: tuple[str, ...] = ()  # parts of the whole model that are adapted; empty: its language model, by itself
    labels: tuple[str, ...] = ()  # names of sounds that were taught
    recordings: int = 0  # it learned from; 0: not said
    verdicts: int = 0  # so many of these were a person's verdicts on what a model heard

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.targets or not 0 <= self.dropout < 1:
            raise ValueError("an adapter needs a rank of at least 1, at least one target and a dropout below 1")


class Adapter(nn.Module):
    """One low-rank update of one layer; without effect until trained, because `up` starts at zero."""

    def __init__(self, weight: Tensor, config: AdapterConfig) -> None:
        """`weight` as it acts at this place of the stack, with the adapters below already in it."""
        super().__init__()
        rows, columns = weight.shape
        dtype = weight.dtype  # at least float32: half precision would swallow the first small steps of the training
        self.scale = config.alpha / config.rank
        self.dropout = nn.Dropout(config.dropout)
        self.down = nn.Parameter(torch.empty(config.rank, columns, dtype=dtype, device=weight.device))
        nn.init.uniform_(self.down, -(columns**-0.5), columns**-0.5)
        self.up = nn.Parameter(torch.zeros(rows, config.rank, dtype=dtype, device=weight.device))
        dora = config.kind == "dora"
        self.magnitude = nn.Parameter(weight.detach().norm(dim=1)) if dora else None

    def update(self) -> Tensor:
        """The change of the weight before any norm, in full precision even where autocast would lower it."""
        with nullcontext() if self.up.is_meta else torch.autocast(self.up.device.type, enabled=False):
            return self.scale * self.up @ self.down

    def change(self, y: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """The layer's output y = x W^T with this update; `weight` is W, which only DoRA asks for."""
        y = y + F.linear(F.linear(self.dropout(x).to(self.down.dtype), self.down), self.up) * self.scale
        if self.magnitude is None or weight is None:
            return y
        with torch.no_grad():  # the norm counts as a constant in the backward pass (DoRA, section 4.3)
            norm = (weight + self.update()).norm(dim=1)
        out: Tensor = y * (self.magnitude / norm)
        return out

    def change_weight(self, weight: Tensor) -> Tensor:
        """The same on the weight itself."""
        weight = weight + self.update()
        return weight if self.magnitude is None else weight * (self.magnitude / weight.norm(dim=1))[:, None]


class AdaptedLinear(FastLinear):
    """A linear layer with a stack of named adapters."""

    adapters: nn.ModuleDict

    @classmethod
    def around(cls, plain: nn.Linear) -> AdaptedLinear:
        layer = cls(plain.in_features, plain.out_features, bias=plain.bias is not None, device="meta")
        layer.weight, layer.bias = plain.weight, plain.bias
        layer.adapters = nn.ModuleDict()
        layer.channels = getattr(plain, "channels", -1)
        return layer.train(plain.training)

    def stack(self) -> list[Adapter]:
        return [cast(Adapter, adapter) for adapter in self.adapters.values()]

    def forward(self, x: Tensor) -> Tensor:
        if self.channels == -1:
            return self._adapted(x)
        return self._adapted(x.movedim(self.channels, -1)).movedim(-1, self.channels)

    def _adapted(self, x: Tensor) -> Tensor:
        stack = self.stack()
        if not stack:
            return super().forward(x)
        # a bias comes last: DoRA scales what is before it
        base = y = super().forward(x) if self.bias is None else linear(x, self.weight)
        weight = self.weight.detach() if any(adapter.magnitude is not None for adapter in stack) else None
        for number, adapter in enumerate(stack):
            y = adapter.change(y, x, weight)
            if weight is not None and number + 1 < len(stack):
                with torch.no_grad():
                    weight = adapter.change_weight(weight.to(adapter.down.dtype))
        y = y.to(base.dtype)  # as the plain layer would, autocast or not
        return y if self.bias is None else y + self.bias

    @torch.no_grad()
    def effective_weight(self) -> Tensor:
        """The weight with every adapter in it, never below float32."""
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        for adapter in self.stack():
            weight = adapter.change_weight(weight)
        return weight

    @torch.no_grad()
    def merge(self) -> None:
        self.weight.copy_(self.effective_weight())
        self.adapters = nn.ModuleDict()


def adapted_layers(model: nn.Module) -> Iterator[tuple[str, AdaptedLinear]]:
    for name, module in model.named_modules():
        if isinstance(module, AdaptedLinear):
            yield name, module


def adapter_names(model: nn.Module) -> list[str]:
    """Adapters on this model, in the order in which they apply."""
    return list(dict.fromkeys(name for _, layer in adapted_layers(model) for name in layer.adapters))


def add_adapter(model: nn.Module, config: AdapterConfig, name: str = "default") -> None:
    """Put a fresh adapter on every target layer, on top of those already there."""
    if name in adapter_names(model):
        raise ModelError(f"The model already has an adapter named {name!r}; choose another name.")
    if not name or "." in name:
        raise ModelError(f"{name!r} cannot name an adapter: the name must not be empty nor hold a dot.")
    # an expert of a projection split by modality is adapted under the projection's name
    places = tuple(place + "." for place in config.places) or ("",)
    owners = [
        (re.sub(r"\.experts\.\d+$", "", path), path, module)
        for path, module in model.named_modules()
        if path.startswith(places)
    ]
    targets = [(path, module) for owner, path, module in owners if owner.split(".")[-1] in config.targets]
    layers = [(path, module) for path, module in targets if isinstance(module, nn.Linear)]
    if not layers:
        raise ModelError(f"The model has no linear layers named {' or '.join(config.targets)} to adapt.")
    for path, plain in layers:
        parent, _, last = path.rpartition(".")
        layer = plain if isinstance(plain, AdaptedLinear) else AdaptedLinear.around(plain)
        layer.adapters[name] = Adapter(layer.effective_weight(), config)
        setattr(model.get_submodule(parent), last, layer)


def remove_adapter(model: nn.Module, name: str) -> None:
    if name not in adapter_names(model):
        known = ", ".join(adapter_names(model)) or "none"
        raise ModelError(f"The model has no adapter named {name!r}; it has {known}.")
    for _, layer in adapted_layers(model):
        if name in layer.adapters:
            del layer.adapters[name]


def adapter_parameters(model: nn.Module, name: str = "default") -> list[nn.Parameter]:
    stacks = (layer.adapters for _, layer in adapted_layers(model))
    return [parameter for stack in stacks if name in stack for parameter in stack[name].parameters()]


def train_only_adapters(model: nn.Module, names: Iterable[str] = ("default",)) -> list[nn.Parameter]:
    """Freeze everything but these adapters and return their parameters, for an optimiser."""
    model.requires_grad_(False)
    parameters = [parameter for name in names for parameter in adapter_parameters(model, name)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def merge_adapters(model: nn.Module) -> None:
    """Write all adapters into the weights; they are gone afterwards, and so is their memory."""
    for _, layer in adapted_layers(model):
        layer.merge()


def adapter_state(model: nn.Module, name: str = "default") -> dict[str, Tensor]:
    """The adapter's own tensors, by the adapted layers' names."""
    state: dict[str, Tensor] = {}
    for path, layer in adapted_layers(model):
        stack = layer.adapters
        if name in stack:
            state.update({f"{path}.{key}": value.detach() for key, value in stack[name].state_dict().items()})
    return state


def load_adapter_state(model: nn.Module, config: AdapterConfig, state: dict[str, Tensor], name: str) -> None:
    """Stack a saved adapter on the model; tensors that do not fit are named, and then nothing is changed."""
    add_adapter(model, config, name)
    wanted = adapter_state(model, name)
    problems = {
        "missing": sorted(wanted.keys() - state.keys()),
        "unexpected": sorted(state.keys() - wanted.keys()),
        "of another shape": sorted(key for key in wanted.keys() & state if wanted[key].shape != state[key].shape),
    }
    if any(problems.values()):
        remove_adapter(model, name)
        found = "; ".join(f"{len(keys)} {what}, such as {keys[0]}" for what, keys in problems.items() if keys)
        raise ModelError(f"The adapter {name!r} was made for another model: {found}.")
    with torch.no_grad():
        for key, value in state.items():
            wanted[key].copy_(value)
