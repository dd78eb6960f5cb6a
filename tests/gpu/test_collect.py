"""The result of a device check says what went wrong, also when a part never came to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
CASES = '<testsuite><testcase name="one" time="0.5"/><testcase name="two">{}</testcase></testsuite>'
REPORT = f"<testsuites>{CASES}</testsuites>"


def check(folder: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([sys.executable, HERE / "collect.py", folder, folder / "result.json"], check=False)
    return done.returncode, json.loads((folder / "result.json").read_text())


def test_all_well(tmp_path: Path) -> None:
    for name in ("marked", "kernels"):
        (tmp_path / f"{name}.xml").write_text(REPORT.format('<skipped message="no second card"/>'))
    for name in ("doctor", "core", "folder"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": {"device": "cuda (H100)"}, "rows": [1]}))
    code, found = check(tmp_path)
    assert (code, found["well"], found["card"], found["passed"]) == (0, True, "cuda (H100)", 2)
    assert found["core"]["rows"] == [1] and found["failed"] == []
    (tmp_path / "marked.xml").unlink()  # as when its time ran out
    code, found = check(tmp_path)
    assert (code, found["failed"]) == (1, ["marked tests did not end"])


def test_a_failure_and_a_part_that_broke(tmp_path: Path) -> None:
    (tmp_path / "marked.xml").write_text(REPORT.format('<failure message="wrong&#10;far"/>'))
    (tmp_path / "core.json").write_text("half of")
    code, found = check(tmp_path)
    others = ["kernels tests did not end", "doctor did not end", "core did not end", "folder did not end"]
    assert (code, found["failed"], found["core"]) == (1, ["two", *others], None)
    assert found["tests"][1]["words"] == ["wrong"]


def test_nothing_ran(tmp_path: Path) -> None:
    assert check(tmp_path)[0] == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_the_check_says_so() -> None:
    done = subprocess.run(
        ["bash", HERE / "check.sh"], capture_output=True, text=True, env=os.environ | {"PYTHON": sys.executable}
    )
    assert done.returncode == 2 and "no CUDA device" in done.stderr
