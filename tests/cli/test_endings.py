"""Every way the program ends: codes, one sentence, and what is left on disk."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.terminal import on_a_terminal

TINY = ("--model", "tiny-random", "--device", "cpu")


def one_line(done):
    """Standard error is one line, and no traceback."""
    text = done.stderr.decode()
    assert "Traceback" not in text and text.count("\n") == 1, text
    return text


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("tag", "missing.wav"), "missing.wav"),
        (("tag", "void"), "void"),
        (("tag", "a.wav", "-f", "xml"), "jsonl"),
        (("tag", "a.wav", "-o", "out.doc"), "--format"),
        (("tag", "a.wav", "-o", "out/"), "--format"),
        (("tag", "a.wav", "b.wav", "-f", "srt"), "DIR/"),
        (("tag", "a.wav", "-f", "csv", "-o", "./a.wav"), "another name"),
        (("tag", "a.wav", "--resume"), "-o FILE"),
        (("tag", "a.wav", "--batch-size", "many"), "many"),
        (("tag", "a.wav", "--dtype", "int3"), "float32"),
        (("tag", "a.wav", "--segment", "-1"), "segment"),
        (("tag", "a.wav", "--threshold", "2"), "threshold"),
        (("tag", "a.wav", "--shard", "3/2"), "3/2"),
        (("tag", "-", "--files-from", "-"), "once"),
        (("ask", " ", "a.wav"), "question"),
        (("tag", "a.wav", "--labels", ","), "--labels"),
        (("completion", "tcsh"), "fish"),
    ],
)
def test_usage_errors_end_with_2_before_any_work(here, make_wav, arguments, words):
    for name in "ab":
        make_wav(here.folder / f"{name}.wav")
    (here.folder / "void").mkdir()
    done = here(*arguments, *(TINY if arguments[0] != "completion" else ()))
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in one_line(done)


@pytest.mark.parametrize("arguments", [("tga", "a.wav"), ("tag", "--tresh", "1"), ("caption", "--seed", "x", "a.wav")])
def test_mistyped_commands_and_options_end_with_2(here, arguments):
    done = here(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    if arguments[0] == "tga":
        assert b"Did you mean 'tag'?" in done.stderr


def test_a_model_that_cannot_be_had_ends_with_3(sam, make_wav):
    make_wav(sam.folder / "a.wav")
    done = sam("tag", "a.wav", "-o", "out.csv", "--model", "nobody/nothing", "--offline")
    assert done.returncode == 3 and "nobody/nothing" in one_line(done)
    assert not (sam.folder / "out.csv").exists()


@pytest.mark.parametrize("target", ["/dev/full", "/proc/out.csv", "missing/out.csv"])
def test_output_that_cannot_be_written_ends_with_4(here, make_wav, target):
    make_wav(here.folder / "a.wav")
    done = here("tag", "a.wav", "-f", "csv", "-o", target, *TINY)
    assert done.returncode == 4 and target in one_line(done)


def test_standard_output_that_is_full_ends_with_4(sam):
    with Path("/dev/full").open("wb") as full:
        done = sam("--version", stdout=full)
    assert done.returncode == 4 and "No space left" in one_line(done)


def test_standard_output_that_is_closed_ends_with_4(sam, make_wav):
    make_wav(sam.folder / "a.wav")
    closed = sam("tag", "a.wav", *TINY, preexec_fn=lambda: os.close(1), stdout=None)
    assert closed.returncode == 4 and "closed" in one_line(closed)


def test_a_disk_that_fills_up_leaves_the_old_file_and_no_litter(sam, make_wav):
    for number in range(8):
        make_wav(sam.folder / f"in/{number}.wav", seconds=0.3)
    (sam.folder / "out.jsonl").write_text("old")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = sam("tag", "in", "-o", "out.jsonl", *TINY, preexec_fn=limit)
    assert done.returncode == 4 and b"out.jsonl" in done.stderr and b"Traceback" not in done.stderr
    assert (sam.folder / "out.jsonl").read_text() == "old"
    assert not [path.name for path in sam.folder.iterdir() if path.name.endswith(".part")]


def test_a_reader_that_leaves_is_no_reason_to_speak(sam, make_wav):
    sound = make_wav(sam.folder / "a.wav", seconds=0.2)
    (sam.folder / "in").mkdir()
    for number in range(400):  # more records than a pipe holds
        (sam.folder / f"in/{number}.wav").symlink_to(sound)
    running = sam.start("tag", "in", "-f", "jsonl", "--batch-size", "1", *TINY)
    assert json.loads(running.stdout.readline())["path"].startswith("in/")
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(60) == 141


def test_help_into_a_closed_pipe(sam):
    running = sam.start("--help", stdout=subprocess.PIPE)
    running.stdout.close()
    assert (running.stderr.read(), running.wait(60)) == (b"", 141)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_when_all_is_done(program, environment, tmp_path, number):
    """In the interpreter's own end nothing can catch an exception: no traceback, and what a shell calls 130 or 143."""
    late = f"import atexit, os; atexit.register(lambda: os.kill(os.getpid(), {int(number)}))\n"
    script = tmp_path / "late"
    script.write_text(program.read_text().replace("import sys\n", "import sys\n" + late, 1))
    script.chmod(0o755)
    heeding = {"preexec_fn": lambda: signal.signal(number, signal.SIG_DFL)}
    done = subprocess.run([script, "--version"], env=environment, capture_output=True, timeout=250, **heeding)
    assert done.stdout.startswith(b"sam ") and done.stderr == b""
    assert done.returncode == -number


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_asked_to_stop_what_is_finished_is_on_disk(sam, here, make_wav, number, code):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever started the tests has every child ignore this signal")
    for name in "ab":
        make_wav(sam.folder / f"{name}.wav")
    # Standard input stays open and silent: the run cannot end by itself.
    running = sam.start("tag", "a.wav", "b.wav", "-", "-o", "out.jsonl", *TINY, stdin=subprocess.PIPE)
    wait_for(lambda: sum(path.stat().st_size for path in sam.folder.glob(".out.jsonl.part")) > 600)
    running.send_signal(number)
    if number == signal.SIGHUP:
        running.send_signal(number)  # a closing terminal and its shell both send it
    _, errors = running.communicate(timeout=60)
    assert running.returncode == code
    assert errors.count(b"\n") == 1 and b"2 of 3 files" in errors and b"--resume" in errors
    paths = [json.loads(line)["path"] for line in (sam.folder / "out.jsonl").read_text().splitlines()]
    assert paths == ["a.wav", "b.wav"]
    again = here("tag", "a.wav", "b.wav", "-o", "out.csv", "--resume", "--verbose", *TINY)
    assert again.returncode == 0 and b"2 files were known" in again.stderr


def wait_for(happened, seconds=60):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def test_a_traceback_only_when_asked(here):
    plain = here("tag", "missing.wav")
    asked = here("tag", "missing.wav", "--traceback")
    debug = here("tag", "missing.wav", environment={"SAM_DEBUG": "1"})
    assert [b"Traceback" in done.stderr for done in (plain, asked, debug)] == [False, True, True]
    assert plain.returncode == asked.returncode == debug.returncode == 2


def test_a_terminal_gets_a_table_and_no_escape_of_a_file_name(sam, make_wav):
    make_wav(sam.folder / "in" / "x\x1b[31mred\x1b]0;title\x07.wav")
    (sam.folder / "in" / "bad\x1b[2J.wav").write_text("no sound")
    look = ("tag", "in", "--top-k", "1", "--threshold", "0", *TINY)
    code, seen = on_a_terminal(sam, *look, TERM="xterm", COLUMNS="120")
    assert code == 1
    assert "file" in seen and "tags" in seen and r"x\x1b[31mred\x1b]0;title\x07.wav" in seen
    for escape in ("\x1b[31mred", "\x1b]0;", "\x1b[2J", "\x07"):
        assert escape not in seen


def test_a_terminal_is_not_a_sound(sam):
    code, seen = on_a_terminal(sam, "tag", "-", *TINY, TERM="dumb")
    assert code == 2 and "terminal" in seen


def test_without_arguments_there_is_help(here):
    for arguments in ((), ("tag",), ("caption",), ("ask",), ("merge",)):
        done = here(*arguments)
        assert done.returncode == 2
        assert b"Usage: sam" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [(), ("tag",), ("caption",), ("ask",), ("merge",), ("doctor",), ("completion",)])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_everywhere_leads_with_examples(here, arguments, option):
    done = here(*arguments, option)
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode()
    examples = [line for line in text.splitlines() if re.match(r" *(sam|source|cat) ", line.strip("│ "))]
    assert len(examples) >= 3
    assert text.index(examples[0].strip()) < text.index("Options")


RARE = ("--shard", "--engine", "--ray-address", "--workers", "--unordered", "--files0-from", "--dtype", "--seed")


@pytest.mark.parametrize("command", ["caption", "tag", "ask"])
def test_help_is_short_and_help_all_is_whole(here, command):
    short, whole = (here(command, option, environment={"COLUMNS": "100"}) for option in ("--help", "--help-all"))
    shown = [set(re.findall(r"--[a-z][\w-]+", done.stdout.decode())) for done in (short, whole)]
    assert short.returncode == whole.returncode == 0
    assert not shown[0] & set(RARE) and shown[1] >= set(RARE)
    assert {"--help-all", "--format", "--output", "--resume", "--segment", "--model", "--device"} <= shown[0] < shown[1]
    assert len(shown[0]) <= 22


def test_rare_options_are_still_taken_and_completed(here, sam, make_wav):
    make_wav(sam.folder / "a.wav")
    assert here("tag", "a.wav", "--shard", "1/1", "--threads", "1", *TINY).returncode == 0
    asked = {"_SAM_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = sam(environment=asked | {"_TYPER_COMPLETE_ARGS": "sam tag --sha"}).stdout.decode()
    assert found.startswith("--shard")


def test_merge_is_not_about_listening(here):
    text = here("--help", environment={"COLUMNS": "100"}).stdout.decode()
    panels = {panel.split()[0]: panel for panel in text.split("╭─ ")[1:]}
    assert "merge" not in panels["Listen"] and "merge" in panels["Look"]


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("ask", "in"), 'The question is missing: sam ask "is there a siren?" in'),
        (("ask", "is there a dog?"), "Say which sounds the question is about: sam ask 'is there a dog?' PATHS"),
        (("search", "x", "-k", "2"), "Say where to look: sam search x PATHS"),
        (("search", "in"), 'The text to look for is missing: sam search "a dog barking" in'),
    ],
)
def test_a_missing_argument_is_named(here, make_wav, arguments, missing):
    make_wav(here.folder / "in" / "a.wav")
    done = here(*arguments)
    assert (done.returncode, done.stdout) == (2, b"") and missing in done.stderr.decode()


def test_help_and_version_import_nothing_heavy(sam):
    for arguments in (("--help",), ("--version",), ("tag", "--help"), ("completion", "bash")):
        done = sam(*arguments, environment={"PYTHONPROFILEIMPORTTIME": "1"})
        modules = {row.split("|")[-1].strip() for row in done.stderr.decode().splitlines()}
        assert done.returncode == 0 and "samcli.cli.app" in modules
        assert not modules & {"torch", "numpy", "huggingface_hub", "soundfile", "av", "tokenizers"}


@pytest.mark.parametrize("variables, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_those_who_want_them(sam, variables, coloured):
    _, seen = on_a_terminal(sam, "--help", **({"TERM": "xterm", "COLUMNS": "70"} | variables))
    assert bool(re.search(r"\x1b\[([0-9]+;)*3[0-7]m", seen)) is coloured
    assert "TERM" in variables or max(len(re.sub(r"\x1b\[[0-9;]*m", "", row)) for row in seen.splitlines()) == 70


def test_an_end_of_data_inside_a_command_is_a_fault_not_a_closed_prompt():
    program = (
        "import sys; from samcli.cli.commands import labels; from samcli.cli.app import run\n"
        "def rows(*_): raise EOFError('Ran out of input')\n"
        "labels.rows_of = rows; sys.exit(run(['labels']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "Ran out of input" in one_line(done)
