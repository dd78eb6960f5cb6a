"""Completion in the real shells, and no torch on the way."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from samcli.cli.completion import SCRIPTS, complete_labels, script
from samcli.tasks.tag import find_labels
from samcli.text.labels import labels

FOLDER = Path(__file__).resolve().parents[2] / "completions"


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_folder_holds_what_the_program_prints(shell, here):
    written = (FOLDER / SCRIPTS[shell][1]).read_bytes()
    assert here("completion", shell).stdout == written == script(shell).encode()


class Terminal:
    """A shell on a terminal of its own, typed into."""

    def __init__(self, command, environment, folder):
        self.process, self.descriptor = None, None
        pid, descriptor = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self.pid, self.descriptor = pid, descriptor

    def read(self, pattern, seconds=60):
        """What appears until the pattern does."""
        seen, end = "", time.monotonic() + seconds
        while not re.search(pattern, seen):
            ready, _, _ = select.select([self.descriptor], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"{pattern!r} did not appear in {seen!r}")
            seen += os.read(self.descriptor, 4096).decode(errors="replace")
        return seen

    def type(self, keys):
        os.write(self.descriptor, keys.encode())

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


@pytest.fixture
def complete(request, environment, tmp_path):
    """complete(shell, "sam ta") is the line after Tab has been pressed."""
    opened = []
    for name in ("night bird.wav", "nothing.txt"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()

    def run(shell, line):
        start = {
            "bash": (
                ["bash", "--norc", "--noprofile", "-i"],
                f"PS1='READY> '; source {FOLDER / 'sam.bash'}\r",
            ),
            "zsh": (
                ["zsh", "-f", "-i"],
                "PS1='READY> '; autoload -Uz compinit; compinit -u -D; " + f"source {FOLDER / '_sam'}\r",
            ),
        }[shell]
        terminal = Terminal(start[0], environment | {"TERM": "xterm", "HOME": str(tmp_path)}, tmp_path / "in")
        opened.append(terminal)
        terminal.type(start[1])
        terminal.type("echo LOAD''ED\r")
        terminal.read("LOADED\r?\n(.|\n)*READY> ")
        # What is typed behind the Tab waits until completion is done. The line is handed to echo in quotes, so that
        # what completion made of it is seen and never run.
        terminal.type(line + "\t\x05'\x01echo 'GOT:\r")
        return re.findall(r"[\r\n]GOT:([^\r\n]*)\r?\n", terminal.read(r"[\r\n]GOT:[^\r\n]*\r?\n"))[-1].rstrip()

    yield run
    for terminal in opened:
        terminal.close()


CASES = [
    ("sam do", "sam doctor"),
    ("sam tag --thresh", "sam tag --threshold"),
    ("sam tag --model sam-n", "sam tag --model sam-nano"),
    ("sam tag -f audac", "sam tag -f audacity"),
    ("sam tag --labels ukul", "sam tag --labels ukulele"),
    ("sam tag --labels dog,church", r"sam tag --labels dog,church\ bell"),
    ("sam tag nigh", r"sam tag night\ bird.wav"),
    ("samcli tag -o noth", "samcli tag -o nothing.txt"),
]


@needs("bash")
@pytest.mark.parametrize("line, expected", CASES)
def test_bash(complete, line, expected):
    assert complete("bash", line) == expected


@needs("zsh")
@pytest.mark.parametrize("line, expected", CASES)
def test_zsh(complete, line, expected):
    assert complete("zsh", line) == expected


@needs("fish")
@pytest.mark.parametrize("line, expected", CASES)
def test_fish(environment, tmp_path, line, expected):
    for name in ("night bird.wav", "nothing.txt"):
        (tmp_path / name).touch()
    command = f"source {FOLDER / 'sam.fish'}; complete --do-complete {line!r}"
    found = subprocess.run(
        ["fish", "--no-config", "-c", command],
        env=environment | {"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
    )
    candidates = [row.split("\t")[0] for row in found.stdout.decode().splitlines()]
    assert candidates == [expected.replace("\\", "").removeprefix(line.rsplit(" ", 1)[0]).strip()]


def test_labels_are_completed_as_they_were_begun():
    assert complete_labels("Ukul") == ["Ukulele"] and complete_labels("ukul") == ["ukulele"]
    assert complete_labels("dog,viol") == ["dog,violin"]  # of "Violin, fiddle"
    assert "fiddle" in complete_labels("") and not any("," in name for name in complete_labels(""))
    assert complete_labels("ukulele,ukul") == [] and complete_labels("nothing such") == []
    assert find_labels(complete_labels(""), labels())  # each is taken by --labels


@pytest.mark.parametrize("line", ["sam tag --labels b", "sam tag --model ", "sam models show "])
def test_completion_imports_no_torch(sam, line):
    asked = {"_SAM_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": line}
    done = sam(environment=asked | {"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 3
    modules = {row.split("|")[-1].strip() for row in done.stderr.decode().splitlines()}
    assert "samcli.cli.app" in modules
    assert not modules & {"torch", "numpy", "huggingface_hub", "soundfile", "av"}
