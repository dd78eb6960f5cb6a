"""From a film and its dialogue to subtitles with sounds, in the format asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions, RunReport
from samcli.errors import InputError, ModelError, UsageError
from samcli.subtitle.ass import AssScript
from samcli.subtitle.film import Film, Track, sound_of
from samcli.subtitle.script import MOST_BYTES, Script, SoundCue, decoded
from samcli.subtitle.sounds import FilmTask, Sound, shifted, sounds_of

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

FORMATS = ("srt", "vtt", "ass", "ssa")


@dataclass(frozen=True)
class Wanted:
    """Which sounds, and from which score on."""

    labels: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    threshold: float | None = None


def read_script(name: str) -> Script | AssScript:
    """A file of dialogue. Other formats than srt, vtt, ass and ssa are translated by pysubs2."""
    try:
        with Path(name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{name!r} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    if len(data) > MOST_BYTES:
        raise InputError(f"{name!r} is too long to be dialogue.", "not-subtitles")
    text, encoding, mark = decoded(data)
    format = format_of(text, Path(name).suffix)
    if format is None:
        return Script.of("srt", translated(name, text, "srt"))
    return script_of(format, text, encoding, mark)


def script_of(format: str, text: str, encoding: str = "utf-8", mark: bytes = b"") -> Script | AssScript:
    kind: type[Script | AssScript] = AssScript if format in ("ass", "ssa") else Script
    return kind.of(format, text, encoding, mark)


def format_of(text: str, suffix: str) -> str | None:
    """Told by the content; the suffix decides between ass and ssa."""
    start = text[:4096].lstrip().lower()
    if start.startswith("webvtt"):
        return "vtt"
    if start.startswith("[script info]") or "\n[events]" in text.lower():
        return "ssa" if suffix.lower() == ".ssa" else "ass"
    return "srt" if "-->" in text or suffix.lower() == ".srt" else None


def hear(
    film: Film, track: Track | None, model: SoundModel, wanted: Wanted, report: RunReport | None = None
) -> list[Sound]:
    """The sounds of a film, none left out yet."""
    from samcli.engine.run import run
    from samcli.tasks.run import timeline_threshold
    from samcli.tasks.tag import Choice, find_labels

    if model.step_seconds is None:
        raise ModelError(f"The model {model.name!r} cannot place sounds in time; sam-nano can: --model sam-nano.")
    threshold = wanted.threshold if wanted.threshold is not None else timeline_threshold(model)
    choice = Choice.of(model.labels, wanted.labels, None, threshold, timeline=threshold)
    silent = {model.labels[at] for at in find_labels(wanted.without, model.labels)} if wanted.without else set()
    choice = replace(choice, asked=tuple(at for at in choice.asked if model.labels[at] not in silent))
    task = FilmTask(choice, model.step_seconds)
    with sound_of(film, track) as sound:
        item = Input(film.path, film.path, None, film.path, source=sound)
        records = list(run(task, [item], model, RunOptions(timeline=True, threads=1), report=report))
    for record in records:
        if record.error is not None:
            raise InputError(record.error.message, record.error.type)
    heard = film.best if track is None else track.index
    return shifted(sounds_of(records, task.levels), film.delays.get(heard, 0.0))


def written(script: Script | AssScript | None, cues: Sequence[SoundCue], format: str) -> bytes:
    """The dialogue with the sounds: in its own format as it is, in another as pysubs2 translates it."""
    if script is None:
        script = script_of(format, "WEBVTT\n\n" if format == "vtt" else _blank(format))
    text = script.with_sounds(cues)
    if script.format == format:
        return script.to_bytes(text)
    return translated("the dialogue", text, format, script.format).encode("utf-8", "surrogateescape")


def check_translation(script: Script | AssScript | None, format: str) -> None:
    """Refuse at once what only pysubs2 can do, where it is not installed."""
    if (script is None and format in ("ass", "ssa")) or (script is not None and script.format != format):
        _pysubs2()


def _blank(format: str) -> str:
    if format == "srt":
        return ""
    return str(_pysubs2().SSAFile().to_string(format))


def translated(name: str, text: str, format: str, origin: str | None = None) -> str:
    """Subtitles in another format."""
    try:
        subtitles = _pysubs2().SSAFile.from_string(text, format_=origin)
    except UsageError:
        raise
    except Exception as error:  # whatever its parsers raise at what a stranger wrote
        raise InputError(f"{name!r} is no file of subtitles that can be read: {error}.", "not-subtitles") from error
    return str(subtitles.to_string(format))


def _pysubs2() -> Any:
    try:
        import pysubs2
    except ImportError:
        raise UsageError("This format needs pysubs2: pip install 'samcli[subtitle]'. SubRip needs nothing.") from None
    return pysubs2
