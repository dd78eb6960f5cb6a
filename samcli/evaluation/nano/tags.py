"""The tagging half of the suite: accuracies, agreement with the teacher, timelines, tags of files stored otherwise.

Scores are (clips, classes) in the order of the corpus' names, on any monotone scale that is comparable between classes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from samcli.audio import read_sound
from samcli.engine.hearing import Heard, Progress, hear
from samcli.evaluation.figures import Figure, interval, percent
from samcli.evaluation.metrics.events import Counts, collar_counts, f1_of
from samcli.evaluation.nano.dev_sounds import RATE, DevSounds, frame_levels, room_tone
from samcli.evaluation.nano.minute_scenes import found_events, minute_scenes, timeline_classes
from samcli.evaluation.nano.targets import TARGETS, share_figure, table_figure
from samcli.models.interface import SoundModel
from samcli.tasks.run import timeline_threshold
from samcli.training.nano.corpus import Clip, Corpus, Targets
from samcli.training.precision import Scores, Truth, mean_precision

PRECISION_DRAWS = 200  # each sorts every class anew
SURE = 0.5  # probability from which the teacher's word is taken
POSITIVES = 5  # clips of which the teacher must be sure before a class counts
# the same sound as other hands would have stored it
OTHER_RATE = 44_100
QUIETER_DB = -20.0
LATER_SECONDS = 0.3
NOISE_BELOW_DB = 10.0
TELEPHONE_HZ, TELEPHONE_RATE = (300.0, 3400.0), 8000

Wave = NDArray[np.float32]


def tag_figures(sounds: DevSounds, model: SoundModel, heard: Sequence[Heard]) -> list[Figure]:
    """Accuracies beside the teacher's own, and mean average precision against the teacher."""
    corpus, clips = sounds.corpus, [clip.clip for clip in sounds.clips]
    scores, teacher = _in_order(sounds, model, heard), np.stack([clip.teacher for clip in sounds.clips])
    targets = Targets(corpus)
    figures = []
    for key, hits in (("everyday_accuracy", everyday_hits), ("cross_source_accuracy", cross_source_hits)):
        by_teacher = hits(clips, teacher, targets)
        reference = f"teacher {percent(float(by_teacher.mean()))}" if by_teacher.size else ""
        figures.append(share_figure(key, hits(clips, scores, targets), reference=reference))
    truth, wanted = teacher_truth(clips, corpus)
    value = mean_precision(truth, scores, wanted)
    if not np.isfinite(value):
        figures.append(table_figure("teacher_map", None, note="the teacher is not sure of any class five times"))
    else:
        low, high = interval(
            lambda rows: mean_precision(truth[rows], scores[rows], wanted), len(clips), PRECISION_DRAWS
        )
        figures.append(
            table_figure("teacher_map", value, low=low, high=high, count=len(clips), note=f"over {len(wanted)} classes")
        )
    return figures


def timeline_figures(sounds: DevSounds, model: SoundModel, count: int, progress: Progress) -> list[Figure]:
    """Event F1 on synthetic minutes; nothing for a model that hears no time steps."""
    classes = timeline_classes(sounds)
    scenes = minute_scenes(sounds, classes, count)
    if model.step_seconds is None or not scenes:
        return []
    waves = [scene.wave for scene in scenes]
    telling = _telling(progress, "hearing minutes", waves)
    heard = hear(model, waves, steps=True, rate=RATE, progress=telling)
    limits = timeline_threshold(model)
    found = [found_events(one, model.labels, classes, model.step_seconds, limits) for one in heard]
    figures = []
    for key, ends in (("timeline_f1", True), ("timeline_onset_f1", False)):
        counts = [collar_counts(mine, scene.events, ends=ends) for mine, scene in zip(found, scenes, strict=True)]
        total = sum(counts, Counts())
        low, high = interval(f1_of(counts), len(counts))
        note = f"precision {percent(total.precision)}, recall {percent(total.recall)}"
        events = total.hits + total.misses
        figures.append(table_figure(key, total.f1, low=low, high=high, count=events, note=note))
    return figures


def variant_figures(
    sounds: DevSounds, model: SoundModel, heard: Sequence[Heard], count: int, progress: Progress
) -> list[Figure]:
    """How often an everyday clip keeps its top tag when it is stored differently."""
    chosen = [
        (clip.wave, int(one.tags.argmax()))
        for clip, one in zip(sounds.clips, heard, strict=True)
        if clip.clip.curated and one.tags is not None
    ]
    chosen = chosen[:: max(1, len(chosen) // count)][:count]
    figures = []
    for name, change in VARIANTS.items():
        key = f"same_tag_{name}"
        changed = hear(
            model,
            [change(wave) for wave, _ in chosen],
            rate=RATE,
            progress=_telling(progress, TARGETS[key].name, chosen),
        )
        same = [
            one.tags is not None and int(one.tags.argmax()) == top
            for one, (_, top) in zip(changed, chosen, strict=True)
        ]
        figures.append(share_figure(key, same))
    return figures


def _in_order(sounds: DevSounds, model: SoundModel, heard: Sequence[Heard]) -> Scores:
    """Scores (clips, classes) in the corpus' order; what a model has no label for it never finds."""
    names = sounds.corpus.names
    place = {name: index for index, name in enumerate(model.labels)}
    ours = [index for index, name in enumerate(names) if name in place]
    theirs = [place[names[index]] for index in ours]
    scores = np.zeros((len(heard), len(names)), np.float32)
    for row, one in enumerate(heard):
        if one.tags is not None:
            scores[row, ours] = one.tags[theirs]
    return scores


def _telling(progress: Progress, what: str, items: Sequence[object]) -> Callable[[int], None]:
    return lambda done: progress(what, done, len(items))


def everyday_hits(clips: Sequence[Clip], scores: Scores, targets: Targets) -> Truth:
    """For each curated clip whether its class wins among the 50, each class scored by its best AudioSet name."""
    classes = list(targets.class_names)
    columns = [[targets.index[name] for name in targets.class_names[c]] for c in classes]
    rows = [i for i, clip in enumerate(clips) if clip.curated]
    by_class = np.stack([scores[:, cols].max(1) for cols in columns], axis=1)
    return np.array([classes[int(by_class[i].argmax())] == clips[i].label for i in rows], bool)


def cross_source_hits(clips: Sequence[Clip], scores: Scores, targets: Targets) -> Truth:
    """Top-1 among the labels present, each by its first AudioSet name, on clips from sources never trained on."""
    rows = [i for i, clip in enumerate(clips) if not clip.curated and clip.audioset]
    names = sorted({clips[i].audioset[0] for i in rows})
    if not names:
        return np.zeros(0, bool)
    among = scores[:, [targets.index[name] for name in names]]
    return np.array([names[int(among[i].argmax())] == clips[i].audioset[0] for i in rows], bool)


def teacher_truth(clips: Sequence[Clip], corpus: Corpus) -> tuple[Truth, NDArray[np.intp]]:
    """What the teacher is sure of (clips, classes), and the classes it is sure of often enough."""
    truth = np.stack([corpus.teacher[clip.file].max(0) for clip in clips]) > SURE
    return truth, np.flatnonzero(truth.sum(0) >= POSITIVES)


def resampled(wave: Wave) -> Wave:
    """Stored with 44,100 samples a second and 24 bits, then read like any file."""
    import soxr

    return _through_file(soxr.resample(wave, RATE, OTHER_RATE), OTHER_RATE, "FLAC", "PCM_24")


def quieter(wave: Wave) -> Wave:
    """Twenty decibels down, in the steps of 16 bits."""
    return _through_file(wave * np.float32(10 ** (QUIETER_DB / 20)), RATE, "WAV", "PCM_16")


def mp3_coded(wave: Wave) -> Wave:
    """Through an MP3 at the coder's usual quality."""
    return _through_file(wave, RATE, "MP3", "MPEG_LAYER_III")


def started_later(wave: Wave) -> Wave:
    """Without its first three tenths of a second."""
    return wave[round(LATER_SECONDS * RATE) :]


def in_noise(wave: Wave) -> Wave:
    """In a room whose noise lies 10 dB below the sound while it sounds."""
    loud = frame_levels(wave)
    sounding = loud[loud > loud.max(initial=0.0) * 0.1]
    level = float(np.sqrt(np.square(sounding).mean())) if sounding.size else 0.0
    if not level:
        return wave
    chance = np.random.default_rng(len(wave))
    return wave + room_tone(len(wave), chance, 20 * np.log10(level) - NOISE_BELOW_DB)


def by_telephone(wave: Wave) -> Wave:
    """Between 300 and 3,400 Hz, in 8,000 samples of 16 bits a second."""
    import soxr

    low, high = TELEPHONE_HZ
    slow = soxr.resample(wave, RATE, TELEPHONE_RATE)
    spectrum = np.fft.rfft(slow)
    hertz = np.fft.rfftfreq(len(slow), 1 / TELEPHONE_RATE)
    band = np.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), len(slow)).astype(np.float32)
    return _through_file(band, TELEPHONE_RATE, "WAV", "PCM_16")


VARIANTS: dict[str, Callable[[Wave], Wave]] = {
    "resampled": resampled,
    "quieter": quieter,
    "mp3": mp3_coded,
    "later": started_later,
    "noise": in_noise,
    "telephone": by_telephone,
}


def _through_file(wave: Wave, rate: int, container: str, coding: str) -> Wave:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), rate, format=container, subtype=coding)
    file.seek(0)
    return read_sound(file, RATE)
