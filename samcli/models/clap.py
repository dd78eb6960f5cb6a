"""A CLAP model as a judge: how well a caption fits a sound, in the space where it puts both.

Any folder in the layout of `transformers` will do (config.json, model.safetensors, tokenizer and feature extractor, as
`laion/clap-htsat-unfused` has them). It is read with the package `transformers`, offline, from safetensors only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from samcli.audio.waves import resampled
from samcli.errors import ModelError

Floats = NDArray[np.float32]


class ClapJudge:
    """Sounds and captions as vectors of length 1, and what their nearness is worth."""

    def __init__(self, folder: str | Path) -> None:
        place = Path(folder)
        try:
            kind = json.loads((place / "config.json").read_text(encoding="utf-8")).get("model_type")
        except (OSError, ValueError) as error:
            raise ModelError(f"{str(folder)!r} is no CLAP model's folder: its config.json cannot be read.") from error
        if kind != "clap":
            raise ModelError(f"{str(folder)!r} holds a model of type {kind!r}, where a CLAP model is needed.")
        try:
            hub: Any = import_module("transformers")
        except ImportError:
            raise ModelError("A CLAP model is read by transformers: pip install transformers") from None
        try:
            self.network: Any = hub.ClapModel.from_pretrained(place, local_files_only=True, use_safetensors=True)
            self.network.train(False)
            self.tokenizer: Any = hub.AutoTokenizer.from_pretrained(place, local_files_only=True)
            self.extractor: Any = hub.AutoFeatureExtractor.from_pretrained(place, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(f"The CLAP model in {str(folder)!r} cannot be read: {error}") from error
        self.scale = float(self.network.logit_scale_a.detach().exp())  # of a cosine, in nats

    @torch.inference_mode()
    def embed_sounds(self, waves: Sequence[Floats], rate: int) -> Floats:
        """(waves, width)"""
        own = self.extractor.sampling_rate
        there = [resampled(wave, rate, own) for wave in waves]
        features = self.extractor(there, sampling_rate=own, return_tensors="pt")
        return _unit(self.network.get_audio_features(**features))

    @torch.inference_mode()
    def nats(self, sound: Floats, texts: Sequence[str]) -> list[float]:
        """How well each text fits a sound, the sum or mean of vectors that `hear` gave."""
        tokens = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        found = self.network.get_text_features(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        vectors = _unit(found)
        length = float(np.linalg.norm(sound)) or 1.0
        return [self.scale * float(value) for value in vectors @ (sound / length)]


def _unit(found: Any) -> Floats:
    features: Tensor = found if isinstance(found, Tensor) else found.pooler_output  # of transformers 5
    unit: Floats = F.normalize(features.float(), dim=-1).cpu().numpy()
    return unit
