"""Nothing in the package runs what it reads: no eval, no exec, no pickle, no shell; a checker of such things agrees.

bandit -q -r samcli -ll -ii
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "samcli").rglob("*.py"))
NAMES = {"eval", "exec", "compile", "__import__"}  # called by their bare name
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "xml", "ftplib"}
CALLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp"}
# For the name of the error that a refused pickle raises; to see whether one of two packages named in the code is there;
# between a run and the processes it starts, over pipes that nobody else holds.
HARMLESS = {
    ("convert.py", "pickle"), ("report.py", "__import__"), ("process.py", "pickle"),
}  # fmt: skip


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute or a name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def faults(path: Path) -> Iterator[str]:
    name_of_file = path.relative_to(ROOT)  # once: there are half a million nodes
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            continue
        where = f"{name_of_file}:{node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in {name.split(".")[0] for name in found} & MODULES:
                if (path.name, module) not in HARMLESS:
                    yield f"{where} imports {module}"
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        words = {word.arg: word.value for word in node.keywords}
        bare = isinstance(node.func, ast.Name) and name in NAMES and (path.name, name) not in HARMLESS
        if bare or name in CALLS:
            yield f"{where} calls {name}"
        module = name.split(".")[0]
        if name.endswith((".loads", ".load")) and module in MODULES and (path.name, module) not in HARMLESS:
            yield f"{where} calls {name}"
        if "shell" in words and not (isinstance(words["shell"], ast.Constant) and words["shell"].value is False):
            yield f"{where} passes shell="
        if name == "torch.load" and getattr(words.get("weights_only"), "value", None) is not True:
            yield f"{where} loads without weights_only=True"
        if "trust_remote_code" in words or getattr(words.get("allow_pickle"), "value", False) is not False:
            yield f"{where} trusts what it reads"


def test_nothing_runs_what_it_reads() -> None:
    assert len(FILES) > 100
    assert [fault for path in FILES for fault in faults(path)] == []


FORBIDDEN = [
    "eval('1')", "import pickle", "from pickle import loads", "subprocess.run('x', shell=True)", "os.system('x')",
    "torch.load('x')", "torch.load('x', weights_only=False)", "np.load('x', allow_pickle=True)",
]  # fmt: skip


@pytest.mark.parametrize("line", FORBIDDEN)
def test_the_search_finds(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "bad.py").write_text(line + "\n")
    assert list(faults(tmp_path / "bad.py"))


@pytest.mark.skipif(find_spec("bandit") is None, reason="bandit is not installed")
@pytest.mark.stress
def test_bandit_agrees() -> None:
    command = [sys.executable, "-m", "bandit", "-q", "-r", "samcli", "-f", "json", "-ll", "-ii"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    found = json.loads(done.stdout)["results"]
    assert found == []
