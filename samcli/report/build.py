"""The recordings of a page: heard now, or told of by records and looked up where their sounds lie."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samcli.audio import open_sound
from samcli.checkpoints.loading import is_adapter, split_adapters
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.recorded_at import Clock
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.windows import Piece
from samcli.errors import InputError
from samcli.models.lora import AdapterConfig
from samcli.models.tuned import read_adapter_config
from samcli.records import Record
from samcli.report.entry import Entry, address, entries
from samcli.report.picture import Picture

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

MOST_NAMES = 8


def learned(model: str) -> str:
    """A sentence for each adapter in the model's name, in its own words; nothing for a model without any."""
    name, adapters = split_adapters(model)
    folders = [Path(folder).expanduser() for folder in ((name, *adapters) if is_adapter(name) else adapters)]
    return " ".join(_sentence(folder.resolve().name, read_adapter_config(folder)) for folder in folders)


def _sentence(name: str, config: AdapterConfig) -> str:
    taught = ", ".join(config.labels[:MOST_NAMES]) or "words, no labels"
    if len(config.labels) > MOST_NAMES:
        taught += f" and {len(config.labels) - MOST_NAMES} more"
    count, what = (config.verdicts, "verdict") if config.verdicts else (config.recordings, "recording")
    source = f" from {count} {what}{'' if count == 1 else 's'}" if count else ""
    return f"{name} was taught{source}: {taught}."


PICTURE_RATE = 32_000  # of what is read for its picture alone
OPUS_RATE, OPUS_BITS = 24_000, 32_000  # samples and bits a second of a sound inside a page
OPUS_BLOCK_SECONDS = 10.0


@dataclass
class Painter:
    """Draws recordings while they are decoded for the model, in the threads that decode them."""

    rate: int
    under_way: dict[str, Picture] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)

    def watch(self, item: Input, piece: Piece) -> None:
        if piece.start == 0:
            self.under_way[item.display] = Picture(self.rate)
        picture = self.under_way[item.display]
        picture.add(piece.wave)
        if piece.last:  # a small image waits for its record, not a large picture
            self.images[item.display] = self.under_way.pop(item.display).image()

    def take(self, path: str) -> bytes:
        self.under_way.pop(path, None)
        return self.images.pop(path, b"")


def heard(
    inputs: Sequence[Input], model: SoundModel, page: Path, options: RunOptions, report: RunReport
) -> Iterator[Entry]:
    """Entries of recordings, each heard once and drawn on the way."""
    from samcli.engine.run import run
    from samcli.report.entry import everything

    painter = Painter(model.sample_rate)
    places = {item.display: Path(item.path) for item in inputs if item.source is None}
    records = run(everything(model), inputs, model, options, report=report, watch=painter.watch)
    for entry in entries(records, Clock.of(options.start_time, options.time_zone)):
        entry.picture = painter.take(entry.path)
        entry.sound = places.get(entry.path)
        yield placed(entry, page)


def remembered(records: Iterable[Record], sounds: Sequence[Path], page: Path, clock: Clock) -> Iterator[Entry]:
    """Entries of records; the sound of each is looked for and drawn where it lies."""
    for entry in entries(records, clock):
        entry.sound = next((place for place in where(entry.path, sounds) if place.is_file()), None)
        if entry.sound is not None:
            entry.picture = drawn(entry.sound)
        yield placed(entry, page)


def where(path: str, sounds: Sequence[Path]) -> Iterator[Path]:
    """Where the sound of a record may lie: as it says, or below or beside a folder of sounds."""
    relative = Path(path)
    for folder in sounds:
        yield folder / relative
        yield folder.parent / relative
        yield from (folder / Path(*relative.parts[skip:]) for skip in range(1, len(relative.parts)))
    yield relative


def placed(entry: Entry, page: Path) -> Entry:
    return replace(entry, source=address(entry.sound, page)) if entry.sound is not None else entry


def drawn(sound: Path) -> bytes:
    """The picture of a file; empty when it cannot be read."""
    picture = Picture(PICTURE_RATE)
    try:
        with open_sound(sound, PICTURE_RATE) as reader:
            for block in reader:
                picture.add(block)
    except (InputError, OSError):
        return b""
    return picture.image()


def as_opus(sound: Path) -> bytes:
    """A recording as Ogg Opus, mono, small enough to travel inside a page; empty when it cannot be read."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono", bit_rate=OPUS_BITS)
        try:
            with open_sound(sound, OPUS_RATE, OPUS_BLOCK_SECONDS) as reader:
                for block in reader:
                    if not len(block):
                        continue
                    samples = np.ascontiguousarray(np.clip(block, -1, 1)[None, :], np.float32)
                    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
                    frame.sample_rate = OPUS_RATE
                    container.mux(stream.encode(frame))
        except (InputError, OSError):
            return b""
        container.mux(stream.encode(None))
    return target.getvalue()
