"""One page for many recordings: a single file, without anything from the network, written as the recordings come.

Names of files, labels and words of a model are data in it, never markup: they stand in blocks that no browser runs,
and a Content-Security-Policy allows the page's own script and style by their hashes and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from samcli._version import __version__
from samcli.report.entry import Entry
from samcli.writers.escape import to_bytes

if TYPE_CHECKING:
    from jinja2 import Template

SCRIPTS = ("facts.js", "verdicts.js", "rows.js", "detail.js", "page.js")
DROP = "drop.js"  # of a page that sends files to a server and shows what it hears
MOST_LABELS = 2000  # offered when a verdict names another sound


def write_page(
    entries: Iterable[Entry], *, title: str, about: str, labels: Iterable[str] = (), key: str = "", learned: str = ""
) -> Iterator[bytes]:
    """The page, piece by piece; `key` tells its verdicts from those of other pages in one browser.

    `learned` says what the model was taught before it heard the recordings.
    """
    script, style = part(*SCRIPTS), part("page.css")
    facts = {"title": title, "key": key or hashlib.sha256(f"{title}{about}".encode()).hexdigest()[:16]}
    pieces = template().generate(
        title=title,
        about=about,
        learned=learned,
        version=__version__,
        policy=policy(script, style),
        script=script,
        style=style,
        facts=block(facts),
        labels=block(sorted(set(labels))[:MOST_LABELS]),
        entries=map(blocks, entries),
        drop=False,
    )
    return map(to_bytes, pieces)


def empty_page(title: str, about: str) -> tuple[bytes, str]:
    """A page to drop files into, as a server gives it, and its policy: it may talk to that server and no other."""
    script, style = part(*SCRIPTS, DROP), part("page.css")
    allowed = policy(script, style, media="blob:") + "; connect-src 'self'"
    facts = block({"title": title, "key": "served"})
    page = template().render(
        title=title,
        about=about,
        learned="",
        version=__version__,
        policy=allowed,
        script=script,
        style=style,
        facts=facts,
        labels=block([]),
        entries=(),
        drop=True,
    )
    return to_bytes(page), allowed + "; frame-ancestors 'none'"


def part(*names: str) -> str:
    """Files of the page, one after the other."""
    folder = files("samcli.report").joinpath("page")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(part("page.html"))


def blocks(entry: Entry) -> dict[str, str]:
    """What the page holds of one recording; its picture apart, so that it is read only when it is shown."""
    return {"facts": block(entry.facts()), "picture": text(entry.picture), "opus": text(entry.opus)}


def policy(script: str, style: str, media: str = "'self' file: blob:") -> str:
    """What the page may do: run its own script, look its own way, show and play what is in it or lies beside it."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{digest(script)}'",
            f"style-src '{digest(style)}'",
            "img-src data:",
            f"media-src {media}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def block(value: Any) -> str:
    """JSON in ASCII that no browser can take for markup."""
    written = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for mark in "<>&'":
        written = written.replace(mark, f"\\u{ord(mark):04x}")
    return written


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()
