"""Two real HTTP servers on loopback that speak enough of the Hub's API: the Hub, and the store of its large files.

Every request is kept with its headers. Faults are asked for by rule: a status, a cut after so many bytes, a slow body,
changed bytes. `stop()` closes both, as a network that is gone.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 4096  # bytes from which a file is stored by its SHA-256 and served by the other server


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str = ""
    branches: tuple[str, ...] = ("main",)
    gated: bool = False
    claimed_sizes: dict[str, int] = field(default_factory=dict)  # what the listing says instead of the truth

    def __post_init__(self) -> None:
        if not self.commit:
            digest = hashlib.sha1(usedforsecurity=False)
            for name, content in sorted(self.files.items()):
                digest.update(name.encode() + content)
            self.commit = digest.hexdigest()


@dataclass
class Request:
    server: str
    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


@dataclass
class Fault:
    """What happens to the next `times` requests that match `method` and `path`."""

    path: str
    method: str = "GET|HEAD"
    times: int = 1
    status: int = 0  # answer with this
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body, then the connection is closed
    pause: float = 0.0  # seconds before each block of the body
    block: int = 65536
    corrupt: bool = False  # the last byte is flipped
    hang: bool = False  # no answer at all until the server stops
    body: bytes = b"{}"  # of an answer with `status`
    endless: bool = False  # of a body: its last block is sent again and again, and no length is told


class HubServer:
    def __init__(self, token: str = "hf_secret") -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.token = token
        self.ignores_ranges = False
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._servers = [_Server(self, "hub"), _Server(self, "store")]
        self.endpoint = f"http://127.0.0.1:{self._servers[0].server_port}"
        self.store = f"http://localhost:{self._servers[1].server_port}"
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def seen(self, path: str = "", method: str = "", server: str = "") -> list[Request]:
        with self._lock:
            return [
                request
                for request in self.requests
                if re.search(path, request.path) and method in request.method and server in request.server
            ]

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def blob(self, sha256: str) -> bytes | None:
        for repo in self.repos.values():
            for content in repo.files.values():
                if hashlib.sha256(content).hexdigest() == sha256:
                    return content
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer, role: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.role = hub, role

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients are killed and cut on purpose


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub = self.server.hub
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.request_seen = Request(self.server.role, self.command, self.path, headers)
        hub.note(self.request_seen)
        self.current = hub.fault(self.command, self.path)
        if self.current and self.current.hang:
            hub.closing.wait()
            self.close_connection = True
        elif self.current and self.current.status:
            self.reply(self.current.status, self.current.headers, self.current.body)
        elif self.server.role == "store":
            self.send_blob()
        else:
            self.route(unquote(urlsplit(self.path).path))

    def route(self, path: str) -> None:
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = listing or file
        repo = self.server.hub.repos.get(match.group(1)) if match else None
        if match is None or repo is None:
            # The Hub hides what it does not have from those who are not logged in.
            known = self.authorised()
            self.error(404 if known else 401, "RepoNotFound" if known else None)
        elif listing:
            revision = listing.group(3) or "main"
            if not self.is_revision(repo, revision):
                self.error(404, "RevisionNotFound")
            elif listing.group(2) == "tree":
                self.reply_json([{"type": "file", "path": n, **entry(n, repo)} for n in repo.files])
            else:
                siblings = [{"rfilename": n, **entry(n, repo)} for n in repo.files]
                self.reply_json({"id": match.group(1), "sha": repo.commit, "siblings": siblings, "gated": repo.gated})
        else:
            self.resolve(repo, match.group(2), match.group(3))

    def resolve(self, repo: Repo, revision: str, name: str) -> None:
        commit = {"X-Repo-Commit": repo.commit}
        if repo.gated and not self.authorised():
            self.error(401, "GatedRepo")
        elif not self.is_revision(repo, revision):
            self.error(404, "RevisionNotFound")
        elif name not in repo.files:
            self.error(404, "EntryNotFound", commit)
        elif len(repo.files[name]) < LARGE:
            self.send_content(repo.files[name], {**commit, "ETag": f'"{git_sha1(repo.files[name])}"'})
        else:
            sha256 = hashlib.sha256(repo.files[name]).hexdigest()
            size = repo.claimed_sizes.get(name, len(repo.files[name]))
            linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(size)}
            where = {"Location": f"{self.server.hub.store}/{sha256}?signature=1"}
            self.reply(302, {**commit, **linked, **where}, b"")

    def send_blob(self) -> None:
        content = self.server.hub.blob(urlsplit(self.path).path.strip("/"))
        if content is None:
            self.reply(404, {}, b"")
        else:
            self.send_content(content, {})

    def send_content(self, content: bytes, headers: dict[str, str]) -> None:
        if self.current and self.current.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and not self.server.hub.ignores_ranges:
            start = int(asked.group(1))
            if start >= len(content):
                self.reply(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
                return
            span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            self.reply(206, {**headers, **span}, content[start:])
        else:
            self.reply(200, {**headers, "Accept-Ranges": "bytes"}, content)

    def is_revision(self, repo: Repo, revision: str) -> bool:
        return revision == repo.commit or revision in repo.branches

    def authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.hub.token}"

    def error(self, status: int, code: str | None, headers: dict[str, str] | None = None) -> None:
        self.reply(status, {**({"X-Error-Code": code} if code else {}), **(headers or {})}, b"{}")

    def reply_json(self, value: object) -> None:
        self.reply(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.request_seen.status = status
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        fault = self.current or Fault("")
        if not fault.endless or self.command == "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        while fault.endless and not self.server.hub.closing.is_set():
            self.close_connection = True
            self.wfile.write(body)
            self.request_seen.sent += len(body)
        if fault.cut_after is not None:
            body, self.close_connection = body[: fault.cut_after], True
        for place in range(0, len(body), fault.block):
            if fault.pause:
                time.sleep(fault.pause)
            piece = body[place : place + fault.block]
            self.wfile.write(piece)
            self.request_seen.sent += len(piece)


def entry(name: str, repo: Repo) -> dict[str, object]:
    content = repo.files[name]
    size = repo.claimed_sizes.get(name, len(content))
    if len(content) < LARGE:
        return {"size": size, "blobId": git_sha1(content)}
    sha256 = hashlib.sha256(content).hexdigest()
    return {"size": size, "blobId": git_sha1(b"pointer"), "lfs": {"sha256": sha256, "size": size, "pointerSize": 134}}


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
