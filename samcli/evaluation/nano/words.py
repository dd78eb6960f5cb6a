"""The speaking half of the suite: captions of single sounds, of two events, of special inputs; answers.

Special inputs are what every program meets and small models invent things for: silence, tones, noise, speech, music.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.audio import read_sound
from samcli.engine.hearing import Heard, Progress
from samcli.evaluation.figures import Figure
from samcli.evaluation.metrics.sentences import faults
from samcli.evaluation.metrics.wording import commonest_share, distinct_share, invented, names_any, stated_order
from samcli.evaluation.nano.dev_sounds import RATE, DevSounds
from samcli.evaluation.nano.quiz import Quiz, replies
from samcli.evaluation.nano.targets import share_figure, table_figure
from samcli.models.interface import SoundModel
from samcli.text.labels import mentions
from samcli.training.nano.corpus import Corpus

Details = list[dict[str, Any]]
Wave = NDArray[np.float32]

# special inputs
SECONDS = 5.0
SILENT_DB = (None, -96.0, -84.0)  # digital silence, the dither of 16 bits, a very quiet preamplifier
TONE_HZ = (220.0, 440.0, 1000.0, 2500.0, 4000.0)
NOISE_DB = (-30.0, -20.0, -10.0)
MOST = 12  # recordings of speech and of music

# Words that tell a listener what is there. "A hum" is a fair word for a low tone, "hiss" for white noise.
TONE_WORDS = frozenset(
    ["tone", "tones", "beep", "beeps", "beeping", "sine", "hum", "hums", "humming", "whine", "buzzer", "drone"]
)
NOISE_WORDS = frozenset(["noise", "static", "hiss", "hisses", "hissing", "rushing"])
SPEECH_NAMES = (
    "Speech", "Male speech, man speaking", "Female speech, woman speaking", "Child speech, kid speaking",
    "Narration, monologue", "Conversation",
)  # fmt: skip
MUSIC_NAMES = ("Music", "Musical instrument", "Singing")


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


def special_waves() -> dict[str, list[Wave]]:
    """The made ones: silence, tone, noise."""
    samples = round(SECONDS * RATE)
    chance = np.random.default_rng(9)
    times = np.arange(samples) / RATE
    return {
        "silence": [_noise(samples, level, chance) for level in SILENT_DB],
        "tone": [np.asarray(0.2 * np.sin(2 * np.pi * pitch * times), np.float32) for pitch in TONE_HZ],
        "noise": [_noise(samples, level, chance) for level in NOISE_DB],
    }


def recorded_waves(sounds: DevSounds) -> dict[str, list[Wave]]:
    """Music from the development split; speech too where it has some, else from clips of the training split."""
    music = [clip.wave for clip in sounds.clips if clip.clip.label == "music"][:MOST]
    speech = [clip.wave for clip in sounds.clips if clip.clip.label == "speech"][:MOST]
    return {"speech": speech or _training_speech(sounds.corpus), "music": music}


def captioned_as(kind: str, caption: str, silent: bool) -> bool:
    """Whether a caption tells which of the five was heard."""
    words = caption.lower().replace(".", " ").replace(",", " ").split()
    if kind == "silence":
        # The level gate speaks for the model: no caption is made, and none may be.
        return silent and not caption
    if kind == "tone":
        return any(word in TONE_WORDS for word in words)
    if kind == "noise":
        return any(word in NOISE_WORDS for word in words)
    if kind == "speech":
        return names_any(caption, SPEECH_NAMES)
    return names_any(caption, MUSIC_NAMES) or _names_instrument(caption)


def _names_instrument(caption: str) -> bool:
    from samcli.text.labels import broader, sounds_named

    return any("Music" in broader(name) or "Musical instrument" in broader(name) for name in sounds_named(caption))


def _noise(samples: int, level_db: float | None, chance: np.random.Generator) -> Wave:
    level = 0.0 if level_db is None else 10 ** (level_db / 20)
    return np.asarray(chance.standard_normal(samples) * level, np.float32)


def _training_speech(corpus: Corpus) -> list[Wave]:
    clips = sorted(clip.file for clip in corpus.clips if clip.label == "speech" and clip.seconds >= 1)
    step = max(1, len(clips) // MOST)  # spread over the sources
    return [read_sound(corpus.folder / file, RATE) for file in clips[::step][:MOST]]
