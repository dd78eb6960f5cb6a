"""The command line: one file per command, one Output that owns the streams."""

from __future__ import annotations


def main() -> int:
    """Run `sam` on this process's arguments and streams; the exit code."""
    from samcli.cli import signals
    from samcli.cli.app import run
    from samcli.engine.allocator import keep_freed_memory

    keep_freed_memory()
    try:
        code = run()
    finally:
        signals.release()
    if signals.received is not None:
        signals.leave(code)
    return code
