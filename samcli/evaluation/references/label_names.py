"""Labels of a data set under the names a tagger has for them: "sea_waves" is AudioSet's "Ocean" or "Waves, surf".

A label the tagger has under its own name means that. Any other is read as a text about sounds, as queries and captions
are: the tables of `samcli.text.labels` say which labels it may stand for. A few names that mislead that reading are
written out here.
"""

from __future__ import annotations

from collections.abc import Sequence

from samcli.evaluation.metrics.text_scores import words
from samcli.text.labels import mentions

WRITTEN_OUT: dict[str, tuple[str, ...]] = {
    "can opening": (),  # AudioSet has no such label
    "clock alarm": ("Alarm clock",),
    "crow": ("Crow", "Caw"),
    "door wood creaks": ("Creak", "Squeak"),
    "door wood knock": ("Knock",),
    "drinking sipping": (),
    "engine": ("Engine",),
    "pouring water": ("Pour",),
}


def plain(label: str) -> str:
    return " ".join(words(label.replace("_", " ")))


def groups_of(labels: Sequence[str], known: Sequence[str]) -> list[list[list[str]]]:
    """For each label the sounds it names, each by all the known names that may stand for it; none where none does."""
    by_plain: dict[str, list[str]] = {}
    for name in known:
        by_plain.setdefault(plain(name), []).append(name)
    found = []
    for label in labels:
        own = plain(label)
        if own in by_plain and own not in WRITTEN_OUT:
            found.append([by_plain[own]])
            continue
        if own in WRITTEN_OUT:
            sounds = [set(WRITTEN_OUT[own]) | {label}]
        else:
            sounds = [set(mention.labels) for mention in mentions(label.replace("_", " "))]
        wanted = [{plain(name) for name in sound} for sound in sounds]
        groups = [[name for key, names in by_plain.items() if key in sound for name in names] for sound in wanted]
        found.append([group for group in groups if group])
    return found
