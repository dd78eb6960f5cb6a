"""What a run may be told, and what a run tells back.

`RunOptions` holds every setting that reaches the engine. Those that change results enter the journal's fingerprint;
those that only change speed or order do not, so a resumed run may choose them anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from samcli.engine.inputs.recorded_at import Clock
from samcli.errors import UsageError
from samcli.models.facts import SpeakOptions
from samcli.records import AUTO

DEFAULT_TOP_K = 5
DEFAULT_THRESHOLD = 0.1
TIMELINE_THRESHOLD = 0.3
FEWEST_APART = {"cuda": 32, "cpu": 256}  # inputs from which processes that decode are worth their start
FEW_CORES = 4  # on so many, a model on the processor wants them all, and threads do as well
MOST_DECODERS = 64

# Settings that leave what was heard as it is: speed, order, when to stop, and the time of day.
INDIFFERENT = frozenset({"batch_size", "threads", "decoders", "ordered", "fail_fast", "start_time", "time_zone"})


@dataclass(frozen=True)
class RunOptions(SpeakOptions):
    """Settings of a run, down to the sampler's; the defaults suit a person who types no option."""

    segment: float | None = None  # seconds of each record; None: one record for the whole recording
    window_seconds: float | None = None  # what the encoder hears at once; None: what the model was built for
    # AudioSet heads score a clear sound 0.3 to 0.9 and noise below 0.05: five labels of at least 0.1 show what a person
    # would name and little else. Asking for labels by name shows the score of each, however low; a timeline opens an
    # event at 0.3 (a step is short, its score jumps) and keeps every label. "auto" is each label's own threshold, as
    # it was measured with the model; a timeline of a model that brings its own uses them unless told otherwise.
    top_k: int | None = None  # at most so many tags a record; None: 5 (all with `labels` or `timeline`)
    # lowest score shown, 0 to 1, or "auto"; None: 0.1 (0 with `labels`; with `timeline` "auto" or else 0.3)
    threshold: float | Literal["auto"] | None = None
    labels: tuple[str, ...] = ()  # only these tags; empty: all the model knows
    question: str = ""  # of the task "ask"
    timeline: bool = False  # tags as events with start and end
    all_events: bool = False  # a timeline as it is found: parents beside children, pauses, blips
    refine: bool = False  # captions chosen among several proposals by what the sound speaks for
    refine_with: str = ""  # and by the CLAP model in this folder
    # level gate: quieter than this at its loudest tenth of a second, a window is not shown to the model
    silence_db: float = -70.0  # of full scale; 16-bit rounding noise lies at -98, a quiet room recorded well at -60
    # speed and order
    batch_size: int | Literal["auto"] = "auto"  # windows that are computed together
    threads: int = 0  # that decode ahead; 0: as many as the machine has cores, at most 8
    # processes that decode ahead instead of threads; "auto": for many inputs of a card, or where there are many cores
    decoders: int | Literal["auto"] = "auto"
    ordered: bool = True  # records in the order of the inputs; False: first come
    fail_fast: bool = False  # end after the first input that fails
    # clock times of records; names of recorders tell them, too
    start_time: str | None = None  # when the only recording began: 2026-05-12T04:30:00
    time_zone: str | None = None  # of times that state none; None: this computer's

    def __post_init__(self) -> None:
        if not isinstance(self.labels, tuple):
            object.__setattr__(self, "labels", tuple(self.labels))
        positive: tuple[tuple[str, float | None], ...] = (
            ("segment", self.segment),
            ("window", self.window_seconds),
            ("top-k", self.top_k),
            ("max-new-tokens", self.max_new_tokens),
            ("beams", self.beams),
            ("batch-size", None if self.batch_size == "auto" else self.batch_size),
        )
        for name, value in positive:
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"--{name} must be more than 0, not {value}.")
        if self.segment is not None and self.segment < 0.5:
            raise UsageError(f"--segment must be at least 0.5 seconds, not {self.segment}.")
        if isinstance(self.threshold, str) and self.threshold != AUTO:
            raise UsageError(f"--threshold is a score from 0 to 1 or {AUTO}, not {self.threshold!r}.")
        if isinstance(self.threshold, int | float) and not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold must lie between 0 and 1, not {self.threshold}.")
        Clock.of(self.start_time, self.time_zone)  # says what is wrong with them
        if self.threads < 0:
            raise UsageError(f"--threads must not be negative, not {self.threads}.")
        if self.decoders != "auto" and self.decoders < 0:
            raise UsageError(f"--decoders must not be negative, not {self.decoders}.")
        if self.all_events and not self.timeline:
            raise UsageError("--all shows every event of a timeline: give --timeline too.")
        if self.timeline and self.segment is not None:
            raise UsageError("--timeline finds its own starts and ends; leave out --segment.")

    def decoder_processes(self, inputs: int, cores: int, device: str) -> int:
        """How many processes decode so many inputs; 0: threads of this one do.

        A card leaves all cores to them. A model on the processor takes as long as decoding does: it keeps half. A few
        files are done before processes start.
        """
        if self.decoders != "auto":
            return self.decoders
        few = inputs < FEWEST_APART.get(device, FEWEST_APART["cpu"]) or (device != "cuda" and cores <= FEW_CORES)
        if few or self.threads:
            return 0
        return min(cores if device == "cuda" else cores // 2, MOST_DECODERS)

    def result_settings(self) -> dict[str, Any]:
        """The settings two runs must share for their records to be the same."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in INDIFFERENT}


@dataclass
class RunReport:
    """How a run is going; the engine fills it in, whoever shows progress reads it at any time."""

    files_total: int | None = None
    files_done: int = 0
    files_failed: int = 0
    files_resumed: int = 0  # taken from the journal
    audio_seconds: float = 0.0  # heard so far
    audio_expected: float = 0.0  # what the inputs opened so far say they last
    model_seconds: float = 0.0  # the model was computing
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    notices: list[str] = field(default_factory=list)  # sentences to say once, at the end
    _computing: int = field(default=0, repr=False)  # calls of `timed` that are under way
    _since: float = field(default=0.0, repr=False)  # when the first of them began
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def expect(self, seconds: float | None) -> None:
        """An input was opened that says how long it lasts, or does not say."""
        with self._lock:
            self.audio_expected += seconds or 0.0

    @property
    def elapsed(self) -> float:
        return (self.ended or time.monotonic()) - self.began

    @property
    def model_share(self) -> float:
        """The share of the time the model computed instead of waiting for sound."""
        return self.model_seconds / max(self.elapsed, 1e-9)

    def timed(self, function: Callable[[], Any]) -> Any:
        """The value of `function`, its time counted as the model's; what runs at the same time counts once."""
        with self._lock:
            if not self._computing:
                self._since = time.perf_counter()
            self._computing += 1
        try:
            return function()
        finally:
            with self._lock:
                self._computing -= 1
                if not self._computing:
                    self.model_seconds += time.perf_counter() - self._since
