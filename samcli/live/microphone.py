"""The microphone, or whatever else PortAudio calls an input: a monitor, a mixer, a loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from samcli.audio.waves import Resampler
from samcli.engine.inputs.sources import mono
from samcli.errors import InputError, UsageError
from samcli.live.capture import Missing, News, Remark

BLOCK_SECONDS = 0.1  # read at a time


class Device(NamedTuple):
    """An input of this machine."""

    number: int
    name: str
    channels: int
    rate: int  # samples a second
    default: bool


def devices() -> list[Device]:
    """All inputs, in PortAudio's order."""
    library = _library()
    try:
        chosen = library.default.device[0]
        found = list(enumerate(library.query_devices()))
    except Exception as error:
        raise InputError(f"The sound devices cannot be listed: {error}.", "no-device") from None
    return [
        Device(
            number, str(one["name"]), int(one["max_input_channels"]), round(one["default_samplerate"]), number == chosen
        )
        for number, one in found
        if one["max_input_channels"] > 0
    ]


def device_named(text: str | None) -> Device:
    """The input of this number, or the one whose name holds this; None: the machine's own choice."""
    found = devices()
    if not found:
        raise UsageError("This machine has no microphone: name a file or an address, or see sam live --list-devices.")
    if text is None:
        return next((one for one in found if one.default), found[0])
    if text.isdecimal():
        same = [one for one in found if one.number == int(text)]
    else:
        same = [one for one in found if one.name.casefold() == text.casefold()]
        same = same or [one for one in found if text.casefold() in one.name.casefold()]
    if len(same) != 1:
        what = "more than one input" if same else "no input"
        raise UsageError(f"There is {what} {text!r}: see sam live --list-devices.")
    return same[0]


class Microphone:
    waits, keeps_time = False, True

    def __init__(self, device: Device, rate: int) -> None:
        self.device, self.rate = device, rate
        self.name = device.name

    def news(self, skip: int) -> Iterator[News]:
        library = _library()
        size = max(1, round(BLOCK_SECONDS * self.device.rate))
        channels = min(2, self.device.channels)
        resampler, opened = Resampler(self.device.rate, self.rate), False
        try:
            with library.InputStream(
                device=self.device.number, channels=channels, samplerate=self.device.rate, dtype="float32",
                blocksize=size, latency="high",
            ) as stream:  # fmt: skip
                before, opened = stream.time, True
                while True:
                    samples, overflowed = stream.read(size)
                    now = stream.time
                    if overflowed:  # PortAudio does not say how much; the clock does
                        lost = max(0.0, now - before - BLOCK_SECONDS)
                        yield Missing(lost, "the sound card's buffer ran over")
                    before = now
                    yield resampler.push(np.nan_to_num(mono(samples)))
        except library.PortAudioError as error:
            if opened:
                yield Remark(f"The input {self.name!r} is gone: {error}.")
                return
            raise InputError(f"The input {self.name!r} cannot be heard: {error}.", "no-device") from None


def _library() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise UsageError("The microphone needs sounddevice: pip install 'samcli[live]'.") from None
    except OSError as error:  # the package without PortAudio
        raise UsageError(f"The microphone needs PortAudio, such as Debian's libportaudio2: {error}.") from None
    return sounddevice
