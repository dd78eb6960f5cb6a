"""Any sound file, read as a stream of mono float32 blocks at the rate a model hears.

Guarantees: memory does not grow with the length of the sound; the samples do not depend on the size of the blocks
asked for; nothing is left out without a `warning`; whatever cannot be read raises one `InputError` whose sentence names
the file and the cause, mostly on opening, because the first block is decoded there. Refuses pipes by name, since
opening one may wait for ever; bytes from a pipe come in as a file object, such as standard input, and are kept in a
temporary file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

import numpy as np

from samcli.audio.decoders import AvSource, SoundFileSource, Source, Undecodable
from samcli.audio.files import Name, OpenFile, by_name, by_object, cause
from samcli.audio.headers import counts, goes_on, ogg_ends, share_present, signature
from samcli.audio.waves import RATES, SAMPLE_RATE, Resampler, Wave, regroup
from samcli.errors import InputError

BLOCK_SECONDS = 10.0
WILD = 36_000  # seconds, and a thousand times what is there: more likely a wrong header than a lost recording
LOUDEST = 1e12  # beyond any scale of samples in use; the filter bank's squares overflow float32 not far above it
# libsndfile loses what follows a damaged frame of an MP3, or a second MP3 glued to the first, and prints about it; of
# an Ogg file it reads the first of several chained streams (a recording of internet radio) and ignores the rest.
MPEG = {"MP3", "AAC"}
AV_FIRST = MPEG | {"Ogg", "MP4", "Matroska", "ASF", "FLV"}


class SoundReader:
    """One sound, to be iterated over once: `for block in reader`. A context manager, so that the file is closed.

    `duration` is what the file promises (None: it does not say) until the end is reached, then what is known.
    `covered`, in seconds, is what has been delivered so far. `warning` may be set when the iteration has ended.
    """

    def __init__(self, file: OpenFile, rate: int, block_seconds: float) -> None:
        self.rate = rate
        self.covered = 0.0
        self.warning: str | None = None
        self._file = file
        self._block = max(1, round(block_seconds * rate))
        self._consumed = 0  # samples at the file's own rate
        file.stream.seek(0)
        head = file.stream.read(16)
        self._check_disk()
        if not head:
            raise InputError(f"{file.shown} is empty: it holds no bytes.", "empty")
        self._format = signature(head)
        self._has_end = self._format != "Ogg" or file.stream.flows or ogg_ends(file.stream)
        self._share = 1.0 if file.stream.flows else share_present(file.stream)
        self._source, native = self._open()
        self.source_rate = self._source.rate
        self.channels = self._source.channels
        promised = self._source.promised
        self.duration = promised / self._share if promised and self._share else None
        self._blocks = self._deliver(native)

    def __iter__(self) -> Iterator[Wave]:
        return self._blocks

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()
        if self._file.owned:
            self._file.stream.close()

    def _open(self) -> tuple[Source, Iterator[Wave]]:
        """The first decoder that gets sound out of the file, and its blocks."""
        refusals: dict[str, str] = {}
        # A FLAC that was sent may change its rate on the way, which libsndfile does not notice.
        flows = self._file.stream.flows  # libsndfile wants to know where a file ends
        av_first = self._format in AV_FIRST or (self._format == "FLAC" and not counts(self._file.stream))
        decoders: list[type[AvSource | SoundFileSource]] = [AvSource]
        if not flows:
            decoders.insert(1 if av_first else 0, SoundFileSource)
        for decoder in decoders:
            if self._format in MPEG and decoder is SoundFileSource and "no-library" not in refusals:
                continue  # it could only print what FFmpeg has found out in silence
            try:
                source: Source = decoder(self._file.stream, self._file.descriptor)
            except Undecodable as refusal:
                refusals[refusal.kind] = refusal.detail
                continue
            blocks = source.blocks()
            try:
                first = next(blocks, None)
            except Undecodable as refusal:
                refusals[refusal.kind] = refusal.detail
                first = None
            else:
                if first is None:
                    lost = source.broken or source.skipped or source.unsearched
                    refusals["damaged" if lost else "no-samples"] = ""
            if first is not None and source.rate in RATES:
                if self._format == "Ogg" and "not-audio" in refusals:
                    self._has_end = False  # where FFmpeg stumbles, libsndfile stops without a word
                return source, chain([first], blocks)
            if first is not None:
                refusals["rate"] = f"{source.rate:,}"
            source.close()
        self._check_disk()
        raise self._refused(refusals)

    def _check_disk(self) -> None:
        error = self._file.stream.error
        if error is not None:
            message = f"{self._file.shown} could not be read: {cause(error)}."
            raise InputError(message, "unreadable") from error

    def _refused(self, refusals: dict[str, str]) -> InputError:
        """Two decoders gave up: the one sentence that helps most."""
        name = self._file.shown
        if "no-decoder" in refusals:
            return InputError(f"{name} holds {refusals['no-decoder']}, which no decoder here reads.", "no-decoder")
        if "no-audio-stream" in refusals:
            return InputError(f"{name} holds no sound: it has no audio stream.", "no-audio-stream")
        if "rate" in refusals:
            few = f"{RATES[0]:,} to {RATES[-1]:,}"
            claim = f"{name} claims {refusals['rate']} samples a second"
            return InputError(f"{claim}; sound that can be heard here has {few}.", "not-audio")
        if "no-samples" in refusals and self._share == 1.0:
            return InputError(f"{name} begins like {self._format or 'sound'} but holds no samples.", "no-samples")
        if "no-library" in refusals:
            return InputError(f"{name} may need {refusals['no-library']}, which cannot be loaded here.", "no-decoder")
        if self._format is not None or "damaged" in refusals:
            begins = f"begins like {self._format}" if self._format else "looks like sound"
            return InputError(f"{name} {begins} but is cut short or damaged: nothing in it is readable.", "truncated")
        return InputError(
            f"{name} is no sound file, or of a kind that neither libsndfile nor FFmpeg reads.", "not-audio"
        )

    def _deliver(self, native: Iterator[Wave]) -> Iterator[Wave]:
        delivered = 0
        try:
            for block in regroup(self._resampled(native), self._block):
                delivered += block.size
                self.covered = delivered / self.rate
                yield block
        except Undecodable as refusal:
            raise self._refused({refusal.kind: refusal.detail}) from refusal
        self._check_disk()
        self._conclude()

    def _resampled(self, native: Iterator[Wave]) -> Iterator[Wave]:
        resampler = Resampler(self.source_rate, self.rate)
        for wave in self._with_relief(native):
            if wave.size and not (wave.min() > -LOUDEST and wave.max() < LOUDEST):  # NaN fails both
                at = (self._consumed + int(np.argmin(np.abs(wave) < LOUDEST))) / self.source_rate
                what = f"holds samples that are not numbers (NaN or infinity), the first at {at:.3f} seconds."
                raise InputError(f"{self._file.shown} {what}", "non-finite")
            self._consumed += wave.size
            yield resampler.push(wave)
        yield resampler.finish()

    def _with_relief(self, native: Iterator[Wave]) -> Iterator[Wave]:
        """The decoder's blocks; if it is libsndfile and stops too early, FFmpeg carries on from the same sample."""
        yield from native
        if isinstance(self._source, AvSource) or not self._stopped_early():
            return
        try:
            relief = AvSource(self._file.stream)
        except Undecodable:
            return
        if self._source.broken:
            relief.promised, relief.reliable = self._source.promised, self._source.reliable
        else:  # the header said too little
            relief.reliable = False
        relief.slack = self._source.slack
        self._source.close()
        self._source = relief
        skip = self._consumed
        for wave in relief.blocks():
            if relief.rate != self.source_rate:
                relief.broken = True
                return
            if skip < wave.size:
                yield wave[skip:]
            skip = max(0, skip - wave.size)

    def _stopped_early(self) -> bool:
        """Whether libsndfile left something: it stops at damage, and where the header says that a FLAC ends."""
        promised = self._source.promised if self._source.reliable else None
        if promised is None or self._consumed < round(promised * self.source_rate):
            return self._source.broken
        self._source.broken = False  # what it could not read came after all the sound there was to be
        return self._format == "FLAC" and goes_on(self._file.stream, self._consumed)

    def _conclude(self) -> None:
        """What is known at the end: how much there was, and whether it was all."""
        source = self._source
        self.covered = self._consumed / self.source_rate
        promised, slack = (source.promised if source.reliable else None), source.slack
        if 0.0 < self._share < 1.0:
            promised, slack = round(self._consumed / self._share) / self.source_rate, 0.0
        slack += 0.5 / self.source_rate
        if promised is not None and max(self.covered + source.pause, source.reached) + slack < promised:
            self.duration = promised
            self.warning = shortfall(self._consumed, round(promised * self.source_rate), self.source_rate)
            return
        self.duration = self.covered
        if source.unsearched:
            rest = f"the last {_megabytes(source.unsearched)} were not searched"
            self.warning = f"No sound for long after second {self.covered:.2f} of the file: {rest}."
        elif source.left_out:
            hole = f"{_megabytes(source.left_out)} of the file hold no sound and were left out"
            self.warning = f"Damaged: {hole}; the times after them may be early."
        elif source.skipped or source.broken:
            self.warning = "Damaged in places that were left out; the times after them may be a little early."
        elif source.pause:
            lost = f"{source.pause:.1f} seconds"
            self.warning = f"The recording pauses for {lost} in all; times after a pause are that much early."
        elif not self._has_end:
            self.warning = "The end of the file is missing; how much was lost is unknown."


def shortfall(heard: int, promised: int, rate: int) -> str:
    """The warning for a file that holds fewer samples than it says."""
    if promised > max(1000 * heard, WILD * rate):
        claim = f"{promised / 3600 / rate:,.0f} hours"
        return f"Cut short, or its header is wrong: it claims {claim}, and {heard / rate:.2f} seconds could be read."
    if f"{heard / rate:.2f}" == f"{promised / rate:.2f}":
        return f"Cut short or damaged: {promised - heard:,} of {promised:,} samples could not be read."
    return f"Cut short or damaged: {heard / rate:.2f} of {promised / rate:.2f} seconds could be read."


def _megabytes(size: int) -> str:
    return f"{max(1, round(size / 1e6)):,} MB"


def open_sound(sound: Name | BinaryIO, rate: int = SAMPLE_RATE, block_seconds: float = BLOCK_SECONDS) -> SoundReader:
    """Open a file by its name, or any binary file object, which stays the caller's to close."""
    file = by_name(sound) if isinstance(sound, (str, bytes, os.PathLike)) else by_object(sound)
    try:
        return SoundReader(file, rate, block_seconds)
    except BaseException:
        if file.owned:
            file.stream.close()
        raise


def read_sound(sound: Name | BinaryIO, rate: int = SAMPLE_RATE) -> Wave:
    """The whole sound at once."""
    with open_sound(sound, rate) as reader:
        return np.concatenate([np.zeros(0, np.float32), *reader])
