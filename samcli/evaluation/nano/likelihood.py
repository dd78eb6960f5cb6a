"""What a model's likelihood of a text is worth on the development clips: in choosing captions, and in search.

Captions are made with and without refinement. Everything is heard twice from decoded waves, by the same path as in use;
cost is the processor's time of the second pass over that of the first, so that a busy machine changes it little.

A phrase is asked for each kind of sound, and the clips of that kind are to be found. Both ways, as it comes and
normalised: for a phrase the clips compete, less what is likely of a clip whatever the phrase; for a clip the phrases
compete, less what is likely of a phrase whatever is heard. The rows of two stages rank as an index does: tags, captions
and embeddings choose a hundred clips, the loss beside them orders those.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.engine.hearing import Heard, Progress, hear
from samcli.engine.index.store import Window
from samcli.engine.options import RunOptions
from samcli.evaluation.figures import Figure, share
from samcli.evaluation.metrics.rankings import ranked_by, ranked_figures
from samcli.evaluation.metrics.wording import invented, names_any
from samcli.evaluation.nano.dev_sounds import RATE, DevClip, DevSounds, Measurement
from samcli.models.interface import SoundModel
from samcli.tasks.embed import unit
from samcli.tasks.search import FIRST_SHARE, SHORTLIST, USUAL_SHARE, shortlist_scores, usual_losses
from samcli.training.language.sounds import Kind, find_kind

EVERY = 8  # n-th clip, when it must be quick: none of those that the rule was chosen on
Losses = NDArray[np.float64]  # (clips, phrases)


def refine_figures(
    model: SoundModel,
    corpus_folder: str | Path,
    quick: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Sounds named and invented by either kind of caption, in the shape of the other reports."""
    measurement = Measurement(model, corpus_folder, EVERY if quick else 1, progress)
    sounds = measurement.sounds
    figures: list[Figure] = []
    seconds: list[float] = []
    texts: list[list[str]] = []
    for key, name, refine in (("plain", "as they come", False), ("refined", "refined", True)):
        start = time.process_time()
        heard = _captions(model, sounds, refine, progress, name)
        seconds.append(time.process_time() - start)
        texts.append([one.texts[0] for one in heard])
        figures += _figures(sounds, texts[-1], key, name)
    per_clip = [value / len(sounds.clips) for value in seconds]
    figures += [
        Figure("plain_seconds", "processor seconds a clip, as they come", per_clip[0], plain=True),
        Figure("refined_seconds", "processor seconds a clip, refined", per_clip[1], plain=True),
        Figure("cost", "cost, as a multiple", seconds[1] / max(1e-9, seconds[0]), plain=True),
        share("changed", "captions that refinement changed", [one != other for one, other in zip(*texts, strict=True)]),
    ]
    captions = [
        {"file": clip.clip.file, "label": clip.clip.label, "plain": plain, "refined": better}
        for clip, plain, better in zip(sounds.clips, *texts, strict=True)
    ]
    return measurement.report({"quick": quick, "clips": len(sounds.clips)}, figures, {"captions": captions})


def _captions(model: SoundModel, sounds: DevSounds, refine: bool, progress: Progress, name: str) -> list[Heard]:
    count = len(sounds.clips)
    return hear(
        model,
        [clip.wave for clip in sounds.clips],
        [("",)] * count,
        rate=RATE,
        options=RunOptions(refine=refine),
        progress=lambda done: progress(f"captions {name}", done, count),
    )


def _figures(sounds: DevSounds, texts: list[str], key: str, name: str) -> list[Figure]:
    both = list(zip(sounds.clips, texts, strict=True))
    named = [names_any(text, clip.names) for clip, text in both if clip.single]
    wrong = [bool(invented(text, sounds.supported(clip))) for clip, text in both]
    return [
        share(f"{key}_named", f"single sounds named, {name}", named),
        share(f"{key}_invented", f"captions that invent a sound, {name}", wrong, lower_is_better=True),
    ]


def phrase_of(kind: Kind) -> str:
    """How a person would ask for it: "A dog barking."."""
    text = kind.sayings[0].ongoing
    return f"{text[0].upper()}{text[1:]}."


def retrieval_figures(
    model: SoundModel,
    corpus_folder: str | Path,
    quick: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Recall at 1, 5 and 10 and mean average precision at 10, in the shape of the other reports."""
    measurement = Measurement(model, corpus_folder, EVERY if quick else 1, progress)
    sounds = measurement.sounds
    clips = list(sounds.singles)
    kinds = list(sounds.by_kind())
    phrases = [phrase_of(find_kind(kind)) for kind in kinds]
    heard = hear(
        model,
        [clip.wave for clip in clips],
        [("",)] * len(clips),
        given=phrases,
        rate=RATE,
        progress=lambda done: progress("hearing the clips", done, len(clips)),
    )
    kept = [(clip, one) for clip, one in zip(clips, heard, strict=True) if one.losses is not None]
    losses: Losses = np.array([one.losses for _, one in kept], np.float64)
    names = [clip.clip.file for clip, _ in kept]
    owners = [_kind_name(clip) for clip, _ in kept]
    for_phrase = [frozenset(name for name, own in zip(names, owners, strict=True) if own == kind) for kind in kinds]
    for_clip = [frozenset({own}) for own in owners]
    usual = USUAL_SHARE * usual_losses(phrases, model)
    first = _first_stage(phrases, kept, model)
    rankings = {
        "text_audio": ("phrase to clips", for_phrase, ranked_by(-losses.T, names)),
        "text_audio_normalised": ("- normalised", for_phrase, ranked_by(losses.mean(1) - losses.T, names)),
        "text_audio_first": ("- shortlist alone", for_phrase, ranked_by(first, names)),
        "text_audio_two": ("- two stages", for_phrase, _two_stages(first, losses.T, names)),
        "audio_text": ("clip to phrases", for_clip, ranked_by(-losses, kinds)),
        "audio_text_normalised": ("- normalised", for_clip, ranked_by(usual - losses, kinds)),
    }
    figures: list[Figure] = []
    for key, (name, relevant, ranked) in rankings.items():
        figures += ranked_figures(key, name, relevant, ranked)
    return measurement.report({"quick": quick, "clips": len(names), "phrases": len(phrases)}, figures, {})


def _kind_name(clip: DevClip) -> str:
    assert clip.kind is not None
    return clip.kind.base


def _first_stage(phrases: list[str], kept: list[tuple[DevClip, Heard]], model: SoundModel) -> Losses:
    """(phrases, clips): the scores of an index's shortlist."""
    windows = [Window(clip.clip.file, 0.0, clip.clip.seconds, one.texts[0]) for clip, one in kept]
    none = np.zeros(len(model.labels), np.float32)
    tags = np.stack([none if one.tags is None else one.tags for _, one in kept])
    embeddings = np.stack([unit(one.embedding) for _, one in kept if one.embedding is not None])
    return np.stack([shortlist_scores(phrase, windows, tags, model.labels, embeddings) for phrase in phrases])


def _two_stages(first: Losses, losses: Losses, names: list[str]) -> list[list[str]]:
    """The best of the first stage by loss and first stage, then the rest as it was."""
    ranked = []
    for scores, own in zip(first, losses, strict=True):
        order = np.argsort(-scores, kind="stable")
        near = order[:SHORTLIST]
        best = near[np.argsort(own[near] - FIRST_SHARE * scores[near], kind="stable")]
        ranked.append([names[int(place)] for place in (*best, *order[SHORTLIST:])])
    return ranked
