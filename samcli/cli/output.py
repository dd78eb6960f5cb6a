"""The one owner of the streams.

Standard output carries results only; everything else goes to standard error. Each stream is judged by itself: what is
written to a terminal has its control characters shown instead of obeyed, what is written to a pipe is left as it is.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

from samcli.errors import OutputError
from samcli.writers.escape import one_line, to_bytes, visible

if TYPE_CHECKING:
    from rich.console import Console


TRUE = ("1", "on", "yes", "true")  # what huggingface_hub takes for yes in an environment variable


class ClosedPipe(Exception):
    """Whoever read standard output went away."""


class Output:
    """Standard output and standard error, and what is known about them."""

    def __init__(
        self,
        stdout: BinaryIO | None,
        stderr: BinaryIO | None,
        *,
        stdin: BinaryIO | None = None,
        environment: Mapping[str, str] | None = None,
        stdout_is_terminal: bool | None = None,
        stderr_is_terminal: bool | None = None,
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.stdin = stdin
        self.environment = os.environ if environment is None else environment
        self.stdout_is_terminal = _is_terminal(stdout) if stdout_is_terminal is None else stdout_is_terminal
        self.stderr_is_terminal = _is_terminal(stderr) if stderr_is_terminal is None else stderr_is_terminal
        self.stdin_is_terminal = _is_terminal(stdin)
        self.quiet = False
        self.verbose = False
        self.traceback = self.environment.get("SAM_DEBUG", "").lower() in TRUE
        self.farewell = "stopped."  # the one line that is said when a person or the system ends the run
        self._status_shown = False
        self._turn = threading.RLock()  # progress is shown from a thread of its own

    def write(self, text: str) -> None:
        """Results, to standard output, all at once and at once."""
        self._write(visible(text) if self.stdout_is_terminal else text)

    def write_rendered(self, text: str) -> None:
        """What a console rendered: its colours are ours and pass; its content was made visible before."""
        self._write(text)

    def _write(self, text: str) -> None:
        if self._stdout is None:
            raise OutputError("Cannot write: standard output is closed.")
        try:
            with self._turn:
                self.clear_status()
                self._stdout.write(to_bytes(text))
                self._stdout.flush()
        except BrokenPipeError as error:
            raise ClosedPipe from error
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise OutputError(f"Cannot write to standard output: {cause}.") from error

    def note(self, text: str) -> None:
        """Something good to know, unless asked to be quiet."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """Something only `--verbose` asks for."""
        if self.verbose and not self.quiet:
            self._say(text)

    def error(self, text: str) -> None:
        """What went wrong; quiet does not hide it."""
        self._say(text)

    def trace(self, text: str) -> None:
        """Where an error came from; it quotes what strangers wrote."""
        with self._turn:
            self.clear_status()
            self._to_stderr(visible(text))

    def _say(self, text: str) -> None:
        with self._turn:
            self.clear_status()
            self._to_stderr(f"sam: {one_line(text)}\n")

    def status(self, text: str) -> None:
        """One line on the terminal that the next line replaces."""
        if self.shows_status:
            width = max(20, self.console(error=True).width - 1)
            with self._turn:
                self._to_stderr("\r\x1b[K" + one_line(text)[:width])
                self._status_shown = True

    def progress(self, what: str, done: int, total: int) -> None:
        """How far a step is."""
        self.status(f"{what}: {done}/{total}")

    def clear_status(self) -> None:
        if self._status_shown:
            self._to_stderr("\r\x1b[K")
            self._status_shown = False

    @property
    def shows_status(self) -> bool:
        return self.stderr_is_terminal and not self.quiet and self.environment.get("TERM") != "dumb"

    def _to_stderr(self, text: str) -> None:
        if self._stderr is None:
            return
        try:
            self._stderr.write(to_bytes(text))
            self._stderr.flush()
        except (OSError, ValueError):
            self._stderr = None  # nobody listens: there is nowhere to complain

    def console(self, *, error: bool = False) -> Console:
        """A Rich console that renders into text, as wide and as colourful as the stream allows."""
        from rich.console import Console

        terminal = self.stderr_is_terminal if error else self.stdout_is_terminal
        environment = dict(self.environment)
        # Off a terminal a table must not be folded to 80 columns: pipes have no width.
        width = None if terminal or "COLUMNS" in environment else 200
        return Console(
            file=io.StringIO(), force_terminal=terminal, width=width, _environ=environment, highlight=False, emoji=False
        )


def _is_terminal(stream: BinaryIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


@functools.cache
def output() -> Output:
    """The streams of this process."""
    return Output(*(getattr(stream, "buffer", None) for stream in (sys.stdout, sys.stderr)), stdin=_stdin())


def _stdin() -> BinaryIO | None:
    return getattr(sys.stdin, "buffer", None)
