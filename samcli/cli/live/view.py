"""What a person sees of a live ear: JSON lines in a pipe, on a terminal a few calm lines that renew themselves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samcli.cli.output import Output
from samcli.cli.progress import span
from samcli.writers.escape import one_line

if TYPE_CHECKING:
    from rich.text import Text

    from samcli.live.listener import Listener, Told

LAST = 8  # events shown
PAUSE = 0.5  # seconds between two looks: calm
BARS = 20  # of the level
FLOOR_DB = -70.0  # where the bars begin


class View:
    """The outlet that is standard output."""

    def __init__(self, streams: Output, listener: Listener, *, shown: bool) -> None:
        """`shown`: the lines go here; otherwise to a file, and a terminal still sees what is heard."""
        self.streams, self.listener, self.shown = streams, listener, shown
        self.drawn = streams.stdout_is_terminal and not streams.quiet
        self._last: deque[Told] = deque(maxlen=LAST)
        self._height = 0  # lines of the picture on the terminal
        self._drawn_at = 0.0
        self._behind = 0.0

    def __enter__(self) -> View:
        return self

    def __exit__(self, *error: object) -> None:
        if self.drawn:
            self._draw()
            self._height = 0

    def tell(self, told: Told, clip: Path | None) -> None:
        if self.shown and not self.drawn:
            self.streams.write(told.line() + "\n")

    def watch(self, listener: Listener, told: Sequence[Told], behind: float) -> None:
        """Look again, now and then."""
        self._behind = behind
        self._last.extend(one for one in told if one.kind != "begin")
        if self.drawn and time.monotonic() - self._drawn_at >= PAUSE:
            self._draw()

    def remark(self, text: str) -> None:
        if self.drawn:
            self.streams.write_rendered(self._wiped())
        self.streams.note(text)

    def flush(self) -> None:
        """Each line leaves at once."""

    def close(self) -> list[str]:
        return []

    def _wiped(self) -> str:
        """What takes the picture off the terminal."""
        up, self._height = self._height, 0
        return f"\x1b[{up}A\x1b[J" if up else ""

    def _draw(self) -> None:
        console: Any = self.streams.console()
        before = self._wiped()
        with console.capture() as capture:
            for line in self._lines():
                line.truncate(max(20, console.width - 1), overflow="ellipsis")
                console.print(line, no_wrap=True, crop=True)
        picture = capture.get()
        self._height, self._drawn_at = picture.count("\n"), time.monotonic()
        self.streams.write_rendered(before + picture)

    def _lines(self) -> list[Text]:
        from rich.text import Text

        listener = self.listener
        bars = round(BARS * min(1.0, max(0.0, 1 - listener.level / FLOOR_DB)))
        head = Text(one_line(listener.name), style="bold")
        head.append(f"  {span(listener.seconds)}  ", style="dim")
        head.append("▮" * bars, style="green").append("▯" * (BARS - bars), style="dim")
        head.append(f" {listener.level:.0f} dB", style="dim")
        if self._behind > 1:
            head.append(f"  {self._behind:.0f} s late", style="yellow")
        now = Text("now   ", style="dim")
        heard = sorted(listener.now.items(), key=lambda one: -one[1])
        now.append(", ".join(one_line(label) for label, _ in heard) or "nothing", style="cyan" if heard else "dim")
        return [head, now, *map(_event, self._last)]


def _event(told: Told) -> Text:
    from rich.text import Text

    line = Text(datetime.fromtimestamp(told.time).strftime("%H:%M:%S  "), style="dim")
    if told.kind == "gap":
        return line.append(one_line(told.record.warning or ""), style="yellow")
    if told.kind == "caption":
        return line.append(one_line(told.record.caption or "(silence)"), style="italic")
    seconds = (told.until or told.time) - told.time
    line.append(one_line(told.label or ""), style="bold").append(f"  {told.score or 0:.2f}", style="green")
    return line.append(f"  {span(seconds) if seconds >= 10 else f'{seconds:.1f}s'}", style="dim")
