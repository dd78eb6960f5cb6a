"""How far a run is, on one line of standard error: files done or seconds heard, speed, time left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from samcli.cli.output import Output

if TYPE_CHECKING:
    from samcli.engine.options import RunReport

SHORT_SECONDS = 30.0  # a recording of no more is done before anyone has read how far it is
INTERVAL = 0.25  # seconds between two looks: fast enough to live, slow enough to cost nothing


class Progress:
    """Looks at a run's report now and then, from a thread of its own, while standard error is a terminal.

    A thread, because an hour-long recording would otherwise show nothing until its record comes.
    """

    def __init__(self, output: Output, report: RunReport) -> None:
        self._output = output
        self._report = report
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._output.shows_status:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._output.clear_status()

    def _watch(self) -> None:
        shown = ""
        while not self._ended.wait(INTERVAL):
            words = line(self._report)
            if words != shown:
                self._output.status(words)
                shown = words


def line(report: RunReport) -> str:
    """The state of a run in few words."""
    if not report.files_total:
        return "loading the model"
    fresh = report.files_done - report.files_resumed
    speed = report.audio_seconds / max(report.elapsed, 1e-9)
    if report.files_total == 1 and report.audio_seconds and report.audio_expected > SHORT_SECONDS:
        return alone(report.audio_seconds, report.audio_expected, speed)
    words = f"{report.files_done}/{report.files_total} files  {speed:.0f} s of audio per s"
    if fresh > 0:
        words += f"  {span((report.files_total - report.files_done) * report.elapsed / fresh)} left"
    return words


def alone(heard: float, expected: float, speed: float) -> str:
    """How far a single recording is."""
    left = max(0.0, expected - heard) / max(speed, 1e-9)
    return f"{span(heard)} of {span(expected)} heard  {speed:.0f} s of audio per s  {span(left)} left"


def span(seconds: float) -> str:
    """A time for people: 9s, 1m40s, 2h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
