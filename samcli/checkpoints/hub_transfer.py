"""One file from the Hub into its cache: resumable across runs, its hash checked, the token kept to the Hub's own host.

A partial file is named after the hash of the whole, beside the finished blobs, and stays there when a download is cut
or killed: the next run asks only for the rest. Nothing that a server says becomes a path before it is checked.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from samcli.checkpoints.files import repo_folder
from samcli.checkpoints.safety import shown
from samcli.errors import ModelError
from samcli.writers.disk import own_file, remove_strange

Result = TypeVar("Result")

PASSING_FAULTS = (408, 429, 500, 502, 503, 504)  # worth another try
WAITS = (0.5, 1.0, 2.0)  # seconds before each further try
SPARE = 64 * 2**20  # bytes left free on the disk beside a download
LONGEST_WAIT = 30.0  # seconds; a server that asks for more is reported instead


class RemoteFile(NamedTuple):
    """What the Hub's listing says of one file."""

    name: str
    size: int | None
    hash: str | None  # SHA-256 of large files; of small ones the SHA-1 that git names them by


def fetch_file(repo: str, commit: str, file: RemoteFile, progress: bool = False) -> Path:
    """The file in its snapshot folder, downloaded unless the cache has it."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    root = repo_folder(repo)
    pointer = root / "snapshots" / commit / plain_name(file.name)
    if pointer.exists():
        return pointer
    blob = root / "blobs" / blob_name(commit, file)
    lock = root.parent / ".locks" / root.name / f"{blob.name}.lock"
    for folder in (blob.parent, pointer.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for place in (lock, blob):  # in a cache that others may write to, a link could lead our bytes anywhere
        if place.is_symlink():
            place.unlink()
    with WeakFileLock(lock):
        if not blob.exists():
            _fetch_blob(hf_hub_url(repo, file.name, revision=commit), blob, file, progress)
        _link(blob, pointer)
    return pointer


def blob_name(commit: str, file: RemoteFile) -> str:
    """What the cache calls a file's content: its hash, as the Hub's own client does; some mirrors list none."""
    return file.hash or f"{commit}-{file.name}"


def _fetch_blob(url: str, blob: Path, file: RemoteFile, progress: bool) -> None:
    partial = blob.with_name(f"{blob.name}.incomplete")
    remove_strange(partial)
    for _ in range(2):
        if file.size is None or (partial.exists() and partial.stat().st_size > file.size):
            partial.unlink(missing_ok=True)  # there is no telling what it lacks
        with_retries(lambda: _continue(url, partial, file, progress))
        if has_hash(partial, file.hash):
            partial.replace(blob)
            return
        partial.unlink()
    raise ModelError(f"{file.name} arrived damaged twice from {url.split('/resolve/')[0]}; try again later.")


def _continue(url: str, partial: Path, file: RemoteFile, progress: bool) -> None:
    """Fetch what a partial file lacks. The client's public functions keep no partial file across runs, and take
    whatever a server sends."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
    from tqdm.auto import tqdm

    with own_file(partial, "ab") as out:
        start = out.tell()
        bar = tqdm(desc=file.name, total=file.size, initial=start, unit="B", unit_scale=True, disable=not progress)
        bounded: Any = _Bounded(out, file)
        try:
            with bar:
                http_get(
                    url,
                    bounded,
                    resume_size=start,
                    headers=build_hf_headers(),
                    expected_size=file.size,
                    displayed_filename=file.name,
                    _tqdm_bar=bar,
                )
        except OSError as error:
            # A body of another length than the listing says: the hash will tell, and the file is fetched again.
            if "Consistency check failed" not in str(error):
                raise


class _Bounded:
    """A file that takes no more bytes than the Hub has listed; of a size that is not listed, no more than there is room
    for. A server that never ends would fill the disk."""

    def __init__(self, file: Any, listed: RemoteFile) -> None:
        self._file = file
        self._name = listed.name
        free = shutil.disk_usage(Path(file.name).parent).free - SPARE
        self._most = free if listed.size is None else listed.size

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._most:
            self._file.truncate(0)
            raise ModelError(f"The server sends more than the {self._most:,} bytes that it listed for {self._name}.")
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def has_hash(path: Path, expected: str | None) -> bool:
    """Whether a file has that SHA-256, or that SHA-1 as git names it; True when no hash is known."""
    if expected is None:
        return True
    if len(expected) == 64:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest() == expected


def _link(blob: Path, pointer: Path) -> None:
    if pointer.exists():
        return
    pointer.unlink(missing_ok=True)  # a link whose blob was deleted
    try:
        pointer.symlink_to(Path("../../blobs") / blob.name)
    except OSError:  # a file system without links
        shutil.copyfile(blob, pointer)


def with_retries(call: Callable[[], Result]) -> Result:
    """The call's result; passing faults (busy, broken, slow) are met with a few more tries."""
    from huggingface_hub.errors import HfHubHTTPError

    for attempt, wait in enumerate(WAITS):
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response is None or error.response.status_code not in PASSING_FAULTS:
                raise
            asked = error.response.headers.get("Retry-After", "")
            pause = float(asked) if re.fullmatch(r"\d{1,6}", asked) else wait
            if pause > LONGEST_WAIT:
                raise
        except Exception as error:
            if not is_transport(error) or is_refused(error) or attempt > 0:  # silence has taken long enough
                raise
            pause = wait
        time.sleep(pause)
    return call()


def is_transport(error: BaseException) -> bool:
    """Whether the network failed, whichever HTTP library this version of the Hub's client uses."""
    library = type(error).__module__.partition(".")[0]
    return library in {"httpx", "httpx2", "httpcore", "requests", "urllib3"} or isinstance(
        error, ConnectionError | TimeoutError
    )


def is_refused(error: BaseException) -> bool:
    """Whether there was no connection at all: no use in trying at once again."""
    return any("Connect" in kind.__name__ or kind.__name__ == "ProxyError" for kind in type(error).__mro__[:3])


def damaged_files(folder: Path, files: list[RemoteFile]) -> list[str]:
    """The names of files in a snapshot whose content is not what the Hub lists."""
    there = [file for file in files if (folder / file.name).exists()]
    return [file.name for file in there if not has_hash(folder / file.name, file.hash)]


def discard(path: Path) -> None:
    """Remove a cached file and the blob it points to."""
    blob = path.resolve()
    path.unlink(missing_ok=True)
    if blob.parent.name == "blobs" and blob != path:
        blob.unlink(missing_ok=True)


def plain_name(name: str) -> str:
    """A file name from a listing; refuses any that could leave its folder."""
    if not re.fullmatch(r"[\w][\w .+=@-]*", name) or ".." in name:
        raise ModelError(f"The Hub lists a file called {shown(name)}, which sam will not fetch.")
    return name
