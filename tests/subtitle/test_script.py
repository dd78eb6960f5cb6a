"""Dialogue that is added to comes out as it went in, whatever it is written in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.subtitle.making import format_of, script_of
from samcli.subtitle.script import Script, SoundCue, decoded

ODD = """1
00:00:01,000 --> 00:00:03,000 X1:40 X2:600 Y1:20 Y2:50
<font color="#ff0000">{\\an8}Stop!</font>  \t
- Who <i>are

you?</i>

2
00:00:02,500 --> 00:00:04,000
Overlapping\u2028line, <b>bold</b> & odd

7
00:01:00,000 --> 00:01:01,250
\u202bهل سمعت ذلك؟\u202c
"""
VTT = """WEBVTT - a film

STYLE
::cue { color: lime }

NOTE nobody reads this

first
00:01.000 --> 00:03.000 align:start position:10%
<v Ann>Did you <c.loud>hear</c> that?

NOTE --> that was Ann

00:00:07.500 --> 00:00:11.500
&lt;no&gt;
"""
ASS = """[Script Info]
; kept
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Talk,Georgia

[Fonts]
fontname: x.ttf
(0!"#

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:05.00,Talk,,0,0,0,template,whatever
Dialogue: 3,0:00:01.00,0:00:03.00,Talk,Ann,0,0,0,,{\\pos(1,2)}Did you, well,\\N{\\i1}hear{\\i0} that?

[Aegisub Extradata]
Data: 1,a,b
"""


def sounds(*places: tuple[int, int, str, int | None]) -> list[SoundCue]:
    return [SoundCue(*place) for place in places]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("format", "text"), [("srt", ODD), ("vtt", VTT), ("ass", ASS)])
def test_without_sounds_every_byte_is_the_same(format: str, text: str, line_end: str) -> None:
    data = text.replace("\n", line_end).encode()
    script = script_of(format, *decoded(data))
    numbered = data.replace(b"7" + line_end.encode() + b"00:01", b"3" + line_end.encode() + b"00:01")
    assert script.to_bytes(script.with_sounds([])) == (numbered if format == "srt" else data)
    assert format_of(text, "") == format


def test_cues_are_read_as_they_are_seen() -> None:
    script = Script.of("srt", ODD)
    assert [(cue.start, cue.end) for cue in script.cues] == [(1000, 3000), (2500, 4000), (60_000, 61_250)]
    assert script.cues[0].lines == ("Stop!", "- Who are", "you?")
    named = Script.of("vtt", VTT)
    assert [(cue.start, cue.lines) for cue in named.cues] == [(1000, ("Did you hear that?",)), (7500, ("&lt;no&gt;",))]
    assert script_of("ass", ASS).cues[0].lines == ("Did you, well,", "hear that?")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_sounds_stand_between_and_beneath(format: str, line_end: str) -> None:
    text = (ODD if format == "srt" else VTT).replace("\n", line_end)
    script = Script.of(format, text.rstrip())
    told = script.with_sounds(sounds((500, 900, "[a]", None), (7500, 11_500, "[b]", 1), (70_000, 71_000, "[c]", None)))
    lines = told.split(line_end)
    kept = [line for line in text.split(line_end) if line and not line.isdecimal()]
    left = iter(lines)
    assert all(any(line == other for other in left) for line in kept), told  # in order, each as it was
    after = Script.of(format, told)
    assert len(after.cues) == len(script.cues) + 2
    assert after.cues[0].lines == ("[a]",) and after.cues[-1].lines == ("[c]",)
    assert after.cues[2].lines == (*script.cues[1].lines, "[b]")
    if format == "srt":
        assert [line for line in lines if line.isdecimal()] == ["1", "2", "3", "4", "5"]


def test_ass_gets_events_in_the_style_of_its_dialogue() -> None:
    script = script_of("ass", ASS)
    told = script.with_sounds(sounds((500, 1234, "[a]\n[b]", None)))
    new = "Dialogue: 0,0:00:00.50,0:00:01.23,Talk,,0,0,0,,[a]\\N[b]\n"
    assert told.replace(new, "") == ASS and new in told


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig", "cp1256", "cp1252"])
def test_other_encodings_keep_their_bytes(encoding: str) -> None:
    words = {"cp1252": "Où ça\xa0?", "cp1256": "هل سمعت ذلك؟"}.get(encoding, "هل سمعت؟ 🐕")
    text = f"1\r\n00:00:01,000 --> 00:00:03,000\r\n{words}\r\n\r\n"
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    data = mark + text.encode(encoding)
    script = script_of("srt", *decoded(data))
    assert script.unicode == (not encoding.startswith("cp"))
    told = script.to_bytes(script.with_sounds(sounds((5000, 6000, "[dog barking]", None))))
    assert told.startswith(data)
    more = "2\r\n00:00:05,000 --> 00:00:06,000\r\n[dog barking]\r\n\r\n"
    assert told[len(data) :] == more.encode("utf-8" if encoding == "utf-8-sig" else encoding)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["srt", "vtt", "ass"]))
def test_any_text_at_all_passes(text: str, format: str) -> None:
    """What holds no cue is no reason to stumble, and stays."""
    script = script_of(format, text)
    told = script.with_sounds(sounds((0, 1000, "[a]", None)))
    assert "[a]" in told and (script.cues or text.rstrip("\r\n") in told)
