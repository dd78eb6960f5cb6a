"""What can be meant by a question."""

from __future__ import annotations

INTENTS = (
    "present", "absent", "both", "choice", "which", "list", "describe", "first", "last", "when", "until", "times",
    "count", "often", "long", "share", "longest", "main", "rare", "loudest", "loudest_at", "quietest_at", "loud",
    "before", "after", "order", "continuous", "more", "louder", "absent_of", "at", "kind", "kinds", "silent", "length",
    "else", "only", "sure", "together", "place", "help", "refuse", "foreign",
)  # fmt: skip

# Intents that ask about named sounds and mean nothing without one.
NEEDS_SOUND = frozenset(
    [
        "present",
        "absent",
        "both",
        "choice",
        "when",
        "until",
        "times",
        "count",
        "often",
        "long",
        "share",
        "loud",
        "before",
        "after",
        "order",
        "continuous",
        "more",
        "louder",
        "absent_of",
        "kind",
        "else",
        "only",
        "sure",
        "together",
    ]
)
# Intents that ask about several sounds at once; the others about one, in however many words.
SEVERAL = frozenset(["both", "choice", "order", "more", "louder", "absent_of", "together", "else", "present", "only"])
# What a word is to the question: nothing, a sound asked for, the sound it is put in relation to, a time.
ROLES = ("O", "B-asked", "I-asked", "B-other", "I-other", "I-time")
