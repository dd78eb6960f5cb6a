"""Text made safe can be undone, and a terminal sees no control character."""

import csv
import io
import json
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samcli.writers.escape import (
    guarded_cell,
    json_text,
    one_line,
    quoted_cell,
    tab_cell,
    to_bytes,
    unguarded_cell,
    visible,
)
from tests.conftest import plain_cell

# What Python makes of any bytes in a file name.
names = st.binary(min_size=1, max_size=30).map(lambda raw: raw.replace(b"\0", b"x")).map(os.fsdecode)
texts = st.text(max_size=30) | names


@given(texts)
def test_a_terminal_sees_no_control_character(text):
    shown = visible(text)
    assert not [mark for mark in shown if unicodedata.category(mark) in ("Cc", "Cs") and mark not in "\n\t"]
    shown.encode("utf-8")


def test_escape_sequences_and_reordering_marks_are_shown():
    assert visible("\x1b[31mred\x07\x9b2J\u202egpj.wav") == r"\x1b[31mred\x07\x9b2J\u202egpj.wav"
    assert visible(os.fsdecode(b"caf\xe9.wav")) == r"caf\xe9.wav"


def test_half_a_letter_and_marks_beyond_the_basic_plane_are_shown():
    assert visible("\ud800\udc7f\udc80\udcff\udd00") == r"\ud800\udc7f\x80\xff\udd00"
    assert visible("\U000e0041\u061c\u200b") == r"\U000e0041\u061c\u200b"
    assert tab_cell("a\\b\tc\nd\re") == r"a\\b\tc\nd\re"


def test_one_line_is_one_line():
    assert one_line("a\nb\tc\rd") == r"a\nb\tc\x0dd"


@given(texts)
def test_tab_cells_come_back(text):
    cell = tab_cell(text)
    assert not set("\t\n\r") & set(cell)
    assert plain_cell(cell) == text


@given(texts)
def test_guarded_cells_come_back_and_never_start_a_formula(text):
    cell = guarded_cell(text)
    assert unguarded_cell(cell) == text
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =cmd|' /C calc'!A0", "'=1"])
def test_every_known_way_to_start_a_formula_is_guarded(formula):
    assert guarded_cell(formula) == "'" + formula


@given(st.lists(st.text(max_size=10), min_size=1, max_size=4))
def test_an_independent_reader_gets_the_cells_back(cells):
    line = ",".join(map(quoted_cell, cells)) + "\r\n"
    rows = list(csv.reader(io.StringIO(line, newline="")))
    assert (rows or [[""]]) == [cells] or (cells == [""] and rows == [[]])


@given(texts)
def test_json_text_is_utf8_and_the_same_value(text):
    encoded = json_text(json.dumps(text, ensure_ascii=False))
    assert json.loads(encoded.encode("utf-8")) == text


@given(st.binary(max_size=30))
def test_names_become_their_bytes_again(raw):
    assert to_bytes(raw.decode("utf-8", "surrogateescape")) == raw


def test_half_a_surrogate_pair_is_no_reason_to_crash():
    assert to_bytes("\ud83d") == b"\xed\xa0\xbd"
