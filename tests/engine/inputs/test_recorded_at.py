"""Clock times: from the names that recorders give, and from what a person says."""

from __future__ import annotations

import pytest

from samcli.engine.inputs.recorded_at import Clock, recorded_at, zone_of
from samcli.errors import UsageError

BERLIN = zone_of("Europe/Berlin")

NAMES = {
    "20260512_043000.wav": "2026-05-12T04:30:00+02:00",
    "20260512_043000T.WAV": "2026-05-12T04:30:00+02:00",
    "SM4-FIELD7_20260112_043000.wav": "2026-01-12T04:30:00+01:00",
    "260512_043000.WAV": "2026-05-12T04:30:00+02:00",
    "260512-043000.mp3": "2026-05-12T04:30:00+02:00",
    "2026-05-12 04.30.00.m4a": "2026-05-12T04:30:00+02:00",
    "2026-05-12T04-30-00+0530.flac": "2026-05-12T04:30:00+05:30",
    "20260512_043000Z.wav": "2026-05-12T04:30:00+00:00",
    "5CC8A3B0.WAV": "2019-04-30T19:36:16+00:00",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_recorders(name: str) -> None:
    found = recorded_at(f"some/folder/{name}", BERLIN)
    assert found is not None and found.isoformat() == NAMES[name]


@pytest.mark.parametrize(
    "name",
    ["dog.wav", "ZOOM0001.WAV", "20261312_043000.wav", "20260230_043000.wav", "20260512_253000.wav", "12345678.wav",
     "99999999999999.wav", "song-1234567890123.mp3", "DEADBEEF.wav", "2026-05-12/take 3.wav"],
)  # fmt: skip
def test_names_that_say_nothing(name: str) -> None:
    assert recorded_at(name, BERLIN) is None


def test_a_person_knows_better() -> None:
    clock = Clock.of("2026-05-12T04:30:00", "+02:00")
    assert clock.at("20200101_000000.wav", 61.5) == "2026-05-12T04:31:01.500+02:00"
    assert Clock().at("dog.wav", 1.0) is None and clock.at("dog.wav", None) is None


@pytest.mark.parametrize("said", [("half past four", None), (None, "Middle-earth"), (None, "+99:00")])
def test_what_is_no_time(said: tuple[str | None, str | None]) -> None:
    with pytest.raises(UsageError):
        Clock.of(*said)


def test_records_carry_it(here, make_wav, tmp_path):
    import json

    make_wav(tmp_path / "20260512_043000.wav", seconds=3)
    options = ("--model", "tiny-random", "-f", "jsonl", "--segment", "1", "--time-zone", "+02:00")
    done = here("tag", "20260512_043000.wav", *options)
    clocks = [json.loads(line)["clock"] for line in done.stdout.splitlines()]
    assert clocks == [f"2026-05-12T04:30:0{second}+02:00" for second in range(3)]
    assert here("tag", ".", *options, "--start-time", "soon").returncode == 2
