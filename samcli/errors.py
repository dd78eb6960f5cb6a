"""What can go wrong, as sentences for people.

Every error that a person can cause or mend is a `SamError`: one plain sentence, and the exit code the program ends
with when nothing milder applies. The command line renders them in one place; nothing below it prints or exits.
"""

from __future__ import annotations


class SamError(Exception):
    """A failure whose message is one sentence a person can act on."""

    exit_code: int = 1

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

    exit_code = 1

    def __init__(self, message: str, kind: str = "input") -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str]]:
        # Workers in other processes send their errors back by pickle, which would otherwise forget `kind`.
        return type(self), (self.message, self.kind)


class UsageError(SamError):
    """The request itself is wrong: nothing was done."""

    exit_code = 2


class ModelError(SamError):
    """The model is unavailable, or cannot do what was asked of it."""

    exit_code = 3


class DeviceError(ModelError):
    """The device under the model is of no use to this process: on another one the model may well run."""


class OutputError(SamError):
    """The records cannot be written."""

    exit_code = 4
