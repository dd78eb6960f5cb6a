"""`sam search`"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samcli._version import __version__
from samcli.cli.destination import Destination, RowFlags
from samcli.cli.flags import INPUT, InputFlags, ModelFlags, option, spread, switch
from samcli.cli.listen import named
from samcli.cli.output import Output, output
from samcli.cli.resolve import inputs_of, load_here, names_sounds
from samcli.errors import ExitCode, InputError, UsageError
from samcli.records import SCHEMA
from samcli.writers.rows import Columns

if TYPE_CHECKING:
    from samcli.engine.hearing import Wave
    from samcli.engine.index.store import Contents, Index
    from samcli.engine.inputs.find import Input
    from samcli.models.interface import SoundModel
    from samcli.tasks.search import Hit

LOT_SOUNDS = 64  # whole sounds in memory at once
FIRST, LAST = ("schema", "task", "query", "path", "rank"), ("start", "end", "score", "caption")
EVERY = (*FIRST, *LAST, "model", "revision", "version", "fit")
SOUNDS = Columns(EVERY, ("path", "start", "end", "score"), "path")
CAPTIONS = Columns(EVERY, ("path", "caption", "score"), "caption")


@dataclass(kw_only=True)
class SearchFlags(ModelFlags, InputFlags, RowFlags):
    audio: Annotated[list[str] | None, option("Sound to describe; TEXT then names captions.", "PATH", panel=INPUT)] = (
        None
    )
    queries: Annotated[str | None, option("File of many texts.", "FILE", panel=INPUT)] = None
    index: Annotated[str | None, option("Index file. [FOLDER/.sam-index.sqlite]", "FILE", panel=INPUT)] = None
    no_index: Annotated[bool, switch("Every second heard; slow.", "--no-index", panel=INPUT)] = False
    k: Annotated[int, option("Most results.", "N", names=("--top", "-k"), min=1)] = 10
    shortlist: Annotated[int, option("Recordings to rank anew; 0: none.", "N", min=0)] = 100
    normalise: Annotated[bool, switch("Scores relative to each caption's usual one.", "--normalise/--raw-scores")] = (
        True
    )


@spread
def search(
    query: Annotated[str, typer.Argument(metavar="TEXT", help="Quoted text; with --audio, a captions file.")],
    flags: SearchFlags,
) -> ExitCode:
    """Find the recordings that a sentence fits, or the captions that fit a recording.

    sam search "a dog barking in the rain" recordings/
    sam search --audio clip.wav captions.txt -k 3
    sam index recordings/ && sam search "a train passes" recordings/ -f jsonl

    Tags make a shortlist, from an index in a moment; only its best 100 are asked about the sentence.
    Fit in the table: 50% is no better than any other sound, 100% is perfect.
    """
    if flags.audio:
        return captions_for(query, flags)
    paths = [*([query] if flags.queries else []), *(flags.paths or ())]
    queries = read_texts(flags.queries) if flags.queries else [query]
    if not all(text.strip() for text in queries):
        raise UsageError("The text to look for is empty.")
    if not (paths or flags.files_from or flags.files0_from or flags.index):
        if names_sounds(query):
            raise UsageError(f'The text to look for is missing: sam search "a dog barking" {shlex.quote(query)}')
        raise UsageError(f"Say where to look: sam search {shlex.quote(query)} PATHS")
    return sounds_for(queries, paths, flags)


def sounds_for(queries: Sequence[str], paths: Sequence[str], flags: SearchFlags) -> ExitCode:
    """Rankings of recordings."""
    streams = output()
    inputs: list[Input] = []
    if paths or flags.files_from or flags.files0_from or not flags.index:
        inputs = inputs_of(flags, paths)
    destination = Destination.of(flags)
    destination.check_rows(inputs)
    name = index_name(flags, paths)
    if name is None:
        rankings, model, code = heard_now(streams, queries, inputs, flags)
    else:
        rankings, model = from_index(streams, name, queries, inputs, flags)
        code = ExitCode.OK
    rows = [
        row(query=query, path=hit.path, rank=rank, start=hit.start, end=hit.end, score=hit.score)
        | {"caption": hit.caption or None, "fit": hit.fit} | model
        for query, hits in zip(queries, rankings, strict=True)
        for rank, hit in enumerate(hits, 1)
    ]  # fmt: skip
    say_what_fits_nothing(streams, queries, rankings)
    shown = ["rank", "fit", "path", "time", *(["caption"] if any(one["caption"] for one in rows) else [])]
    if destination.shows_table(streams):
        rows = [one | for_eyes(one) for one in rows]
    destination.write_rows(streams, SOUNDS, rows, ["query", *shown] if len(queries) > 1 else shown)
    return code


def say_what_fits_nothing(streams: Output, queries: Sequence[str], rankings: Sequence[Sequence[Hit]]) -> None:
    """A ranking always has a first, so whether that is any good must be said."""
    from samcli.tasks.search import FITS

    for query, hits in zip(queries, rankings, strict=True):
        if not hits:
            streams.note(f"Nothing fits {query!r}: there is no sound to be heard.")
        elif all(hit.fit is not None and hit.fit < FITS for hit in hits):
            streams.note(f"Nothing fits {query!r}; what comes nearest is listed.")


def for_eyes(row: dict[str, Any]) -> dict[str, Any]:
    """What the table says otherwise than the formats do."""
    from samcli.text.inflection import clock

    return {"fit": f"{row['fit']:.0%}", "time": f"{clock(row['start'])}-{clock(row['end'])}"}


def index_name(flags: SearchFlags, paths: Sequence[str]) -> str | None:
    """The index to ask: the one that is named, or the one in the folder."""
    from samcli.engine.index.store import NAME

    if flags.no_index:
        if flags.index:
            raise UsageError("--index and --no-index exclude each other.")
        return None
    if flags.index:
        return flags.index
    own = Path(paths[0], NAME) if len(paths) == 1 else None
    return str(own) if own is not None and own.is_file() else None


def heard_now(
    streams: Output, queries: Sequence[str], inputs: Sequence[Input], flags: SearchFlags
) -> tuple[list[list[Hit]], dict[str, Any], ExitCode]:
    """Rankings of everything, heard in one go: the quick way, unless all is asked for or tags cannot choose."""
    from samcli.tasks.search import rated, search_heard
    from samcli.tasks.search_quickly import is_quick, search_quickly

    model = load_here(flags)
    failed: list[Input] = []

    def fail(item: Input, error: InputError) -> None:
        failed.append(item)
        streams.error(named(item.display, str(error)))

    def progress(done: int) -> None:
        streams.status(f"{done}/{len(inputs)} files heard")

    if not flags.no_index and is_quick(queries, inputs, model):
        rankings = search_quickly(queries, inputs, model, flags.k, flags.shortlist, fail, progress)
        rankings = rated(queries, rankings, model if flags.shortlist else None)
    else:
        rankings = rated(queries, search_heard(queries, inputs, model, flags.k, fail, progress), model)
    return rankings, about(model), ExitCode.FAILED if failed else ExitCode.OK


def from_index(
    streams: Output, name: str, queries: Sequence[str], inputs: Sequence[Input], flags: SearchFlags
) -> tuple[list[list[Hit]], dict[str, Any]]:
    """Rankings from an index, of the inputs or, without any, of all it holds."""
    from dataclasses import replace

    from samcli.engine.index.store import Index
    from samcli.tasks.search import rated, search_contents

    model = load_here(flags) if flags.shortlist else None
    with Index(name, model, look=True) as index:
        shown = {str(Path(item.path).absolute()): item.display for item in inputs}
        contents = only(index.contents(), shown, name) if inputs else index.contents()
        news = index.changed(inputs)
        facts = about(model) if model is not None else whose(index)
        labels = index.labels
    if news:
        streams.note(f"{news} files are new or changed since {name} was made; run sam index again to find them.")
    rankings = []
    for done, query in enumerate(queries):
        streams.status(f"{done}/{len(queries)} searches")
        hits = search_contents(query, contents, labels, model, flags.k, flags.shortlist)
        rankings.append([replace(hit, path=shown.get(hit.path, hit.path)) for hit in hits])
    return rated(queries, rankings, model), facts


def only(contents: Contents, wanted: dict[str, str], name: str) -> Contents:
    """The windows of these files."""
    from samcli.engine.index.store import Contents

    places = [place for place, window in enumerate(contents.windows) if window.path in wanted]
    if not places:
        raise UsageError(f"The index {name!r} holds none of these recordings: run sam index first.")
    if len(places) == len(contents.windows):
        return contents
    windows = [contents.windows[place] for place in places]
    return Contents(windows, contents.tags[places], contents.embeddings[places])


def captions_for(captions: str, flags: SearchFlags) -> ExitCode:
    """Rankings of captions."""
    from samcli.engine.inputs.find import find_inputs
    from samcli.tasks.search import read_wave, search_captions, usual_losses

    streams = output()
    if flags.paths or flags.queries or flags.index:
        raise UsageError("With --audio there is one file of captions: sam search --audio clip.wav CAPTIONS.txt")
    texts = read_texts(captions)
    inputs = find_inputs(flags.audio or (), recursive=flags.recursive, glob=flags.glob or (), stdin=streams.stdin)
    destination = Destination.of(flags)
    destination.check_rows(inputs)
    model = load_here(flags)
    usual = usual_losses(texts, model) if flags.normalise else None
    rows: list[dict[str, Any]] = []
    failed = 0
    for at in range(0, len(inputs), LOT_SOUNDS):
        waves: list[tuple[Input, Wave]] = []
        for item in inputs[at : at + LOT_SOUNDS]:
            streams.status(f"{at + len(waves)}/{len(inputs)} files heard")
            try:
                waves.append((item, read_wave(item, model)))
            except InputError as error:
                failed += 1
                streams.error(named(item.display, str(error)))
        found = search_captions([wave for _, wave in waves], texts, model, flags.k, usual)
        rows += [
            row(path=item.display, rank=rank, score=match.score) | {"caption": match.text} | about(model)
            for (item, _), matches in zip(waves, found, strict=True)
            for rank, match in enumerate(matches, 1)
        ]
    if destination.shows_table(streams):
        rows = [one | {"score": f"{one['score']:.2f}"} for one in rows]
    shown = ["rank", "score", "caption"]
    destination.write_rows(streams, CAPTIONS, rows, ["path", *shown] if len(inputs) > 1 else shown)
    return ExitCode.FAILED if failed else ExitCode.OK


def read_texts(name: str) -> list[str]:
    """Sentences, each once: the lines of a text (- is standard input), or the captions of the field's files."""
    streams = output()
    if name == "-":
        if streams.stdin is None or streams.stdin_is_terminal:
            raise UsageError("Standard input is a terminal: pipe sentences into it, or name a file instead of '-'.")
        lines = streams.stdin.read().decode("utf-8-sig", "replace").splitlines()
    elif Path(name).suffix.lower() in (".csv", ".tsv", ".json", ".jsonl"):
        from samcli.evaluation.datasets import read_references

        lines = [caption for item in read_references(Path(name)).items.values() for caption in item.captions]
    else:
        try:
            lines = Path(name).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise UsageError(f"The sentences in {name!r} cannot be read: {reason}.") from None
    texts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not texts:
        raise UsageError(f"There are no sentences in {name!r}.")
    return texts


def row(**values: Any) -> dict[str, Any]:
    return {"schema": SCHEMA, "task": "search", **values}


def about(model: SoundModel) -> dict[str, Any]:
    return {"model": model.name, "revision": model.revision, "version": __version__}


def whose(index: Index) -> dict[str, Any]:
    name, _, revision = index.model.rpartition("@")
    return {"model": name, "revision": revision, "version": __version__}
