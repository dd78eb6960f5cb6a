"""What the head of a page says of a model that was taught."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from samcli.report.build import learned
from samcli.report.page import write_page


def adapter(folder: Path, **about: Any) -> str:
    folder.mkdir()
    (folder / "adapter.json").write_text(json.dumps({"model_type": "adapter", "base": "sam-nano", **about}))
    return str(folder)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"labels": ["hiss", "wren"], "recordings": 9}, "mine was taught from 9 recordings: hiss, wren."),
        ({"labels": ["hiss"], "recordings": 9, "verdicts": 9}, "mine was taught from 9 verdicts: hiss."),
        ({"labels": ["hiss"], "recordings": 1, "verdicts": 1}, "mine was taught from 1 verdict: hiss."),
        ({"labels": ["hiss"]}, "mine was taught: hiss."),
        ({"recordings": 2}, "mine was taught from 2 recordings: words, no labels."),
        ({"labels": list("abcdefghij")}, "mine was taught: a, b, c, d, e, f, g, h and 2 more."),
    ],
)
def test_an_adapter_tells_what_it_was_taught(tmp_path: Path, about: dict[str, Any], sentence: str) -> None:
    folder = adapter(tmp_path / "mine", **about)
    assert learned(folder) == learned(f"sam-nano+{folder}") == sentence


def test_models_that_nobody_taught_tell_nothing_and_two_adapters_tell_both(tmp_path: Path) -> None:
    assert learned("sam-nano") == ""
    first, second = adapter(tmp_path / "a", labels=["hiss"]), adapter(tmp_path / "b", labels=["wren"])
    assert learned(f"sam-nano+{first}+{second}") == "a was taught: hiss. b was taught: wren."


def test_it_stands_in_the_page_as_text_alone() -> None:
    page = b"".join(write_page([], title="t", about="", learned="mine was taught: <script>alert(1)</script>."))
    assert b'id="learned">mine was taught: &lt;script&gt;alert(1)&lt;/script&gt;.</p>' in page
    assert b'id="learned"' not in b"".join(write_page([], title="t", about=""))
