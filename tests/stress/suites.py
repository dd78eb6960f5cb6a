"""Other projects' test files, heard here and by FFmpeg's own program: `python tests/stress/suites.py FOLDER`.

Every file under FOLDER goes through the decoder as a stream and is held against what `ffmpeg` (and `flac -d`, for FLAC)
makes of it: the mean of its channels, at its own rate, in length and in content. Prints what differs, with the kind of
difference, and then how many files there were of each kind. `--all` prints the files that agree, too. Ends with 1 if a
difference is of a kind that needs mending. Known differences are explained in tests/README.md.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from samcli.audio import open_sound  # noqa: E402
from samcli.errors import InputError  # noqa: E402

PATIENCE = 60  # seconds that a reference may take
NEAR = 0.1  # seconds that two decoders of a lossy code may differ by: its delay and padding, which some leave in
REACH = 0.15  # seconds by which one may be late
SAME = 1e-3  # root mean square of the difference, against that of the sound
ALIKE = 0.95  # correlation of two decoders of a lossy code
MENDING = {"SILENT LOSS", "OTHER SOUND", "REFUSED"}
EXPLAINED = {  # the end of a name: why it may differ, at more length in tests/README.md
    ".mod": "score", ".s3m": "score", ".xm": "score", ".it": "score",
    "01 - changing samplerate.flac": "sections", "02 - increasing number of channels.flac": "sections",
    "03 - decreasing number of channels.flac": "sections", "11 - file starting with unparsable data.flac": "by name",
    "dvi_adpcm.wav": "rounding", "mac-399-id3v2.ape": "other FFmpeg",
}  # fmt: skip

Wave = NDArray[np.float32]


class Heard(NamedTuple):
    """What one reader makes of a file."""

    wave: Wave  # (samples,)
    rate: int
    said: str = ""  # a warning, or why it refused
    seconds: float = 0.0  # by the clock

    @property
    def length(self) -> float:
        return self.wave.size / self.rate


NOTHING = np.zeros(0, np.float32)


def here(path: Path) -> Heard:
    """As this program hears it, at the file's own rate."""
    start = time.perf_counter()
    try:
        with open_sound(path) as reader:
            rate = reader.source_rate
        with open_sound(path, rate=rate, block_seconds=1.0) as reader:
            wave = np.concatenate([NOTHING, *reader])
    except InputError as error:
        return Heard(NOTHING, 1, f"{error.kind}: {error.message}", time.perf_counter() - start)
    return Heard(wave, rate, reader.warning or "", time.perf_counter() - start)


def _mean(samples: NDArray[np.float32]) -> Wave:
    mean: Wave = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean


def ffmpeg(path: Path) -> Heard:
    """As FFmpeg hears it, through a Sun audio header, which tells rate and channels in front of the samples."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-vn", "-sn", "-dn"]
    command += ["-c:a", "pcm_f32be", "-f", "au", "-"]
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Heard(NOTHING, 1, "no answer in time", PATIENCE)
    took = time.perf_counter() - start
    said = " ".join(done.stderr.decode(errors="replace").split())
    if len(done.stdout) < 24:
        return Heard(NOTHING, 1, said or "nothing", took)
    offset, _, _, rate, channels = (int(word) for word in np.frombuffer(done.stdout[4:24], ">u4"))
    whole = (len(done.stdout) - offset) // (4 * channels) * channels
    samples = np.frombuffer(done.stdout, ">f4", whole, offset).astype(np.float32).reshape(-1, channels)
    return Heard(_mean(samples), rate, said, took)


def flac(path: Path) -> Heard | None:
    """As the `flac` program hears it; None for what it does not decode."""
    import soundfile

    with path.open("rb") as file:
        if file.read(4) != b"fLaC":
            return None
    done = subprocess.run(["flac", "-dcsF", str(path)], capture_output=True, timeout=PATIENCE, check=False)
    try:
        samples, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    return Heard(_mean(samples), rate)


def difference(ours: Heard, theirs: Heard) -> tuple[str, str]:
    """The kind of difference, and its particulars."""
    if not ours.wave.size or not theirs.wave.size:
        return _refusals(ours, theirs)
    if ours.rate != theirs.rate:
        return "other rate", f"{ours.rate} here, {theirs.rate} there"
    lengths = f"{ours.length:.3f} of {theirs.length:.3f} s"
    off = ours.length - theirs.length
    late, exact, like = likeness(ours, theirs)
    if abs(off) * ours.rate < 1 and exact < SAME:
        return "same", ""
    if abs(off) <= NEAR and like > ALIKE:
        return ("same", "") if abs(off) * ours.rate < 1 and not late else ("delay", f"{lengths}, {late * 1e3:+.1f} ms")
    if off < -NEAR:
        return ("shorter, warned" if ours.said else "SILENT LOSS"), lengths
    if off > NEAR:
        return "longer" + (", warned" if ours.said else ""), lengths
    return "OTHER SOUND", f"{lengths}, likeness {like:.3f}"


def _refusals(ours: Heard, theirs: Heard) -> tuple[str, str]:
    if ours.wave.size:
        return "only here", f"{ours.length:.3f} s"
    if theirs.wave.size and "samples a second" in ours.said:
        return "low rate", f"{theirs.rate} Hz"
    if theirs.wave.size:
        return "REFUSED", f"{theirs.length:.3f} s there"
    return "neither", ""


def likeness(ours: Heard, theirs: Heard) -> tuple[float, float, float]:
    """By how many seconds ours is late, how far off it is as it stands, and how alike both are when that is undone."""
    size = min(ours.wave.size, theirs.wave.size, 120 * ours.rate)
    a, b = ours.wave[:size].astype(np.float64), theirs.wave[:size].astype(np.float64)
    power = float(np.sqrt(b @ b))
    exact = float(np.linalg.norm(a - b)) / max(power, 1e-4 * np.sqrt(size))
    if exact < SAME:
        return 0.0, exact, 1.0
    width = 1 << (2 * size).bit_length()
    cross = np.fft.irfft(np.fft.rfft(a, width) * np.conj(np.fft.rfft(b, width)), width)
    reach = min(size, round(REACH * ours.rate))
    lags = np.concatenate([np.arange(reach), np.arange(-reach, 0)])
    lag = int(lags[np.argmax(cross[lags])])
    a, b = (a[lag:], b[: size - lag]) if lag >= 0 else (a[: size + lag], b[-lag:])
    both = float(np.sqrt((a @ a) * (b @ b)))
    return lag / ours.rate, exact, float(a @ b) / both if both else 0.0


def files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def judge(path: Path) -> tuple[str, str, Heard]:
    ours = here(path)
    kind, detail = difference(ours, ffmpeg(path))
    reference = flac(path) if shutil.which("flac") else None
    if reference is not None and kind != "same":
        better, by_flac = difference(ours, reference)
        if (
            better == "same" and kind != "SILENT LOSS"
        ):  # `flac` believes a header that claims too little, FFmpeg does not
            return "same as flac -d", detail, ours
        detail += f"; flac -d: {better} {by_flac}".rstrip()
    return kind, detail, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="also show what agrees")
    asked = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("The program ffmpeg is needed, to compare with.")
    warnings.simplefilter("ignore")
    kinds: Counter[str] = Counter()
    for path in files(asked.folder):
        kind, detail, ours = judge(path)
        if kind in MENDING:
            kind = next((f"explained: {why}" for end, why in EXPLAINED.items() if path.as_posix().endswith(end)), kind)
        kinds[kind] += 1
        if asked.all or kind not in ("same", "neither", "same as flac -d"):
            print(
                f"{kind:24} {path.relative_to(asked.folder)}: {detail or 'as there'} ({ours.said or 'no warning'})",
                flush=True,
            )
    print(f"\n{kinds.total()} files: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    sys.exit(1 if kinds.keys() & MENDING else 0)


if __name__ == "__main__":
    main()
