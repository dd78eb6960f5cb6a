"""What is said of the parts of a recording, in one short paragraph."""

from __future__ import annotations

import pytest

from samcli.engine.segments import MOST, paragraph
from samcli.text.inflection import clock


def test_in_order_with_times() -> None:
    told = [(0.0, "A dog is barking."), (30.5, "Rain is falling.")]
    assert paragraph(told) == ("0:00 A dog is barking. 0:30 Rain is falling.", 0)


def test_what_is_said_again_is_written_once() -> None:
    told = [(0.0, "Rain."), (10.0, "Rain."), (20.0, "A dog barks."), (3700.0, "Rain."), (3800.0, "A dog barks.")]
    assert paragraph(told) == ("0:00, 1:01:40 Rain. 0:20, 1:03:20 A dog barks.", 0)
    often = [(10.0 * place, ("Rain.", "Wind.")[place % 2]) for place in range(10)]
    assert paragraph(often) == ("0:00, 0:20, 0:40, ... Rain. 0:10, 0:30, 0:50, ... Wind.", 0)


def test_it_stays_short_and_leaves_out_from_everywhere() -> None:
    told = [(10.0 * place, f"Sound {place}.") for place in range(100)]
    text, left_out = paragraph(told)
    places = [int(word.rstrip(".")) for word in text.split() if word.rstrip(".").isdecimal()]
    assert len(places) == MOST and left_out == 90
    assert places == sorted(places) and places[0] == 0 and places[-1] >= 80


def test_what_comes_often_stays() -> None:
    told = [(float(place), f"Sound {place}.") for place in range(60)]
    told[17] = told[44] = (17.0, "Rain.")
    assert "Rain." in paragraph(told)[0]


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3661, "1:01:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
