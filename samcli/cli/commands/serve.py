"""`sam serve`"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from samcli.cli.commands.mcp import HostFlags
from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import option, spread, switch
from samcli.cli.output import output
from samcli.errors import UsageError


@dataclass(kw_only=True)
class ServeFlags(HostFlags):
    """For `sam serve`."""

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
    application, settings, listen = served()
    # The page itself holds nothing of anybody's; it asks for the token before it sends anything.
    open_paths = (*OPEN_PATHS, "/") if flags.page else OPEN_PATHS
    rules = Rules(token, flags.max_mb << 20, local=flags.host in LOOPBACK, open_paths=open_paths)
    chosen = settings(tuple(flags.allow or ()), flags.max_seconds, flags.page)
    from samcli.cli.engines import load_here
    from samcli.serving.desk import Desk

    streams = output()
    model = load_here(flags)
    streams.clear_status()
    with Desk(model, flags.queue) as desk:
        listen(application(desk, rules, chosen), flags.host, flags.port, streams.note)
    return ExitCode.OK


def served() -> tuple[Any, Any, Any]:
    try:
        from samcli.serving.http.app import Settings, application
        from samcli.serving.listening import listen
    except ModuleNotFoundError as error:
        raise UsageError(f"This needs {error.name}: pip install 'samcli[serve]'") from None
    return application, Settings, listen
