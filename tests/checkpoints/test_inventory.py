"""What there is, and taking it away: rows without network or torch, removal that touches the cache alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samcli.checkpoints import catalogue, inventory
from samcli.checkpoints.format import KINDS
from samcli.errors import ModelError
from tests.checkpoints.conftest import ROOT, language_files

COMMIT = "a" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def stored(cache: Path, repo: str, commit: str = COMMIT, ref: str | None = "main", **more: bytes) -> Path:
    """A repository as the Hub's client leaves it."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir(exist_ok=True)
    for name, content in {**language_files(), **more}.items():
        blob = root / "blobs" / f"{name}-{hash(content) & 0xFFFF:x}"
        blob.write_bytes(content)
        (snapshot / name).symlink_to(Path("../../blobs") / blob.name)
    if ref:
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / ref).write_text(commit)
    return root


def test_every_entry_of_the_catalogue_makes_sense() -> None:
    entries = catalogue.entries()
    assert {"dass-small", "dass-medium", "eat-base", "eat-large", "sam-130m", "sam-2.7b"} <= entries.keys()
    for entry in entries.values():
        assert entry.licence and set(entry.tasks) <= {"tag", "caption", "ask"}
        assert entry.format in ("safetensors", "pickle", "parts")
        assert (entry.repo is None) == (entry.format == "parts")
        assert entry.kind in KINDS
        if entry.repo:
            assert catalogue.split_revision(entry.repo) == (entry.repo, None)
        if entry.score:
            assert 40 < entry.score.value < 60 and entry.score.metric == "AudioSet mAP"
        assert all(part in entries for part in entry.parts.values())


def test_listing_needs_neither_network_nor_torch(tmp_path: Path) -> None:
    program = """
import json, socket, sys
def refuse(*_): raise AssertionError("the network was touched")
socket.socket.connect = refuse
from samcli.checkpoints import inventory
rows = inventory.list_models()
inventory.show_model("dass-medium")
inventory.show_model("sam-130m")
assert "torch" not in sys.modules
print(json.dumps([row.name for row in rows]))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert {"dass-medium", "sam-130m"} <= set(json.loads(done.stdout))


def test_what_can_be_used_comes_first(cache: Path) -> None:
    stored(cache, "worstchan/EAT-base_epoch30_finetune_AS2M")
    stored(cache, "someone/own-mamba")
    every = inventory.list_models()
    found = inventory.usable(every)
    assert [row.where for row in found[:3]] == ["bundled", "cached", "cached"]
    assert {row.name for row in found[:3]} == {"sam-nano", "eat-base", "someone/own-mamba"}
    assert {"dass-medium", "sam-130m"} <= {row.name for row in found}
    assert not {"mamba-130m", "ssamba-base", "mamba2-130m-original", "eat-base-pretrain"} & {row.name for row in found}
    assert len(found) < len(every) / 2


def test_rows_say_where_a_model_is(cache: Path) -> None:
    known = {row.name: row for row in inventory.list_models()}
    assert known["eat-base"].where == "known" and known["eat-base"].score == "AudioSet mAP 48.9"
    stored(cache, "worstchan/EAT-base_epoch30_finetune_AS2M")
    stored(cache, "someone/own-mamba")
    stored(cache, "someone/a-chat-model", **{"config.json": b'{"model_type": "llama"}'})
    rows = {row.name: row for row in inventory.list_models()}
    assert (rows["eat-base"].where, rows["eat-base"].revision) == ("cached", COMMIT)
    assert rows["someone/own-mamba"].where == "cached"
    assert rows["someone/own-mamba"].bytes and rows["someone/own-mamba"].bytes > 20_000
    assert "someone/a-chat-model" not in rows
    assert rows["sam-130m"].where == "known"
    stored(cache, "AntonV/mamba2-130m-hf")
    assert {row.name: row for row in inventory.list_models()}["sam-130m"].where == "cached"


def test_show_reads_the_files_it_has(cache: Path) -> None:
    assert inventory.show_model("mamba2-130m").folder is None
    root = stored(cache, "AntonV/mamba2-130m-hf")
    details = inventory.show_model("mamba2-130m")
    assert details.folder == root / "snapshots" / COMMIT
    assert (details.kind, details.parameters, details.dtypes) == ("language", 5_000, ("F32",))
    assert ("config.json", (details.folder / "config.json").stat().st_size) in details.files


def test_path_is_that_of_the_cache(cache: Path) -> None:
    with pytest.raises(ModelError, match="sam models pull"):
        inventory.model_path("AntonV/mamba2-130m-hf")
    root = stored(cache, "AntonV/mamba2-130m-hf")
    assert inventory.model_path("mamba2-130m") == root / "snapshots" / COMMIT
    with pytest.raises(ModelError, match="put together from"):
        inventory.model_path("sam-130m")


@pytest.mark.parametrize("dry_run", [True, False])
def test_removal_takes_one_repository_and_nothing_else(cache: Path, dry_run: bool) -> None:
    root, other = stored(cache, "org/one"), stored(cache, "org/two")
    (root / "blobs" / "abc.incomplete").write_bytes(b"x" * 5000)
    before = sorted(cache.rglob("*"))
    size = sum(path.stat().st_size for path in (root / "blobs").iterdir())
    removal = inventory.remove_model("org/one", dry_run=dry_run)
    assert removal.done is not dry_run
    assert root in removal.paths and removal.bytes >= size
    assert root.exists() is dry_run and other.exists()
    if dry_run:
        assert sorted(cache.rglob("*")) == before


def test_removal_of_one_commit_keeps_what_the_others_share(cache: Path) -> None:
    root = stored(cache, "org/one")
    stored(cache, "org/one", commit="b" * 40, ref="old", **{"config.json": b'{"other": 1}'})
    blobs = len(list((root / "blobs").iterdir()))
    dry = inventory.remove_model("org/one@" + "b" * 40, dry_run=True)
    assert len(list((root / "blobs").iterdir())) == blobs
    removal = inventory.remove_model("org/one@" + "b" * 40)
    assert removal.paths == dry.paths
    assert not (root / "snapshots" / ("b" * 40)).exists()
    assert (root / "snapshots" / COMMIT / "model.safetensors").exists()
    assert len(list((root / "blobs").iterdir())) == blobs - 1
    with pytest.raises(ModelError, match="no revision"):
        inventory.remove_model("org/one@" + "c" * 40)


def test_removal_keeps_its_hands_off_everything_else(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cache.mkdir()
    (cache / "models--org--linked").symlink_to(elsewhere)
    said = {
        "sam-nano": "part of this installation",
        "sam-130m": "no files of its own",
        "mine": "your own folder",
        "org/linked": "not in the cache",
        "org/absent": "not in the cache",
        "../mine": "not a model name",
        "/": "your own folder",
    }
    for name, sentence in said.items():
        with pytest.raises(ModelError, match=sentence):
            inventory.remove_model(name)
    assert elsewhere.exists() and (tmp_path / "mine").exists()


def test_a_poisoned_ref_leads_nowhere(cache: Path, tmp_path: Path) -> None:
    stored(cache, "org/one")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text('{"model_type": "mamba2"}')
    (cache / "models--org--one" / "refs" / "main").write_text("../../../outside")
    assert "org/one" not in {row.name for row in inventory.list_models()}
    with pytest.raises(ModelError):
        inventory.model_path("org/one")


@pytest.mark.parametrize("name", ["dass-medium", "org/name@v1.0", "org/name@refs/pr/3"])
def test_names_that_may_be_asked_for(name: str, cache: Path) -> None:
    if "/" in name:
        repo, revision = catalogue.split_revision(name)
        assert (repo, revision) == tuple(name.split("@"))
    else:
        assert catalogue.find(name) is not None


def test_a_mistyped_name_is_met_with_the_right_one() -> None:
    assert "dass-medium" in catalogue.suggest("dass-meduim")
    assert "sam models list" in catalogue.suggest("xyzzy")
