"""Real containers: several tracks, two languages, styles; the bundled model hears a dog and a storm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from samcli.errors import UsageError
from samcli.subtitle.film import dialogue_of, look, text_track

FILMS = Path(__file__).resolve().parents[1] / "fixtures" / "films"
MKV, MP4 = FILMS / "scene.mkv", FILMS / "scene.mp4"
SRT = """1
00:00:00,500 --> 00:00:02,000
Did you <i>hear</i> that?

2
00:00:07,500 --> 00:00:11,500
{arabic}

"""
ARABIC = SRT.replace("{arabic}", "إنها مجرد عاصفة.").encode()


def test_a_file_of_dialogue_gets_its_sounds(here, tmp_path):
    (tmp_path / "dialogue.srt").write_bytes(ARABIC)
    done = here("subtitle", MKV, "--with-transcript", "dialogue.srt", "-o", "film.srt")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "film.srt").read_bytes()
    assert b"[dog barking]" in made and "عاصفة.\n[thunder rumbling]\n".encode() in made
    assert (tmp_path / "dialogue.srt").read_bytes() == ARABIC
    checked = here("subtitle", "film.srt", "--check")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("film", [MKV, MP4])
def test_embedded_text_is_what_the_film_holds(film, tmp_path):
    facts = look(str(film))
    assert [track.language for track in facts.texts][:2] == ["eng", "ara"]
    script = dialogue_of(facts, text_track(facts, "ar"))
    assert script.cues[0].lines == ("هل سمعت ذلك؟",) and script.cues == dialogue_of(facts, text_track(facts, "2")).cues
    if shutil.which("ffmpeg"):
        out = tmp_path / "out.srt"
        subprocess.run(["ffmpeg", "-v", "error", "-i", film, "-map", "0:s:1", out], check=True)
        assert "".join(script.lines).rstrip() == out.read_text().rstrip()


def test_styles_and_another_language(here):
    done = here("subtitle", MKV, "--track", "de", "-f", "ass")
    text = done.stdout.decode()
    assert "Style: Talk,Georgia" in text and r"{\pos(160,90)\c&H00FF00&}Did you, well,\N{\i1}hear{\i0} that?" in text
    assert ",Talk,,0,0,0,,[dog barking]" in text
    french = here("subtitle", MKV, "--track", "fr").stdout.decode()
    assert "bell" in french and "dog" not in french  # the French sound is another


def test_the_film_alone_and_other_formats(here, tmp_path):
    alone = here("subtitle", MP4, "--track", "none", "--guide", "bbc", "-f", "vtt").stdout.decode()
    assert alone.startswith("WEBVTT\n\n") and "DOG BARKS" in alone and "hear" not in alone
    (tmp_path / "dialogue.srt").write_bytes(ARABIC)
    styled = here("subtitle", MP4, "--with", "dialogue.srt", "--without", "Thunder,Thunderstorm", "-f", "ass")
    text = styled.stdout.decode()
    assert r"{\i1}hear{\i0}" in text and "[dog barking]" in text and "thunder" not in text


def test_what_cannot_be_is_a_sentence(here, tmp_path):
    (tmp_path / "dialogue.srt").write_bytes(ARABIC)
    over = here("subtitle", MKV, "--with", "dialogue.srt", "-o", "dialogue.srt")
    assert over.returncode == 2 and (tmp_path / "dialogue.srt").read_bytes() == ARABIC
    assert here("subtitle", MKV, "-o", "film.xyz").returncode == 2
    assert here("subtitle", "missing.mkv").returncode == 2
    (tmp_path / "text.mkv").write_text("no film")
    assert b"no film or sound" in here("subtitle", "text.mkv").stderr
    with pytest.raises(UsageError, match="no text track 'jpn'; there are: 1"):
        text_track(look(str(MKV)), "jpn")


def test_the_check_tells_breaches_and_fails(here, tmp_path):
    (tmp_path / "bad.srt").write_text("1\n00:00:01,000 --> 00:00:01,100\nMuch too quick for anyone to read it all.\n")
    done = here("subtitle", "bad.srt", "--check")
    assert done.returncode == 1
    rules = [line.split("\t")[2] for line in done.stdout.decode().splitlines()[1:]]
    assert rules == ["short", "speed"]
