"""`sam report` and `sam plot`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samcli.cli.destination import Destination
from samcli.cli.flags import INPUT, OUTPUT, InputFlags, ModelFlags, StartTime, TimeZone, option, spread, switch
from samcli.cli.listen import named
from samcli.cli.output import Output, output
from samcli.cli.progress import Progress
from samcli.cli.resolve import inputs_of, load_here
from samcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from samcli.engine.options import RunReport
    from samcli.report.entry import Entry, Line

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")


class Transcripts:
    """Lines of one file, or of all files of a folder; a recording's has its name, with its suffix or without."""

    def __init__(self, place: Path | None) -> None:
        self.alone = False  # there is one recording only, whatever it is called
        self._lines = {file: lines_of(file) for file in files_of(place)} if place is not None else {}
        self._used: set[Path] = set()

    def of(self, path: str) -> list[Line]:
        """What is said in a recording."""
        recording = Path(path)
        every = self.alone and len(self._lines) == 1
        found = [file for file in self._lines if every or file.stem in (recording.name, recording.stem)]
        self._used.update(found)
        return [line for file in found for line in self._lines[file]]

    @property
    def unused(self) -> list[str]:
        """The files that no recording asked for."""
        return [str(file) for file in self._lines if file not in self._used]


def files_of(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"There are no subtitles ({', '.join(SUFFIXES)}) in {str(place)!r}.")
    return found


def lines_of(file: Path) -> list[Line]:
    """The cues of a file, each in one line."""
    from samcli.subtitle.making import read_script

    cues = read_script(str(file)).cues
    found = [(cue.start / 1000, max(cue.start, cue.end) / 1000, " ".join(cue.lines)) for cue in cues if cue.lines]
    if not found:
        raise UsageError(f"{str(file)!r} holds no lines with times.")
    return found


@dataclass(kw_only=True)
class ReportFlags(ModelFlags, InputFlags):
    sounds: Annotated[list[Path] | None, option("Where the sounds of records lie.", "FOLDER", panel=INPUT)] = None
    with_transcript: Annotated[
        Path | None, option("What is said: subtitles, or their folder.", "FILE", panel=INPUT)
    ] = None
    start_time: StartTime = None
    time_zone: TimeZone = None
    output: Annotated[Path, option("The page.", "FILE", names=("--output", "-o"), panel=OUTPUT)] = Path("report.html")
    title: Annotated[str | None, option("Above the page.", "TEXT", panel=OUTPUT)] = None
    embed: Annotated[bool, switch("The sounds inside the page, as Opus.", "--embed", panel=OUTPUT)] = False


@spread
def report(flags: ReportFlags) -> ExitCode:
    """Make a page to look at, listen to and judge: pictures of all recordings, with what is heard in them.

    sam report recordings/ -o report.html
    sam report recordings/ --embed -o to-send.html
    sam report tags.jsonl --sounds recordings/ -o report.html
    sam report talk.flac --with-transcript talk.srt -o talk.html

    It is one file and needs no network. Right or wrong, said in the page, becomes a table that sam train tune reads.
    """
    from samcli.report.page import write_page
    from samcli.writers.files import AtomicFile

    streams = output()
    page = flags.output
    entries = ReportEntries(streams, flags)
    title = flags.title or f"Heard in {', '.join(Path(path).name or path for path in (flags.paths or ())[:3])}"
    about = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    file = AtomicFile(page)
    try:
        for piece in write_page(
            entries, title=title, about=about, labels=entries.labels, key=key_of(page), learned=entries.learned
        ):
            file.write(piece)
        file.keep()
    finally:
        file.discard()
    for name in entries.transcripts.unused:
        streams.note(f"{name} goes with none of the recordings: give it the name of one.")
    if not entries.count:
        streams.note("there was nothing to show")
    streams.note(f"{entries.count} {'recording is' if entries.count == 1 else 'recordings are'} in {page}.")
    return ExitCode.FAILED if entries.failed else ExitCode.OK


def key_of(page: Path) -> str:
    """Tells the verdicts of this page from those of others in one browser."""
    import hashlib

    return hashlib.sha256(str(page.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]


class ReportEntries:
    """The recordings as they come; what failed is said on standard error."""

    def __init__(self, streams: Output, flags: ReportFlags) -> None:
        self._streams, self._flags = streams, flags
        self.count = self.failed = 0
        self.labels: tuple[str, ...] = ()
        self.learned = ""
        self.transcripts = Transcripts(flags.with_transcript)
        self._entries = self._open()

    def __iter__(self) -> Iterator[Entry]:
        from samcli.report.build import as_opus

        for entry in self._entries:
            self.count += 1
            if entry.error:
                self.failed += 1
                self._streams.error(named(entry.path, entry.error))
            if self._flags.embed and entry.sound is not None:
                entry.opus = as_opus(entry.sound)
            entry.said += self.transcripts.of(entry.path)
            yield entry

    def _open(self) -> Iterator[Entry]:
        """Everything that can be refused is refused here, before any work."""
        from samcli.engine.inputs.recorded_at import Clock
        from samcli.report.build import remembered
        from samcli.report.reading import are_records, read_records

        flags = self._flags
        clock = Clock.of(flags.start_time, flags.time_zone)
        paths = flags.paths or []
        if not are_records(paths):
            return self._hear()
        Destination(str(flags.output)).check_file(paths)
        records = (record for path in paths for record in read_records(path))
        return remembered(records, flags.sounds or (), flags.output, clock)

    def _hear(self) -> Iterator[Entry]:
        from samcli.engine.options import RunOptions, RunReport
        from samcli.report.build import heard, learned

        flags = self._flags
        if flags.sounds:
            raise UsageError("--sounds says where the recordings of records lie; these are recordings.")
        inputs = inputs_of(flags)
        self.transcripts.alone = len(inputs) == 1
        Destination(str(flags.output)).check_file(item.path for item in inputs)
        if flags.start_time is not None and len(inputs) > 1:
            raise UsageError(f"--start-time is that of one recording, and there are {len(inputs)}.")
        options = RunOptions(start_time=flags.start_time, time_zone=flags.time_zone)
        model = load_here(flags)
        self.labels, self.learned = tuple(model.labels), learned(flags.model)
        report = RunReport()
        return self._seen(heard(inputs, model, flags.output, options, report), report)

    def _seen(self, entries: Iterator[Entry], report: RunReport) -> Iterator[Entry]:
        with Progress(self._streams, report):
            yield from entries


@dataclass(kw_only=True)
class PlotFlags(ModelFlags):
    output: Annotated[
        Path | None, option("A .png, .svg or .pdf file.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None
    start: Annotated[float, option("Where it begins.", "SECONDS", min=0)] = 0.0
    end: Annotated[float | None, option("Where it ends.", "SECONDS", min=0)] = None
    width: Annotated[float, option("Of the figure, in inches.", "INCHES", min=2, max=60)] = 10.0
    height: Annotated[float | None, option("The same; else as needed.", "INCHES", min=1, max=60)] = None
    dark: Annotated[bool, switch("Light on dark.", "--dark")] = False


@spread
def plot(sound: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")], flags: PlotFlags) -> ExitCode:
    """Draw a recording: spectrogram, level, its events as lanes and what is heard, good enough for a paper.

    sam plot street.flac -o street.png
    sam plot night.flac --start 3600 --end 3660 -o minute.pdf
    sam plot street.flac --dark --width 7 -o slide.svg
    """
    from samcli.engine.inputs.find import find_inputs
    from samcli.engine.inputs.recorded_at import Clock
    from samcli.engine.options import RunOptions
    from samcli.engine.run import run
    from samcli.errors import InputError
    from samcli.report.entry import entries, everything
    from samcli.report.plot import Look, check_figure, draw
    from samcli.writers.files import write_whole

    streams = output()
    target = flags.output or Path(sound.name).with_suffix(".png")
    check_figure(target)
    inputs = find_inputs([str(sound)])
    Destination(str(target)).check_file(item.path for item in inputs)
    if len(inputs) != 1:
        from samcli.errors import UsageError

        raise UsageError(f"A figure shows one recording, and there are {len(inputs)}; sam report shows many.")
    look = Look(flags.start, flags.end, flags.width, flags.height, flags.dark)
    model = load_here(flags)
    (entry,) = entries(run(everything(model), inputs, model, RunOptions()), Clock())
    if entry.error:
        raise InputError(entry.error)
    write_whole(target, draw(entry, Path(inputs[0].path), look, target.suffix.lower()))
    streams.note(f"the figure is in {target}.")
    return ExitCode.OK
