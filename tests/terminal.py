"""The program on a terminal, as a person has it in front of them."""

from __future__ import annotations

import os
import pty
import select
from typing import Any


def on_a_terminal(sam: Any, *arguments: str | bytes, **variables: str) -> tuple[int, str]:
    """The exit code, and all that a terminal was sent when it is every stream of the program; nothing but UTF-8."""
    master, slave = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "100"} | variables
    running = sam.start(*arguments, stdout=slave, stderr=slave, stdin=slave, environment=environment)
    os.close(slave)
    seen = b""
    while True:
        ready, _, _ = select.select([master], [], [], 250)
        assert ready, "the program says nothing"
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    return running.wait(60), seen.decode()
