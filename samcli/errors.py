"""What can go wrong, as sentences for people.

Every error that a person can cause or mend is a `SamError`: one plain sentence, and the exit code the program ends
with when nothing milder applies. The command line renders them in one place; nothing below it prints or exits.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Every way `sam` can end, as a number for scripts."""

    OK = 0  # every input was processed; silence and "no tags" included
    FAILED = 1  # at least one input failed; every other record was written. Also: a check did not pass
    USAGE = 2  # a bad flag, a path that does not exist, nothing to do: no work was done
    MODEL = 3  # the model is unavailable: not there offline, hub error, bad checkpoint, or it lacks the task
    OUTPUT = 4  # the records cannot be written: read-only, full disk
    HUNG_UP = 129  # the terminal closed (128 + SIGHUP); what is finished is on disk
    INTERRUPTED = 130  # Ctrl-C (128 + SIGINT); what is finished is on disk
    CLOSED_PIPE = 141  # whoever read standard output went away (128 + SIGPIPE)
    TERMINATED = 143  # asked to end (128 + SIGTERM); what is finished is on disk


class SamError(Exception):
    """A failure whose message is one sentence a person can act on."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


def reason_of(error: OSError) -> str:
    """What the system says, to stand within a sentence."""
    return (error.strerror or "unknown cause").lower()


class InputError(SamError):
    """One input failed; the others go on. `kind` is a short stable word that machines may match."""

    def __init__(self, message: str, kind: str = "input") -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str]]:
        # Workers in other processes send their errors back by pickle, which would otherwise forget `kind`.
        return type(self), (self.message, self.kind)


class UsageError(SamError):
    """The request itself is wrong: nothing was done."""

    exit_code = ExitCode.USAGE


def check_choice(what: str, given: str, choices: Iterable[str]) -> None:
    """Refuse a name that is none of those that may be chosen."""
    if given not in choices:
        raise UsageError(f"There is no {what} {given!r}: choose {', '.join(choices)}.")


class ModelError(SamError):
    """The model is unavailable, or cannot do what was asked of it."""

    exit_code = ExitCode.MODEL


class DeviceError(ModelError):
    """The device under the model is of no use to this process: on another one the model may well run."""


class OutputError(SamError):
    """The records cannot be written."""

    exit_code = ExitCode.OUTPUT
