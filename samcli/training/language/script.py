"""From a mixture to its script: what a listener could truthfully say of it.

What is masked is left out; what is not known for sure (a guessed label that the teacher does not confirm, an
unlabelled clip in which it hears nothing plainly) makes the whole scene unfit for words, and it serves the tags
alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samcli.training.language.scenes import Event, Scene
from samcli.training.language.sounds import Kind, find_kind, kind_of, kind_of_audioset
from samcli.training.language.vague import VagueSound, vague_sound
from samcli.training.nano.corpus import Clip, Targets
from samcli.training.nano.mixer import FRAMES_PER_SECOND, FRAMES_PER_STEP, Mixture

SURE = 0.5  # a label's confidence from which its sound is spoken of
PLAIN = 0.5  # the teacher's probability from which an unlabelled clip is
NAMED = 0.3  # the teacher's probability from which a sound has a name, though perhaps not the label's
AUDIBLE, MASKED = 0.5, 0.2  # how far a sound stands out: said from the first on, passed over below the second
MEL_DB_AT_FULL_SCALE = 21.0  # mean mel power of a full-scale sound of mixed colour, dB
BACKGROUND_SHARE = 0.85  # of the scene that a lasting sound fills to be its background
SILENT_DB = -62.0
STEP_SECONDS = FRAMES_PER_STEP / FRAMES_PER_SECOND


class Scripts:
    """Writes scripts; remembers each clip's kind."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self._kinds: dict[str, Kind | None] = {}

    def kind(self, clip: Clip) -> Kind | None:
        """What a listener would call the clip, or None when that is not sure."""
        if clip.file not in self._kinds:
            self._kinds[clip.file] = self._find(clip)
        return self._kinds[clip.file]

    def _find(self, clip: Clip) -> Kind | None:
        if clip.source == "synthetic":
            return find_kind(clip.label)
        kind = kind_of(clip.label, clip.title) if clip.label else None
        if kind is not None and self.targets.confidence(clip) >= SURE:
            return kind
        teacher = self.targets.corpus.teacher[clip.file].max(0)
        best = int(teacher.argmax())
        if clip.trust == "none" and teacher[best] >= PLAIN:
            return kind_of_audioset(self.targets.corpus.names[best])
        return None

    def lone(self, mixture: Mixture) -> VagueSound | None:
        """A single, plain sound, as it is without its name; None where there are several, or none."""
        if len(mixture.placed) != 1 or mixture.weight[0] < AUDIBLE:
            return None
        (sound,) = mixture.placed
        steps = np.flatnonzero(mixture.activity[0] > 0.25)
        kind = self.kind(sound.clip)
        if not len(steps) or (kind is not None and kind.name == "silence"):
            return None
        length = float(steps[-1] + 1 - steps[0]) * STEP_SECONDS
        mel = mixture.mel[_frames_of(steps, len(mixture.mel))]
        return vague_sound(mel, length, mixture.peak_db - MEL_DB_AT_FULL_SCALE, len(sound.spans))

    def nameless(self, mixture: Mixture) -> bool:
        """Whether neither label nor teacher gives a lone sound a name."""
        (sound,) = mixture.placed
        return self.kind(sound.clip) is None and self.targets.corpus.teacher[sound.clip.file].max() < NAMED

    def write(self, mixture: Mixture, seconds: float) -> Scene | None:
        """None: better not spoken of."""
        peak_db = mixture.peak_db - MEL_DB_AT_FULL_SCALE
        events: list[Event] = []
        for sound, activity, weight in zip(mixture.placed, mixture.activity, mixture.weight, strict=True):
            if weight < MASKED:
                continue
            kind = self.kind(sound.clip)
            steps = np.flatnonzero(activity > 0.25)
            if kind is None or weight < AUDIBLE or not len(steps):
                return None
            start, end = float(steps[0]) * STEP_SECONDS, min(float(steps[-1] + 1) * STEP_SECONDS, seconds)
            if end - start < 0.05:
                return None
            single = kind.shape == "once" and sound.clip.seconds < 1.5
            repeats = len(sound.spans) if single and kind.countable else None
            events.append(Event(kind, start, end, peak_db + sound.level_db, repeats, sound.clip.title or None))
        if not events or (peak_db < SILENT_DB and all(e.kind.name == "silence" for e in events)):
            heard_db = peak_db + mixture.noise_db if not events else peak_db
            name = "silence" if heard_db < SILENT_DB else "static"
            return Scene(seconds, (Event(find_kind(name), 0.0, seconds, max(heard_db, -100.0)),))
        events = [event for event in events if event.kind.name != "silence"] or events
        background: Event | None = None
        if len(events) > 1:
            loudest = max(event.level_db for event in events)
            lasting = [
                event
                for event in events
                if event.kind.shape == "lasting"
                and event.duration > BACKGROUND_SHARE * seconds
                and event.level_db < loudest - 6
            ]
            if lasting:
                background = min(lasting, key=lambda event: event.level_db)
                events = [event for event in events if event is not background]
        place = None
        if mixture.room_seconds > 0.9:
            place = "hall" if mixture.room_seconds > 1.4 else "large room"
        return Scene(
            seconds,
            tuple(events),
            background=background.kind if background else None,
            background_level_db=background.level_db if background else -40.0,
            place=place,
        )


def _frames_of(steps: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """The filter bank's frames within some steps."""
    found = (steps[:, None] * FRAMES_PER_STEP + np.arange(FRAMES_PER_STEP)).reshape(-1)
    return found[found < frames]
