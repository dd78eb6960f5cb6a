"""Sound that still comes: bytes from a pipe, decoded as they arrive.

The samples are those that a file with the same bytes would give; of an MP3 the padding at its end is heard, too. What
was read is kept only until the first block is out: a kind of file that cannot be understood before its end (an MP4 with
its index last) is then gathered and read as any other. Once sound has come, memory and disk stay as they are, however
long it goes on.
"""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO, cast

from samcli.audio.decode import SoundReader, open_sound
from samcli.audio.files import OpenFile, Steady, shown_name
from samcli.errors import InputError

BLOCK_SECONDS = 0.1  # what is handed on at a time
HEAD_BYTES = 16  # by which a format is known
MOST_BYTES = 1 << 16  # read at once
IN_MEMORY = 1 << 23  # bytes; more of what is kept goes to disk


class Flow(Steady):
    """Bytes that come once, with a way back to the beginning until `let_go`."""

    flows = True
    left_out = unsearched = 0  # nothing is passed over

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._kept: Any = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (closed with the reader)
        self._at = self._taken = 0
        self._keeping = True
        while self._taken < HEAD_BYTES and self._more(HEAD_BYTES):
            pass
        self._at = 0

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        if self._kept is not None and self._at < self._taken:
            self._kept.seek(self._at)
            data: bytes = self._kept.read(size)
            self._at += len(data)
            return data
        if not self._keeping and self._kept is not None:
            self._kept.close()
            self._kept = None
        return self._more(MOST_BYTES if size < 0 else min(size, MOST_BYTES))

    def _more(self, size: int) -> bytes:
        """What is there now, at least a byte; nothing at the end."""
        file: Any = self.file
        try:
            data = cast(bytes, (file.read1 if hasattr(file, "read1") else file.read)(size) or b"")
        except Exception as error:
            self.error = error if isinstance(error, OSError) else OSError(str(error))
            return b""
        if self._keeping:
            self._kept.seek(0, 2)
            self._kept.write(data)
        self._taken += len(data)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence or not self._keeping or offset > self._taken:
            return -1
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def watch(self, patience: int, leap: bool) -> None:
        """A flow may be without sound for as long as it likes."""

    def sound(self) -> None:
        """The decoder got something: from here on there is no way back."""
        self._keeping = False

    def whole(self) -> BinaryIO:
        """Everything from the beginning, once all has come."""
        self._at = self._taken
        while self._more(MOST_BYTES):
            pass
        self._kept.seek(0)
        return cast(BinaryIO, self._kept)


def open_flow(file: BinaryIO, rate: int) -> SoundReader:
    """The sound of a stream that cannot be rewound, as it comes."""
    flow = Flow(file)
    shown = shown_name(file)
    try:
        return SoundReader(OpenFile(flow, shown, None, False), rate, BLOCK_SECONDS)
    except InputError:
        if flow.error is not None or not flow.seek(0) == 0:
            raise
    return open_sound(flow.whole(), rate)
