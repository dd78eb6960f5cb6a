"""Every way `sam` can end, as a number for scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0  # every input was processed; silence and "no tags" included
    FAILED = 1  # at least one input failed; every other record was written. Also: a check did not pass
    USAGE = 2  # a bad flag, a path that does not exist, nothing to do: no work was done
    MODEL = 3  # the model cannot be had: not there offline, hub error, bad checkpoint, or it lacks the task
    OUTPUT = 4  # the records cannot be written: read-only, full disk
    HUNG_UP = 129  # the terminal closed (128 + SIGHUP); what is finished is on disk
    INTERRUPTED = 130  # Ctrl-C (128 + SIGINT); what is finished is on disk
    CLOSED_PIPE = 141  # whoever read standard output went away (128 + SIGPIPE)
    TERMINATED = 143  # asked to end (128 + SIGTERM); what is finished is on disk
