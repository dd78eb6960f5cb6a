"""`sam serve` and `sam mcp`: sam for other programs"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.flags import INPUT, ModelFlags, option, spread, switch
from samcli.cli.output import output
from samcli.cli.resolve import check_dtype, load_here
from samcli.errors import ExitCode, UsageError


@dataclass(kw_only=True)
class HostFlags(ModelFlags):
    """For what listens on a port."""

    host: Annotated[str, option("Address to listen on.", "ADDRESS")] = "127.0.0.1"
    port: Annotated[int, option("0 takes a free one.", "N", min=0, max=65535)] = 8008
    token_file: Annotated[str | None, option("A file with the token. [$SAM_TOKEN]", "FILE")] = None
    open: Annotated[bool, switch("Serve other machines without a token.", "--open")] = False
    queue: Annotated[int, option("Requests that may wait.", "N", min=1, max=100_000)] = 64


@dataclass(kw_only=True)
class McpFlags(HostFlags):
    http: Annotated[bool, switch("Streamable HTTP instead of stdio.", "--http")] = False
    max_mb: Annotated[int, option("Largest file heard, in megabytes.", "N", panel=INPUT, min=1)] = 256


@spread
def mcp(
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="FOLDERS", help="What may be read; else the client's roots.", show_default=False),
    ] = None,
    *,
    flags: McpFlags,
) -> ExitCode:
    """Be the ears of an agent: a server of the Model Context Protocol.

    sam mcp recordings/
    sam mcp recordings/ --http --port 8008
    claude mcp add ears -- sam mcp ~/recordings

    Only files inside the folders are read, and only inside the client's own roots where it has some.
    """
    from samcli.serving.gate import check_host, token_from

    streams = output()
    for folder in folders or ():
        if not Path(folder).is_dir():
            raise UsageError(f"There is no folder named {folder!r}.")
    if flags.http and not folders:
        raise UsageError("Over HTTP name the folders that may be read: sam mcp FOLDERS --http")
    token = token_from(flags.token_file) if flags.http else ""
    if flags.http:
        check_host(flags.host, token, flags.open)
    check_dtype(flags)
    with extra("mcp"):
        from samcli.serving.mcp import server
    from samcli.serving.mcp import waking
    from samcli.serving.sounds import Roots

    with waking(lambda: load_here(flags), flags.queue) as ears:
        app = server(ears, Roots(folders or (), flags.max_mb << 20), ask_roots=not flags.http)
        if not flags.http:
            ears.add_done_callback(lambda loaded: _tell(loaded.exception()))
            app.run("stdio")
            return ExitCode.MODEL if ears.exception() else ExitCode.OK
        ears.result()  # nobody's handshake waits for it, and a port that is open is ready
        streams.clear_status()
        from samcli.serving.gate import LOOPBACK, Gate, Rules
        from samcli.serving.listening import listen

        rules = Rules(token=token, most_bytes=4 << 20, local=flags.host in LOOPBACK)
        listen(Gate(app.streamable_http_app(host=flags.host), rules), flags.host, flags.port, streams.note, "/mcp")
    return ExitCode.OK


def _tell(problem: BaseException | None) -> None:
    """What a person sees of a model that is unavailable, while the host still waits."""
    streams = output()
    streams.clear_status()
    if problem is not None:
        streams.error(str(problem))


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say which of our extras holds a module that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"This needs {error.name}: pip install 'samcli[{name}]'") from None


@dataclass(kw_only=True)
class ServeFlags(HostFlags):
    allow: Annotated[list[str] | None, option("Beginning of addresses that are fetched.", "ADDRESS")] = None
    max_mb: Annotated[int, option("Largest request, in megabytes.", "N", min=1)] = 256
    max_seconds: Annotated[float, option("Longest time for one sound.", "SECONDS", min=1)] = 300.0
    page: Annotated[bool, switch("A page to drop files into.", "--page")] = False


@spread
def serve(flags: ServeFlags) -> ExitCode:
    """Answer other programs over HTTP, many at once with one model.

    sam serve
    curl -F file=@street.flac http://127.0.0.1:8008/v1/tag
    sam serve --host 0.0.0.0 --token-file token.txt

    It serves this machine only, unless told otherwise; http://127.0.0.1:8008/docs shows what can be asked. With --page
    http://127.0.0.1:8008 takes recordings that are dropped into it, and shows what is heard in them.
    """
    from samcli.serving.gate import LOOPBACK, OPEN_PATHS, Rules, check_host, token_from

    token = token_from(flags.token_file)
    check_host(flags.host, token, flags.open)
    with extra("serve"):
        from samcli.serving.http.app import Settings, application
        from samcli.serving.listening import listen
    # The page itself holds nothing of anybody's; it asks for the token before it sends anything.
    open_paths = (*OPEN_PATHS, "/") if flags.page else OPEN_PATHS
    rules = Rules(token, flags.max_mb << 20, local=flags.host in LOOPBACK, open_paths=open_paths)
    chosen = Settings(tuple(flags.allow or ()), flags.max_seconds, flags.page)
    from samcli.serving.desk import Desk

    streams = output()
    model = load_here(flags)
    streams.clear_status()
    with Desk(model, flags.queue) as desk:
        listen(application(desk, rules, chosen), flags.host, flags.port, streams.note)
    return ExitCode.OK
