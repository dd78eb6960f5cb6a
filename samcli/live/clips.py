"""The sound around events, kept in a folder that never grows beyond its limit: the oldest clips make room."""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from samcli.engine.windows import Wave
from samcli.errors import UsageError
from samcli.live.listener import Told
from samcli.writers.files import prepare_folder, write_whole

BEFORE = 2.0  # seconds kept before an event
LONGEST = 60.0  # seconds of a clip
OURS = re.compile(r"\d{8}T\d{6}\.\d{3}Z_\d+_[a-z0-9-]+\.flac")  # nothing else is ever removed
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Clips:
    def __init__(self, folder: str, limit: int, rate: int) -> None:
        self.folder, self.limit, self.rate = Path(folder), limit, rate
        prepare_folder(self.folder)
        self._ring = np.zeros(0, np.float32)
        self._end = 0  # samples heard when the ring ends

    def hear(self, wave: Wave, position: int) -> None:
        """Sound that came; it ends at `position`."""
        most = round((LONGEST + 2 * BEFORE) * self.rate)
        self._ring = np.concatenate([self._ring, wave])[-most:]
        self._end = position

    def keep(self, told: Told) -> Path | None:
        """The sound of an event that is over; None where it is no event, or its sound is gone."""
        record = told.record
        if told.kind != "end" or record.start is None or record.end is None:
            return None
        import soundfile

        first = max(record.start - BEFORE, record.end + BEFORE - LONGEST)
        begin = max(0, round(first * self.rate) - (self._end - len(self._ring)))
        end = min(len(self._ring), round((record.end + BEFORE) * self.rate) - (self._end - len(self._ring)))
        if end <= begin:
            return None
        data = io.BytesIO()
        soundfile.write(data, self._ring[begin:end].clip(-1, 1), self.rate, format="FLAC", subtype="PCM_16")
        path = self.folder / name_of(told)
        write_whole(path, data.getvalue(), own=1)
        self._make_room()
        return path

    def _make_room(self) -> None:
        clips = sorted(path for path in self.folder.iterdir() if OURS.fullmatch(path.name))
        sizes = {path: path.lstat().st_size for path in clips}
        total = sum(sizes.values())
        while clips and total > self.limit:
            oldest = clips.pop(0)
            total -= sizes[oldest]
            oldest.unlink(missing_ok=True)


def name_of(told: Told) -> str:
    """When, which, what: names in order of time."""
    when = datetime.fromtimestamp(told.time, timezone.utc).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return f"{when}Z_{told.number}_{slug(told.label or 'sound')}.flac"


def slug(text: str) -> str:
    """A label as names of files and topics like it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "sound"


def size_of(text: str) -> int:
    """Bytes from 500M, 2G or a plain number."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if found is None:
        raise UsageError(f"--save-limit is a size such as 500M or 2G, not {text!r}.")
    return round(float(found[1]) * UNITS[found[2]])
