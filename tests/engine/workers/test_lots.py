"""How files are handed out: what a dead worker left goes to another one, alone, and not a third time."""

from __future__ import annotations

import pytest

from samcli.engine.inputs.find import Input
from samcli.engine.workers.crew import Lots
from samcli.errors import UsageError


def lots(files: int, size: int = 1) -> Lots:
    made = Lots([Input(f"{number}.wav", f"{number}.wav", None, "") for number in range(files)], size, None)
    made.takers.update("ab")
    return made


def test_what_is_left_goes_to_another_worker_alone() -> None:
    shared = lots(5, size=2)
    first, second = shared.take("a"), shared.take("b")
    assert [job.index for job in [*first, *second]] == [0, 1, 2, 3] and not shared.tried(first[0])
    assert shared.give_back(first, True, "a") == [] and shared.tried(first[0])
    assert [job.index for job in shared.take("a")] == [4], "not what it died with, while there is another worker"
    shared.give_back([], False, "b")
    assert [shared.take("b"), shared.take("b")] == [[first[0]], [first[1]]]
    assert shared.give_back([first[0]], True, "b") == [first[0]], "it took down two"


def test_the_last_worker_has_no_other_to_leave_it_to() -> None:
    shared = lots(1)
    lot = shared.take("a")
    shared.give_back(lot, True, "a")
    shared.leave("b")
    assert shared.take("a") == lot
    assert shared.give_back([], False, "a") == [] and shared.take("a") == []


def test_a_lot_that_was_never_begun_is_nobodys_fault() -> None:
    shared = lots(1)
    lot = shared.take("a")
    shared.give_back(lot, False, "a")
    assert not shared.tried(lot[0]) and shared.take("a") == lot


def test_standard_input_is_for_one_process() -> None:
    shared = Lots([Input("-", "-", None, "stdin", source=object())], 1, None)
    with pytest.raises(UsageError, match="standard input"):
        shared.take("a")
