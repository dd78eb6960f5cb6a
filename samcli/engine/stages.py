"""The model's three stages, each on full batches: encode windows, let the language model listen, let it speak.

Windows come in any mixture of files. Those of one length are encoded together; a segment's windows then enter its
carried state one after the other, many segments side by side; segments that are heard to the end wait until enough of
them can speak together. A file is done when its last segment is. What a row gives depends on that row alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from samcli.engine.batches import Budget, Pool, available_memory, device_lost, device_of, out_of_memory, run_bisecting
from samcli.engine.cores import Cores, Pending
from samcli.engine.inputs.decode_ahead import Failed, Job
from samcli.engine.inputs.sources import Ended
from samcli.engine.model_calls import Speech, WindowEncoder
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.rows import Row, gather_encodings, gather_states, rows_of
from samcli.engine.segments import Batch, Done, Entry, File, Part, Said, Segment, error_record
from samcli.engine.task import Task, Window
from samcli.engine.windows import Piece
from samcli.errors import DeviceError, InputError, ModelError
from samcli.models.interface import SoundModel
from samcli.ssm.fast import graphs
from samcli.ssm.state import size_in_bytes

if TYPE_CHECKING:
    from samcli.models.clap import ClapJudge

SPEAKING_ROWS = {"cpu": 64, "cuda": 256}
FOREVER = float("inf")  # seconds: where only the number of rows matters
STATE_SHARE = 0.1  # of the free memory, for the states of segments that wait to speak
PATIENT_BATCHES = 8  # a segment waits for others to speak for at most so many batches of windows
HOPELESS = 3  # inputs that fail in the model before any succeeds: then it is the model that is broken
AHEAD = 1  # batches that may be begun while another is under way


class Stages:
    """Feed it pieces and ends, let it work, take what is done."""

    def __init__(self, task: Task, model: SoundModel, options: RunOptions, report: RunReport) -> None:
        self.task, self.model, self.options, self.report = task, model, options, report
        self.device = device_of(model)
        self.cores = Cores(self.device)
        self.under_way: deque[Batch] = deque()
        self.rate = model.sample_rate
        self.hearing = Budget.start(options.batch_size, self.device)
        auto = options.batch_size == "auto"
        self.speaking = Budget(SPEAKING_ROWS.get(self.device.type, 64) if auto else self.hearing.rows, FOREVER)
        self.pool: Pool[Entry] = Pool(self.hearing, self.rate)
        self.speakers: deque[tuple[int, Part]] = deque()  # (batches when it came, part)
        self.files: dict[int, File] = {}
        self.done: deque[Done] = deque()
        judge: ClapJudge | None = None
        if options.refine_with and task.prompt == "":
            from samcli.models.clap import ClapJudge

            judge = ClapJudge(options.refine_with)
        self.encoder = WindowEncoder(task, model, self.cores, report, judge)
        self.speech = Speech(task, model, self.cores, options, report, judge)
        self._measured = not auto
        self._successes, self._failures = 0, 0

    def take(self, job: Job, event: Piece | Ended | Failed) -> None:
        """What the decoder hands on."""
        file = self.files.get(job.index) or self._file(job)
        if isinstance(event, Piece):
            if not file.failed:
                self._take_piece(file, event)
        elif file.failed:
            del self.files[job.index]
        elif isinstance(event, Failed):
            self._fail(file, InputError(event.message, event.kind))
            del self.files[job.index]
        else:
            file.ended = event
            self._complete(file)

    def _file(self, job: Job) -> File:
        file = self.files[job.index] = File(job, self.task.prompts(job.item))
        return file

    def work(self, flush: bool = False) -> bool:
        """Begin a batch of windows that is full, with `flush` any, and finish another. Returns whether there was one.

        A core that is through with its part goes on with the next batch's; what is done is handed on, and safe
        in the journal, before a third begins.
        """
        if self._speak_when_due():
            return True
        began = self._begin(flush)
        if self.under_way and (flush or len(self.under_way) > AHEAD or self.under_way[0].windows.done()):
            self._finish(*self.under_way.popleft())
            return True
        return began or self._speak_when_due(flush)

    def notices(self) -> list[str]:
        """What a person should hear once, at the end."""
        refused = [f"Steps were not captured, so words came slowly: {reason}" for reason in graphs.refused[:1]]
        if not self.hearing.halvings and not self.speaking.halvings:
            return refused
        rows = self.hearing.rows_of(self.options.window_seconds or self.model.window_seconds)
        return [
            *refused,
            f"Memory ran short: batches were cut down to {rows} windows; --batch-size {rows} starts there.",
        ]

    def _take_piece(self, file: File, piece: Piece) -> None:
        start, end = piece.start / self.rate, (piece.start + len(piece.wave)) / self.rate
        if piece.segment == file.recorded + len(file.segments):
            file.segments.append(Segment(file, self.task.gatherer_of(file.job.item), start))
            file.open += 1
        segment = file.segments[piece.segment - file.recorded]
        segment.end, segment.final = end, piece.final
        if piece.last:
            segment.expected = piece.order + 1
        if piece.level >= self.options.silence_db:
            segment.loud = True
            self.pool.add(len(piece.wave), (segment, piece))
            return
        self.report.audio_seconds += end - start
        segment.waiting[piece.order] = Window(start, end, levels=piece.levels)
        self._advance(segment)

    def _begin(self, flush: bool) -> bool:
        taken = self.pool.take(flush)
        if taken is None:
            return False
        length, entries = taken
        entries = [entry for entry in entries if not entry[0].file.failed]
        if entries:
            windows = self.encoder.begin(length, [piece for _, piece in entries])
            self.under_way.append(Batch(length, entries, windows))
        return True

    def _finish(self, length: int, entries: list[Entry], pending: Pending[list[Window]] | None) -> None:
        def compute(rows: Sequence[Entry]) -> list[Window]:
            nonlocal pending  # what failed is let go before it is tried again
            windows, pending = pending, None
            if windows is None:
                windows = self.encoder.begin(length, [piece for _, piece in rows])
            return [window for part in windows.results() for window in part]

        def store(row: Entry, window: Window) -> None:
            segment, piece = row
            if segment.file.failed:  # in the meantime
                return
            segment.waiting[piece.order] = window
            self.report.audio_seconds += window.end - window.start
            self._successes += 1
            scores = (window.clip, window.steps, window.features)
            if not all(np.isfinite(one).all() for one in scores if one is not None):
                self._fail_numbers(segment.file)

        run_bisecting(
            entries,
            compute,
            store,
            lambda row, error: self._give_up(row[0], error),
            lambda rows: self.hearing.halve(rows, length / self.rate),
        )
        fresh = list(dict.fromkeys(segment for segment, _ in entries if not segment.file.failed))
        while fresh:
            for segment in fresh:
                self._advance(segment)
            fresh = [segment for segment in fresh if segment.next in segment.waiting and not segment.file.failed]
            self._listen(fresh)

    def _advance(self, segment: Segment) -> None:
        """Gather windows in order, as far as they need no listening; end the segment after its last."""
        while (window := segment.waiting.get(segment.next)) is not None and window.encoding is None:
            del segment.waiting[segment.next]
            segment.gatherer.add(window)
            segment.next += 1
        if segment.next == segment.expected:
            segment.expected, segment.heard = None, True  # this happens once
            self._part(segment)
            self._close_if_said(segment)
        self._record_settled(segment.file)

    def _part(self, segment: Segment) -> None:
        """What was heard of a segment since its last part is one to speak of."""
        if segment.part is not None:
            segment.parts.append(segment.part)
            self.speakers.append((self.pool.batches, segment.part))
            segment.part, segment.unsaid = None, segment.unsaid + 1

    def _listen(self, segments: list[Segment]) -> None:
        """Feed the next window of each segment into its state."""
        fresh = [segment for segment in segments if segment.state is None]
        carried = [segment for segment in segments if segment.state is not None]
        for group in filter(None, (fresh, carried)):
            run_bisecting(group, self._hear, self._heard, self._give_up, lambda rows: self.hearing.halve(rows, FOREVER))

    @torch.inference_mode()
    def _hear(self, segments: Sequence[Segment]) -> list[Row | None]:
        """The states with one window more; None where that would be more than the model can speak of."""
        encoding = gather_encodings([row for one in segments if (row := one.waiting[one.next].encoding) is not None])
        states = [one.state for one in segments if one.state is not None]
        carried = gather_states(states, self.model) if states else None
        state = self.report.timed(lambda: self.cores.listen(self.model, encoding, carried))
        if not self._measured:
            fitting = available_memory(self.device) * STATE_SHARE * len(segments) / max(1, size_in_bytes(state))
            self.speaking.rows = max(1, min(self.speaking.rows, int(fitting)))
            self._measured = True
        rows = rows_of(state, len(segments))
        if carried is None:  # a window by itself cannot be less
            return [*rows]
        return [row if bearable else None for row, bearable in zip(rows, self.model.bears(state), strict=True)]

    def _heard(self, segment: Segment, state: Row | None) -> None:
        if state is None:  # the window waits, and begins another part
            self._part(segment)
            return
        window = segment.waiting.pop(segment.next)
        segment.gatherer.add(window._replace(encoding=None))
        part = segment.part = segment.part or Part(segment, window.start)
        if window.judged is not None:
            part.judged = window.judged if part.judged is None else part.judged + window.judged
        part.state = state
        segment.next += 1

    def _speak_when_due(self, flush: bool = False) -> bool:
        """Let one group of segments speak, if there are enough or the first has waited too long."""
        if not self.speakers:
            return False
        overdue = self.pool.batches - self.speakers[0][0] >= PATIENT_BATCHES
        if not (flush or overdue or len(self.speakers) >= self.speaking.rows):
            return False
        count = min(len(self.speakers), self.speaking.rows)
        group = [self.speakers.popleft()[1] for _ in range(count)]
        group = [part for part in group if not part.segment.file.failed]
        if group:
            run_bisecting(
                group,
                self.speech.say,
                self._said,
                lambda part, error: self._give_up(part.segment, error),
                lambda rows: self.speaking.halve(rows, FOREVER),
            )
        return True

    def _said(self, part: Part, said: Said) -> None:
        part.said, part.state = said, None
        part.segment.unsaid -= 1
        self._close_if_said(part.segment)

    def _close_if_said(self, segment: Segment) -> None:
        if segment.heard and not segment.unsaid:
            segment.closed = True
            segment.file.open -= 1
            self._record_settled(segment.file)
            self._complete(segment.file)

    def _record_settled(self, file: File) -> None:
        """Of a stream that goes on, hand on what is sure by now."""
        if file.job.item.flows and not file.failed:
            records = file.settled_records(self.task, self.model.name, self.model.revision)
            self.done.extend([Done(file.job, records, more=True)] if records else [])

    def _complete(self, file: File) -> None:
        if file.ended is not None and not file.open and not file.failed:
            records = file.records(self.task, self.model.name, self.model.revision)
            self.done.append(Done(file.job, records))
            del self.files[file.job.index]

    def _give_up(self, segment: Segment, error: Exception) -> None:
        """A row that fails alone: memory, or the model."""
        if segment.file.failed:  # another of its windows was, and an input counts once
            return
        if out_of_memory(error):
            message = f"There is not enough memory to hear {segment.file.name}."
            return self._fail(segment.file, InputError(message, "memory"))
        if isinstance(error, FloatingPointError):
            return self._fail_numbers(segment.file)
        if device_lost(error):
            raise DeviceError(f"{self.device} failed and cannot be used again by this run: {error}") from error
        self._failures += 1
        if not self._successes and self._failures >= HOPELESS:
            raise ModelError(f"The model {self.model.name!r} fails on every input: {error}") from error
        message = f"The model failed on {segment.file.name}: {str(error) or type(error).__name__}"
        self._fail(segment.file, InputError(message, "model"))

    def _fail_numbers(self, file: File) -> None:
        self._fail(file, InputError(f"The model's scores for {file.name} are not finite.", "non-finite"))

    def _fail(self, file: File, error: InputError) -> None:
        if not file.failed:
            file.failed = True
            record = error_record(file.job, self.task.name, self.model.name, self.model.revision, error)
            self.done.append(Done(file.job, [record], error=error))
            file.segments.clear()
            if file.ended is not None:
                del self.files[file.job.index]
