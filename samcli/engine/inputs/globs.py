"""Patterns over relative paths: `*` and `?` stay inside a name, `**` spans folders; without a slash, in any folder.

No pattern and no path make the search long: once the text between two stars is found, an earlier star is never asked
again, because the later one could have taken whatever it would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from samcli.errors import UsageError

PIECES = re.compile(r"(\*+|\?|\[[^]]+\])")

Names = Sequence[re.Pattern[str]]  # one pattern for each of some folders in a row


class Glob:
    """One pattern, for many paths."""

    def __init__(self, pattern: str) -> None:
        names = pattern.removeprefix("./").split("/")
        if len(names) == 1:
            names.insert(0, "**")
        groups: list[list[re.Pattern[str]]] = [[]]  # what lies between `**`
        for name in names:
            if name == "**":
                groups.append([])
            else:
                groups[-1].append(_name(name, pattern))
        self._first, self._others = groups[0], groups[1:]

    def match(self, path: str) -> bool:
        """Whether all of a path fits."""
        names = path.split("/")
        at = len(self._first)
        if not self._others:
            return at == len(names) and _fit(self._first, names)
        if at > len(names) or not _fit(self._first, names[:at]):
            return False
        *middle, last = self._others
        for group in middle:
            while not _fit(group, names[at : at + len(group)]):
                at += 1
                if at + len(group) > len(names):
                    return False
            at += len(group)
        left = len(names) - at
        return left >= max(1, len(last)) and _fit(last, names[len(names) - len(last) :])


def _fit(patterns: Names, names: Sequence[str]) -> bool:
    return len(patterns) == len(names) and all(
        regex.match(name) is not None for regex, name in zip(patterns, names, strict=True)
    )


def _name(text: str, pattern: str) -> re.Pattern[str]:
    """The regular expression of one name."""
    fixed = [""]  # what lies between stars
    for number, piece in enumerate(PIECES.split(text)):
        if number % 2 and piece[0] == "*":
            fixed.append("")
        elif number % 2 and piece[0] == "[":
            fixed[-1] += _set(piece[1:-1], pattern)
        else:
            fixed[-1] += "." if number % 2 else re.escape(piece)
    if len(fixed) == 1:
        return re.compile(fixed[0] + r"\Z", re.DOTALL)
    first, *middle, last = fixed
    # What a lookahead has found is not looked for again.
    held = "".join(f"(?=(?P<g{number}>.*?{part}))(?P=g{number})" for number, part in enumerate(middle) if part)
    return re.compile(f"{first}{held}.*{last}\\Z", re.DOTALL)


def _set(body: str, pattern: str) -> str:
    """`[a-z]` and `[!a-z]`, whatever letters are in it."""
    without = body[0] in "!^"
    members = "".join(_members(body[without:], pattern))
    if not members:
        raise UsageError(f"The pattern {pattern!r} cannot be read.")
    return f"[{'^' if without else ''}{members}]"


def _members(letters: str, pattern: str) -> Iterator[str]:
    at = 0
    while at < len(letters):
        if letters[at + 1 : at + 2] == "-" and at + 2 < len(letters):
            first, last = letters[at], letters[at + 2]
            if first > last:
                raise UsageError(f"The pattern {pattern!r} cannot be read.")
            yield f"{re.escape(first)}-{re.escape(last)}"
            at += 3
        else:
            yield re.escape(letters[at])
            at += 1
