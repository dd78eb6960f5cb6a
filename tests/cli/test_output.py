"""One object owns the streams: what goes where, how, and what happens when a stream breaks."""

import io
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samcli.cli.output import ClosedPipe, Output
from samcli.cli.progress import Progress, line, span
from samcli.cli.tables import TerminalTable, cell, clock, readable_size, show, show_json
from samcli.engine.options import RunReport
from samcli.errors import OutputError
from samcli.records import ErrorInfo, Record, Tag
from samcli.writers.formats import Layout


def streams(*, terminal=False, **environment):
    shown, said = io.BytesIO(), io.BytesIO()
    settings = {"TERM": "xterm", "COLUMNS": "80"} | environment
    made = Output(shown, said, environment=settings, stdout_is_terminal=terminal, stderr_is_terminal=terminal)
    return made, shown, said


def test_results_and_remarks_never_mix():
    output, shown, said = streams()
    output.write("result\n")
    output.note("remark")
    output.error("wrong")
    assert (shown.getvalue(), said.getvalue()) == (b"result\n", b"sam: remark\nsam: wrong\n")


def test_quiet_hides_all_but_errors_and_verbose_adds():
    output, _, said = streams()
    output.detail("not shown")
    output.verbose = True
    output.detail("shown")
    output.quiet = True
    for speak in (output.note, output.detail, output.error):
        speak("then")
    assert said.getvalue() == b"sam: shown\nsam: then\n"


@given(st.text())
def test_a_terminal_gets_no_control_and_a_pipe_gets_everything(text):
    for terminal in (True, False):
        output, shown, _ = streams(terminal=terminal)
        output.write(text)
        seen = shown.getvalue().decode("utf-8", "surrogatepass")
        assert ("\x1b" in seen) is ("\x1b" in text and not terminal)
        assert terminal or seen == text


def test_remarks_are_one_visible_line_even_into_a_pipe():
    output, _, said = streams()
    output.error("bad\n\x1b[2J name")
    assert said.getvalue() == b"sam: bad\\n\\x1b[2J name\n"


class Broken(io.BytesIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, data):
        raise self.error


@pytest.mark.parametrize(
    "error, expected",
    [(BrokenPipeError(), ClosedPipe), (OSError(28, "No space left"), OutputError), (ValueError("closed"), OutputError)],
)
def test_a_broken_standard_output_is_told_by_kind(error, expected):
    with pytest.raises(expected):
        Output(Broken(error), io.BytesIO(), environment={}).write("x")


def test_no_standard_output_is_an_error_and_no_standard_error_is_none():
    with pytest.raises(OutputError, match="closed"):
        Output(None, None, environment={}).write("x")
    Output(None, None, environment={}).error("nobody hears")
    Output(None, Broken(OSError(5, "gone")), environment={}).error("nobody hears")


def test_progress_shows_on_a_terminal_only_and_is_wiped_away():
    for terminal, environment in ((True, {}), (False, {}), (True, {"TERM": "dumb"})):
        output, _, said = streams(terminal=terminal, **environment)
        output.status("half")
        output.write("row\n")
        expected = b"\r\x1b[Khalf\r\x1b[K" if terminal and not environment else b""
        assert said.getvalue() == expected


def test_a_status_never_wraps():
    output, _, said = streams(terminal=True, COLUMNS="40")
    output.status("x" * 500)
    assert said.getvalue() == b"\r\x1b[K" + b"x" * 39


def test_progress_tells_files_speed_and_time_left():
    report = RunReport(files_total=40, files_done=10, audio_seconds=300.0, began=100.0, ended=110.0)
    assert line(report) == "10/40 files  30 s of audio per s  30s left"
    # Files of an earlier run took no time of this one.
    report.files_resumed = 5
    assert line(report).endswith("1m00s left")
    assert line(RunReport()) == "loading the model"


def test_progress_of_one_long_recording_is_in_seconds_heard():
    report = RunReport(files_total=1, audio_seconds=600.0, began=100.0, ended=110.0)
    report.expect(None)  # an input that does not say how long it is
    assert line(report) == "0/1 files  60 s of audio per s"
    report.expect(3600.0)
    assert line(report) == "10m00s of 1h00m heard  60 s of audio per s  50s left"


def test_progress_lives_in_a_thread_that_ends_with_it():
    output, _, said = streams(terminal=True)
    report = RunReport(files_total=2)
    before = threading.active_count()
    with Progress(output, report):
        assert threading.active_count() == before + 1
        while b"0/2 files" not in said.getvalue():
            pass
    assert threading.active_count() == before
    assert said.getvalue().endswith(b"\r\x1b[K")


def test_spans():
    assert [span(value) for value in (0, 59.4, 59.6, 3599, 7500)] == ["0s", "59s", "1m00s", "59m59s", "2h05m"]
    assert [clock(value) for value in (0, 61.26, 59.99, 4000, None)] == ["0:00.0", "1:01.3", "1:00.0", "1h06m", "?"]


def table(records, *, timed=False, task="tag", columns=60):
    output, _, _ = streams(terminal=True, COLUMNS=str(columns), NO_COLOR="1")
    view = TerminalTable(Layout(task, timed=timed), output.console(), longest_path=8)
    text = view.header() + "".join(map(view.record, records))
    return [re.sub(r"\x1b\[[0-9;]*m", "", row).rstrip() for row in text.splitlines()]


def test_the_table_is_made_row_by_row_under_a_header():
    rows = table(
        [
            Record(task="tag", path="dog.wav", tags=(Tag("Dog", 0.914), Tag("Bark", 0.5))),
            Record(task="tag", path="mute.wav", tags=(), silent=True),
            Record(task="tag", path="none.wav", tags=(), silent=False),
            Record(task="tag", path="bad.wav", error=ErrorInfo("empty", "bad.wav is empty.")),
            Record(task="tag", path="cut.wav", tags=(Tag("Rain", 0.7),), warning="cut.wav ends early."),
        ]
    )
    assert rows == [
        "file      tags",
        "dog.wav   0.91 Dog",
        "          0.50 Bark",
        "mute.wav  (silence)",
        "none.wav  (nothing above the threshold)",
        "bad.wav   bad.wav is empty.",
        "cut.wav   0.70 Rain",
        "          cut.wav ends early.",
    ]


def test_the_table_says_silence():
    silent = Record(task="ask", path="mute.wav", silent=True)
    assert table([silent], task="ask")[1:] == ["mute.wav  Silence."]


def test_stretches_of_one_file_name_it_once():
    parts = [Record(task="caption", path="a.wav", start=s, end=s + 5, caption=f"part {s}") for s in (0, 5)]
    assert table(parts, timed=True, task="caption") == [
        "file      time           caption",
        "a.wav     0:00.0-0:05.0  part 0",
        "          0:05.0-0:10.0  part 5",
    ]


def test_long_words_fold_inside_their_column():
    rows = table([Record(task="caption", path="a.wav", caption="word " * 40)], task="caption", columns=40)
    assert len(rows) > 4 and all(len(row) <= 40 for row in rows) and all(row.startswith("   ") for row in rows[2:])


def test_small_tables_are_aligned_for_people_and_cut_for_pipes():
    rows = [{"name": "a\tb", "value": 1234.5, "ok": True}, {"name": "c", "value": None, "ok": False}]
    output, shown, _ = streams()
    show(output, ("name", "value", "ok"), rows)
    assert shown.getvalue() == b"name\tvalue\tok\na\\tb\t1234\tyes\nc\t\tno\n"
    output, shown, _ = streams(terminal=True, NO_COLOR="1")
    show(output, ("name", "value", "ok"), rows)
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", shown.getvalue()).decode().splitlines()
    assert [row.rstrip() for row in plain] == ["name  value  ok", "a\\tb   1234  yes", "c            no"]


def test_json_for_machines_is_strict():
    output, shown, _ = streams()
    show_json(output, {"name": "caf\udce9"})
    assert shown.getvalue() == b'{\n  "name": "caf\\udce9"\n}\n'
    with pytest.raises(ValueError):
        show_json(output, float("nan"))


def test_cells_in_words():
    assert [cell(value) for value in (None, True, 0.123456, 12345.6, ("a", "b"), 3)] == [
        "",
        "yes",
        "0.1235",
        "12346",
        "a, b",
        "3",
    ]
    assert [readable_size(value) for value in (None, 12, 21_340_000, 3e12)] == [None, "12 B", "21.3 MB", "3.0 TB"]
