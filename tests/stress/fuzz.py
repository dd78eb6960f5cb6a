"""Damaged inputs by the thousand, in a process that watches itself: `python tests/stress/fuzz.py wav --count 5000`.

Every case has a number, and the same number makes the same bytes: `--first 1234 --count 1` looks at one again. A case
passes when the program answers or refuses in one sentence. Anything else ends this process: another exception, a
crash, ten seconds without an answer, more than a gigabyte of memory, a word on standard output or standard error.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import faulthandler
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from damage import mutate  # noqa: E402
from sounds import ENCODED, SOUNDFILE, sound_bytes, tagged  # noqa: E402

PATIENCE = 10.0  # seconds of computing that one case may take
STILLNESS = 120.0  # seconds by the clock, in which a busy machine should get round to it
MOST_MEMORY = 1 << 20  # kB that one process of cases may grow by


class Target(NamedTuple):
    """A reader of files, what undamaged files look like, and which refusals are in order."""

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[Path], object]  # the file to read
    refusals: Callable[[], tuple[type[Exception], ...]]
    name: str = "x"  # of the file


def input_error() -> tuple[type[Exception], ...]:
    from samcli.errors import InputError

    return (InputError,)


def sam_error() -> tuple[type[Exception], ...]:
    from samcli.errors import SamError

    return (SamError,)


# Sound.


def listen(path: Path) -> None:
    """As the engine reads: blocks of finite numbers, times that make sense."""
    import numpy as np

    from samcli.audio import open_sound

    with open_sound(path) as reader:
        heard = 0
        for block in reader:
            assert np.isfinite(block).all()
            heard += block.size
            if heard > 16_000 * 3600:  # a header may be believed that claims hours of silence, but not for ever
                return
        assert reader.duration is not None and 0 <= reader.covered <= reader.duration
        assert abs(heard / reader.rate - reader.covered) < 0.01


def sound_target(kind: str) -> Target:
    def seeds() -> list[bytes]:
        stereo = "wav" if kind in ("wavgsm",) else kind
        made = [sound_bytes(kind), sound_bytes(kind, 0.05), sound_bytes(stereo, 0.2, channels=2)]
        return [*made, tagged(made[0])] if kind == "mp3" else made

    return Target(seeds, listen, input_error)


def read_front_and_back(path: Path) -> None:
    """Our own readers of headers, which never raise."""
    from samcli.audio import headers
    from samcli.audio.files import by_name

    stream = by_name(path).stream
    try:
        headers.signature(stream.read(16))
        extent = headers.data_extent(stream)
        assert extent is None or extent.size > 0
        assert 0.0 <= headers.share_present(stream) <= 1.0
        headers.mp3_frames(stream)
        headers.asf_seconds(stream)
        headers.bare_start(stream)
        headers.ogg_ends(stream)
    finally:
        stream.close()


def header_seeds() -> list[bytes]:
    return [tagged(b"\xff\xfb"), *(sound_bytes(kind, 0.05) for kind in (*SOUNDFILE, "mp3", "m4a"))]


# Models.


def safetensors_seeds() -> list[bytes]:
    import numpy
    from safetensors.numpy import save

    one = {"a": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "b.c": numpy.zeros(4, numpy.float16)}
    return [save(one), save({**one, "empty": numpy.zeros((0, 3), numpy.int64)}, {"format": "pt"}), save({})]


def read_weights(path: Path) -> None:
    from samcli.checkpoints.safety import read_header
    from samcli.checkpoints.tensors import MappedWeights

    spots = read_header(path)
    weights = MappedWeights({path: spots})
    for name, tensor in weights.tensors.items():
        assert tuple(tensor.shape) == spots[name].shape
        tensor.sum()


def small_model() -> Path:
    """tiny-random as a folder, once."""
    global _model
    if _model is None:
        from samcli.checkpoints.format import save_module
        from samcli.checkpoints.tiny import LABELS, tiny_config, tiny_network, tiny_tokenizer

        _model = Path(tempfile.mkdtemp(dir=place())) / "model"
        atexit.register(shutil.rmtree, _model.parent, ignore_errors=True)
        words = tiny_tokenizer()
        save_module(_model, tiny_network(words), tiny_config(len(words)))
        words.save(_model)
        (_model / "labels.json").write_text(json.dumps(LABELS))
    return _model


_model: Path | None = None


def model_file(name: str) -> Target:
    """One file of a model's folder damaged, the others whole."""

    def read(path: Path) -> None:
        from samcli.checkpoints.loading import load_model
        from samcli.models.interface import SpeakOptions

        model = load_model(str(path.parent), device="cpu")
        if name == "tokenizer.json":
            import torch

            heard = model.encode(torch.zeros(1, 16_000), torch.tensor([16_000]))
            state = model.listen(heard, None)
            said = model.speak(state, ["is it a dog?"], SpeakOptions(max_new_tokens=3))
            assert all(isinstance(text, str) for text in said)

    return Target(lambda: [(small_model() / name).read_bytes()], read, sam_error, name)


def index_seeds() -> list[bytes]:
    from samcli.checkpoints.safety import read_header

    names = list(read_header(small_model() / "model.safetensors"))[:3]
    places = dict.fromkeys(names, "model.safetensors")
    return [json.dumps({"metadata": {"total_size": 3}, "weight_map": places}).encode()]


def read_index_file(path: Path) -> None:
    from samcli.checkpoints.files import read_spots

    read_spots(path.parent)


def pickle_seeds() -> list[bytes]:
    import io

    import torch

    made = []
    for zipped in (True, False):
        out = io.BytesIO()
        torch.save({"model": {"a.b": torch.zeros(2, 3)}}, out, _use_new_zipfile_serialization=zipped)
        made.append(out.getvalue())
    return made


def read_pickled(path: Path) -> None:
    from samcli.checkpoints.convert import read_pickle

    read_pickle(path)


def read_any_json(path: Path) -> None:
    from samcli.checkpoints.safety import read_json

    read_json(path)


def json_seeds() -> list[bytes]:
    found = [(small_model() / "config.json").read_bytes(), b'{"a": [1, 2.5, {"b": null}], "dt_limit": [0.0, Infinity]}']
    return [*found, b'{"\\u00e9\\ud83d\\ude00": "\\n"}']


def adapter_seeds() -> list[bytes]:
    words = {"model_type": "adapter", "kind": "lora", "rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": ["in_proj"]}
    return [json.dumps(words).encode()]


def read_adapter(path: Path) -> None:
    from samcli.models.tuned import read_adapter_config

    read_adapter_config(path.parent)


# What we write and read again.


def a_record(**changes: Any) -> Any:
    from samcli.records import ErrorInfo, Record, Tag

    facts: dict[str, Any] = {"task": "tag", "path": "a/b\udce9.wav", "start": 0.0, "end": 1.5, "duration": 1.5}
    facts |= {"covered": 1.5, "silent": False, "model": "m", "revision": "r"}
    facts["tags"] = (Tag("Dog", 0.5), Tag("x,y", 0.1))
    if changes.pop("failed", False):
        facts = {"task": "tag", "path": "no.wav", "error": ErrorInfo("empty", "nothing in it")}
    return Record(**(facts | changes))


def lines_of_records() -> bytes:
    from samcli.writers.formats import to_json

    records = [a_record(path=f"f/{number:02}.wav") for number in range(6)] + [a_record(failed=True)]
    return "".join(to_json(record) + "\n" for record in records).encode()


def record_of(line: str) -> Any:
    from samcli.records import Record

    try:
        return Record.from_dict(json.loads(line))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_records(path: Path) -> None:
    """A line is a record that every format can write, or a ValueError."""
    from samcli.writers.formats import CLASSES, Layout, to_json

    text = path.read_bytes().decode("utf-8", "surrogateescape")
    for record in (record_of(line) for line in text.split("\n") if line.strip()):
        to_json(record)
        if record.task in ("tag", "caption", "ask"):
            for format in CLASSES:
                format(Layout(record.task, timed=True)).record(record)


def value_error() -> tuple[type[Exception], ...]:
    return (ValueError,)


def journal_seeds() -> list[bytes]:
    lines = []
    for number in range(4):
        values = {"key": f"{number:032x}", "path": "x", "records": [a_record(path=f"{number}").to_dict()]}
        lines.append(json.dumps(values, separators=(",", ":")).encode() + b"\n")
    return [b"".join(lines), b"".join(lines)[:-30], b""]


def read_journal(path: Path) -> None:
    """Whatever is in it, a run goes on: lookups answer or know nothing, and what is added is found again."""
    from samcli.engine.inputs.find import Input
    from samcli.engine.journal import Journal

    item = Input("a.wav", "a.wav", None, "a.wav")
    with Journal(path, "s") as journal:
        known = list(journal._offsets)
        for key in known:
            found = journal.lookup(key, item)
            assert found is None or all(record.path == "a.wav" for record in found)
        journal.append(b"k" * 16, item, [a_record()])
        assert journal.problem is None
    with Journal(path, "s") as journal:
        assert set(known) <= set(journal._offsets)
        assert journal.lookup(b"k" * 16, item) == [a_record(path="a.wav")]


def read_parts(path: Path) -> None:
    from samcli.engine.shard import merge
    from samcli.writers.formats import to_json

    for record in merge([path]):
        to_json(record)


def mark_seeds() -> list[bytes]:
    return [b'{"shard": 1, "of": 1, "inputs": 7, "settings": "abc"}']


def read_mark(path: Path) -> None:
    part = path.with_name("part.jsonl")
    if not part.exists():
        part.write_bytes(lines_of_records())
    read_parts(part)


# What people hand us.


def read_list(path: Path) -> None:
    from samcli.engine.inputs.find import find_inputs

    for options in ({"files_from": path}, {"files0_from": path}):
        with contextlib.suppress(*sam_error()):
            inputs = find_inputs(**options)
            assert len({item.relative for item in inputs}) == len(inputs)
            assert not any(item.relative.startswith("/") or ".." in item.relative.split("/") for item in inputs)


def read_label_file(path: Path) -> None:
    from samcli.cli.resolve import read_labels

    with contextlib.suppress(*sam_error()):
        assert all(read_labels(str(path)))
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    assert all(read_labels(text))


def read_pattern(path: Path) -> None:
    from samcli.engine.inputs.find import Glob

    pattern = path.read_bytes().decode("utf-8", "surrogateescape").replace("\0", "")
    glob = Glob(pattern)
    for name in ("a/b/c.wav", "a" * 250 + ".wav", "x\n.flac", "a/" * 100 + "b"):
        glob.match(name)


def read_question(path: Path) -> None:
    from samcli.text import labels
    from samcli.text.prompts import normalise_question

    text = path.read_bytes().decode("utf-8", "surrogateescape")
    question = normalise_question(text)
    assert "\x1b" not in question and "\n" not in question and len(question) <= 700
    labels.mentions(text)


def read_text_safely(path: Path) -> None:
    """No text, whatever it holds, reaches a terminal as more than text or a spreadsheet as a formula."""
    from samcli.writers import escape

    text = path.read_bytes().decode("utf-8", "surrogateescape")
    assert not any(ord(mark) < 32 or 127 <= ord(mark) < 160 for mark in escape.one_line(text))
    assert escape.unguarded_cell(escape.guarded_cell(text)) == text
    assert not set("\t\n\r") & set(escape.tab_cell(text))
    json.loads(escape.json_text(json.dumps(text, ensure_ascii=False)).encode())


def read_eval(path: Path) -> None:
    """Damaged predictions, against the references of every kind."""
    from samcli.cli.commands.evaluate import compared

    accepted(path, [references for _, references in EVAL_PAIRS], compared)


def read_eval_reference(path: Path) -> None:
    """Damaged references, for the predictions of every kind."""
    from samcli.cli.commands.evaluate import compared

    accepted(path, [predictions for predictions, _ in EVAL_PAIRS], lambda one, other: compared(other, one))


def accepted(path: Path, partners: Sequence[bytes], compare: Callable[[Path, Path], object]) -> None:
    """A report with one of the partners, or the last one's refusal."""
    from samcli.errors import SamError

    refusal: SamError | None = None
    for number, partner in enumerate(partners):
        good = path.with_name(f"good{number}")
        if not good.exists():
            good.write_bytes(partner)
        try:
            compare(path, good)
        except SamError as error:
            refusal = error
        else:
            return
    assert refusal is not None
    raise refusal


class Screen(io.BytesIO):
    """A terminal that only remembers."""

    def isatty(self) -> bool:
        return True


def run_arguments(path: Path) -> None:
    """The command line itself, on a terminal: an exit code of ours, no surprise, no control character.

    One input is there and the model is not, so that every run ends before any work. No slash comes through: nothing
    may be written outside.
    """
    from samcli.cli.app import run
    from samcli.cli.output import output

    words = path.read_bytes().decode("utf-8", "surrogateescape").replace("/", "_").split("\0")
    (path.parent / "a.wav").write_bytes(b"RIFF")
    screen, kept = Screen(), (sys.stdout, sys.stderr, sys.stdin, Path.cwd())
    os.chdir(path.parent)
    stream = io.TextIOWrapper(screen, encoding="utf-8", errors="surrogateescape", write_through=True)
    sys.stdout = sys.stderr = stream
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    output.cache_clear()
    try:
        code = run([words[0], *words[1:], "a.wav", "--model", "nothing/"])
    finally:
        sys.stdout, sys.stderr, sys.stdin = kept[:3]
        os.chdir(kept[3])
        output.cache_clear()
    stream.flush()
    said = screen.getvalue().decode("utf-8", "surrogateescape")
    assert code in (0, 1, 2, 3, 4), (code, said)
    assert "should not have happened" not in said and "Traceback" not in said, said
    assert not any(mark != "\n" and (ord(mark) < 32 or 127 <= ord(mark) < 160) for mark in said), repr(said)
    assert not (path.parent / "out.csv").exists()


def argument_seeds() -> list[bytes]:
    lines = (
        ("tag", "--labels", "Dog,Rain", "--top-k", "3", "--threshold", "0.5", "-o", "out.csv", "--resume"),
        ("caption", "--segment", "10", "-f", "srt", "--batch-size", "4", "--threads", "2", "--seed", "7"),
        ("ask", "is it a dog?", "--files-from", "list", "--beams", "2", "--max-new-tokens", "9"),
        ("tag", "--glob", "*.wav", "--shard", "1_2", "--timeline", "-o", "out_", "-f", "audacity", "--quiet"),
        ("tag", "--dtype", "float16", "--device", "cpu", "--engine", "local", "--unordered", "--raw-cells", "b.wav"),
        ("merge", "out.csv", "part.jsonl", "x"),
        ("models", "show", "org_name"),
        ("completion", "bash"),
    )
    return ["\0".join(line).encode() for line in lines]


# What is scored by `sam eval`, kind by kind: predictions, and the references they belong to.
EVAL_PAIRS = (
    (
        b'{"path": "t0.wav", "tags": [{"label": "Dog", "score": 0.5}, {"label": "Rain", "score": 0.2}]}\n'
        b'{"path": "t1.wav", "tags": [{"label": "Rain", "score": 0.9}]}\n{"path": "t2.wav", "tags": []}\n',
        b'fname,labels\nt0,"Dog,Rain"\nt1,Dog\nt2,Siren\n',
    ),
    (
        b"filename\tonset\toffset\tevent_label\ne0.wav\t0.1\t1.4\tDog\ne0.wav\t0.5\t1\tRain\ne1.wav\t0.5\t2\tRain\n",
        b"filename\tonset\toffset\tevent_label\ne0.wav\t0.0\t1.0\tDog\ne1.wav\t0.5\t2\tRain\n",
    ),
    (
        b'{"path": "c0.wav", "caption": "A dog barks."}\n{"path": "c1.wav", "caption": "Rain falls."}\n',
        b"file_name,caption_1,caption_2\nc0.wav,a dog barks,dogs\nc1.wav,rain falls,it rains\n",
    ),
    (
        b'[{"id": "q0", "answer": "(a) a"}, {"id": "q1", "model_prediction": "Yes."}]',
        b'[{"id": "q0", "question": "what?", "choices": ["a", "b"], "answer": "a", "path": "00.wav"},'
        b' {"id": "q1", "question": "is it?", "choices": [], "answer": "yes"}]',
    ),
    (
        b"file\ttext\ns0.wav\tone two\ns1.wav\tthree\n",
        b"file\ttranscript\ns0.wav\tone too\ns1.wav\tthree four\n",
    ),
)  # fmt: skip

QUESTIONS = ("Is there a dog? a) yes", "¿Was \u201cth\u00e9\u201d \u2026 SIREN\u202e?", "\x1b]0;t\x07how many\nvoices?")
CELLS = ("=1+1", "\t-2", "'@SUM(A1)", "a\\tb\tc\r\n", "\x1b[2J\x9b31m\u202eabc", "\u2028\ufeffx")
PATTERNS = ("*.wav", "**/a?[!b-d]*", "[a-", "x/**", "{a,b}", "***/***[]]")


def texts(*values: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [value.encode() for value in values]


TARGETS: dict[str, Target] = {
    **{kind: sound_target(kind) for kind in (*SOUNDFILE, *ENCODED)},
    "headers": Target(header_seeds, read_front_and_back, lambda: ()),
    "safetensors": Target(safetensors_seeds, read_weights, sam_error),
    "json": Target(json_seeds, read_any_json, sam_error),
    "config": model_file("config.json"),
    "weights": model_file("model.safetensors"),
    "tokenizer": model_file("tokenizer.json"),
    "label-names": model_file("labels.json"),
    "index": Target(index_seeds, read_index_file, sam_error, "model.safetensors.index.json"),
    "pickle": Target(pickle_seeds, read_pickled, sam_error),
    "adapter": Target(adapter_seeds, read_adapter, sam_error, "adapter.json"),
    "records": Target(lambda: [lines_of_records()], read_records, value_error),
    "journal": Target(journal_seeds, read_journal, lambda: ()),
    "parts": Target(lambda: [lines_of_records()], read_parts, sam_error, "part.jsonl"),
    "mark": Target(mark_seeds, read_mark, sam_error, "part.jsonl.shard"),
    "list": Target(texts("a.wav\r\nb/c.wav\n./a.wav\n/x.wav\n../y.wav\0-\0", "\ufeffa\n"), read_list, lambda: ()),
    "labels": Target(texts('Dog,"Inside, small room",Siren', "Dog\nRain\n"), read_label_file, sam_error),
    "pattern": Target(texts(*PATTERNS), read_pattern, sam_error),
    "question": Target(texts(*QUESTIONS), read_question, lambda: ()),
    "cells": Target(texts(*CELLS), read_text_safely, lambda: ()),
    "arguments": Target(argument_seeds, run_arguments, lambda: ()),
    "eval-predictions": Target(lambda: [said for said, _ in EVAL_PAIRS], read_eval, sam_error),
    "eval-references": Target(lambda: [truth for _, truth in EVAL_PAIRS], read_eval_reference, sam_error),
}


# How many cases make a whole campaign: 226,000 in all.
CASES: dict[str, int] = {
    **dict.fromkeys((*SOUNDFILE, *ENCODED), 2_000),
    **{"headers": 20_000, "safetensors": 15_000, "json": 15_000, "records": 10_000, "journal": 5_000, "parts": 10_000},
    **{"mark": 5_000, "list": 10_000, "labels": 10_000, "pattern": 12_000, "question": 5_000, "cells": 15_000},
    **{"config": 3_000, "weights": 1_000, "tokenizer": 2_000, "label-names": 1_000, "index": 3_000, "pickle": 5_000},
    **{"adapter": 5_000, "arguments": 2_000, "eval-predictions": 2_000, "eval-references": 2_000},
}


def place() -> str | None:
    """Memory where there is such a disk: a case should cost what reading costs."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def prepared(target: Target, folder: Path) -> Path:
    """Where the damaged file goes; its neighbours are there."""
    if target.name.startswith(("config.", "tokenizer.", "labels.", "model.")):
        shutil.copytree(small_model(), folder, dirs_exist_ok=True)
    return folder / target.name


def fuzz(name: str, count: int, first: int = 0, seed: int = 0, go_on: bool = False) -> dict[str, Any]:
    """The cases `first` to `first + count` of a target; returns what became of them."""
    os.environ.update(NO_COLOR="1", TERM="dumb", HF_HUB_OFFLINE="1")  # colours would be control characters
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # where it was computing, and the end of this process
    target, seeds = TARGETS[name], TARGETS[name].seeds()
    refusals = target.refusals()
    result: dict[str, Any] = {"target": name, "count": count, "accepted": 0, "refused": 0, "slowest": 0.0}
    with tempfile.TemporaryDirectory(dir=place()) as work:
        path = prepared(target, Path(work))
        with contextlib.suppress(*refusals):
            target.read(whole(path, seeds[0]))  # what is imported at the first use is no case's fault
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        for number in range(first, first + count):
            chance = random.Random(f"{name} {seed} {number}")
            path.write_bytes(mutate(chance.choice(seeds), chance, seeds))
            signal.setitimer(signal.ITIMER_PROF, PATIENCE)
            faulthandler.dump_traceback_later(STILLNESS, exit=True)
            under_way(name, seed, number)
            start = time.process_time()
            try:
                target.read(path)
                result["accepted"] += 1
            except refusals:
                result["refused"] += 1
            except Exception as error:
                keep(name, seed, number, path)
                words = f"{name} case {number} of seed {seed}: {type(error).__name__}: {error}"
                if not go_on:
                    raise SystemExit(words) from error
                print(words, file=sys.stderr)
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_PROF, 0)
            result["slowest"] = max(result["slowest"], round(time.process_time() - start, 3))
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            if grown > MOST_MEMORY:
                keep(name, seed, number, path)
                raise SystemExit(f"{name} case {number} of seed {seed}: memory grew by {grown >> 10} MiB")
        result |= {"grown_mb": round(grown / 1024, 1), "seconds": round(time.monotonic() - began, 1)}
    return result


def under_way(name: str, seed: int, number: int) -> None:
    """Say which case a crash was, before it: faulthandler is told the place, nobody the number."""
    global _note
    if _note is None and (folder := os.environ.get("SAM_FUZZ_KEEP")):
        _note = os.open(Path(folder) / f"under-way-{name}", os.O_WRONLY | os.O_CREAT)
    if _note is not None:
        os.pwrite(_note, f"{name} --seed {seed} --first {number} --count 1\n".encode().ljust(80), 0)


_note: int | None = None


def whole(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def keep(name: str, seed: int, number: int, path: Path) -> None:
    """Leave the bytes of a case that failed where SAM_FUZZ_KEEP says."""
    if folder := os.environ.get("SAM_FUZZ_KEEP"):
        shutil.copy(path, Path(folder) / f"{name}-{seed}-{number}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", default=list(TARGETS), help=" ".join(TARGETS))
    parser.add_argument("--count", type=int, help="of cases; otherwise a share of a whole campaign's")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--go-on", action="store_true", help="tell of a case that fails, and try the next")
    options = parser.parse_args()
    for name in options.target:
        count = options.count or max(1, round(options.share * CASES[name]))
        print(json.dumps(fuzz(name, count, options.first, options.seed, options.go_on)), flush=True)


if __name__ == "__main__":
    main()
