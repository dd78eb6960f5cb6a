"""The sentences that captions are cast in, with how often each is drawn.

{A} is a clause ("a dog barks"), {a} the same as a thing ("a dog barking", "the bark of a dog"), {o} always the doer at
it, {n} always a noun; {B}, {b}, {q} and {m} are these of the second sound. In the sentences about a background, {S} is
what was said so far and {G}, {g} and {h} are the background as clause, thing and noun.
"""

from __future__ import annotations

Templates = tuple[tuple[str, int], ...]

SILENCE = (
    "Silence.", "Nothing is heard.", "Nothing can be heard.", "It is silent.", "There is only silence.",
    "No sound is heard.", "The recording is silent.", "There is no sound at all.", "It stays silent throughout.",
    "Complete silence.", "A silent recording.", "There is nothing to hear.", "Silence the whole time.",
    "No sound can be heard in this recording.",
)  # fmt: skip

ALONE_FINITE = (
    ("{A}", 10), ("you can hear {a}", 1), ("we hear {a}", 1), ("there {is_n} {n}", 2), ("{n} {is_n} heard", 2),
    ("{n} can be heard", 2), ("one can hear {a}", 1), ("the sound of {o}", 2), ("only {n} can be heard", 1),
    ("a recording of {o}", 1), ("somewhere {A}", 1), ("nothing but {n} is heard", 1),
    ("{n} is all that can be heard", 1), ("this is the sound of {o}", 1), ("there is the sound of {o}", 1),
    ("it sounds like {a}", 1), ("{n} can be made out", 1), ("the recording captures {a}", 1),
    ("what is heard is {a}", 1), ("{A} and nothing else is heard", 1), ("{A} with nothing else to be heard", 1),
)  # fmt: skip
ALONE_AMONG = tuple(
    (template, weight)
    for template, weight in ALONE_FINITE
    if not any(word in template for word in ("only", "nothing", "all that"))
)
ALONE_BARE = (("{o}", 6), ("{n}", 5), ("the sound of {o}", 3), ("a recording of {o}", 1))
# A stretch of silence before or after a lone sound is worth telling.
LATE = (
    "after a short silence, {A}", "it is quiet at first, then {A}", "after a pause, {A}",
    "after a moment of silence, {A}", "{A} after a short silence", "it starts quietly, then {A}",
    "silence at first, then {a}", "{A} after a moment of quiet",
)  # fmt: skip
EARLY = (
    "{A}, then it is quiet", "{A}, followed by silence", "{A} and then {stops}", "{A}, then silence",
    "{A}, and then all is quiet", "{A} at the start, then it goes quiet",
    "at the beginning {A}, then nothing more is heard",
)  # fmt: skip

THEN_FINITE = (
    ("{A}, then {B}", 6), ("{A} and then {B}", 5), ("{A} before {B}", 3), ("{A}, followed by {b}", 5),
    ("first {A}, then {B}", 3), ("after {a}, {B}", 2), ("{A}, and after that {B}", 1), ("{A}, after which {B}", 1),
    ("{A}. Then {B}", 1), ("{A} and afterwards {B}", 1), ("{A}. After that, {B}", 1),
    ("{n} {is_n} followed by {m}", 2), ("{A}, and next {B}", 1), ("{A}, and later {B}", 1),
    ("it starts with {a}, then {B}", 1), ("{A} at first, then {B}", 1), ("{A}; then {B}", 1),
    ("{n} and then {m} can be heard", 1), ("to begin with {A}, and then {B}", 1), ("{A}, and a moment later {B}", 1),
    ("{n} first, and then {m}", 1), ("you hear {a}, then {b}", 1), ("{A}, and in the end {B}", 1),
)  # fmt: skip
THEN_BARE = (
    ("{a} followed by {b}", 8), ("{a}, then {b}", 6), ("{a} and then {b}", 5), ("{a} before {b}", 2),
    ("first {a}, then {b}", 2), ("{a}, and afterwards {b}", 1),
    ("the sound of {o} followed by {b}", 1), ("{a}, next {b}", 1),
)  # fmt: skip
WHILE_FINITE = (
    ("{A} while {B}", 6), ("{A} as {B}", 5), ("while {A}, {B}", 3), ("as {A}, {B}", 2),
    ("{A} and {B} at the same time", 2), ("{A} and {B}", 3), ("{A} along with {b}", 1), ("{A}, with {b}", 1),
    ("{n} and {m} are heard together", 1), ("{A} at the same time as {b}", 1), ("{A}, accompanied by {b}", 1),
    ("{A}; at the same time {B}", 1), ("{n} can be heard together with {m}", 1),
)  # fmt: skip
WHILE_BARE = (
    ("{o} while {B}", 4), ("{o} as {B}", 4), ("{a} with {b}", 3), ("{a} and {b}", 4), ("{a} along with {b}", 2),
    ("{a} together with {b}", 1), ("{a} mixed with {b}", 1), ("{a} and {b} at the same time", 1),
)  # fmt: skip
AND_FINITE = (
    ("{A} and {B}", 6), ("{A}, and {B}", 3), ("{n} and {m} are heard", 2), ("there {is_n} {n} and {m}", 2),
    ("{A} along with {b}", 1), ("both {n} and {m} can be heard", 1), ("you can hear {a} and {b}", 1),
)  # fmt: skip
AND_BARE = (("{a} and {b}", 6), ("{n} and {m}", 4), ("the sounds of {o} and {q}", 2), ("{a} with {b}", 1))

BEHIND_FINITE = (
    ("{S} with {g} in the background", 6), ("{S} while {G} in the background", 4),
    ("{S} and {G} in the background", 2), ("{S} over {g}", 2), ("{S}, with {g} behind it", 1),
    ("in the background, {G} while {S}", 1), ("{S} amid {g}", 1), ("with {g} in the background, {S}", 1),
    ("{S} as {G} in the background", 2), ("{S}; in the background, {G}", 1), ("{S} against a background of {h}", 1),
)  # fmt: skip
BEHIND_BARE = (
    ("{S} with {g} in the background", 6), ("{S} over {g}", 2), ("{S} and {g} in the background", 3),
    ("{S} as {G} in the background", 2), ("{S} amid {g}", 1), ("{S} with {g}", 2),
)  # fmt: skip
AMONG = (
    ("{S} while {G}", 4),
    ("{S} as {G}", 3),
    ("{S} over {g}", 2),
    ("{G} while {S}", 3),
    ("{G}, and {S}", 2),
    ("{S} with {g}", 2),
)
AMONG_BARE = (("{S} over {g}", 2), ("{S} with {g}", 3), ("{S} as {G}", 2), ("{S} and {g}", 2), ("{g} with {S}", 1))

IN_PLACE = {
    "small room": ("in a small room", "in a little room", "inside a small room"),
    "large room": ("in a large room", "in a big room", "inside a large room", "in a roomy space"),
    "hall": ("in a large hall", "in an echoing hall", "with an echo", "with a long echo", "in a big echoing space"),
    "tunnel": ("in a tunnel", "in an echoing tunnel", "with a strong echo", "as if in a tunnel"),
}
RECORDED = {
    "muffled": ("The sound is muffled", "It sounds muffled", "The recording is muffled"),
    "thin": ("The sound is thin and tinny", "It sounds tinny", "The recording sounds thin"),
    "noisy": ("The recording is noisy", "The recording is full of hiss", "There is noise in the recording"),
    "distorted": ("The sound is distorted", "It sounds distorted", "The recording is overloaded"),
    "low quality": ("The recording is of low quality", "The recording quality is poor", "It is a poor recording"),
}
AS_RECORDED = {
    "muffled": ("in a muffled recording", "sounding muffled"),
    "thin": ("in a thin and tinny recording", "sounding tinny"),
    "noisy": ("in a noisy recording", "in a recording full of hiss"),
    "distorted": ("in a distorted recording", "sounding distorted"),
    "low quality": ("in a low quality recording", "in a poor recording"),
}
