"""From a trained network to the folder that ships: 16-bit weights, tokenizer, card and attribution."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import torch

from samcli.checkpoints.format import save_module
from samcli.models.sam import Sam
from samcli.training.corpus import Corpus


def release(network: Sam, tokenizer: Path, folder: Path, card: str = "", attribution: str = "") -> None:
    """float16: three more bits than bfloat16 for numbers of this size, and the same bytes."""
    save_module(folder, network, network.config, tokenizer=tokenizer, card=card, dtype=torch.float16)
    if attribution:
        (folder / "ATTRIBUTION.md").write_text(attribution, encoding="utf-8")


def attribution(corpus: Corpus) -> str:
    """Whom the model owes its sounds: every source with its licence, every recordist by name."""
    clips, seconds = Counter[str](), Counter[str]()
    for clip in corpus.split("train"):
        clips[clip.source] += 1
        seconds[clip.source] += clip.seconds  # type: ignore[assignment]
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
