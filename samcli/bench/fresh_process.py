"""Measuring in a process of its own: none of what this one has set for itself helps or hinders there."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")


def in_fresh_process(function: Callable[..., Found], *arguments: object) -> Found:
    """What `function(*arguments)` gives in a new interpreter; it must be importable by name."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()
