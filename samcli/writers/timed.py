"""Formats made of times: SubRip, WebVTT, and Audacity's label track.

Each shows one recording: the times of two would run over one another. A record without times or without words makes
no cue.
"""

from __future__ import annotations

from samcli.records import Record
from samcli.writers.base import Format, Layout, words_of


def clock(value: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds; hours grow beyond two digits when they must."""
    milliseconds = round(value * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


class Timed(Format):
    """Shared: which records make a cue, and what it says."""

    one_recording = True

    def record(self, record: Record) -> str:
        words = words_of(record)
        if not words or record.error or record.start is None or record.end is None or record.end <= record.start:
            return ""
        return self.cue(record.start, record.end, words)

    def cue(self, start: float, end: float, words: str) -> str:
        raise NotImplementedError


class SubRip(Timed):
    name = "srt"
    suffixes = (".srt",)
    subtitles = True

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._count = 0

    def cue(self, start: float, end: float, words: str) -> str:
        self._count += 1
        return f"{self._count}\n{clock(start, ',')} --> {clock(end, ',')}\n{words.replace('-->', '->')}\n\n"


class WebVtt(Timed):
    name = "vtt"
    suffixes = (".vtt",)
    subtitles = True

    def header(self) -> str:
        return "WEBVTT\n\n"

    def cue(self, start: float, end: float, words: str) -> str:
        escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{clock(start, '.')} --> {clock(end, '.')}\n{escaped}\n\n"


class Audacity(Timed):
    name = "audacity"
    suffixes = (".audacity",)

    def cue(self, start: float, end: float, words: str) -> str:
        return f"{start:.6f}\t{end:.6f}\t{words}\n"
