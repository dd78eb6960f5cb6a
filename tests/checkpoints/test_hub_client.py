"""The real huggingface_hub client against a real server: what is fetched, kept, resumed, refused and said."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.checkpoints.conftest import Client, language_files
from tests.checkpoints.hub_server import Fault, HubServer, Repo

BIG = 25_000_000  # the client writes in blocks of 10 MB: a partial file needs more than one


def content(folder: str, name: str = "model.safetensors") -> bytes:
    return (Path(folder) / name).read_bytes()


def test_pull_fetches_what_is_needed_and_nothing_else(hub: HubServer, client: Client) -> None:
    found = client.run("resolve", "org/model")
    repo = hub.repos["org/model"]
    assert found["commit"] == repo.commit
    assert sorted(path.name for path in Path(found["folder"]).iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert all(content(found["folder"], path.name) == repo.files[path.name] for path in Path(found["folder"]).iterdir())
    assert (client.home / "hub/models--org--model/refs/main").read_text() == repo.commit
    assert not hub.seen("modeling|pytorch_model|README")
    assert len(hub.seen()) == len(hub.seen("^/(api/models/)?org/model/|signature=1$"))
    assert len(hub.seen("^/", server="hub")) == 4  # the listing, and each file once
    assert found["stderr"] == ""


def test_a_mirror_that_lists_no_hashes_serves_too(hub: HubServer, client: Client) -> None:
    repo = hub.repos["org/model"]
    listing = {"id": "org/model", "sha": repo.commit, "siblings": [{"rfilename": name} for name in repo.files]}
    hub.faults.append(Fault("/api/", times=9, status=200, body=json.dumps(listing).encode()))
    found = client.run("resolve", "org/model")
    assert content(found["folder"]) == repo.files["model.safetensors"]
    assert client.run("pull", "org/model")["folder"] == found["folder"]
    assert client.run("resolve", "org/model", offline=True)["folder"] == found["folder"]


def test_a_whole_cache_is_used_without_any_request(hub: HubServer, client: Client) -> None:
    first = client.run("resolve", "org/model")
    asked = len(hub.seen())
    assert client.run("resolve", "org/model")["folder"] == first["folder"]
    assert client.run("resolve", f"org/model@{first['commit']}")["folder"] == first["folder"]
    assert client.run("resolve", f"org/model@{first['commit'][:9]}")["folder"] == first["folder"]
    assert client.run("resolve", "org/model", offline=True)["folder"] == first["folder"]
    assert client.run("resolve", "org/model", env={"HF_HUB_OFFLINE": "1"})["folder"] == first["folder"]
    assert len(hub.seen()) == asked
    hub.stop()
    assert client.run("resolve", "org/model")["folder"] == first["folder"]


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_offline_without_a_cache_makes_no_request(hub: HubServer, client: Client, how: str) -> None:
    if how == "flag":
        found = client.run("resolve", "org/model", offline=True)
    else:
        found = client.run("resolve", "org/model", env={"HF_HUB_OFFLINE": "YES"})
    assert found["exit_code"] == 3
    assert "sam models pull org/model" in found["error"]
    assert not hub.seen()


def test_the_hubs_own_client_finds_what_we_stored(hub: HubServer, client: Client) -> None:
    import subprocess
    import sys

    found = client.run("resolve", "org/model")
    script = "from huggingface_hub import hf_hub_download as get; print(get('org/model', 'model.safetensors'))"
    asked = client.environment(HF_HUB_OFFLINE="1")
    path = subprocess.run([sys.executable, "-c", script], env=asked, capture_output=True, text=True, check=True).stdout
    assert path.strip() == str(Path(found["folder"]) / "model.safetensors")


def test_a_cut_in_mid_file_goes_on_where_it_stopped(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"] = Repo(language_files(BIG))
    hub.faults.append(Fault("signature", "GET", cut_after=22_000_000))
    found = client.run("resolve", "org/model")
    assert content(found["folder"]) == hub.repos["org/model"].files["model.safetensors"]
    first, second = hub.seen("signature", "GET")
    assert "range" not in first.headers
    assert second.headers["range"] == "bytes=20000000-" or second.headers["range"] == "bytes=20971520-"
    assert second.sent < 6_000_000


def test_a_killed_download_is_resumed_by_the_next_run(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"] = Repo(language_files(BIG))
    whole = hub.repos["org/model"].files["model.safetensors"]
    blob = hashlib.sha256(whole).hexdigest()
    partial = client.home / f"hub/models--org--model/blobs/{blob}.incomplete"
    hub.faults.append(Fault("signature", "GET", pause=0.02))
    killed = client.start()
    client.ask(killed, "resolve", "org/model")
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size >= 10_000_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    client.end(killed)
    kept = partial.stat().st_size
    assert 10_000_000 <= kept < len(whole)
    assert not (client.home / "hub/models--org--model/refs").exists()
    hub.requests.clear()
    found = client.run("resolve", "org/model")
    assert content(found["folder"]) == whole
    assert [request.headers["range"] for request in hub.seen("signature", "GET")] == [f"bytes={kept}-"]
    assert not [name for name in client.cache_files() if "incomplete" in name]


def test_a_partial_file_with_wrong_bytes_is_found_out(hub: HubServer, client: Client) -> None:
    whole = hub.repos["org/model"].files["model.safetensors"]
    blobs = client.home / "hub/models--org--model/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(whole).hexdigest()}.incomplete").write_bytes(b"x" * 5000)
    assert content(client.run("resolve", "org/model")["folder"]) == whole


@pytest.mark.slow
def test_a_server_that_ignores_ranges_still_gives_the_whole_file(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"] = Repo(language_files(BIG))
    hub.ignores_ranges = True
    hub.faults.append(Fault("signature", "GET", cut_after=22_000_000))
    found = client.run("resolve", "org/model")
    assert content(found["folder"]) == hub.repos["org/model"].files["model.safetensors"]


def test_two_pulls_at_once_fetch_the_weights_once(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"] = Repo(language_files(3_000_000))
    hub.faults.append(Fault("signature", "GET", times=9, pause=0.02))
    both = [client.start() for _ in range(2)]
    for process in both:
        client.ask(process, "resolve", "org/model")
    found = [client.answer(process) for process in both]
    for process in both:
        client.end(process)
    assert found[0] == found[1]
    assert content(found[0]["folder"]) == hub.repos["org/model"].files["model.safetensors"]
    assert len(hub.seen("signature", "GET")) == 1


def test_a_gated_repository_asks_for_a_token_and_works_with_one(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"].gated = True
    refused = client.run("resolve", "org/model")
    assert refused["exit_code"] == 3
    assert "gated" in refused["error"] and "HF_TOKEN" in refused["error"]
    found = client.run("resolve", "org/model", env={"HF_TOKEN": hub.token})
    assert content(found["folder"]) == hub.repos["org/model"].files["model.safetensors"]


def test_the_token_never_reaches_another_host(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"].gated = True
    hub.faults.append(Fault("signature", "GET", cut_after=5000))  # the resumed request must not carry it either
    client.run("resolve", "org/model", env={"HF_TOKEN": hub.token})
    assert any("authorization" in request.headers for request in hub.seen(server="hub"))
    at_store = hub.seen(server="store")
    assert len(at_store) >= 2
    assert not any(hub.token in str(request.headers) + request.path for request in at_store)


def test_a_mirror_is_the_only_host_asked(hub: HubServer, client: Client) -> None:
    mirror = HubServer()
    mirror.repos["org/model"] = hub.repos["org/model"]
    found = client.run("resolve", "org/model", env={"HF_ENDPOINT": mirror.endpoint + "/"})
    mirror.stop()
    assert "folder" in found and not hub.seen()


def test_pulling_again_replaces_a_damaged_cached_file(hub: HubServer, client: Client) -> None:
    found = client.run("pull", "org/model")
    path = Path(found["folder"]) / "model.safetensors"
    path.resolve().write_bytes(path.read_bytes()[:-9])
    client.run("pull", "org/model")
    assert path.read_bytes() == hub.repos["org/model"].files["model.safetensors"]


def test_pull_follows_the_branch_and_keeps_the_old_commit(hub: HubServer, client: Client) -> None:
    old = client.run("pull", "org/model")
    hub.repos["org/model"] = Repo(language_files(30_000))
    assert client.run("resolve", "org/model")["commit"] == old["commit"]  # nothing asked, nothing changed
    new = client.run("pull", "org/model")
    assert new["commit"] == hub.repos["org/model"].commit != old["commit"]
    assert client.run("resolve", "org/model", offline=True)["commit"] == new["commit"]
    assert client.run("resolve", f"org/model@{old['commit']}", offline=True)["commit"] == old["commit"]


def test_shards_come_from_the_index_alone(hub: HubServer, client: Client) -> None:
    part = language_files()["model.safetensors"]
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    files = {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00001-of-00002.safetensors": part,
        "model-00002-of-00002.safetensors": part[:-4] + b"abcd",
        "model.fp16.safetensors": part,
    }
    hub.repos["org/model"] = Repo(files)
    found = client.run("resolve", "org/model")
    names = sorted(path.name for path in Path(found["folder"]).iterdir())
    assert names == sorted(set(files) - {"model.fp16.safetensors"})
    (Path(found["folder"]) / "model-00002-of-00002.safetensors").unlink()
    assert client.run("resolve", "org/model", offline=True)["exit_code"] == 3


def test_progress_is_drawn_only_when_asked(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"] = Repo(language_files(3_000_000))
    assert client.run("pull", "org/model", progress=False)["stderr"] == ""
    hub.repos["org/other"] = hub.repos["org/model"]
    assert "model.safetensors" in client.run("pull", "org/other", progress=True)["stderr"]
