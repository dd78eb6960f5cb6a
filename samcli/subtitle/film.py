"""The tracks of a film: what it holds, the text of one, and the sound of one.

Texts are read from the packets as they are stored, so that nothing is lost on the way; pictures of text (from discs and
broadcasts) are no text. Containers that could name other files are not opened, as everywhere in the house.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from samcli.audio.decoders import CONTAINERS
from samcli.audio.files import by_name
from samcli.errors import InputError, UsageError
from samcli.subtitle.ass import AssScript
from samcli.subtitle.script import MOST_BYTES, MOST_CUES, Script, ass_clock
from samcli.writers.formats import clock

TEXTS = {"subrip": "srt", "srt": "srt", "text": "srt", "mov_text": "srt", "webvtt": "vtt", "ass": "ass", "ssa": "ass"}
# Two letters for the three that containers use; some languages have two such codes.
CODES = {
    "ar": "ara", "bg": "bul", "ca": "cat", "cs": "cze ces", "da": "dan", "de": "ger deu", "el": "gre ell", "en": "eng",
    "es": "spa", "et": "est", "fa": "per fas", "fi": "fin", "fr": "fre fra", "he": "heb", "hi": "hin", "hr": "hrv",
    "hu": "hun", "id": "ind", "is": "ice isl", "it": "ita", "ja": "jpn", "ko": "kor", "lt": "lit", "lv": "lav",
    "nl": "dut nld", "no": "nor nob", "pl": "pol", "pt": "por", "ro": "rum ron", "ru": "rus", "sk": "slo slk",
    "sl": "slv", "sr": "srp", "sv": "swe", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie",
    "zh": "chi zho",
}  # fmt: skip


@dataclass(frozen=True)
class Track:
    """One of a kind: the first text track is number 1, whatever stands before it."""

    number: int
    index: int  # among all of the film
    codec: str
    language: str

    @property
    def shown(self) -> str:
        return f"{self.number} ({', '.join(filter(None, (self.language, self.codec)))})"


@dataclass(frozen=True)
class Film:
    path: str
    begins: float  # seconds that its clock shows at the start
    duration: float | None  # seconds
    rate: float | None  # frames a second; None without a picture
    first: float  # seconds at which its first frame stands
    sounds: tuple[Track, ...]
    texts: tuple[Track, ...]
    best: int  # index of the sound that is heard when none is asked for
    delays: dict[int, float]  # seconds by which each sound begins after the film, by index


@contextmanager
def _open(path: str) -> Iterator[Any]:
    import av

    file = by_name(path)
    try:
        try:
            whole = cast(Any, file.stream)
            container = av.open(whole, metadata_errors="replace", options={"format_whitelist": CONTAINERS})
        except (av.FFmpegError, UnicodeError) as error:
            raise InputError(f"{file.shown} is no film or sound that can be read: {error}.", "not-audio") from error
        with container:
            yield container
    finally:
        file.stream.close()


def look(path: str) -> Film:
    """What a film holds."""
    with _open(path) as container:
        begins = (container.start_time or 0) / 1e6
        sounds, texts = _tracks(container.streams.audio), _tracks(container.streams.subtitles)
        if not sounds:
            raise InputError(f"{path!r} holds no sound: it has no audio stream.", "no-audio-stream")
        best = container.streams.best("audio") or container.streams.audio[0]
        delays = {stream.index: _start(stream, begins) for stream in container.streams.audio}
        pictures = [one for one in container.streams.video if not one.disposition & type(one.disposition).attached_pic]
        rate = float(pictures[0].average_rate) if pictures and pictures[0].average_rate else None
        first = _start(pictures[0], begins) if pictures else 0.0
        duration = None if container.duration is None else container.duration / 1e6
        return Film(path, begins, duration, rate, first, sounds, texts, best.index, delays)


def _start(stream: Any, begins: float) -> float:
    """Seconds by which a track begins after the film."""
    return 0.0 if stream.start_time is None else max(0.0, float(stream.start_time * stream.time_base) - begins)


def _tracks(streams: Any) -> tuple[Track, ...]:
    found = []
    for number, stream in enumerate(streams, 1):
        context = stream.codec_context
        found.append(Track(number, stream.index, context.name if context else "", stream.metadata.get("language", "")))
    return tuple(found)


def chosen(tracks: tuple[Track, ...], wanted: str) -> Track | None:
    """The track of a number or a language."""
    if wanted.isdecimal():
        return next((track for track in tracks if track.number == int(wanted)), None)
    codes = {wanted.lower(), *CODES.get(wanted.lower(), "").split()}
    for two, three in CODES.items():
        if wanted.lower() in three.split():
            codes |= {two, *three.split()}
    return next((track for track in tracks if track.language.lower().partition("-")[0] in codes), None)


def text_track(film: Film, wanted: str | None) -> Track | None:
    """The dialogue's track: the one asked for, or the first that is text."""
    if wanted is None:
        return next((track for track in film.texts if track.codec in TEXTS), None)
    track = chosen(film.texts, wanted)
    if track is None:
        if not wanted.isdecimal() and chosen(film.sounds, wanted) is not None:
            return None  # the film is heard in this language, and has no text in it
        there = ", ".join(one.shown for one in film.texts) or "none"
        raise UsageError(f"{film.path!r} has no text track {wanted!r}; there are: {there}.")
    if track.codec not in TEXTS:
        raise UsageError(f"Text track {track.shown} is made of pictures, not of text: give a file with --with.")
    return track


def dialogue_of(film: Film, track: Track) -> Script | AssScript:
    """A text track as the file that it would be."""
    format, parts, size = TEXTS[track.codec], list[str](), 0
    with _open(film.path) as container:
        stream = container.streams[track.index]
        header = bytes(stream.codec_context.extradata or b"").decode("utf-8", "surrogateescape")
        for packet in container.demux(stream):
            data = bytes(packet)
            if packet.pts is None or not data:
                continue
            size += len(data)
            if size > MOST_BYTES or len(parts) > MOST_CUES:
                raise InputError(f"Text track {track.shown} is too long to be dialogue.", "not-subtitles")
            start = round(1000 * (float(packet.pts * packet.time_base) - film.begins))
            end = start + round(1000 * float((packet.duration or 0) * packet.time_base))
            text = _text(track.codec, data)
            if text.strip():
                parts.append(_cue(format, max(0, start), end, text, len(parts) + 1))
    if format == "ass":
        if "[Events]" not in header:
            header = header.rstrip("\r\n") + "\n\n[Events]\n"
        return AssScript.of("ass", header.rstrip("\r\n") + "\n" + "".join(parts))
    return Script.of(format, ("WEBVTT\n\n" if format == "vtt" else "") + "".join(parts))


def _text(codec: str, data: bytes) -> str:
    if codec == "mov_text":  # two bytes of length, the text, then boxes with styles
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").strip("\n\0")


def _cue(format: str, start: int, end: int, text: str, number: int) -> str:
    if format == "ass":  # order, layer, style, name, margins, effect, text
        _, _, rest = text.partition(",")
        layer, _, rest = rest.partition(",")
        return f"Dialogue: {layer},{ass_clock(start)},{ass_clock(end)},{rest}\n"
    point = "." if format == "vtt" else ","
    head = "" if format == "vtt" else f"{number}\n"
    return f"{head}{clock(start / 1000, point)} --> {clock(end / 1000, point)}\n{text}\n\n"


@contextmanager
def sound_of(film: Film, track: Track | None) -> Iterator[BinaryIO | None]:
    """One sound by itself, its packets copied as they are; None where the film's own best one is meant."""
    if track is None or track.index == film.best:
        yield None
        return
    import av

    with tempfile.TemporaryDirectory(prefix="sam-") as folder:
        name = f"{folder}/sound.mka"
        with _open(film.path) as container, av.open(name, "w", format="matroska") as alone:
            stream = container.streams[track.index]
            copy = alone.add_stream_from_template(stream)
            first: int | None = None
            for packet in container.demux(stream):
                if packet.dts is None:
                    continue
                first = packet.dts if first is None else first
                packet.dts -= first
                packet.pts = None if packet.pts is None else packet.pts - first
                packet.stream = copy
                alone.mux(packet)
        with Path(name).open("rb", buffering=0) as file:
            yield cast(BinaryIO, file)
