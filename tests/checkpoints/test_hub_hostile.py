"""A Hub that lies, from the command line: one sentence and exit code 3, nothing outside the cache, no token let out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.conftest import Client, language_files
from tests.checkpoints.hub_server import Fault, HubServer, Repo, entry

PAGE = b"<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>"


def pull(client: Client, **variables: str) -> subprocess.CompletedProcess[str]:
    """`sam models pull org/model`."""
    client.home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "samcli", "models", "pull", "org/model"],
        env=client.environment(OMP_NUM_THREADS="1", HF_HUB_ETAG_TIMEOUT="5", HF_HUB_DOWNLOAD_TIMEOUT="5", **variables),
        capture_output=True,
        text=True,
        timeout=250,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2, done.stderr
    return done.stderr.splitlines()[-1]


def outside(client: Client) -> list[Path]:
    """Every file beside the cache."""
    return sorted(path for path in client.home.parent.rglob("*") if client.home not in (path, *path.parents))


LISTINGS: dict[str, bytes] = {
    "a page": PAGE,
    "nothing": b"",
    "half of it": b'{"id": "org/model", "sha": "',
    "a list": b"[]",
    "a number": b"7",
    "no commit": b'{"id": "org/model", "siblings": []}',
    "a path for a commit": b'{"id": "org/model", "sha": "../../../../owned", "siblings": []}',
    "a number for a commit": b'{"id": "org/model", "sha": 7, "siblings": []}',
    "siblings that are none": json.dumps({"id": "org/model", "sha": "a" * 40, "siblings": 5}).encode(),
    "files without names": json.dumps({"id": "org/model", "sha": "a" * 40, "siblings": [{}]}).encode(),
    "a size in words": json.dumps(
        {"id": "org/model", "sha": "a" * 40, "siblings": [{"rfilename": "config.json", "size": "big", "blobId": 3}]}
    ).encode(),
    "nested without end": b"[" * 200_000,
}  # fmt: skip
QUICK = ("a page", "a path for a commit")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in LISTINGS]
)
def test_a_listing_that_is_none(hub: HubServer, client: Client, name: str) -> None:
    before = outside(client)
    hub.faults.append(Fault("/api/", times=9, status=200, body=LISTINGS[name]))
    said = refused(pull(client))
    assert "org/model" in said or hub.endpoint in said
    assert outside(client) == before


NAMES = ["..", "../x.safetensors", "..\\x.safetensors", "a\0b.safetensors", "\x1b[2J.safetensors", "/x.safetensors", ""]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == NAMES[2] else [pytest.mark.slow]) for n in NAMES])
def test_a_listed_name_that_leads_out(hub: HubServer, client: Client, name: str) -> None:
    before = outside(client)
    repo = Repo({"config.json": b"{}", "x.safetensors": language_files()["model.safetensors"]})
    listed = {"config.json": "config.json", name: "x.safetensors"}
    siblings = [{"rfilename": said, **entry(real, repo)} for said, real in listed.items()]
    hub.repos["org/model"] = repo
    listing = json.dumps({"id": "org/model", "sha": repo.commit, "siblings": siblings}).encode()
    hub.faults.append(Fault("/api/", times=9, status=200, body=listing))
    said = refused(pull(client))
    assert "\x1b" not in said and "\0" not in said
    assert outside(client) == before


def test_a_page_in_the_place_of_every_file(hub: HubServer, client: Client) -> None:
    hub.faults.append(Fault("/resolve/", "GET", times=9, status=200, body=PAGE))
    said = refused(pull(client))
    assert "damaged" in said or "sends more" in said
    assert not [name for name in client.cache_files() if name.endswith((".json", ".safetensors"))]


@pytest.mark.parametrize("file", ["config.json", pytest.param("signature", marks=pytest.mark.slow)])
def test_a_file_that_never_ends(hub: HubServer, client: Client, file: str) -> None:
    """No more is taken than the listing promises."""
    hub.faults.append(Fault(file, "GET", times=9, status=200, body=b"x" * 65536, endless=True))
    said = refused(pull(client))
    assert "sends more than" in said
    assert sum((client.home / "hub" / name).lstat().st_size for name in client.cache_files()) < 100_000


@pytest.mark.parametrize("size", [10_000, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 40_000))])
def test_a_size_that_is_a_lie(hub: HubServer, client: Client, size: int) -> None:
    hub.repos["org/model"].claimed_sizes["model.safetensors"] = size
    done = pull(client)
    if done.returncode:
        refused(done)
    else:
        content = (Path(done.stdout.strip()) / "model.safetensors").read_bytes()
        assert content == hub.repos["org/model"].files["model.safetensors"]


REDIRECTS: list[Any] = [
    ("/api/", "GET"),
    ("config.json", "GET"),
    *(pytest.param(where, marks=pytest.mark.slow) for where in (("config.json", "HEAD"), ("signature", "GET"))),
]


@pytest.mark.parametrize("where", REDIRECTS)
def test_the_token_goes_to_no_other_host(hub: HubServer, client: Client, where: tuple[str, str]) -> None:
    """Whatever is redirected to a stranger, he sees no token."""
    path, method = where
    hub.repos["org/model"].gated = True
    stranger = HubServer()
    place = stranger.endpoint.replace("127.0.0.1", "localhost")
    hub.faults.append(Fault(path, method, times=9, status=302, headers={"Location": f"{place}/stolen"}))
    done = pull(client, HF_TOKEN=hub.token)
    seen = stranger.seen()
    stranger.stop()
    assert hub.token not in done.stderr + done.stdout
    assert not any(hub.token in str(request.headers) + request.path for request in seen)
    assert any("authorization" in request.headers for request in hub.seen(server="hub"))


@pytest.mark.parametrize("place", ["file:///etc/passwd", pytest.param("ftp://127.0.0.1/x", marks=pytest.mark.slow)])
@pytest.mark.parametrize("path", ["/api/", pytest.param("config.json", marks=pytest.mark.slow)])
def test_a_redirect_to_another_kind_of_place(hub: HubServer, client: Client, path: str, place: str) -> None:
    hub.faults.append(Fault(path, "GET", times=9, status=302, headers={"Location": place}))
    assert "root:" not in refused(pull(client))
    assert not [name for name in client.cache_files() if name.endswith(".json")]


@pytest.mark.slow
def test_a_redirect_without_end(hub: HubServer, client: Client) -> None:
    hub.faults.append(Fault("/api/", times=99, status=302, headers={"Location": "/api/models/org/model/revision/main"}))
    refused(pull(client))


@pytest.mark.parametrize(
    "name", ["partial", *(pytest.param(name, marks=pytest.mark.slow) for name in ("blob", "lock"))]
)
def test_links_laid_into_a_shared_cache(hub: HubServer, client: Client, tmp_path: Path, name: str) -> None:
    """Who may write to the cache may not make us write elsewhere."""
    listed = entry("model.safetensors", hub.repos["org/model"])
    sha256 = listed["lfs"]["sha256"]  # type: ignore[index]
    victim = tmp_path / "victim"
    victim.write_text("precious")
    cache = client.home / "hub"
    blobs, locks = cache / "models--org--model" / "blobs", cache / ".locks" / "models--org--model"
    places = {"partial": blobs / f"{sha256}.incomplete", "blob": blobs / sha256, "lock": locks / f"{sha256}.lock"}
    places[name].parent.mkdir(parents=True)
    places[name].symlink_to(victim)
    done = pull(client)
    assert victim.read_text() == "precious"
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.strip()) / "model.safetensors"
    assert found.read_bytes() == hub.repos["org/model"].files["model.safetensors"]
