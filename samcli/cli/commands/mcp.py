"""`sam mcp`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from samcli.cli.engines import check_dtype, load_here
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import INPUT, ModelFlags, option, spread, switch
from samcli.cli.output import output
from samcli.errors import UsageError


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
    """For `sam mcp`."""

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
    server = served()
    from samcli.serving.mcp.waking import waking
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
    """What a person sees of a model that cannot be had, while the host still waits."""
    streams = output()
    streams.clear_status()
    if problem is not None:
        streams.error(str(problem))


def served() -> Any:
    try:
        from samcli.serving.mcp.server import server
    except ModuleNotFoundError as error:
        raise UsageError(f"This needs {error.name}: pip install 'samcli[mcp]'") from None
    return server
