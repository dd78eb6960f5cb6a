"""The two decoders behind one shape: a file object in, mono float32 blocks at the file's own rate out.

soundfile (libsndfile) is exact and counts samples; PyAV (FFmpeg's libraries, bundled) reads everything else and carries
on after damage. Both are imported when first needed. Neither is handed a file name: names may hold bytes that no
text encoding knows, and a format must be told by its content.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from samcli.audio.files import BARE_PATIENCE, PATIENCE, Sieve, Steady
from samcli.audio.headers import asf_seconds, bare_start, mp3_frames
from samcli.audio.waves import DTYPES, RATES, Layout, Resampler, Wave, mono, samples_of, weighted

NATIVE_SAMPLES = 1 << 18  # samples decoded at a time, all channels together: 1 MiB as float32
UNKNOWN_FRAMES = 1 << 62  # libsndfile says so many frames when a FLAC stream does not say how many it holds
CONTAINER_SLACK = 0.3  # seconds: encoder delay and rounded time stamps, no sign of damage

# Only formats that carry sound inside themselves. FFmpeg also reads playlists and scripts that name other files or
# addresses, and would open those for a text file that someone was tricked into tagging.
CONTAINERS = (
    "mov,matroska,webm,aac,mp3,ogg,flac,wav,w64,aiff,au,caf,asf,avi,flv,mpeg,mpegts,ac3,eac3,dts,amr,ape,wv,tta,tak,"
    "mpc,mpc8,dsf,iff,shn,voc,rm,mxf,loas,nut,xwma,gxf,oma,truehd,mlp"
)
# Containers whose header states a length; the others' is FFmpeg's guess from the bit rate.
STATED_LENGTH = {"mov", "matroska", "asf", "avi", "flv", "flac", "caf", "aiff", "ape", "wv", "tta", "tak", "mp3"}
TRUE_STAMPS = {"mov", "matroska", "asf", "flv"}  # containers whose time stamps can be held against the samples
CLOSING_VERSIONS = {"1.0.28", "1.0.30", "1.0.31", "1.1.0", "1.2.0"}
# Containers without positions of their own: what holds no sound may be left out on the way to the decoder.
BARE = {"mp3", "aac", "ac3", "eac3", "dts", "flac", "loas", "truehd", "mlp", "amr", "mpegts", "ogg"}
EXACT_LENGTH = {"flac", "ape", "wv", "tta", "tak"}  # lossless codes that count every sample


class Undecodable(Exception):
    """One decoder's refusal; `kind` is the word for the final `InputError` if the other decoder refuses too."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def _library(name: str) -> Any:
    """A decoding library, which on some machine may lack the shared objects it is built on."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        raise Undecodable("no-library", f"the Python package {name!r}") from error


class Source(Protocol):
    """What the reader needs of a decoder. `rate` and `channels` are true once the first block is out."""

    rate: int
    channels: int
    promised: float | None  # seconds of sound the file seems to hold
    reliable: bool  # whether it says so itself; otherwise `promised` is a guess
    slack: float  # seconds an undamaged file may fall short of its promise
    reached: float  # seconds up to which other tracks, such as pictures, went on
    pause: float  # seconds that the time stamps count but no samples fill, so far
    skipped: int  # damaged places left out so far
    broken: bool  # gave up before the end

    @property
    def left_out(self) -> int: ...  # bytes without sound that were passed over

    @property
    def unsearched(
        self,
    ) -> int: ...  # bytes at the end that nobody looked at, since long before them there was no sound

    def blocks(self) -> Iterator[Wave]: ...

    def close(self) -> None: ...


class SoundFileSource:
    """libsndfile's view of a file."""

    slack = 0.0
    reached = 0.0
    pause = 0.0
    skipped = 0
    left_out = 0
    unsearched = 0

    def __init__(self, file: Steady, descriptor: int | None = None) -> None:
        soundfile = _library("soundfile")
        file.seek(0)
        try:
            # By descriptor libsndfile reads by itself; a file object costs a call into Python every few kilobytes.
            # Up to 1.2.0 it closed a descriptor that it could not make sense of, although it was told not to.
            trusted = descriptor is not None and soundfile.__libsndfile_version__ not in CLOSING_VERSIONS
            self._sound = soundfile.SoundFile(descriptor if trusted else file, closefd=False)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: named .raw, which has no header to go by
            raise Undecodable("not-audio", str(error)) from error
        self._error = soundfile.LibsndfileError
        self.rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        frames: int = self._sound.frames
        self.reliable = frames < UNKNOWN_FRAMES
        self.promised = frames / max(1, self.rate) if self.reliable else None
        self.broken = False

    def blocks(self) -> Iterator[Wave]:
        buffer = np.empty((max(1, NATIVE_SAMPLES // self.channels), self.channels), np.float32)
        weights = np.full(self.channels, 1.0 / self.channels, np.float32)
        while True:
            try:
                count = self._sound.buffer_read_into(buffer, dtype="float32")
            except self._error:
                self.broken = True
                return
            if count == 0:
                return
            yield buffer[:count, 0].copy() if self.channels == 1 else weighted(buffer[:count], weights)

    def close(self) -> None:
        self._sound.close()


class AvSource:
    """FFmpeg's view of a file: its best sound track."""

    def __init__(self, file: Steady, descriptor: int | None = None) -> None:
        av = _library("av")
        self._error = av.FFmpegError
        counted, stated = mp3_frames(file), asf_seconds(file)
        self._file = _as_read(file)
        self._run = 1 if file.flows else NATIVE_SAMPLES  # a flow's frames are handed on as they come
        file.seek(0)
        try:
            self._container: Any = av.open(
                self._file, metadata_errors="replace", options={"format_whitelist": CONTAINERS}, buffer_size=1 << 17
            )
        except (av.FFmpegError, UnicodeError) as error:
            raise Undecodable("not-audio", str(error)) from error
        try:
            self._stream = self._best_stream()
        except Undecodable:
            self._container.close()
            raise
        self.rate: int = self._stream.codec_context.sample_rate
        self.channels: int = self._stream.codec_context.channels
        family = self._container.format.name.split(",")[0]
        self.reliable = family in STATED_LENGTH and (family != "mp3" or bool(counted))
        self.slack = 0.0 if family in EXACT_LENGTH else CONTAINER_SLACK
        # Where only the container says how long it is, its longest track may be the picture: watch how far that goes.
        self._whole_container = self._stream.duration is None and len(self._container.streams) > 1
        if family == "flac":  # every frame carries a checksum: better a gap that is told of than a burst of noise
            self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        others: Any = () if self._whole_container else self._container.streams
        for other in others:
            if other.index != self._stream.index and hasattr(other, "discard"):
                other.discard = type(other.discard).all  # pictures need not be read
        self.promised = self._length()
        # FFmpeg goes by the size of the file where that does not fit what the header says.
        if family == "mp3" and counted:
            self.promised = counted * (1152 if self.rate >= 32_000 else 576) / self.rate
        elif family == "asf":
            self.promised = stated
            self.reliable = stated is not None
        self.reached = 0.0
        self.pause = 0.0
        self._stamped = family in TRUE_STAMPS
        self.skipped = 0
        self.broken = False
        unseen = not self._whole_container and any(map(_moves, self._container.streams.video))
        patience = BARE_PATIENCE if family in BARE or family == "ape" else PATIENCE  # APE's last frame has no end
        self._file.watch(patience * 4 if unseen else patience, family in BARE)  # pictures left unread take room, too

    @property
    def left_out(self) -> int:
        return int(self._file.left_out)

    @property
    def unsearched(self) -> int:
        return int(self._file.unsearched)

    def _best_stream(self) -> Any:
        if not self._container.streams.audio:
            others = len(self._container.streams) > 0
            raise Undecodable("no-audio-stream" if others else "not-audio")
        stream = self._container.streams.best("audio") or self._container.streams.audio[0]
        if stream.codec_context is None:
            raise Undecodable("no-decoder", "sound in an unknown code")
        return stream

    def _length(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / 1e6

    def _frames(self) -> Iterator[Any]:
        wanted = () if self._whole_container else (self._stream,)
        packets = self._container.demux(*wanted)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:
                # A track that began in mid-file, as in a recording of broadcasts, which PyAV does not know: the next
                # packet may be ours again.
                packets = self._container.demux(*wanted)
                continue
            except self._error:
                self.broken = True
                return
            if packet.stream.index != self._stream.index:
                self._file.sound()  # as good as sound: the file goes on
                if packet.pts is not None and packet.time_base is not None:
                    self.reached = max(self.reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                continue
            try:
                frames = packet.decode()
            except self._error:
                self.skipped += 1
                continue
            if frames:
                self._file.sound()
            yield from frames

    def _runs(self) -> Iterator[tuple[Layout, list[Any]]]:
        """Frames of one layout gathered into runs, since a frame is too short to be worth numpy's time."""
        run: list[Any] = []
        held = 0
        layout = None
        expected: float | None = None  # seconds at which the next frame should begin
        for frame in self._frames():
            here = Layout(frame.format.name, frame.layout.nb_channels, frame.sample_rate)
            if here.format.removesuffix("p") not in DTYPES:
                raise Undecodable("no-decoder", f"samples of the kind {here.format}")
            if layout is not None and here.rate not in RATES:
                self.skipped += 1
                continue
            if self._stamped and frame.time is not None:
                if expected is not None and frame.time - expected > CONTAINER_SLACK:
                    self.pause += frame.time - expected
                expected = frame.time
            if expected is not None:  # of several frames only the first may be stamped
                expected += frame.samples / frame.sample_rate
            if layout is not None and (here != layout or held >= self._run):
                yield layout, run
                run, held = [], 0
            try:
                samples = samples_of(frame, here)
            except ValueError:  # a frame that claims more samples or channels than it holds
                self.skipped += 1
                continue
            layout = here
            run.append(samples)
            held += samples.size
        if layout is not None and run:
            yield layout, run

    def blocks(self) -> Iterator[Wave]:
        adapter: Resampler | None = None
        adapted: int | None = None
        for layout, run in self._runs():
            if adapted is None:
                self.rate, self.channels, adapted = layout.rate, layout.channels, layout.rate
            if layout.rate != adapted:  # streams glued together may change their rate on the way
                if adapter is not None:
                    yield adapter.finish()
                adapted = layout.rate
                adapter = None if adapted == self.rate else Resampler(adapted, self.rate)
            wave = mono(run, layout)
            if adapter is None:
                yield wave
                continue
            size = max(1, NATIVE_SAMPLES * adapted // self.rate)  # a low rate becomes many more samples
            yield from (adapter.push(wave[at : at + size]) for at in range(0, wave.size, size))
        if adapter is not None:
            yield adapter.finish()

    def close(self) -> None:
        self._container.close()


def _as_read(file: Steady) -> Any:
    """What FFmpeg is to see: a flow as it is, for it has no way back; any other file without its holes."""
    return file if file.flows else Sieve(file, bare_start(file))


def _moves(pictures: Any) -> bool:
    """Whether a video stream is a film and not the cover of a record."""
    return not pictures.disposition & type(pictures.disposition).attached_pic
