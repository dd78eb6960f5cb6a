"""What the C library does with memory that a batch has freed.

glibc hands large blocks back to the system at once, and every batch faults hundreds of megabytes in anew: a twentieth
of the time. A process that does nothing but hear may keep them, since the next batch wants as much. One heap serves all
threads, so that what one core has freed is there for the other: they ask for few and large blocks, and seldom meet.
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # names of mallopt(3)
HEAPS = 1
KEPT = 512 << 20  # bytes free at the end of the heap until they are handed back
LARGEST = 32 << 20  # of a block that comes from the heap; the most that glibc takes


def keep_freed_memory() -> None:
    """For the rest of this process; without effect where the C library is another."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(ARENA_MAX, HEAPS)
            mallopt(TRIM_THRESHOLD, KEPT)
            mallopt(MMAP_THRESHOLD, LARGEST)
