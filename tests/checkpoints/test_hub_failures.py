"""Every way the Hub, the network, a mirror or the disk can fail: patience where it helps, else one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checkpoints.conftest import Client, language_files
from tests.checkpoints.hub_server import Fault, HubServer, Repo


def content(folder: str, name: str = "model.safetensors") -> bytes:
    return (Path(folder) / name).read_bytes()


def test_sentences_for_ids_revisions_and_pickles(hub: HubServer, client: Client) -> None:
    hub.repos["org/pickled"] = Repo({"config.json": b"{}", "pytorch_model.bin": b"x"})
    hub.repos["org/nothing"] = Repo({"README.md": b"#"})
    hub.repos["org/unknown"] = Repo({"model.safetensors": language_files()["model.safetensors"]})
    said = {
        "org/nowhere": "There is no model org/nowhere",
        "org/model@v9": "no revision 'v9'",
        "org/pickled": "sam models convert org/pickled",
        "org/nothing": "holds no weights",
        "org/unknown": "no config.json",
        "not a model": "not a model name, a folder or a Hub id",
        "org/model@../../x": "cannot be a revision",
        "../../etc": "not a model name, a folder or a Hub id",
    }
    for name, sentence in said.items():
        found = client.run("resolve", name)
        assert found.get("exit_code") == 3, (name, found)
        assert sentence in found["error"], (name, found)
        assert "\n" not in found["error"]
    assert not hub.seen("pytorch_model")


def test_an_unknown_id_is_unknown_to_those_logged_in_too(hub: HubServer, client: Client) -> None:
    found = client.run("resolve", "org/nowhere", env={"HF_TOKEN": hub.token})
    assert "There is no model org/nowhere" in found["error"]
    wrong = client.run("resolve", "org/nowhere", env={"HF_TOKEN": "hf_wrong"})
    assert "There is no model org/nowhere" in wrong["error"]
    assert "hf_wrong" not in wrong["error"]


def test_a_token_that_is_not_accepted_is_the_tokens_fault(hub: HubServer, client: Client) -> None:
    said = {"X-Error-Message": "Invalid credentials in Authorization header"}
    hub.faults.append(Fault("/api/", status=401, headers=said))
    found = client.run("resolve", "org/model", env={"HF_TOKEN": "hf_old"})
    assert found["exit_code"] == 3
    assert "does not accept your token" in found["error"] and "hf_old" not in found["error"]


def test_no_network_is_one_sentence(client: Client) -> None:
    client.hub.stop()
    found = client.run("resolve", "org/model")
    assert found["exit_code"] == 3
    assert "No connection to http://127.0.0.1" in found["error"]


@pytest.mark.slow
def test_a_silent_server_is_given_up(hub: HubServer, client: Client) -> None:
    hub.faults.append(Fault("/api/", times=99, hang=True))
    found = client.run("resolve", "org/model", env={"HF_HUB_ETAG_TIMEOUT": "1"})
    assert "No connection" in found["error"]


@pytest.mark.parametrize("status", [429, *(pytest.param(status, marks=pytest.mark.slow) for status in (500, 503))])
def test_passing_faults_are_met_with_patience(hub: HubServer, client: Client, status: int) -> None:
    for path, method in (("/api/", "GET"), ("/resolve/", "HEAD"), ("signature", "GET")):
        hub.faults.append(Fault(path, method, times=2, status=status, headers={"Retry-After": "0"}))
    found = client.run("resolve", "org/model")
    assert content(found["folder"]) == hub.repos["org/model"].files["model.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize(("status", "sentence"), [(403, "gated"), (429, "again in 120 seconds"), (500, "(500)")])
def test_lasting_faults_are_one_sentence(hub: HubServer, client: Client, status: int, sentence: str) -> None:
    hub.faults.append(Fault("/api/", times=99, status=status, headers={"Retry-After": "120"} if status == 429 else {}))
    found = client.run("resolve", "org/model")
    assert found["exit_code"] == 3
    assert sentence in found["error"]


def test_a_damaged_download_is_fetched_once_more(hub: HubServer, client: Client) -> None:
    hub.faults.append(Fault("signature", "GET", corrupt=True))
    found = client.run("resolve", "org/model")
    assert content(found["folder"]) == hub.repos["org/model"].files["model.safetensors"]
    assert len(hub.seen("signature", "GET")) == 2


def test_twice_damaged_is_an_error_and_leaves_nothing_that_looks_whole(hub: HubServer, client: Client) -> None:
    hub.faults.append(Fault("signature", "GET", times=2, corrupt=True))
    found = client.run("resolve", "org/model")
    assert found["exit_code"] == 3
    assert "damaged twice" in found["error"]
    assert not [name for name in client.cache_files() if "safetensors" in name or "incomplete" in name]
    assert client.run("resolve", "org/model", offline=True)["exit_code"] == 3


@pytest.mark.slow
def test_damaged_small_files_are_found_out_too(hub: HubServer, client: Client) -> None:
    hub.faults.append(Fault("config.json", "GET", corrupt=True))
    found = client.run("resolve", "org/model")
    assert content(found["folder"], "config.json") == hub.repos["org/model"].files["config.json"]


def test_too_little_disk_is_said_before_anything_is_fetched(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"].claimed_sizes["model.safetensors"] = 10**15
    found = client.run("resolve", "org/model")
    assert found["exit_code"] == 3
    assert "needs 1000000.0 GB on disk" in found["error"] and "HF_HOME" in found["error"]
    assert not hub.seen("signature")


def test_a_full_disk_is_one_sentence(hub: HubServer, client: Client) -> None:
    hub.repos["org/model"] = Repo(language_files(3_000_000))
    program = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    program += "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)); "
    found = client.run("pull", "org/model", prelude=program)
    assert found["exit_code"] == 3
    assert "HF_HOME" in found["error"] or "cannot be stored" in found["error"]


@pytest.mark.parametrize("name", ["../../outside.safetensors", "/tmp/outside.safetensors", "sub/../x.safetensors"])
def test_an_index_cannot_name_a_file_outside(hub: HubServer, client: Client, name: str) -> None:
    index = json.dumps({"weight_map": {"a": name}}).encode()
    weights = language_files()["model.safetensors"]
    hub.repos["org/model"] = Repo({"config.json": b"{}", "model.safetensors.index.json": index, name: weights})
    found = client.run("resolve", "org/model")
    assert found["exit_code"] == 3
    assert "does not lie in that folder" in found["error"]
    assert all(name.startswith(("models--org--model/", ".locks/")) for name in client.cache_files())


def test_a_hostile_mirror_cannot_choose_where_a_file_goes(hub: HubServer, client: Client) -> None:
    repo = hub.repos["org/model"]
    headers = {"ETag": '"../../../../owned"', "X-Linked-Etag": '"../../../../owned"', "X-Repo-Commit": "../../owned"}
    hub.faults.append(Fault("config.json", times=9, status=200, headers=headers, body=repo.files["config.json"]))
    found = client.run("resolve", "org/model")
    assert content(found["folder"], "config.json") == repo.files["config.json"]
    assert not list(client.home.parent.rglob("*owned*"))
