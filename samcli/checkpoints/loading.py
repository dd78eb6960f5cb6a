"""One door to every model: a name, a Hub id or a folder becomes a SoundModel ready to run.

A name is looked for among ours first (`sam-nano` in the package, `tiny-random` for tests, the catalogue), then as a
folder, then on the Hub. Nothing is asked of the network when the cache holds the model whole, or when offline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from samcli.checkpoints import catalogue
from samcli.checkpoints import hub_client as hub
from samcli.checkpoints.calibration import is_calibration, read_calibration, thresholds_in, with_calibration
from samcli.checkpoints.files import Snapshot, cached_snapshot, is_offline, weight_files
from samcli.checkpoints.safety import DamagedFile, member, read_header
from samcli.errors import ModelError
from samcli.models.device import enough_memory, pick_device, suit_card
from samcli.models.facts import Thresholds

if TYPE_CHECKING:
    import torch

    from samcli.checkpoints.modules import LoadedModule
    from samcli.models.interface import SoundModel
    from samcli.models.tagger import Unaligned

Loaded = TypeVar("Loaded")

TINY = "tiny-random"
DEAF = "is a language model: it reads text and cannot hear"
HASHED_BYTES = 512 * 2**20  # of a folder's weights; beyond, its revision is told by sizes and ends alone


class ModelFiles(NamedTuple):
    """Where a model's files are, and what its records will call it."""

    name: str
    revision: str
    folder: Path
    snapshot: Snapshot | None = None  # when it came from the Hub: a damaged file can be fetched again


def load_model(
    name_or_folder: str,
    *,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    offline: bool = False,
    progress: bool = False,
) -> SoundModel:
    """The model behind a catalogue name, `org/name[@revision]` or a folder; weights in `dtype`, if given.

    An adapter's folder is its base with the adapter on it. `NAME+FOLDER` puts the adapter in FOLDER on the model of
    that name, `NAME+ONE+TWO` two of them in that order. A folder with a calibration alone is its base with it.
    """
    if is_calibration(name_or_folder):
        return recalibrated(name_or_folder, device=device, dtype=dtype, offline=offline, progress=progress)
    import torch

    place = pick_device(device)
    number = dtype or torch.float32
    if name_or_folder == TINY:
        from samcli.checkpoints.tiny import tiny_random

        return tiny_random(place, number)
    entry = catalogue.find(name_or_folder)
    if entry is not None and entry.parts:
        return load_unaligned(entry, place, number, offline=offline, progress=progress)
    name, adapters = split_adapters(name_or_folder)
    if is_adapter(name):
        adapters = (name, *adapters)
        source = locate_base(name, offline=offline, progress=progress)
    else:
        source = locate(name, offline=offline, progress=progress)

    def load(at: ModelFiles) -> SoundModel:
        from samcli.checkpoints.modules import load_folder

        loaded = load_folder(at.folder, dtype=number, device=place)
        folders = [at.folder, *(Path(adapter).expanduser() for adapter in adapters)]
        if adapters:
            loaded, on = adapted(loaded, at, adapters)
            at = on._replace(name=name_or_folder)
        if dtype is None and place.startswith("cuda"):
            suit_card(loaded.module)
        return as_sound_model(loaded, at, thresholds_in(folders, loaded.labels))

    return refetch_if_damaged(source, load, offline=offline, progress=progress)


def load_unaligned(
    entry: catalogue.Entry, device: str, dtype: torch.dtype, *, offline: bool = False, progress: bool = False
) -> Unaligned:
    """Only the encoder is fetched: the language model would have nothing to say."""
    from samcli.checkpoints.modules import load_folder
    from samcli.models.tagger import Unaligned

    source = locate(entry.parts["encoder"], offline=offline, progress=progress)

    def load(at: ModelFiles) -> Unaligned:
        loaded = load_folder(at.folder, dtype=dtype, device=device)
        return Unaligned(cast(Any, loaded.module), name=entry.name, revision=at.revision, labels=loaded.labels)

    return refetch_if_damaged(source, load, offline=offline, progress=progress)


def recalibrated(name: str, **where: Any) -> SoundModel:
    """The base of a folder that holds only a calibration, with its thresholds."""
    calibration = read_calibration(Path(name).expanduser())
    if calibration is None or not calibration.base:
        raise ModelError(f"{name} holds thresholds, but does not say which model they are for.")
    if is_calibration(calibration.base):
        raise ModelError(f"{name} is a calibration of another one, {calibration.base}; name a model with weights.")
    model: Any = load_model(calibration.base, **where)
    before = Thresholds(model.thresholds, model.step_thresholds, True) if model.calibrated else None
    found = with_calibration(calibration, model.labels, before)
    model.thresholds, model.step_thresholds, model.calibrated = found
    model.name = name
    return model  # type: ignore[no-any-return]


def is_adapter(name: str) -> bool:
    """Whether a name is that of a folder with an adapter in it, and no whole model."""
    folder = Path(name).expanduser()
    return bool(name) and (folder / "adapter.json").is_file() and not (folder / "config.json").exists()


def base_of(name: str) -> str:
    """The model that the adapter in this folder was trained on."""
    from samcli.models.tuned import read_adapter_config

    base = read_adapter_config(Path(name).expanduser()).base
    if not base:
        raise ModelError(f"{name} does not say what it was trained on: name it too, --model BASE+{name}.")
    if Path(base).is_absolute() and not Path(base).is_dir():
        where = f"name its new place: --model BASE+{name}."
        raise ModelError(f"{name} was trained on {base}, which no longer exists; {where}")
    return base


def locate_base(adapter: str, *, offline: bool = False, progress: bool = False) -> ModelFiles:
    """The model that an adapter was trained on. It may name any, so only a known one is fetched without being asked."""
    base = base_of(adapter)
    known = catalogue.find(base.partition("@")[0]) is not None or Path(base).expanduser().is_dir()
    if base != catalogue.DEFAULT and not known and not _is_cached(base):
        raise ModelError(
            f"{adapter} was trained on {base}, which is neither here nor one that sam knows. "
            f"If you trust it, fetch it: sam models pull {base}"
        )
    return locate(base, offline=offline, progress=progress)


def _is_cached(name: str) -> bool:
    repo, revision = catalogue.split_revision(name)
    return cached_snapshot(repo, revision or "main") is not None


def split_adapters(name: str) -> tuple[str, tuple[str, ...]]:
    """`NAME+FOLDER+FOLDER` as its parts; a folder whose own name has a plus in it stays whole."""
    if "+" not in name or Path(name).expanduser().exists():
        return name, ()
    base, *adapters = name.split("+")
    return base, tuple(adapters)


def adapted(loaded: LoadedModule, source: ModelFiles, adapters: Sequence[str]) -> tuple[LoadedModule, ModelFiles]:
    """Merge saved adapters into the weights of a model; its records name them and their revisions."""
    from samcli.models.lora import merge_adapters
    from samcli.models.tuned import WEIGHTS, load_adapter, load_learned, read_adapter_config

    names, revisions, labels = [source.name], [source.revision], loaded.labels
    for number, adapter in enumerate(adapters):
        folder = Path(adapter).expanduser()
        if not (folder / WEIGHTS).exists():
            raise ModelError(f"{adapter or 'an empty name'} is not an adapter folder: it holds no {WEIGHTS}.")
        read_header(member(folder, WEIGHTS))
        config = read_adapter_config(folder)
        if config.base_revision and config.base_revision != source.revision:
            raise ModelError(
                f"{adapter} was trained on revision {config.base_revision} of {config.base}; "
                f"this is {source.name}, revision {source.revision}."
            )
        if config.places or config.labels:
            labels = load_learned(loaded.module, labels, folder)
        elif loaded.kind != "sam":
            raise ModelError(f"{source.name} has no language model behind a connector, where an adapter could go.")
        else:
            language = cast(Any, loaded.module).language
            load_adapter(language, folder, f"adapter-{number}", base=source.snapshot.repo if source.snapshot else "")
            merge_adapters(language)
        names.append(adapter)
        revisions.append(folder_revision(folder))
    on = source._replace(name="+".join(names), revision="+".join(revisions))
    return loaded._replace(labels=labels, config=cast(Any, loaded.module).config), on


def locate(name: str, *, offline: bool = False, progress: bool = False) -> ModelFiles:
    """The files of a model, fetched if need be."""
    if name == catalogue.DEFAULT:
        folder = catalogue.DATA / name
        if not (folder / "config.json").exists():
            raise ModelError(f"{name} is not in this installation; name another model with --model.")
        return ModelFiles(name, folder_revision(folder), folder)
    entry = catalogue.entries().get(name)
    if entry is None and name:
        folder = Path(name).expanduser()
        if folder.is_dir():
            return ModelFiles(name, folder_revision(folder), folder)
        if folder.exists() or name.startswith(("/", "./", "../", "~")) or name.endswith("/"):
            what = "is a file, not a model's folder" if folder.exists() else "does not exist"
            raise ModelError(f"{name} {what}. {catalogue.suggest(name)}")
    wanted = entry.repo if entry is not None and entry.repo else name
    if entry is not None and entry.format == "pickle":
        raise ModelError(
            f"{name} is published only as pickles, which can run code when opened. "
            f"Convert it once: sam models convert {wanted} FOLDER, then give --model FOLDER."
        )
    snapshot = hub.resolve(wanted, offline=offline, progress=progress)
    return ModelFiles(name.partition("@")[0], snapshot.commit, snapshot.folder, snapshot)


def refetch_if_damaged(
    source: ModelFiles, load: Callable[[ModelFiles], Loaded], *, offline: bool = False, progress: bool = False
) -> Loaded:
    """`load(source)`; when that shows a file of the Hub's cache to be damaged, the file is fetched again, once."""
    with enough_memory(source.name):
        try:
            return load(source)
        except DamagedFile as error:
            if source.snapshot is None or offline or is_offline():
                raise
            again = hub.replace_damaged(source.snapshot, error.path, progress=progress)
            return load(source._replace(folder=again.folder, snapshot=again))


def as_sound_model(loaded: LoadedModule, source: ModelFiles, thresholds: Thresholds | None = None) -> SoundModel:
    """A loaded module behind the interface of the engine."""
    if loaded.kind in ("language", "phi", "speech"):
        what = "writes down speech, with sam transcribe alone" if loaded.kind == "speech" else DEAF
        raise ModelError(f"{source.name} {what}. {catalogue.DEFAULT} tags, captions and answers.")
    from samcli.ssm.fast.linear import accelerate

    accelerate(loaded.module)
    if loaded.kind == "sam":
        from samcli.models.sam import Listener

        network = cast(Any, loaded.module)
        tokenizer = tokenizer_of(source, network)
        return Listener(network, tokenizer, loaded.labels, source.name, source.revision, thresholds)
    from samcli.models.tagger import Tagger

    encoder = cast(Any, loaded.module)
    return Tagger(encoder, name=source.name, revision=source.revision, labels=loaded.labels, thresholds=thresholds)


def tokenizer_of(source: ModelFiles, network: Any) -> Any:
    """The tokenizer beside a network that speaks, or None; one that has more pieces than it is refused."""
    tokenizer, rows = load_tokenizer(source.folder), network.config.language.padded_vocab_size
    if tokenizer is not None and network.config.aligned and tokenizer.highest >= rows:
        raise ModelError(
            f"The tokenizer of {source.name} counts to {tokenizer.highest}, its language model to {rows - 1}: "
            "they do not belong together."
        )
    return tokenizer


def load_tokenizer(folder: Path) -> Any:
    """The folder's own tokenizer, or None."""
    from samcli.checkpoints.files import read_tokenizer, tokenizer_file
    from samcli.text.tokenizer import Tokenizer

    path = tokenizer_file(folder)
    if path is None:
        return None
    read_tokenizer(path)
    return Tokenizer.load(path)


def folder_revision(folder: Path) -> str:
    """A name for the very weights in a folder: the start of their SHA-256 (of their ends, when they are huge)."""
    digest = hashlib.sha256()
    for path in weight_files(folder):
        if not path.is_file():
            continue
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            if size > HASHED_BYTES:
                digest.update(file.read(2**20))
                file.seek(-(2**20), 2)
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()[:12]
