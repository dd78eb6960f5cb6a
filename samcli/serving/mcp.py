"""The tools as the protocol's SDK offers them: schemas, limits, progress, and roots."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from samcli._version import __version__
from samcli.errors import SamError
from samcli.serving.sounds import Roots

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel
    from samcli.serving.ears import Ears

INSTRUCTIONS = """\
These tools hear sound files on this machine: everyday sounds, animals, machines, weather, alarms, music and speech as a
sound. They do not transcribe speech, name speakers, tunes or bird species, and do not see pictures of a film.
Start with `listen`. Scores run from 0 to 1 and are a classifier's estimate: from 0.8 on a sound is very likely, from
0.5 likely, from 0.25 possible, below that doubtful; say so in your answer. A sound that is not listed was not heard,
which does not prove that it was not there: to be told about a particular sound, name it in `listen_for`.
Times are seconds from the start. Events are accurate to about a tenth of a second. The hearing is sometimes wrong:
never rest anyone's safety on it."""
LISTEN = """\
Hear one sound or video file: a caption, the sounds in it with scores, events with start and end, and for every sound in
`listen_for` whether it was heard or not. Names may be AudioSet labels or plain words such as "dog", "siren", "rain"."""
ASK = """\
Answer one question about up to eight sound files: whether a sound is there, when, how often, how long, how loud, which
comes first. The answer rests on the events given as evidence; it is no transcript of speech."""
FIND = """\
Find the recordings in an indexed folder that a sentence fits, best first. Scores order the hits of one search and mean
nothing beside it. The folder must have been indexed before: sam index FOLDER."""
COMPARE = """\
Compare two sound files: which sounds both have, which only one of them, and how alike they sound as a whole (1 is the
same, 0 unrelated; two recordings of one kind of sound are often above 0.8)."""
SPECTROGRAM = """\
A picture (PNG) of up to 60 seconds of a sound: time runs to the right, pitch upwards on a mel scale to 8 kHz,
brighter is louder. To see what cannot be put into words; names of sounds come from `listen`."""


@contextmanager
def waking(load: Callable[[], SoundModel], most: int) -> Iterator[Future[Ears]]:
    """Ears with a desk of their own, as soon as their model is loaded; or why it cannot be."""
    ready: Future[Ears] = Future()
    ready.set_running_or_notify_cancel()  # a request that is cancelled does not cancel them
    over = threading.Event()
    thread = threading.Thread(target=_wake, args=(load, most, ready, over), name="waking", daemon=True)
    thread.start()
    finished = False
    try:
        yield ready
        finished = True
    finally:
        over.set()
        if finished or ready.done():  # who is told to stop does not wait for a model
            thread.join()


def _wake(load: Callable[[], SoundModel], most: int, ready: Future[Ears], over: threading.Event) -> None:
    try:
        from samcli.serving.desk import Desk
        from samcli.serving.ears import Ears

        with Desk(load(), most) as desk:
            ready.set_result(Ears(desk))
            over.wait()
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)


ROOTS_SECONDS = 10.0  # for a client to say its roots
MOST_PATHS = 8

Name = Annotated[str, Field(min_length=1, max_length=4096, description="File: absolute, or below a folder given.")]
Words = Annotated[str, Field(min_length=1, max_length=500)]
READING = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class Scored(BaseModel):
    label: str
    score: float = Field(description="0 to 1")
    sureness: str = Field(description="the score in words")


class Timed(Scored):
    start: float = Field(description="seconds")
    end: float


class Verdict(Scored):
    name: str = Field(description="as it was asked for")
    verdict: str = Field(description="heard, unsure or not heard")


class Hearing(BaseModel):
    path: str
    duration: float | None
    silent: bool
    caption: str | None
    sounds: list[Scored] = Field(description="of the whole file, the surest first")
    events: list[Timed]
    events_left_out: int
    evidence: list[Timed] = Field(description="the events that the caption rests on")
    listened_for: list[Verdict]
    warning: str | None


class Answer(BaseModel):
    path: str
    answer: str | None
    evidence: list[Timed]
    error: str | None


class Hit(BaseModel):
    path: str
    start: float
    end: float
    score: float
    caption: str


class Comparison(BaseModel):
    both: list[Scored]
    only_first: list[Scored]
    only_second: list[Scored]
    alike: float = Field(description="of the whole sound: 1 is the same, 0 unrelated")


def server(waking: Future[Ears], roots: Roots, *, ask_roots: bool = True) -> MCPServer[Any]:
    """A server that reads below `roots`; with `ask_roots` only where the client's own roots are, too.

    It answers at once, and a tool that is called waits until the ears are awake.
    """
    app: MCPServer[Any] = MCPServer("sam", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")

    @asynccontextmanager
    async def allowed(ctx: Context) -> AsyncIterator[tuple[Ears, Roots]]:
        """The ears, and the folders of this request; whatever a person can mend becomes a sentence of the tool."""
        try:
            here = await _narrowed(ctx, roots) if ask_roots else roots
            yield await asyncio.wrap_future(waking), here
        except SamError as error:
            raise ToolError(str(error)) from error

    def told(ctx: Context) -> Any:
        async def tell(share: float) -> None:
            await ctx.report_progress(min(0.99, share), 1.0)

        return tell

    @app.tool(description=LISTEN, annotations=READING)
    async def listen(
        path: Name,
        ctx: Context,
        listen_for: Annotated[list[Words], Field(max_length=50)] = [],  # noqa: B006
    ) -> Hearing:
        async with allowed(ctx) as (ears, here):
            return Hearing(**await ears.listen(here, path, listen_for, told(ctx)))

    @app.tool(description=ASK, annotations=READING)
    async def ask(
        paths: Annotated[list[Name], Field(min_length=1, max_length=MOST_PATHS)], question: Words, ctx: Context
    ) -> list[Answer]:
        async with allowed(ctx) as (ears, here):
            return [Answer(**one) for one in await ears.ask(here, paths, question, told(ctx))]

    @app.tool(description=FIND, annotations=READING)
    async def find(
        query: Words, folder: Name, ctx: Context, most: Annotated[int, Field(ge=1, le=100)] = 10
    ) -> list[Hit]:
        async with allowed(ctx) as (ears, here):
            return [Hit(**one) for one in await ears.find(here, folder, query, most)]

    @app.tool(description=COMPARE, annotations=READING)
    async def compare(first: Name, second: Name, ctx: Context) -> Comparison:
        async with allowed(ctx) as (ears, here):
            return Comparison(**await ears.compare(here, first, second, told(ctx)))

    @app.tool(description=SPECTROGRAM, annotations=READING)
    async def spectrogram(
        path: Name,
        ctx: Context,
        start: Annotated[float, Field(ge=0, le=1e6)] = 0.0,
        seconds: Annotated[float, Field(gt=0, le=60)] = 10.0,
    ) -> Image:
        async with allowed(ctx) as (ears, here):
            return Image(data=await ears.spectrogram(here, path, start, seconds), format="png")

    return app


async def _narrowed(ctx: Context, roots: Roots) -> Roots:
    """What lies both in our folders and in the client's; a client that knows no roots leaves it to ours."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.roots is None:
        return roots
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the newest protocol has no roots; clients of the others have
        try:
            asked = ctx.request_context.session.list_roots()
            listed = await asyncio.wait_for(asked, ROOTS_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            raise ToolError("The client has roots and does not say which.") from None
        except Exception as error:
            if type(error).__name__ == "NoBackChannelError":
                return roots
            raise ToolError("The client's roots cannot be read.") from error
    others = [place for root in listed.roots if (place := _place(str(root.uri))) is not None]
    return roots.within(others) if roots.folders else Roots(others, roots.most_bytes)


def _place(address: str) -> Path | None:
    parts = urlsplit(address)
    return Path(unquote(parts.path)).resolve() if parts.scheme == "file" and parts.path else None
