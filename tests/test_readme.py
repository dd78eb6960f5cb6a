"""README tells the truth: its commands are those CI runs, and its tables are the program's own."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from samcli.cli.app import app
from samcli.errors import ExitCode
from samcli.records import Record
from samcli.writers.formats import FORMATS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)[1]


def first_cells(text):
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [cell for cell in rows[1:] if not set(cell) <= set("- |")]


def test_two_commands_set_everything_up_and_ci_runs_exactly_those():
    setup = re.findall(r"```sh\n(.*?)\n```", section("Install"), re.DOTALL)
    assert len(setup) == 2 and not any("\n" in command for command in setup)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    ran = [line for line in script if line.startswith((".venv/bin/pip", "python3 -m venv"))]
    assert ran == setup


def test_the_setup_installs_into_an_environment_of_its_own_and_names_the_tested_torch():
    first, second = re.findall(r"```sh\n(.*?)\n```", section("Install"), re.DOTALL)
    assert first.startswith("python3 -m venv .venv && ") and "--offline" in first
    assert all("torch==2.13.0" in command for command in (first, second))


def words_of_sam(line):
    """The arguments of every `sam` in a shell line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    for word in [*lexer, "|"]:
        if word in ("|", "&&", ";"):
            if command and Path(command[0]).name == "sam":
                yield command[1:]
            command = []
        else:
            command.append(word)


SHOWN = [words for line in COMMANDS for words in words_of_sam(line)]
SHOWN += [words for code in re.findall(r"`(sam [^`]+)`", README) for words in words_of_sam(code)]


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_every_command_shown_is_understood(words):
    command, parent = get_command(app), None
    while hasattr(command, "commands"):
        parent = command.make_context("sam", words[:1], parent=parent, resilient_parsing=True)
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
        if not words:
            return
    # Parsing alone: nothing runs, but an option or argument that does not exist is refused.
    command.make_context(command.name, list(words), parent=parent)


def test_there_are_commands_to_check():
    assert len(SHOWN) > 15


def test_exit_codes_are_the_programs():
    assert [int(cell) for cell in first_cells(section("Exit codes"))] == [int(code) for code in ExitCode]


def test_keys_of_a_record_are_the_records():
    cells = first_cells(section("Records"))
    keys = [key for cell in cells for key in re.findall(r"`(\w+)`", cell)]
    assert keys == list(Record(task="tag", path="a").to_dict())


def test_formats_are_the_writers():
    names = [name for cell in first_cells(section("Formats")) for name in re.findall(r"`(\w+)`", cell)]
    assert names == list(FORMATS)


def test_rooms_are_those_that_stand():
    named = {cell.strip("`/") for cell in first_cells(section("How it is built"))}
    standing = {
        f"samcli/{path.name}" for path in (ROOT / "samcli").iterdir() if path.is_dir() and path.name[0] not in "_."
    }
    assert named == standing


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists() or "sam-nano" in target, target


def test_every_python_line_names_what_there_is():
    import samcli

    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    compile(code, "README.md", "exec")
    for name in re.findall(r"samcli\.(\w+)", code):
        assert hasattr(samcli, name)


CONSOLE = "".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
SESSION = re.findall(r"^\$ (sam .*)\n((?:(?!\$ ).*\n)*)", CONSOLE, re.MULTILINE)
MODEL = ROOT / "samcli" / "data" / "sam-nano" / "model.safetensors"


@pytest.mark.skipif(not MODEL.exists(), reason="the bundled model is not in this tree")
def test_the_session_shown_is_what_is_printed(program, environment):
    assert SESSION
    for command, shown in SESSION:
        done = subprocess.run(shlex.split(command), cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for expected, row in zip(shown.splitlines(), done.stdout.splitlines(), strict=True):
            *words, last = row.split("\t")
            *expected_words, expected_last = expected.split("\t")
            assert words == expected_words
            # Scores may differ in their last digits from one processor to another; words may not.
            if re.fullmatch(r"0\.\d+", last):
                assert float(last) == pytest.approx(float(expected_last), abs=0.02)
            else:
                assert last == expected_last
