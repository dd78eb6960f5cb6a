"""A file, standard input or an address in place of a microphone.

A file is heard as fast as can be, or at its own pace. When the connection to an address breaks it is made anew, after
pauses that grow; that is said once, and so is its return. The time in between counts as missed. No protocol that reads
this machine's files is spoken, whatever the other side asks for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

from samcli.audio.waves import DTYPES, RATES, Layout, Resampler, mono, samples_of
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import open_input
from samcli.engine.windows import Wave
from samcli.errors import InputError
from samcli.live.capture import Missing, News, Remark

BLOCK_SECONDS = 0.1  # handed on at a time, at its own pace


class Recording:
    """A file, or standard input."""

    waits = True

    def __init__(self, item: Input, rate: int, pace: float | None) -> None:
        """`pace`: how many times as fast as it was recorded; None: as fast as can be."""
        flows = item.source is not None and not item.source.seekable()
        self.item, self.rate, self.pace = replace(item, flows=flows), rate, pace
        self.name = item.display
        self.keeps_time = flows or pace is not None

    def news(self, skip: int) -> Iterator[News]:
        if self.item.source is not None:
            skip = 0  # what came through a pipe does not come again
        with open_input(self.item, self.rate) as reader:
            began, given = time.monotonic(), 0
            for wave in _without(reader, skip):
                if self.pace is None:
                    yield wave
                    continue
                size = max(1, round(BLOCK_SECONDS * self.rate))
                for at in range(0, len(wave), size):
                    given += len(wave[at : at + size])
                    time.sleep(max(0.0, began + given / self.rate / self.pace - time.monotonic()))
                    yield wave[at : at + size]
            if reader.warning is not None:
                yield Remark(f"{self.name}: {reader.warning}")


def _without(blocks: Iterable[Wave], skip: int) -> Iterator[Wave]:
    for wave in blocks:
        if skip >= len(wave):
            skip -= len(wave)
            continue
        yield wave[skip:]
        skip = 0


SCHEMES = ("http", "https", "rtsp", "rtsps", "icecast", "rtp", "udp", "tcp", "srt", "rtmp")
PROTOCOLS = "http,https,httpproxy,tcp,tls,rtsp,rtsps,rtp,udp,srt,rtmp,crypto,hls"
TIMEOUT = 10.0  # seconds without a byte, after which a connection counts as broken
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before the next try


def is_address(text: str) -> bool:
    """Whether this is an address and no path."""
    scheme, found, _ = text.partition("://")
    return bool(found) and scheme.lower() in SCHEMES


def shown(address: str) -> str:
    """An address without the password in it."""
    return re.sub(r"(://)[^/@]*@", r"\1", address)


class Address:
    waits, keeps_time = False, True

    def __init__(self, address: str, rate: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self.address, self.rate, self.sleep = address, rate, sleep
        self.name = shown(address)

    def news(self, skip: int) -> Iterator[News]:
        """Raises InputError where the first connection fails: then the address is wrong."""
        pause, lost, first = FIRST_PAUSE, 0.0, True
        while True:
            try:
                for wave in self._connected():
                    if lost:
                        yield Missing(time.monotonic() - lost, "the connection was lost")
                        yield Remark(f"{self.name} is there again.")
                    pause, lost, first = FIRST_PAUSE, 0.0, False
                    yield wave
                why = "it ended"
            except Exception as error:
                why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                if first:
                    raise InputError(f"{self.name!r} cannot be heard: {why}.", "unreachable") from error
            if not lost:
                lost = time.monotonic()
                yield Remark(f"The connection to {self.name} was lost ({why}); it is tried again and again.")
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _connected(self) -> Iterator[Wave]:
        """The sound of one connection."""
        av = import_module("av")
        address = re.sub(r"^icecast://", "http://", self.address)
        options = {"protocol_whitelist": PROTOCOLS, "fflags": "nobuffer", "analyzeduration": "1000000"}
        if address.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # what is lost on the way is a break here, and no crackle
        with av.open(address, timeout=(TIMEOUT, TIMEOUT), options=options, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise InputError(f"{self.name!r} holds no sound.", "no-audio-stream")
            resampler: tuple[int, Resampler] | None = None
            for frame in container.decode(container.streams.audio[0]):
                layout = _layout(frame)
                if resampler is None or resampler[0] != layout.rate:
                    resampler = layout.rate, Resampler(layout.rate, self.rate)
                yield resampler[1].push(mono([samples_of(frame, layout)], layout))


def _layout(frame: Any) -> Layout:
    layout = Layout(frame.format.name, frame.layout.nb_channels, frame.sample_rate)
    if layout.format.removesuffix("p") not in DTYPES or layout.rate not in RATES:
        raise InputError(
            f"Its sound is of a kind that is not read here ({layout.format}, {layout.rate} Hz).", "no-decoder"
        )
    return layout
