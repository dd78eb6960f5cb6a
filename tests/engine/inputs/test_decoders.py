"""Processes that decode: the same windows as threads, and a death that costs one file."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from samcli.engine.inputs import decoder as decoders
from samcli.engine.inputs.decode_ahead import DecodeAhead, Failed
from samcli.engine.inputs.decoder import Decoder
from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.inputs.sources import Ended
from samcli.engine.options import RunOptions
from samcli.engine.windows import Cut, Piece
from samcli.errors import InputError, UsageError

pytestmark = pytest.mark.skipif(not decoders.supported(), reason="memory cannot be passed on as an open file here")
HOW = Cut(16_000, 2.0, None, 0.08)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of several kinds and lengths, an empty file, and one that is no sound."""
    place = tmp_path_factory.mktemp("sounds")
    chance = np.random.default_rng(0)
    for name, seconds in (("a.wav", 0.3), ("b.flac", 7.9), ("c.mp3", 3.0), ("d.ogg", 12.0)):
        soundfile.write(place / name, 0.2 * chance.standard_normal((int(seconds * 22_050), 2)), 22_050)
    (place / "e.wav").write_bytes(b"")
    (place / "f.wav").write_bytes(b"no sound at all" * 9)
    soundfile.write(os.fsencode(place) + b"/g\xff.wav", 0.1 * chance.standard_normal(9000), 16_000)
    return place


def events(inputs: list[Input], **how: Any) -> list[list[Any]]:
    """All that is handed on of each input, in its order."""
    found: list[list[Any]] = [[] for _ in inputs]
    with DecodeAhead(inputs, HOW, **how) as ahead:
        while True:
            try:
                event = ahead.get(60.0)
            except EOFError:
                return found
            assert event is not None
            found[event[0].index].append(event[1])


def test_processes_hand_on_what_threads_hand_on(folder: Path) -> None:
    """Bit by bit, whatever the name of a file and whatever is wrong with it."""
    inputs = find_inputs([folder])
    assert len(inputs) == 7
    for here, there in zip(events(inputs, threads=2), events(inputs, decoders=2), strict=True):
        assert len(here) == len(there)
        for mine, other in zip(here, there, strict=True):
            if not isinstance(mine, Piece):
                assert mine == other
                continue
            assert mine._replace(wave=0, levels=0) == other._replace(wave=0, levels=0)
            assert np.array_equal(mine.wave, other.wave) and np.array_equal(mine.levels, other.levels)


def test_a_decoder_that_dies_takes_one_file_with_it(folder: Path) -> None:
    decoder = Decoder(HOW)
    long, short = (Input(str(folder / name), name, None, name) for name in ("d.ogg", "a.wav"))
    try:
        going = decoder.pieces_of(long)
        assert isinstance(next(going), Piece)
        process = decoder._process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        with pytest.raises(InputError, match=r"The decoder died of 'd\.ogg'") as caught:
            list(going)
        assert caught.value.kind == "decoder"
        piece, end = decoder.pieces_of(short)
        assert isinstance(piece, Piece) and isinstance(end, Ended)
        assert decoder._process is not process
    finally:
        decoder.close()


def test_the_run_goes_on_without_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a decoder that a certain file kills, as hostile files have killed some."""
    deadly = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1)); from samcli.engine.inputs import decoder as d; "
        "real = d.pieces_of; "
        "d.pieces_of = lambda item, how: os._exit(11) if 'c.mp3' in item.path else real(item, how); d.main()"
    )
    monkeypatch.setattr(decoders, "START", deadly)
    inputs = find_inputs([folder / name for name in ("a.wav", "c.mp3", "b.flac")])
    first, dead, last = events(inputs, decoders=1)
    assert dead == [Failed("decoder", f"The decoder died of {str(folder / 'c.mp3')!r}.")]
    assert isinstance(first[-1], Ended) and isinstance(last[-1], Ended)


def test_arrays_are_read_here(folder: Path) -> None:
    from samcli.engine.inputs.sources import array_input

    ((piece, end),) = events([array_input(np.ones(16_000, np.float32), 16_000)], decoders=1)
    assert len(piece.wave) == 16_000 and end.duration == 1.0


def test_no_process_outlives_a_run_that_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    begin = Decoder._start

    def start(self: Decoder) -> None:
        begin(self)
        started.append(self._process)

    monkeypatch.setattr(Decoder, "_start", start)
    inputs = find_inputs([folder / "d.ogg"])
    with DecodeAhead(inputs, HOW, decoders=1, room_seconds=2.0) as ahead:
        assert ahead.get(60.0) is not None
    deadline = time.monotonic() + 60
    while started[0].poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "inputs", "cores", "device", "expected"),
    [
        (RunOptions(), 1000, 2, "cpu", 0),  # the model needs them
        (RunOptions(), 1000, 4, "cpu", 0),
        (RunOptions(), 1000, 6, "cpu", 3),
        (RunOptions(), 1000, 16, "cpu", 8),
        (RunOptions(), 1000, 16, "mps", 8),
        (RunOptions(), 100, 16, "cpu", 0),
        (RunOptions(threads=3), 1000, 16, "cpu", 0),
        (RunOptions(), 1000, 16, "cuda", 16),
        (RunOptions(), 1000, 2, "cuda", 2),
        (RunOptions(), 5, 16, "cuda", 0),  # done before a process starts
        (RunOptions(threads=3), 1000, 16, "cuda", 0),  # what was asked for
        (RunOptions(decoders=3), 1, 2, "cpu", 3),
        (RunOptions(decoders=0), 1000, 16, "cuda", 0),
    ],
)
def test_how_many_processes_decode(options: RunOptions, inputs: int, cores: int, device: str, expected: int) -> None:
    assert options.decoder_processes(inputs, cores, device) == expected


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError):
        RunOptions(decoders=-1)
