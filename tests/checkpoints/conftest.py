"""A Hub on loopback, and the real client against it in processes of its own (it reads HF_* when it is imported)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save

from tests.checkpoints.hub_server import HubServer, Repo

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json, sys
from samcli.checkpoints import hub_client as hub
from samcli.errors import SamError
for line in sys.stdin:
    command, arguments, options = json.loads(line)
    try:
        found = getattr(hub, command)(*arguments, **options)
    except SamError as error:
        answer = {"error": str(error), "exit_code": error.exit_code, "kind": type(error).__name__}
    else:
        answer = {"commit": found.commit, "folder": str(found.folder)}
    print(json.dumps(answer), flush=True)
"""


def language_files(weights_bytes: int = 20_000, **more: bytes) -> dict[str, bytes]:
    """A repository as people publish them: what sam needs, and what it must leave alone."""
    weights = numpy.random.default_rng(1).standard_normal(weights_bytes // 4).astype(numpy.float32)
    return {
        "config.json": json.dumps({"model_type": "mamba2", "time_step_limit": [0.0, float("inf")]}).encode(),
        "tokenizer.json": b'{"version": "1.0"}',
        "model.safetensors": save({"weights": weights}),
        "README.md": b"# card",
        "modeling_mamba2.py": b"raise SystemExit('hub code was run')",
        "pytorch_model.bin": b"\x80\x04pickle" * 1000,
        **more,
    }


@dataclass
class Client:
    """Runs the checkpoints room's Hub functions in a process of its own, with a cache of its own.

    One process serves a test's calls, one after the other; a call with other variables gets a fresh one.
    """

    hub: HubServer
    home: Path
    worker: subprocess.Popen[str] | None = None

    def environment(self, **variables: str) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        return {
            **inherited,
            "HF_ENDPOINT": self.hub.endpoint,
            "HF_HOME": str(self.home),
            # SAMCLI_HUB_CLIENT: a folder with another version of huggingface_hub, to try the same tests on it
            "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("SAMCLI_HUB_CLIENT"), str(ROOT)])),
            "NO_PROXY": "*",
            **variables,
        }

    def start(self, env: dict[str, str] | None = None, prelude: str = "") -> subprocess.Popen[str]:
        self.home.mkdir(exist_ok=True)
        with self.stderr.open("a") as stderr:
            return subprocess.Popen(
                [sys.executable, "-c", prelude + PROGRAM],
                env=self.environment(**(env or {})),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    @property
    def stderr(self) -> Path:
        return self.home.with_name("stderr")

    def ask(self, process: subprocess.Popen[str], command: str, *arguments: Any, **options: Any) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps([command, arguments, options]) + "\n")
        process.stdin.flush()

    def answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.stderr.read_text()
        return json.loads(line)  # type: ignore[no-any-return]

    def run(
        self, command: str, *arguments: Any, env: dict[str, str] | None = None, prelude: str = "", **options: Any
    ) -> dict[str, Any]:
        """What the call returned or said, with what it wrote to stderr."""
        said = len(self.stderr.read_text()) if self.stderr.exists() else 0
        process = self.start(env, prelude) if env or prelude else self.worker or self.start()
        self.ask(process, command, *arguments, **options)
        answer = self.answer(process)
        if env or prelude:
            self.end(process)
        else:
            self.worker = process
        return {**answer, "stderr": self.stderr.read_text()[said:]}

    def end(self, process: subprocess.Popen[str]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait(timeout=60)

    def cache_files(self) -> list[str]:
        """Every file and link under the cache, by its path below it."""
        cache = self.home / "hub"
        return sorted(
            str(path.relative_to(cache)) for path in cache.rglob("*") if not path.is_dir() or path.is_symlink()
        )


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small language model's folder, for others to spoil a copy of."""
    from samcli.checkpoints.format import save_module
    from samcli.ssm.language.blocks import LanguageConfig
    from samcli.ssm.language.model import LanguageModel

    config = LanguageConfig(d_model=32, n_layer=2, vocab_size=53, d_state=16, headdim=16)
    save_module(folder := tmp_path_factory.mktemp("honest") / "model", LanguageModel(config), config)
    return folder


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer()
    server.repos["org/model"] = Repo(language_files())
    yield server
    server.stop()


@pytest.fixture
def client(hub: HubServer, tmp_path: Path) -> Iterator[Client]:
    client = Client(hub, tmp_path / "home")
    yield client
    if client.worker is not None:
        client.end(client.worker)
