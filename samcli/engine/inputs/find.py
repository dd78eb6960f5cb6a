"""From what a person typed to the list of inputs, before any model is loaded.

Promises: a folder is walked in sorted order, hidden names are skipped, and no loop of links can trap the walk. The same
file reached twice is heard once, at its first place. A path named outright that does not exist, and a folder without
sound, end the run before it starts; a file that a *list* names and that is missing becomes an error record later, for a
list of a million lines must not be lost to one of them. Names are never split on blanks and need not be UTF-8.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from samcli.errors import UsageError, reason_of

if TYPE_CHECKING:
    from samcli.audio.pcm import RawSound

SETS = re.compile(r"\[(?=[^]])([!^]?)([^]]*)\]")  # `[a-z]`, `[!a-z]` or `[^a-z]`
RANGES = re.compile(r"(.)-(.)", re.DOTALL)

Names = Sequence[re.Pattern[str]]  # one pattern for each of some folders in a row


class Glob:
    """One pattern of relative paths: `*` and `?` stay inside a name, `**` spans folders; without a slash, in any."""

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
    """The regular expression of one name; the library's takes no longer than the name is long, whatever the stars."""
    for without, letters in SETS.findall(text):
        if not letters or any(first > last for first, last in RANGES.findall(letters)):
            raise UsageError(f"The pattern {pattern!r} cannot be read.")
        text = text.replace(f"[{without}{letters}]", f"[{'!' if without else ''}{letters}]")
    return re.compile(fnmatch.translate(text))


# Names stay as they were typed: a Path would tidy "./a" into "a", and cost seconds over a million of them.
# ruff: noqa: PTH100, PTH109, PTH112, PTH117, PTH118, PTH122, PTH123, PTH206


# What counts as sound when a folder is walked; a file named outright may be called anything.
_SUFFIXES = """
    wav wave w64 rf64 bwf flac mp3 mp2 ogg oga opus spx m4a m4b aac alac aif aiff aifc caf au snd wma amr ac3 eac3 dts
    mka ape wv tta mp4 m4v mov mkv webm avi 3gp mpg mpeg ts flv wmv ogv
"""
SOUND_SUFFIXES = frozenset("." + suffix for suffix in _SUFFIXES.split())
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One recording to hear."""

    path: str  # what to open; "-" with a `source` for sound that is not a file
    display: str  # as the person gave it: the `path` of its records
    root: str | None  # the folder that was named, when the file was found inside one
    relative: str  # where a file of results for this input belongs below an output folder; unique in a run
    source: Any = None  # an open binary stream, or (array, rate); None: open `path`
    problem: tuple[str, str] | None = None  # (kind, sentence): known to fail before it is opened
    flows: bool = False  # to be told of while it still comes, or is still being heard
    raw: RawSound | None = None  # bare samples, and of which kind


def find_inputs(
    paths: Sequence[str | os.PathLike[str] | bytes] = (),
    *,
    recursive: bool = True,
    glob: str | Sequence[str] = (),
    files_from: str | os.PathLike[str] | None = None,
    files0_from: str | os.PathLike[str] | None = None,
    stdin: BinaryIO | None = None,
) -> list[Input]:
    """Every input the arguments name, in their order, each once. Raises UsageError before any work is done."""
    patterns = [Glob(pattern) for pattern in ([glob] if isinstance(glob, str) else glob)]
    lists = [name for name in (files_from, files0_from) if name is not None]
    if sum(os.fsdecode(name) == STDIN for name in [*paths, *lists]) > 1:
        raise UsageError("Standard input can be read once: give '-' in one place only.")
    named = [os.fsdecode(path) for path in paths]
    missing = [path for path in named if path != STDIN and not os.path.lexists(path)]
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise UsageError(f"There is no file or folder named {missing[0]!r}{others}.")
    inputs: list[Input] = []
    for path in named:
        if path == STDIN:
            inputs.append(Input(STDIN, STDIN, None, "stdin", source=_stream(stdin)))
        elif os.path.isdir(path):
            inside = list(_folder(path, recursive, patterns))
            if not inside:
                wanted = "matches the pattern" if patterns else "is a known kind of sound"
                raise UsageError(f"Nothing in the folder {path!r} {wanted}.")
            inputs.extend(inside)
        else:
            inputs.append(Input(path, path, None, path))
    if files_from is not None:
        inputs.extend(_listed(_lines(_read(files_from, stdin))))
    if files0_from is not None:
        inputs.extend(_listed(_read(files0_from, stdin).split(b"\0")))
    if not inputs:
        raise UsageError("There is nothing to hear: name files or folders, or give a list that is not empty.")
    return _mirrored(_once(inputs))


def find_inside(folder: str, *, recursive: bool = True, glob: Sequence[str] = ()) -> Iterator[Input]:
    """The sound inside one folder, if there is any."""
    return _folder(folder, recursive, [Glob(pattern) for pattern in glob])


def _folder(root: str, recursive: bool, patterns: Sequence[Glob]) -> Iterator[Input]:
    """The sound inside `root`, in sorted order."""
    top = os.path.realpath(root)
    walked = {top}
    # Folders under way, each with what is left of it: they may lie deeper than Python lets functions call themselves.
    stack: list[tuple[str, str, Iterator[os.DirEntry[str]]]] = []

    def enter(folder: str, prefix: str, real: str) -> Iterator[Input]:
        try:
            with os.scandir(folder) as entries:
                found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_sort_key)
            stack.append((prefix, real, iter(found)))
        except OSError as error:
            kind = "permission" if error.errno in (errno.EACCES, errno.EPERM) else "unreadable"
            sentence = f"The folder {folder!r} cannot be listed: {reason_of(error)}."
            yield Input(folder, folder, root, prefix.rstrip("/") or "folder", problem=(kind, sentence))

    yield from enter(root, "", top)
    while stack:
        prefix, above, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            continue
        relative = prefix + entry.name
        if _is_folder(entry):
            real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above, entry.name)
            if recursive and _enter(entry, real, top, walked):
                yield from enter(entry.path, relative + "/", real)
        elif any(pattern.match(relative) for pattern in patterns) or (not patterns and _sounds(entry.name)):
            yield Input(entry.path, entry.path, root, relative)


def _enter(entry: os.DirEntry[str], real: str, top: str, walked: set[str]) -> bool:
    """Whether to walk into this folder. A link that points into the walked tree is skipped (its folder is met under its
    own name, and a loop always points there); one that points outside is followed, once."""
    inside = os.path.commonpath([real, top]) == top
    if real in walked or (entry.is_symlink() and (inside or os.path.commonpath([real, top]) == real)):
        return False
    walked.add(real)
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself
        return False


def _sort_key(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _sounds(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SOUND_SUFFIXES


def _stream(stdin: BinaryIO | None) -> BinaryIO:
    if stdin is None:
        raise UsageError("Standard input is not open: name a file instead of '-'.")
    return stdin


def _read(name: str | os.PathLike[str], stdin: BinaryIO | None) -> bytes:
    if os.fsdecode(name) == STDIN:
        return _stream(stdin).read()
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"The list {os.fsdecode(name)!r} cannot be read: {reason}.") from None


def _lines(text: bytes) -> Iterator[bytes]:
    """The lines of a list, with or without the marks of a Windows editor."""
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        yield line.removesuffix(b"\r")


def _listed(names: Iterable[bytes]) -> Iterator[Input]:
    for name in names:
        if name:
            path = os.fsdecode(name)
            yield Input(path, path, None, path)


def _once(inputs: Iterable[Input]) -> Iterator[Input]:
    """Each file at its first place only. Two names of one file (links) stay two inputs."""
    seen: set[str] = set()
    here = os.getcwd()
    for item in inputs:
        key = STDIN if item.source is not None else os.path.normpath(os.path.join(here, item.path))
        if key not in seen:
            seen.add(key)
            yield item


def _mirrored(inputs: Iterable[Input]) -> list[Input]:
    """Give every input a place of its own below an output folder.

    A single folder is mirrored from its inside; with several arguments each keeps the path it was given by, and a path
    that climbs out of the working folder, or would fall on another's place, is spelled out from the top of the disk.
    """
    items = list(inputs)
    single = len({item.root for item in items}) == 1 and items[0].root is not None
    taken: set[str] = set()
    for index, item in enumerate(items):
        place = item.relative if single or item.source is not None else os.path.normpath(item.path)
        if os.path.isabs(place) or place.split(os.sep)[0] == os.pardir or place in taken:
            place = os.path.splitdrive(os.path.abspath(item.path))[1].lstrip(os.sep) or "stdin"
        while place in taken:
            place = "_" + place
        taken.add(place)
        if place != item.relative:
            items[index] = replace(item, relative=place)
    return items
