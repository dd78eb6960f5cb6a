"""Shared by all tests: the program as a person runs it, the same without a process of its own, and sounds for it."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.nursery import Nursery, Run

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever runs the tests in the background has Ctrl-C ignored; some of them press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What a property says of the code must not depend on how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def plain_cell(cell: str) -> str:
    """What `tab_cell` was given."""
    meant = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    return re.sub(r"\\[\\tnr]", lambda match: meant[match[0]], cell)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pytest_configure(config: pytest.Config) -> None:
    """A worker has one core to itself; more threads would only wait for each other."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script `sam` that runs this source tree, in a folder of its own that can go on PATH."""
    script = tmp_path_factory.mktemp("bin") / "sam"
    # The tree goes in front by a statement, not by PYTHONPATH, which tests may want to set themselves.
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from samcli.launcher import main\nsys.argv[0] = 'sam'\nmain()\n"
    )
    script.chmod(0o755)
    script.with_name("samcli").symlink_to(script)
    return script


@pytest.fixture
def environment(program: Path, tmp_path: Path) -> dict[str, str]:
    """A plain environment: offline, no colours, an empty cache, and `sam` on the path."""
    ours = ("HF_", "SAM_", "NO_COLOR", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HOME": str(tmp_path / "hf-home"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TERM": "dumb",
    }


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(os.environ | {"OMP_NUM_THREADS": "1"})
    yield nursery
    nursery.close()


class Sam:
    """The real program, run in a folder: sam("tag", "a.wav", input=b"...").

    It begins with its libraries loaded, unless something has to be so before Python starts, or there is no nursery.
    """

    def __init__(
        self, program: Path, environment: dict[str, str], folder: Path, nursery: Nursery | None = None
    ) -> None:
        self.program, self.environment, self.folder, self.nursery = program, environment, folder, nursery

    def __call__(self, *arguments: str | bytes | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        sound = options.pop("input", None)
        if sound is None:
            options.setdefault("stdin", subprocess.DEVNULL)
        running = self.start(*arguments, **options)
        stdout, stderr = running.communicate(sound, timeout=300)
        return subprocess.CompletedProcess(arguments, running.returncode, stdout, stderr)

    def start(self, *arguments: str | bytes | Path, **options: Any) -> subprocess.Popen[bytes] | Run:
        """Start it."""
        more = options.pop("environment", {})
        environment = self.environment | more
        if self.nursery and "preexec_fn" not in options and not any(name.startswith("PYTHON") for name in more):
            return self.nursery.start(list(map(os.fsdecode, arguments)), self.folder, environment, **options)
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
        heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)} if os.name == "posix" else {}
        return subprocess.Popen(
            [self.program, *arguments], cwd=self.folder, env=environment, **(streams | heeding | options)
        )


class Here:
    """The same program run in this process, for tests that ask what it answers and not how a process starts and ends.

    It takes the arguments and gives the answer of `Sam`: exit code and what was written, to no terminal. What goes to
    the Hub or its cache needs `Sam`, because HF_HOME and its like are read once, when huggingface_hub is imported.
    """

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment, self.folder = environment, folder

    def __call__(
        self, *arguments: str | bytes | Path, input: bytes = b"", environment: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end; the process is left as it was."""
        from samcli.cli import signals
        from samcli.cli.app import run
        from samcli.cli.output import output

        before, heeded = Path.cwd(), [(number, signal.getsignal(number)) for number in signals.SIGNALS]
        written = io.BytesIO(), io.BytesIO()
        stdout, stderr = (io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in written)
        stdin = io.TextIOWrapper(io.BytesIO(input), encoding="utf-8")
        with (
            patch.dict(os.environ, {**self.environment, **environment}, clear=True),
            patch.multiple(sys, stdin=stdin, stdout=stdout, stderr=stderr),
            patch.object(signals, "received", None),
        ):
            os.chdir(self.folder)
            output.cache_clear()
            try:
                code = run([os.fsdecode(argument) for argument in arguments])
            finally:
                output.cache_clear()
                os.chdir(before)
                for number, handler in heeded:
                    signal.signal(number, handler)
        return subprocess.CompletedProcess(arguments, code, *(stream.getvalue() for stream in written))


@pytest.fixture
def here(environment: dict[str, str], tmp_path: Path) -> Here:
    """The program without a process of its own, in the same folder as `sam`."""
    return Here(environment, tmp_path)


@pytest.fixture
def sam(program: Path, environment: dict[str, str], tmp_path: Path, nursery: Nursery) -> Sam:
    """The real program, in a folder of its own."""
    return Sam(program, environment, tmp_path, nursery)


@pytest.fixture
def cold(program: Path, environment: dict[str, str], tmp_path: Path) -> Sam:
    """The same, with nothing loaded before it begins."""
    return Sam(program, environment, tmp_path)


def tone(seconds: float = 1.0, pitch: float = 440.0, level: float = 0.3, seed: int = 0) -> np.ndarray:
    """A tone with a little noise: float32 mono at 16 kHz."""
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(times)) * 0.01
    return (level * np.sin(2 * np.pi * pitch * times) + noise).astype(np.float32)


@pytest.fixture
def make_wav() -> Callable[..., Path]:
    """Write a tone to a file: make_wav(path, seconds=2, pitch=300)."""

    def make(path: Path | str | bytes, **options: float) -> Path:
        import soundfile

        place = Path(os.fsdecode(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            soundfile.write(file, tone(**options), RATE, format="WAV")  # type: ignore[arg-type]
        return place

    return make
