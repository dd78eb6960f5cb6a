"""Times as people put them."""

from __future__ import annotations

import pytest

from samcli.questions.reader import split
from samcli.questions.times import Span, span_of


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("what is heard at 1:30?", Span(85, 95)),
        ("what happens in the first minute", Span(0, 60)),
        ("what do you hear between 0:20 and 0:40", Span(20, 40)),
        ("from 2:00 to 3:30, what happens?", Span(120, 210)),
        ("at 12 seconds, what's that?", Span(7, 17)),
        ("around 5 minutes in", Span(295, 305)),
        ("during the last ten seconds", Span(-10, None)),
        ("in the first half", Span(0, 0.5, True)),
        ("at the two minute mark", Span(115, 125)),
        ("between minute 3 and minute 4", Span(180, 240)),
        ("a dog after 10 minutes", Span(600, None)),
        ("in the third minute", Span(120, 180)),
        ("at 1:02:03", Span(3718, 3728)),
        ("near the end", Span(0.85, None, True)),
        ("is there a dog?", None),
        ("what comes first", None),
        ("which second sound is that", None),
    ],
)
def test_times_in_words(text: str, span: Span | None) -> None:
    assert span_of(split(text)) == span


def test_a_span_lies_within_the_recording() -> None:
    assert Span(-10, None).within(60) == (50, 60)
    assert Span(0, 0.5, True).within(60) == (0, 30)
    assert Span(600, None).within(60) == (60, 60)
    assert Span(0, 90).within(60) == (0, 60)
