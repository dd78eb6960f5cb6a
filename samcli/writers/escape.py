"""Text made safe for where it goes: a terminal, a cell, a line, a byte stream.

Names of files may hold anything but a slash and a zero byte, and models may say anything. Everything here is a pure
function of text; those for cells can be undone.
"""

from __future__ import annotations

import re

# C0 without tab and newline, delete, C1, and the marks that reorder or hide what follows them.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# The wide forms of = + - @ start a formula where such letters are typed; what is not seen before one does not stop it.
_FORMULA = re.compile("['\\s\x00-\x20\xad\u200b-\u200f\u2060\ufeff]*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_BACKSLASHED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    """Text a terminal shows and never obeys: control characters and undecodable bytes become `\\x1b`-like escapes."""
    return _SURROGATE.sub(_show_byte, _CONTROL.sub(_show, text))


def one_line(text: str) -> str:
    """Visible text without line breaks or tabs, for one line of a message or a table."""
    return visible(text.replace("\n", "\\n").replace("\t", "\\t"))


def _show(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _show_byte(match: re.Match[str]) -> str:
    code = ord(match[0])
    # 0xDC80 to 0xDCFF stand for the bytes 0x80 to 0xFF that were not UTF-8.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def json_text(text: str) -> str:
    """Encoded JSON in which every lone surrogate and C1 control is written as an escape, so that UTF-8 can carry it."""
    return re.sub("[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def tab_cell(text: str) -> str:
    """A cell of a tab-separated line: backslash, tab and line breaks are written as `\\\\`, `\\t`, `\\n`, `\\r`."""
    return re.sub(r"[\\\t\n\r]", lambda match: _BACKSLASHED[match[0]], text)


def guarded_cell(text: str) -> str:
    """A cell no spreadsheet takes for a formula: an apostrophe goes before `=`, `+`, `-`, `@`."""
    # A text that already begins with apostrophes and a formula gets one more, so that taking one away is always right.
    return "'" + text if _FORMULA.match(text) else text


def unguarded_cell(cell: str) -> str:
    """What `guarded_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def quoted_cell(text: str) -> str:
    """A cell of a CSV line, quoted where RFC 4180 asks for it."""
    if any(mark in text for mark in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def to_bytes(text: str) -> bytes:
    """UTF-8, with undecodable bytes of file names put back as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
