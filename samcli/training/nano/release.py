"""From a trained network to the folder that ships: 16-bit weights, tokenizer, card and attribution."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from samcli.checkpoints.format import save_module
from samcli.models.encoders.base import Encoder
from samcli.models.sam import SamNetwork
from samcli.training.nano.corpus import Corpus

if TYPE_CHECKING:
    from samcli.training.nano.settings import NanoRecipe


def release(
    network: SamNetwork | Encoder, tokenizer: Path | None, folder: Path, card: str = "", attribution: str = ""
) -> None:
    """float16: three more bits than bfloat16 for numbers of this size, and the same bytes."""
    save_module(folder, network, network.config, tokenizer=tokenizer, card=card, dtype=torch.float16)
    if attribution:
        (folder / "ATTRIBUTION.md").write_text(attribution, encoding="utf-8")


def card(network: SamNetwork | Encoder, recipe: NanoRecipe, start: str | None = None) -> str:
    """What is known of a model when its training ends; its figures are for `sam eval` to find."""
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    speaks = isinstance(network, SamNetwork)
    what = "an audio encoder, a connector and a language model" if speaks else "an audio encoder with its tags"
    origin = f" It began as {start}." if start else ""
    return (
        f"# A model trained by sam\n\n"
        f"{millions:.1f} million parameters: {what}, trained for\n"
        f"{recipe.steps:,} steps by `sam train nano` (seed {recipe.seed}).{origin}\n\n"
        f"Whose sounds it learned from: [ATTRIBUTION.md](ATTRIBUTION.md).\n\n"
        f"Measure it before you trust it: `sam eval CORPUS --model THIS_FOLDER --markdown` prints the table that "
        f"belongs here.\n"
    )


def attribution(corpus: Corpus, without: Sequence[str] = ()) -> str:
    """Whom the model owes its sounds: every source but those left out with its licence, every recordist by name."""
    clips, seconds = Counter[str](), Counter[str]()
    for clip in corpus.without(without).split("train"):
        clips[clip.source] += 1
        seconds[clip.source] += clip.seconds  # type: ignore[assignment]
    licences: dict[str, str] = {}
    if (corpus.folder / "sources.csv").is_file():
        with (corpus.folder / "sources.csv").open(encoding="utf-8", newline="") as file:
            licences = {row["source"]: row["licence"] for row in csv.DictReader(file) if row["split"] == "train"}
    lines = [
        "# Attribution",
        "",
        "sam-nano was trained on these openly licensed recordings. The licence is given as each source states it.",
        "",
        "| source | clips | seconds | licence |",
        "|---|---|---|---|",
    ]
    for source, count in sorted(clips.items(), key=lambda item: (-item[1], item[0])):
        if source in licences:
            terms = licences[source].replace("|", "/").replace("author and address in the manifest", "by author below")
            lines.append(f"| {source} | {count} | {seconds[source]:.0f} | {terms} |")
    lines += ["", "## Freesound clips", "", "By recordist, with the address of each sound.", ""]
    by_author: dict[str, list[str]] = defaultdict(list)
    with (corpus.folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train" and row["source"] == "freesound-clips":
                terms, _, rest = row["licence"].partition(" by ")
                author, _, address = rest.partition(" ")
                sound = address.rstrip("/").rsplit("/", 1)[-1]
                by_author[author].append(f"[{sound}]({address}) ({terms.removeprefix('Freesound ')})")
    lines += [
        f"- {author}: {', '.join(sounds)}" for author, sounds in sorted(by_author.items(), key=lambda x: x[0].lower())
    ]
    return "\n".join(lines) + "\n"
