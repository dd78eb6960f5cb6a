"""A foreign `samcli` is named in one sentence, wherever it hides ours."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path):
    """What our wheel puts into an environment: the package, and the launcher beside it."""
    shutil.copytree(ROOT / "samcli", tmp_path / "site" / "samcli", ignore=shutil.ignore_patterns("data", "__pycache__"))
    (tmp_path / "site" / "samcli" / "launcher.py").rename(tmp_path / "site" / "samcli_launcher.py")
    return tmp_path / "site"


def foreign(folder):
    """A package with the name of ours and none of its insides, made like aws-sam-cli."""
    for part in ("samcli/cli", "samcli/hook_packages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "samcli/__init__.py").write_text('"""Another program."""\n__version__ = "1.170.0"\n')
    (folder / "samcli/cli/__init__.py").write_text('"""Another command line."""\n')
    (folder / "samcli/cli/main.py").write_text("def cli():\n    raise SystemExit(99)\n")
    return folder


def run(*path, code="import samcli_launcher; samcli_launcher.main()", arguments=("--version",), works=False):
    start = f"import sys; sys.path[:0] = {list(map(str, path))!r}; sys.argv[0] = 'sam'; {code}"
    # Without site-packages, where another copy of ours may be installed; but ours needs what else is there.
    alone = [] if works else ["-S"]
    return subprocess.run([sys.executable, *alone, "-c", start, *arguments], capture_output=True, text=True, cwd="/")


def says_so(done, words):
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and words in done.stderr and "pipx" in done.stderr, done.stderr


def test_ours_alone_runs(site):
    done = run(site, works=True)
    assert done.returncode == 0 and done.stdout.startswith("sam "), done.stderr


def test_one_that_comes_first_on_the_path(site, tmp_path):
    says_so(run(foreign(tmp_path / "other"), site), str(tmp_path / "other"))


def test_one_that_overwrote_ours(site):
    says_so(run(foreign(site)), "aws-sam-cli")


def test_one_that_ours_overwrote_leaves_ours_working(site, tmp_path):
    mixed = foreign(tmp_path / "mixed")
    shutil.copytree(site, mixed, dirs_exist_ok=True)
    done = run(mixed, works=True)
    assert done.returncode == 0 and done.stdout.startswith("sam ")


def test_the_remains_after_the_other_was_removed(site):
    for name in ("__init__.py", "__main__.py", "cli/__init__.py"):
        (site / "samcli" / name).unlink()
    says_so(run(site), "remains")


def test_a_module_instead_of_a_package(site, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "samcli.py").write_text("raise SystemExit(99)\n")
    says_so(run(tmp_path / "other", site), str(tmp_path / "other"))


def test_none_at_all(site):
    shutil.rmtree(site / "samcli")
    says_so(run(site), "not there")


def test_our_main_module_among_foreign_files(site):
    main = (site / "samcli" / "__main__.py").read_bytes()
    foreign(site)
    (site / "samcli" / "__main__.py").write_bytes(main)
    says_so(run(site, code="import runpy; runpy.run_module('samcli', run_name='__main__')"), "aws-sam-cli")
