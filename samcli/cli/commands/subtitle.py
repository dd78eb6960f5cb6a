"""`sam subtitle`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samcli.cli.completion import complete_labels
from samcli.cli.destination import Destination
from samcli.cli.flags import INPUT, OUTPUT, ModelFlags, option, spread, switch
from samcli.cli.output import Output, output
from samcli.cli.progress import Progress
from samcli.cli.resolve import load_here, read_labels
from samcli.cli.tables import show
from samcli.errors import ExitCode, UsageError, check_choice

if TYPE_CHECKING:
    from samcli.subtitle.ass import AssScript
    from samcli.subtitle.film import Film
    from samcli.subtitle.guides import Guide
    from samcli.subtitle.placing import Placing
    from samcli.subtitle.script import Script
    from samcli.subtitle.sounds import Sound

COLUMNS = ("start", "end", "rule", "detail", "text")


@dataclass(kw_only=True)
class SubtitleFlags(ModelFlags):
    dialogue: Annotated[
        str | None, option("The dialogue's file.", "FILE", names=("--with", "--with-transcript"), panel=INPUT)
    ] = None
    track: Annotated[str | None, option("Language or number in the film; or none.", "TRACK", panel=INPUT)] = None
    labels: Annotated[
        str | None, option("Only these sounds.", "LABELS", panel=INPUT, autocompletion=complete_labels)
    ] = None
    without: Annotated[
        str | None, option("Not these sounds.", "LABELS", panel=INPUT, autocompletion=complete_labels)
    ] = None
    threshold: Annotated[float | None, option("Lowest score. [each label's own]", "SCORE", panel=INPUT)] = None
    guide: Annotated[str, option("Rules of netflix or bbc.", "NAME", panel=OUTPUT)] = "netflix"
    style: Annotated[str | None, option("ongoing, present, brief or capitals.", "NAME", panel=OUTPUT)] = None
    away: Annotated[float, option("Pause before a sound is retold.", "SECONDS", panel=OUTPUT, min=0)] = 10.0
    check: Annotated[bool, switch("Only list what breaks the rules.", "--check", panel=OUTPUT)] = False
    format: Annotated[str | None, option("srt, vtt or ass.", "FORMAT", names=("--format", "-f"), panel=OUTPUT)] = None
    output: Annotated[
        str | None, option("Its suffix is the format.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None


@spread
def subtitle(
    film: Annotated[str, typer.Argument(metavar="FILM", help="A film, or with --check its subtitles.")],
    flags: SubtitleFlags,
) -> ExitCode:
    """Tell the sounds of a film in its subtitles, for those who cannot hear them.

    sam subtitle film.mkv --with dialogue.srt -o film.sdh.srt
    sam subtitle film.mkv --track en --without Music -o film.sdh.srt
    sam subtitle film.sdh.srt --check --guide bbc

    The dialogue keeps every byte of its text and times.
    """
    from samcli.subtitle.guides import guide_named
    from samcli.subtitle.placing import STYLES

    streams = output()
    guide = guide_named(flags.guide)
    check_choice("--style", flags.style or guide.style, STYLES)
    if not Path(film).exists():
        raise UsageError(f"There is no file named {film!r}.")
    if flags.check:
        return check(streams, film, flags, guide)
    return make(streams, film, flags, guide)


def check(streams: Output, film: str, flags: SubtitleFlags, guide: Guide) -> ExitCode:
    """List what breaks the rules, in a file of subtitles or in a film's own."""
    from samcli.subtitle.film import look
    from samcli.subtitle.guides import breaches

    rate, script = None, written_in(film)
    if script is None:
        facts = look(film)
        rate, script = facts.rate, dialogue(streams, facts, flags)
    if script is None:
        raise UsageError(f"There is no dialogue to check in {film!r}: name its file.")
    found = breaches(script.cues, guide, rate)
    rows = [asdict(breach) | {"start": breach.start / 1000, "end": breach.end / 1000} for breach in found]
    show(streams, COLUMNS, rows)
    streams.note(f"{len(script.cues)} cues, {len(found)} breaches of the rules of {guide.name}.")
    return ExitCode.FAILED if found else ExitCode.OK


def written_in(name: str) -> Script | AssScript | None:
    """A file of subtitles; None if it is something else."""
    from samcli.subtitle.making import read_script

    if Path(name).suffix.lower() not in (".srt", ".vtt", ".ass", ".ssa", ".sub", ".ttml", ".smi"):
        return None
    return read_script(name)


def make(streams: Output, film: str, flags: SubtitleFlags, guide: Guide) -> ExitCode:
    """Hear the film and write its subtitles."""
    from samcli.subtitle.film import look
    from samcli.subtitle.making import check_translation, written
    from samcli.subtitle.sounds import told

    format = format_for(film, flags)
    facts = look(film)
    script = dialogue(streams, facts, flags)
    check_translation(script, format)
    sounds = told(heard(streams, facts, flags), asked=flags.labels is not None, away=flags.away)
    place = placing(facts, script, flags.style or guide.style, guide)
    place.put(sounds)
    data = written(script, place.placed, format)
    name = Destination(flags.output).name
    if name is not None:
        from samcli.writers.files import write_whole

        write_whole(name, data)
    else:
        streams.write(data.decode("utf-8", "surrogateescape"))
    lost = f"; {len(place.left_out)} found no room in the dialogue" if place.left_out else ""
    count = len(place.placed)
    streams.note(f"{count} {'cue tells' if count == 1 else 'cues tell'} sounds{lost}.")
    return ExitCode.OK


def placing(facts: Film, script: Script | AssScript | None, style: str, guide: Guide) -> Placing:
    """The dialogue with its gaps, ready for sounds."""
    from samcli.subtitle.ass import AssScript
    from samcli.subtitle.placing import NOTE, NUMBER_SIGN, Placing

    ends = None if facts.duration is None else round(1000 * facts.duration)
    cues = () if script is None else script.cues
    note = NOTE if script is None or script.unicode else NUMBER_SIGN
    joins = not isinstance(script, AssScript)
    return Placing(guide, cues, style, facts.rate, facts.first, ends, note, joins)


def format_for(film: str, flags: SubtitleFlags) -> str:
    """The format to write, refused before any work where it cannot be."""
    from samcli.subtitle.making import FORMATS

    destination = Destination(flags.output)
    suffix = "srt" if destination.name is None else Path(destination.name).suffix.lower().lstrip(".")
    format = flags.format or suffix
    if format not in FORMATS:
        raise UsageError(f"Subtitles are written as {', '.join(FORMATS[:-1])}, not {format or 'without a suffix'!r}.")
    destination.check_file(source for source in (film, flags.dialogue) if source)
    return format


def dialogue(streams: Output, film: Film, flags: SubtitleFlags) -> Script | AssScript | None:
    """What is said: the file that is named, or a track of the film."""
    from samcli.subtitle.film import dialogue_of, text_track
    from samcli.subtitle.making import read_script

    if flags.dialogue is not None:
        return read_script(flags.dialogue)
    if flags.track == "none":
        return None
    track = text_track(film, flags.track)
    if track is None:
        return None
    if flags.track is None:
        streams.note(f"The dialogue is text track {track.shown} of the film; --track chooses another, or none.")
    return dialogue_of(film, track)


def heard(streams: Output, film: Film, flags: SubtitleFlags) -> Sequence[Sound]:
    """The film's sounds, in the language that was asked for."""
    from samcli.engine.options import RunReport
    from samcli.subtitle.film import chosen
    from samcli.subtitle.making import Wanted, hear

    if flags.threshold is not None and not 0 <= flags.threshold <= 1:
        raise UsageError(f"--threshold must lie between 0 and 1, not {flags.threshold}.")
    wanted = Wanted(read_labels(flags.labels), read_labels(flags.without), flags.threshold)
    track = chosen(film.sounds, flags.track) if flags.track and not flags.track.isdecimal() else None
    model = load_here(flags)
    report = RunReport()
    with Progress(streams, report):
        return hear(film, track, model, wanted, report)
