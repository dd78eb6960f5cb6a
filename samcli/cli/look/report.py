"""`sam report`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samcli.cli.destination import Destination
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import INPUT, OUTPUT, InputFlags, ModelFlags, StartTime, TimeZone, spread
from samcli.cli.look.transcripts import Transcripts
from samcli.cli.output import Output, output
from samcli.errors import UsageError

if TYPE_CHECKING:
    from samcli.report.entry import Entry


@dataclass(kw_only=True)
class ReportFlags(ModelFlags, InputFlags):
    """For `sam report`."""

    sounds: Annotated[
        list[Path] | None,
        typer.Option(help="Where the sounds of records lie.", metavar="FOLDER", rich_help_panel=INPUT),
    ] = None
    with_transcript: Annotated[
        Path | None,
        typer.Option(help="What is said: subtitles, or their folder.", metavar="FILE", rich_help_panel=INPUT),
    ] = None
    start_time: StartTime = None
    time_zone: TimeZone = None
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page.", metavar="FILE", rich_help_panel=OUTPUT)
    ] = Path("report.html")
    title: Annotated[str | None, typer.Option(help="Above the page.", metavar="TEXT", rich_help_panel=OUTPUT)] = None
    embed: Annotated[
        bool, typer.Option("--embed", help="The sounds inside the page, as Opus.", metavar="", rich_help_panel=OUTPUT)
    ] = False


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
        from samcli.cli.listen import named
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
        from samcli.cli.engines import load_here
        from samcli.cli.listen import inputs_of
        from samcli.engine.options import RunOptions, RunReport
        from samcli.report.build import heard
        from samcli.report.learned import learned

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
        entries = heard(inputs, model, flags.output, options, report)
        return self._seen(entries, report)

    def _seen(self, entries: Iterator[Entry], report: object) -> Iterator[Entry]:
        from samcli.cli.progress import Progress
        from samcli.engine.options import RunReport

        assert isinstance(report, RunReport)
        with Progress(self._streams, report):
            yield from entries
