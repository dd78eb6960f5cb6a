"""What `check.sh` found, as one JSON file: the card, each test, each figure. Exit 1 when a test failed or none ran."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree


def outcomes(path: Path) -> Iterator[dict[str, Any]]:
    """Each test of a report of pytest's."""
    if not path.exists():
        return
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = [child for child in case if child.tag == "skipped"]
        outcome = "failed" if bad else "skipped" if skipped else "passed"
        words = next((child.get("message", "") for child in [*bad, *skipped]), "")
        seconds = float(case.get("time", 0))
        yield {"name": case.get("name"), "outcome": outcome, "seconds": seconds, "words": words.splitlines()[:1]}


def figures(path: Path) -> Any:
    """What a command printed as JSON; None where it did not come to its end."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def collect(folder: Path) -> dict[str, Any]:
    tests = [case for name in ("marked", "kernels") for case in outcomes(folder / f"{name}.xml")]
    failed = [case["name"] for case in tests if case["outcome"] == "failed"]
    failed += [f"{name} tests did not end" for name in ("marked", "kernels") if not (folder / f"{name}.xml").exists()]
    passed = sum(case["outcome"] == "passed" for case in tests)
    parts = {name: figures(folder / f"{name}.json") for name in ("doctor", "core", "folder")}
    failed += [f"{name} did not end" for name, part in parts.items() if part is None]
    card = ((parts["core"] or {}).get("machine") or {}).get("device", "unknown")
    well = bool(passed) and not failed
    return {"card": card, "well": well, "passed": passed, "failed": failed, "tests": tests, **parts}


def main() -> int:
    found = collect(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(found, indent=1) + "\n")
    print(f"{found['card']}: {found['passed']} passed, {len(found['failed'])} failed; all figures in {sys.argv[2]}")
    return 0 if found["well"] else 1


if __name__ == "__main__":
    sys.exit(main())
