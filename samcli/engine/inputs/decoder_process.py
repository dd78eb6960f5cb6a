"""What a decoding process does: reads requests, decodes, and lays windows into memory that it shares with its parent.

A request is a line of JSON on standard input, an answer one on standard output; samples and levels go through slots of
the shared memory, which the parent hands back one by one. The process ends with its parent, whose pipe then closes.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from typing import Any, BinaryIO

import numpy as np

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import Ended, input_error, pieces_of
from samcli.engine.windows import Cut, Piece

SLOTS = 3  # windows on their way
LEVEL_BYTES = 8  # a level is a float64, a sample a float32


def slot_bytes(how: Cut) -> int:
    """Room for the longest window and its levels: at most half of one is added to another."""
    samples = 2 * how.window + how.rate
    return 4 * (samples + samples % 2) + LEVEL_BYTES * (10 * samples // how.rate + 16)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders of others may print
    how = Cut(**json.loads(sys.argv[1]))
    size = slot_bytes(how)
    with mmap.mmap(int(sys.argv[2]), SLOTS * size) as memory:
        try:
            Worker(memory, size, how, sys.stdin.buffer, answers).work()
        except BrokenPipeError:
            os._exit(0)  # nobody listens any more


class Worker:
    def __init__(self, memory: mmap.mmap, size: int, how: Cut, requests: BinaryIO, answers: BinaryIO) -> None:
        self.memory, self.size, self.how = memory, size, how
        self.requests, self.answers = requests, answers
        self.free = list(range(SLOTS))

    def work(self) -> None:
        while line := self.requests.readline():
            request = json.loads(line)
            if "free" in request:
                self.free.append(request["free"])
            else:
                self._hear(Input(request["path"], request["display"], None, ""))

    def _hear(self, item: Input) -> None:
        try:
            for event in pieces_of(item, self.how):
                if isinstance(event, Ended):
                    self._answer({"ended": [event.duration, event.covered, event.warning]})
                else:
                    self._hand_on(event)
        except Exception as error:
            failure = input_error(error, item)
            self._answer({"failed": [failure.message, failure.kind]})

    def _hand_on(self, piece: Piece) -> None:
        while not self.free:
            line = self.requests.readline()
            if not line:
                sys.exit(0)
            self.free.append(json.loads(line)["free"])
        slot = self.free.pop()
        wave, levels = (np.ascontiguousarray(part) for part in (piece.wave, piece.levels))
        at = slot * self.size
        self.memory[at : at + wave.nbytes] = wave.tobytes()
        self.memory[at + wave.nbytes : at + wave.nbytes + levels.nbytes] = levels.tobytes()
        place = [piece.segment, piece.order, piece.start, piece.last, piece.final]
        self._answer({"slot": slot, "samples": len(wave), "levels": len(levels), "piece": place})

    def _answer(self, answer: dict[str, Any]) -> None:
        self.answers.write(json.dumps(answer).encode() + b"\n")
        self.answers.flush()


if __name__ == "__main__":
    main()
