"""Word lists of what is refused, and sentences in other languages: shuffled from common words of each."""

from __future__ import annotations

from random import Random

from samcli.training.question_reader.lists import sections, word_list


def slots() -> frozenset[str]:
    """The slots that are filled with words of a list."""
    return frozenset(sections("other_words.txt"))


def foreign(rng: Random) -> str:
    """Words of one other language in any order, or letters of another script."""
    if rng.random() < 0.18:
        letters = rng.choice(word_list("scripts"))
        size = rng.randint(4, 14)
        at = rng.randrange(max(1, len(letters) - size))
        text = letters[at : at + size] if rng.random() < 0.5 else "".join(rng.choices(letters, k=size))
        return text + rng.choice(["", "?", "？"])
    languages = [heading for heading in sections("other_words.txt") if heading.startswith("language ")]
    words = " ".join(word_list(rng.choice(languages))).split()
    size = rng.randint(2, 8)
    at = rng.randrange(max(1, len(words) - size))
    chosen = words[at : at + size] if rng.random() < 0.5 else rng.sample(words, min(size, len(words)))
    return " ".join(chosen) + rng.choice(["", "?", " ?", "."])


def gibberish(rng: Random) -> str:
    """Something that is no word."""
    if rng.random() < 0.4:
        row = rng.choice(("asdfghjkl", "qwertyuiop", "zxcvbnm", "jklöä", "dfghjk"))
        return "".join(rng.choices(row, k=rng.randint(3, 8)))
    heads = "bl br cl dr fl fn gl gr kr pl qu sk sn spl thw tw v w x z zw b d f g".split()  # noqa: SIM905
    middles = "a e i o u oo ee a o i ubb imm agg ibb orb ux".split()  # noqa: SIM905
    tails = "p rp rd ble x zz g mp nk st b dge bble ft lg ngle zle".split()  # noqa: SIM905
    return "".join(rng.choice(part) for part in (heads, middles, tails)) + rng.choice(["", "", "le", "ify", "ed"])
