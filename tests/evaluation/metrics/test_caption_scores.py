"""Captions are cut as the field's tokenizer cuts them: by hand, and by the Java program itself where it is."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from samcli.evaluation.metrics.caption_scores import caption_words
from samcli.text.labels import labels, phrase

# What the reference puts out as marks, which the COCO evaluation leaves out.
TARGETS = {"''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
SENTENCES = [
    "A dog barks, then it rains.",
    "It's a dog's bark; they can't hear it",
    "high-pitched beeping - a whirring",
    "A man says \"hello\" and 'bye'",
    "I'm, we'll, they've, he'd, you're don't won't cannot gonna",
    "a 12-year-old at 3.5 mph (loud) [soft]",
    "U.S. army and Mr. Smith vs. St. John",
    "rock & roll and/or metal",
    "50% off $5 #1 @home",
    "tick... tock -- bang",
    "the dogs' barks and 'tis",
    "ooh-aah e.g. birds, i.e. crows",
    "café noise naïve",
    "A 1980's song in the 90s",
    "it costs 1,000 dollars 10:30 am",
    "o'clock rock'n'roll y'all",
    "ping—pong – dash",
    "hello?! what",
    "it is p.m. now",
    "yes:no",
    "a_b c*d e+f =g",
    "“curly” ‘quote’ it’s",
    "gimme lemme wanna",
    "etc. and more",
    "10th 2nd 1/2 cup 10,5",
    "hmm...ok",
    "T-shirt wi-fi a/c unit",
    "",
]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A dog barks, then it rains.", "a dog barks then it rains"),
        ("It's a dog's bark; they can't stop", "it 's a dog 's bark they ca n't stop"),
        ("high-pitched beeping - at 3.5 kHz", "high-pitched beeping at 3.5 khz"),
        ("(faint) music...", "-lrb- faint -rrb- music"),
        ("I cannot hear U.S. radio!", "i can not hear u.s. radio"),
        ("", ""),
    ],
)
def test_by_hand(sentence: str, words: str) -> None:
    assert caption_words(sentence) == tuple(words.split())


def test_as_the_penn_treebank_tokenizer() -> None:
    spec = find_spec("pycocoevalcap")
    if spec is None or shutil.which("java") is None:
        pytest.skip("needs pycocoevalcap and Java")
    jar = Path(next(iter(spec.submodule_search_locations or ())), "tokenizer", "stanford-corenlp-3.4.1.jar")
    sentences = [*SENTENCES, *labels(), *map(phrase, labels())]
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    done = subprocess.run(command, input="\n".join(sentences).encode(), capture_output=True, check=True)
    rows = done.stdout.decode().split("\n")[: len(sentences)]
    for sentence, row in zip(sentences, rows, strict=True):
        assert list(caption_words(sentence)) == [word for word in row.split() if word not in TARGETS], sentence
