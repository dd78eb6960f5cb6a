"""One run spread over machines that share nothing: every machine takes the inputs whose path hashes to its number.

The share of an input depends on its path as given and on the number of shards, on nothing else, so an array of jobs
or a row of cron entries needs no coordinator. `merge` puts the parts together and refuses when one is missing, given
twice, or made by other settings. It knows from the mark that a sharded run leaves beside its output; where marks are
gone, the paths in the records tell nearly as much.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from samcli.engine.inputs.find import Input
from samcli.errors import UsageError, reason_of
from samcli.records import TASKS, Record
from samcli.writers.disk import own_file
from samcli.writers.files import write_whole

MARK_SUFFIX = ".shard"
MARK_BYTES = 10_000  # more than any mark of ours has
MOST_SHARDS = 1024  # that are tried when the marks are gone
LARGEST_DIVISION = 1_000_000  # a mark that says more is damaged
MOST_NAMED = 20  # missing shards in one sentence
CHANCE = 1e-5


@dataclass(frozen=True)
class Shard:
    """Share `index` of `count`, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `I/N` with I from 1 to N."""
        index, slash, count = text.partition("/")
        if not slash or not (index.isdecimal() and count.isdecimal()):
            raise UsageError(f"--shard is written I/N, such as 2/8, not {text!r}.")
        if not 1 <= int(index) <= int(count):
            raise UsageError(f"--shard counts from 1: {text!r} is outside 1/{count} to {count}/{count}.")
        return cls(int(index), int(count))

    def select(self, inputs: Iterable[Input]) -> list[Input]:
        """The inputs of this share, in their order. It may be empty: with few files some shares are."""
        return [item for item in inputs if shard_of(item.display, self.count) == self.index]


def shard_of(path: str, count: int) -> int:
    """Which of `count` shards, from 1, a path belongs to: the same on every machine and in every version."""
    return _number(path) % count + 1


def _number(path: str) -> int:
    digest = hashlib.sha256(os.fsencode(os.path.normpath(path).replace(os.sep, "/"))).digest()
    return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True)
class Mark:
    """What a sharded run says about its output."""

    shard: int
    of: int
    inputs: int  # how many inputs this share had; each has at least one record
    settings: str  # the journal's fingerprint


def write_mark(output: str | os.PathLike[str], mark: Mark) -> None:
    """Leave the mark beside a finished output, at once or not at all."""
    write_whole(_mark_path(output), json.dumps(asdict(mark)).encode(), own=1)


def read_mark(part: str | os.PathLike[str]) -> Mark | None:
    try:
        with own_file(_mark_path(part).resolve()) as file:  # both may be links to where the shard was made
            mark = Mark(**json.loads(file.read(MARK_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        raise UsageError(f"The mark {str(_mark_path(part))!r} cannot be read.") from None
    numbers = (mark.shard, mark.of, mark.inputs)
    if not all(type(number) is int for number in numbers) or not 1 <= mark.shard <= mark.of <= LARGEST_DIVISION:
        raise UsageError(f"The mark {str(_mark_path(part))!r} cannot be read.")
    return mark


def _mark_path(output: str | os.PathLike[str]) -> Path:
    return Path(os.fspath(output) + MARK_SUFFIX)


@dataclass
class _Part:
    """One JSON Lines file, indexed: what is sorted stays on disk."""

    name: str
    mark: Mark | None
    lines: list[tuple[tuple[bytes, ...], int]]  # (path in the order of a folder walk, offset)
    paths: set[str]
    models: set[tuple[str | None, str | None]]
    tasks: set[str]


def merge(parts: Sequence[str | os.PathLike[str]]) -> Iterator[Record]:
    """The records of all parts, in the order of a folder walk. Checks everything before the first record."""
    if not parts:
        raise UsageError("Name the parts to merge.")
    opened = [_index(os.fspath(part)) for part in parts]
    _check(opened)
    lines = sorted((line, part.name) for part in opened for line in part.lines)

    def records() -> Iterator[Record]:
        with ExitStack() as stack:
            files = {part.name: stack.enter_context(Path(part.name).open("rb")) for part in opened}
            for (_, offset), name in lines:
                files[name].seek(offset)
                yield Record.from_dict(json.loads(files[name].readline()))

    return records()


def walk_order(path: str) -> tuple[bytes, ...]:
    """A key that sorts paths as `find_inputs` meets them: name by name, not letter by letter across slashes."""
    return tuple(os.fsencode(path).split(b"/"))


def _index(name: str) -> _Part:
    part = _Part(name, read_mark(name), [], set(), set(), set())
    offset = 0
    try:
        with Path(name).open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = Record.from_dict(json.loads(line))
                    place = walk_order(record.path)
                except (ValueError, RecursionError) as error:
                    message = f"Line {number} of {name!r} is not a record: merge reads JSON Lines ({error})."
                    raise UsageError(message) from None
                if record.task not in TASKS:
                    raise UsageError(f"Line {number} of {name!r} is of the task {record.task!r}, unknown here.")
                part.tasks.add(record.task)
                part.lines.append((place, offset))
                part.paths.add(record.path)
                if record.error is None:
                    part.models.add((record.model, record.revision))
                offset += len(line)
    except OSError as error:
        raise UsageError(f"The part {name!r} cannot be read: {reason_of(error)}.") from None
    return part


def _check(parts: Sequence[_Part]) -> None:
    """Raise when the parts do not make up one whole run."""
    if len({os.path.realpath(part.name) for part in parts}) < len(parts):
        raise UsageError("A part is given twice.")
    seen: dict[str, str] = {}
    for part in parts:
        for path in part.paths:
            if path in seen:
                raise UsageError(f"{path!r} is in {seen[path]!r} and in {part.name!r}: a shard is doubled.")
            seen[path] = part.name
    models = set().union(*(part.models for part in parts))
    settings = {part.mark.settings for part in parts if part.mark}
    if len(models) > 1 or len(settings) > 1 or len(set().union(*(part.tasks for part in parts))) > 1:
        raise UsageError("The parts were made by different models or settings; run them again with the same ones.")
    marks = {part.name: part.mark for part in parts if part.mark}
    if marks:
        counts = {mark.of for mark in marks.values()}
        if len(counts) > 1:
            raise UsageError(f"The parts come from different divisions: {sorted(counts)} shards.")
        for part in parts:
            if part.mark and len(part.paths) != part.mark.inputs:
                share = f"{len(part.paths)} of its {part.mark.inputs} inputs"
                raise UsageError(f"{part.name!r} holds {share}; finish it first.")
        _complete(parts, counts.pop())
    else:
        _complete(parts, _guess(parts))


def _complete(parts: Sequence[_Part], count: int) -> None:
    found: dict[int, str] = {}
    for part in parts:
        shards = {shard_of(path, count) for path in part.paths}
        if part.mark:
            shards.add(part.mark.shard)
        if len(shards) > 1:
            raise UsageError(f"{part.name!r} mixes shards {sorted(shards)} of {count}.")
        for shard in shards:
            if shard in found:
                raise UsageError(f"Shard {shard}/{count} is doubled: {found[shard]!r} and {part.name!r}.")
            found[shard] = part.name
    unknown = sum(not part.paths and not part.mark for part in parts)  # empty shares whose mark is gone
    missing = sorted(set(range(1, count + 1)) - set(found))
    if len(missing) > unknown:
        named = ", ".join(f"{shard}/{count}" for shard in missing[:MOST_NAMED])
        named += f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise UsageError(f"Missing: shard {named}.")


def _guess(parts: Sequence[_Part]) -> int:
    """The division in which every part is one shard of its own, when no mark tells.

    Two shards of four also look like two of two; a finer division is believed when so many paths would hardly fall into
    it by chance.
    """
    numbers = [[_number(path) for path in part.paths] for part in parts if part.paths]
    best, spare = 0, sum(len(part) - 1 for part in numbers)
    for count in range(len(parts), MOST_SHARDS + 1):
        # Nearly always the first two paths already differ, so that all counts together cost little more than one.
        pure = all(number % count == part[0] % count for part in numbers for number in part)
        distinct = len({part[0] % count for part in numbers}) == len(numbers)
        if pure and distinct and (not best or (best / count) ** spare < CHANCE):
            best = count
    if not best:
        raise UsageError("These files are not the shards of one run.")
    return best
