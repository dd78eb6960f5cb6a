"""A recording as Ogg Opus, small enough to travel inside a page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from samcli.audio import open_sound
from samcli.errors import InputError

RATE = 24_000
BITS_PER_SECOND = 32_000
BLOCK_SECONDS = 10.0


def as_opus(sound: Path) -> bytes:
    """The whole of a file, mono; empty when it cannot be read."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", bit_rate=BITS_PER_SECOND)
        try:
            with open_sound(sound, RATE, BLOCK_SECONDS) as reader:
                for block in reader:
                    if not len(block):
                        continue
                    samples = np.ascontiguousarray(np.clip(block, -1, 1)[None, :], np.float32)
                    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
                    frame.sample_rate = RATE
                    container.mux(stream.encode(frame))
        except (InputError, OSError):
            return b""
        container.mux(stream.encode(None))
    return target.getvalue()
