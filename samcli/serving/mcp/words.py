"""What a language model is told about these ears, so that it uses them well."""

from __future__ import annotations

INSTRUCTIONS = """\
These tools hear sound files on this machine: everyday sounds, animals, machines, weather, alarms, music and speech as a
sound. They do not transcribe speech, name speakers, tunes or bird species, and do not see pictures of a film.
Start with `listen`. Scores run from 0 to 1 and are a classifier's estimate: from 0.8 on a sound is very likely, from
0.5 likely, from 0.25 possible, below that doubtful; say so in your answer. A sound that is not listed was not heard,
which does not prove that it was not there: to be told about a particular sound, name it in `listen_for`.
Times are seconds from the start. Events are accurate to about a tenth of a second. The hearing is sometimes wrong:
never rest anyone's safety on it."""
LISTEN = """\
Hear one sound or video file: a caption, the sounds in it with scores, events with start and end, and for every sound in
`listen_for` whether it was heard or not. Names may be AudioSet labels or plain words such as "dog", "siren", "rain"."""
ASK = """\
Answer one question about up to eight sound files: whether a sound is there, when, how often, how long, how loud, which
comes first. The answer rests on the events given as evidence; it is no transcript of speech."""
FIND = """\
Find the recordings in an indexed folder that a sentence fits, best first. Scores order the hits of one search and mean
nothing beside it. The folder must have been indexed before: sam index FOLDER."""
COMPARE = """\
Compare two sound files: which sounds both have, which only one of them, and how alike they sound as a whole (1 is the
same, 0 unrelated; two recordings of one kind of sound are often above 0.8)."""
SPECTROGRAM = """\
A picture (PNG) of up to 60 seconds of a sound: time runs to the right, pitch upwards on a mel scale to 8 kHz,
brighter is louder. To see what cannot be put into words; names of sounds come from `listen`."""


def sureness(score: float) -> str:
    """A score in words."""
    for least, words in ((0.8, "very likely"), (0.5, "likely"), (0.25, "possible")):
        if score >= least:
            return words
    return "doubtful"
