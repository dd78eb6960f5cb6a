"""Reading files that strangers made: every doubt becomes a ModelError before memory is taken or a path followed.

Nothing here executes what it reads, writes anything, or allocates by a number that the file merely claims: the
sizes in a safetensors header and in a config are first held against the bytes that are really there.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from samcli.errors import ModelError

HEADER_LIMIT = 64 * 2**20  # bytes; the largest published headers are below 1 MiB
JSON_LIMIT = 16 * 2**20  # bytes of a config or index; tokenizers have their own reader
ENTRIES_LIMIT = 20_000  # tensors in one file; the largest models here have below a thousand
RANK_LIMIT = 8  # dimensions of one tensor
SMALL_NUMBER = 2**20  # sizes below this are never absurd: rates, windows, vocabularies
ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip
# Published Mamba-2 configs write an unbounded time step as the non-standard literal Infinity.
MAY_BE_INFINITE = frozenset({"time_step_limit", "dt_limit"})
TENSORS_PER_LAYER = 4  # at least, in every architecture
LAYER_COUNTS = frozenset(
    {"n_layer", "n_layers", "layers", "num_layers", "num_hidden_layers", "depth", "depths", "stem_depth", "blocks"}
    | {"encoder_layers", "decoder_layers"}
)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class DamagedFile(ModelError):
    """A file that is not what it says it is; `path` names it, so that a cached copy can be fetched again."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged: {why}. Fetch or copy it again.")
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_damaged, (self.path, self.message)


def _restore_damaged(path: Path, message: str) -> DamagedFile:
    error = DamagedFile(path, "")
    error.message = message
    error.args = (message,)
    return error


class Spot(NamedTuple):
    """Where one tensor lies in its file."""

    dtype: str
    shape: tuple[int, ...]
    start: int  # bytes from the start of the file
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, Spot]:
    """The tensors of a safetensors file, after proving that they tile its data exactly."""
    size = regular_size(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise DamagedFile(path, "it ends before its header does")
        if length > HEADER_LIMIT:
            raise DamagedFile(path, f"its header claims {length} bytes")
        header = parse_json(file.read(length), path, "its header")
    header.pop("__metadata__", None)
    if len(header) > ENTRIES_LIMIT:
        raise DamagedFile(path, f"it lists {len(header)} tensors")
    spots = {name: _spot(path, name, entry, 8 + length) for name, entry in header.items()}
    reached = 8 + length
    for name, spot in sorted(spots.items(), key=lambda item: (item[1].start, item[1].end)):
        if spot.start != reached:
            fault = "overlaps another" if spot.start < reached else "leaves a gap before it"
            raise DamagedFile(path, f"the tensor {shown(name)} {fault}")
        reached = spot.end
    if reached != size:
        raise DamagedFile(path, f"it has {size} bytes where its header asks for {reached}")
    return spots


def _spot(path: Path, name: str, entry: Any, base: int) -> Spot:
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise DamagedFile(path, f"the header entry of {shown(name)} is incomplete")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise DamagedFile(path, f"the tensor {shown(name)} has the unknown number type {shown(dtype)}")
    if not _whole_numbers(shape) or len(shape) > RANK_LIMIT:
        raise DamagedFile(path, f"the tensor {shown(name)} has the shape {shown(shape)}")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise DamagedFile(path, f"the tensor {shown(name)} has the offsets {shown(offsets)}")
    start, end = offsets
    if end - start != math.prod(shape) * ITEM_BYTES[dtype]:
        raise DamagedFile(path, f"the tensor {shown(name)} has {end - start} bytes, which is not its shape {shape}")
    return Spot(dtype, tuple(shape), base + start, base + end)


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def read_json(path: Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The JSON object in `path`: one object, no repeated keys, only finite numbers (but see MAY_BE_INFINITE)."""
    if regular_size(path) > limit:
        raise DamagedFile(path, f"it is larger than {limit // 2**20} MiB")
    return parse_json(path.read_bytes(), path, "it")


def parse_json(raw: bytes, path: Path, part: str) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise DamagedFile(path, f"{part} is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, a repeated key, or an integer of thousands of digits
        raise DamagedFile(path, f"{part} is not plain JSON ({str(error)[:120]})") from None
    if not isinstance(value, dict):
        raise DamagedFile(path, f"{part} is not a JSON object")
    for key, number in numbers(value):
        if isinstance(number, float) and not math.isfinite(number) and key not in MAY_BE_INFINITE:
            raise DamagedFile(path, f"{part} sets {shown(key)} to {number}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is repeated")
    return result


def numbers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Every number in a JSON value, with the nearest key above it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from numbers(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def check_sizes(config: dict[str, Any], spots: Iterable[Spot], path: Path) -> None:
    """Refuse a config that asks for more than the weights beside it can hold; called before a model is built."""
    spots = list(spots)
    most = max(SMALL_NUMBER, sum(spot.elements for spot in spots))
    for key, number in numbers(config):
        if key in LAYER_COUNTS and number * TENSORS_PER_LAYER > len(spots):
            raise ModelError(f"{path} asks for {number} layers ({key}), but its weights hold {len(spots)} tensors.")
        if abs(number) > most and abs(number) != math.inf:
            raise ModelError(f"{path} sets {shown(key)} to {number}, more than its weights hold.")


def member(folder: Path, name: Any) -> Path:
    """The file `name` of a model folder; refuses any way out of the folder (or of the cache entry it is part of)."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w.+@=-][\w .+@=-]*", name) or name in {".", ".."}:
        raise ModelError(f"{folder} names the file {shown(name)}, which does not lie in that folder.")
    path = folder / name
    if path.is_symlink() and not any(path.resolve().is_relative_to(root) for root in _roots(folder.resolve())):
        raise ModelError(f"{path} is a link to {path.resolve()}, outside its folder. Copy the file there instead.")
    return path


def _roots(folder: Path) -> Iterator[Path]:
    yield folder
    repo = folder.parent.parent
    if folder.parent.name == "snapshots" and repo.name.startswith("models--"):
        for blobs in (repo / "blobs", repo.parent / "blobs"):  # the Hub's cache: one per repository, one shared
            if not blobs.is_symlink():
                yield blobs


def regular_size(path: Path) -> int:
    """The size of a regular file; anything else (a pipe would wait for ever) is refused."""
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).") from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path} is not a regular file.")
    return status.st_size


def shown(value: Any) -> str:
    """A stranger's text, made safe for one line of a message."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return f"'{text[:80]}…'" if len(text) > 80 else f"'{text}'"
