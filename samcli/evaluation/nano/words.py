"""The speaking half of the suite: captions of single sounds, of two events, of special inputs; answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from samcli.engine.hearing import Heard, Progress
from samcli.evaluation.answers.quiz import Quiz
from samcli.evaluation.answers.replies import replies
from samcli.evaluation.figures import Figure
from samcli.evaluation.metrics.sentences import faults
from samcli.evaluation.metrics.wording import commonest_share, distinct_share, invented, names_any, stated_order
from samcli.evaluation.nano.dev_sounds import RATE, DevSounds
from samcli.evaluation.nano.special_inputs import captioned_as, recorded_waves, special_waves
from samcli.evaluation.nano.targets import share_figure, table_figure
from samcli.models.interface import SoundModel
from samcli.text.labels import mentions

Details = list[dict[str, Any]]


def caption_figures(sounds: DevSounds, heard: Sequence[Heard]) -> tuple[list[Figure], Details]:
    """Of the captions in each sound's first text: what they name, what they invent, how they vary."""
    details: Details = []
    for clip, one in zip(sounds.clips, heard, strict=True):
        caption = one.texts[0]
        details.append(
            {
                "file": clip.clip.file,
                "label": clip.clip.label,
                "caption": caption,
                "named": names_any(caption, clip.names) if clip.single else None,
                "invented": invented(caption, sounds.supported(clip)),
            }
        )
    named = [(clip, entry["named"]) for clip, entry in zip(sounds.clips, details, strict=True) if clip.single]
    single = [entry for entry in details if entry["named"] is not None]
    figures = [
        share_figure("captions_name_sound", [hit for _, hit in named]),
        share_figure("captions_name_everyday", [hit for clip, hit in named if clip.clip.curated]),
        share_figure("captions_name_cross_source", [hit for clip, hit in named if not clip.clip.curated]),
        share_figure("captions_nothing", [not (entry["named"] or mentions(entry["caption"])) for entry in single]),
        share_figure("captions_invent", [bool(entry["invented"]) for entry in details]),
        share_figure("captions_repeat", ["repeated" in faults(entry["caption"]) for entry in details]),
    ]
    captions = [one.texts[0] for one in heard if not one.silent]
    if captions:
        figures += [
            table_figure("captions_distinct", distinct_share(captions), count=len(captions)),
            table_figure("captions_commonest", commonest_share(captions), count=len(captions)),
        ]
    return figures, details


def answer_figures(
    sounds: DevSounds, heard: Sequence[Heard], quizzes: Sequence[Quiz | None]
) -> tuple[list[Figure], Details]:
    """Of the answers in each sound's texts after the first."""
    rights: list[tuple[bool, bool, bool]] = []
    details: Details = []
    for clip, one, quiz in zip(sounds.clips, heard, quizzes, strict=True):
        if quiz is None:
            continue
        _, present, absent, choice = one.texts
        right = quiz.present.right(present), quiz.absent.right(absent), quiz.choice.right(choice)
        rights.append(right)
        details += [
            {"file": clip.clip.file, "question": question, "answer": answer, "right": fits}
            for question, answer, fits in zip(quiz.prompts, one.texts[1:], right, strict=True)
        ]
    hits = np.array(rights, np.float64).reshape(-1, 3)
    return [
        share_figure("yes_no", hits[:, :2].mean(1)),  # by clip: its two answers are not independent
        share_figure("yes_no_present", hits[:, 0]),
        share_figure("yes_no_absent", hits[:, 1]),
        share_figure("multiple_choice", hits[:, 2]),
    ], details


def scene_figures(sounds: DevSounds, model: SoundModel, count: int, progress: Progress) -> tuple[list[Figure], Details]:
    """Captions of one sound followed by another."""
    scenes = sounds.two_event_scenes(count)
    heard = replies(
        model,
        [scene.wave for scene in scenes],
        [("",)] * len(scenes),
        rate=RATE,
        progress=lambda done: progress("hearing scenes of two events", done, len(scenes)),
    )
    details: Details = []
    for scene, one in zip(scenes, heard, strict=True):
        first, second = scene.first.clip, scene.second.clip
        order = stated_order(one.texts[0], scene.first.names, scene.second.names)
        details.append(
            {
                "first": first.file,
                "second": second.file,
                "labels": [first.label, second.label],
                "caption": one.texts[0],
                "order": order,
            }
        )
    orders = [entry["order"] for entry in details]
    return [
        share_figure("scenes_both_named", [order is not None for order in orders]),
        share_figure("scenes_order", [order == "forward" for order in orders if order is not None]),
    ], details


def special_figures(sounds: DevSounds, model: SoundModel, progress: Progress) -> tuple[list[Figure], Details]:
    """Captions of silence, tones, noise, speech and music."""
    groups = special_waves() | recorded_waves(sounds)
    entries = [(kind, wave) for kind, waves in groups.items() for wave in waves]
    heard = replies(
        model,
        [wave for _, wave in entries],
        [("",)] * len(entries),
        rate=RATE,
        progress=lambda done: progress("hearing special inputs", done, len(entries)),
    )
    details: Details = [
        {
            "kind": kind,
            "caption": one.texts[0],
            "silent": one.silent,
            "right": captioned_as(kind, one.texts[0], one.silent),
        }
        for (kind, _), one in zip(entries, heard, strict=True)
    ]
    return [
        share_figure(f"special_{kind}", [entry["right"] for entry in details if entry["kind"] == kind])
        for kind in groups
    ], details
