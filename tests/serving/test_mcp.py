"""The tools, asked by the SDK's own client: what they say, where they may read, what a hostile client is told."""

from __future__ import annotations

import asyncio
import base64
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

mcp = pytest.importorskip("mcp")
from mcp import Client, StdioServerParameters, types  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from mcp.shared._httpx_utils import create_mcp_http_client  # noqa: E402

import samcli  # noqa: E402
from samcli.engine.index.store import NAME, Index  # noqa: E402
from samcli.engine.inputs.find import find_inputs  # noqa: E402
from samcli.errors import ModelError  # noqa: E402
from samcli.serving.desk import Desk  # noqa: E402
from samcli.serving.ears import Ears  # noqa: E402
from samcli.serving.mcp import server  # noqa: E402
from samcli.serving.sounds import Roots  # noqa: E402

ROOT = Path(samcli.__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::mcp.MCPDeprecationWarning")


def asked(desk: Desk, roots: Roots, talk: Callable[[Client], Awaitable[Any]], **more: Any) -> Any:
    """What a conversation with a server gives."""

    async def run() -> Any:
        awake: Future[Ears] = Future()
        awake.set_result(Ears(desk))
        async with Client(server(awake, roots), **more) as client:
            return await talk(client)

    return asyncio.run(run())


def test_every_tool_says_what_it_heard(desk, nano, recordings):
    async def talk(client: Client) -> dict[str, Any]:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {"listen", "ask", "find", "compare", "spectrogram"}
        assert all(tool.description and tool.input_schema["properties"] for tool in tools)
        calls = {
            "listen": {"path": "deep/dog.opus", "listen_for": ["dog", "siren"]},
            "ask": {"paths": ["deep/dog.opus", "thunder.opus"], "question": "is there a dog?"},
            "compare": {"first": "deep/dog.opus", "second": "deep/dog.opus"},
            "spectrogram": {"path": "thunder.opus", "start": 1, "seconds": 2},
        }
        return {name: await client.call_tool(name, values) for name, values in calls.items()}

    said = asked(desk, Roots([recordings]), talk)
    assert not any(result.is_error for result in said.values()), said
    heard = said["listen"].structured_content
    record = nano.caption(recordings / "deep" / "dog.opus")
    assert (heard["caption"], heard["duration"]) == (record.caption, record.duration)
    tags = nano.tag(recordings / "deep" / "dog.opus").tags
    assert [(one["label"], one["score"]) for one in heard["sounds"]][:3] == [(tag.label, tag.score) for tag in tags[:3]]
    assert [one["verdict"] for one in heard["listened_for"]] == ["heard", "not heard"] and heard["events"]
    answers = [one["answer"] for one in said["ask"].structured_content["result"]]
    assert answers == ["Yes, a dog barks.", "No, no dog is heard."]
    alike = said["compare"].structured_content
    assert alike["alike"] > 0.999 and alike["both"] and not alike["only_first"]
    picture = said["spectrogram"].content[0]
    assert picture.mime_type == "image/png" and base64.b64decode(picture.data).startswith(b"\x89PNG")


@pytest.mark.slow
def test_an_index_is_asked_and_nothing_it_names_outside_is_told(recordings, tmp_path):
    model = samcli.load("tiny-random", device="cpu", offline=True).model
    (tmp_path / "away.opus").write_bytes((recordings / "thunder.opus").read_bytes())
    with Index(recordings / NAME, model) as index:
        index.update(find_inputs([recordings / "thunder.opus", tmp_path / "away.opus"]), model)

    async def talk(client: Client) -> Any:
        return await client.call_tool("find", {"query": "rain", "folder": str(recordings)})

    found = asked(Desk(model), Roots([recordings]), talk).structured_content["result"]
    assert [hit["path"] for hit in found] == [str(recordings / "thunder.opus")]


def test_a_hostile_client_gets_sentences(desk, nano, recordings, tmp_path):
    secret = tmp_path / "secret.opus"
    secret.write_bytes((recordings / "thunder.opus").read_bytes())
    (recordings / "link.opus").symlink_to(secret)
    (recordings / "away").symlink_to(tmp_path)
    (recordings / "away" / NAME).write_bytes(b"planted")
    (recordings / "notes.txt").write_text("no sound")
    calls = [
        ("listen", {"path": str(secret)}, "outside"), ("listen", {"path": "../secret.opus"}, "climb"),
        ("listen", {"path": "link.opus"}, "link"), ("listen", {"path": "away/secret.opus"}, "refused"),
        ("listen", {"path": "x" * 100_000}, "4096"), ("listen", {"path": 7}, "string"), ("listen", {}, "required"),
        ("listen", {"path": "notes.txt"}, "no sound file"), ("listen", {"path": "/dev/zero"}, "outside"),
        ("listen", {"path": "thunder.opus", "listen_for": ["dog"] * 1000}, "50"),
        ("ask", {"paths": ["thunder.opus"] * 100, "question": "what?"}, "8"),
        ("ask", {"paths": ["thunder.opus"], "question": "x" * 10_000}, "500"),
        ("find", {"query": "dog", "folder": str(tmp_path)}, "outside"),
        ("find", {"query": "dog", "folder": "away"}, "no folder"),
        ("find", {"query": "dog", "folder": str(recordings)}, "not indexed"),
        ("spectrogram", {"path": "thunder.opus", "seconds": 1e9}, "60"),
        ("rm", {"path": "thunder.opus"}, "Unknown tool"),
    ]  # fmt: skip

    async def talk(client: Client) -> None:
        for name, values, words in calls:
            try:
                result = await client.call_tool(name, values)
            except mcp.MCPError as error:
                told = str(error)
            else:
                assert result.is_error, (name, values)
                told = result.content[0].text
            assert words in told and "Traceback" not in told, (values, told)
        good = await client.call_tool("listen", {"path": "thunder.opus"})
        assert good.structured_content["caption"] == nano.caption(recordings / "thunder.opus").caption

    asked(desk, Roots([recordings]), talk)


def test_a_flood_is_told_to_wait_and_a_leaver_is_forgotten(nano, recordings):
    """Of many requests at once some are refused in words; those whose client gives up leave the queue."""
    desk = Desk(nano.model, most=8)  # nobody works in it

    async def talk(client: Client) -> None:
        values = {"paths": ["thunder.opus"], "question": "what?"}
        flood = [asyncio.create_task(client.call_tool("ask", values)) for _ in range(30)]
        done, waiting = await asyncio.wait(flood, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 22:
            done, waiting = await asyncio.wait(flood, timeout=1)
        assert all(task.result().is_error and "try again" in task.result().content[0].text for task in done)
        assert desk.waiting == len(waiting) == 8
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        for _ in range(600):
            if not desk.waiting:
                break
            await asyncio.sleep(0.05)
        assert desk.waiting == 0

    asked(desk, Roots([recordings]), talk)


@pytest.mark.parametrize("given", [True, False])
def test_the_clients_roots_bound_what_is_read(desk, recordings, given):
    async def roots(context: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri=(recordings / "deep").as_uri())])

    async def talk(client: Client) -> list[bool]:
        inside = await client.call_tool("listen", {"path": str(recordings / "deep" / "dog.opus")})
        outside = await client.call_tool("listen", {"path": str(recordings / "thunder.opus")})
        return [inside.is_error or False, outside.is_error or False]

    folders = [recordings] if given else []
    told = asked(desk, Roots(folders), talk, list_roots_callback=roots, mode="legacy")
    assert told == [False, True]


def test_over_stdio_as_a_host_starts_it(program, environment, nano, recordings):
    start = StdioServerParameters(command=sys.executable, args=[str(program), "mcp", str(recordings)], env=environment)
    shares: list[float] = []

    async def progress(share: float, whole: float | None, message: str | None) -> None:
        shares.append(share)

    async def run() -> Any:
        async with Client(stdio_client(start)) as client:
            return await client.call_tool("listen", {"path": "deep/dog.opus"}, progress_callback=progress)

    heard = asyncio.run(run())
    assert heard.structured_content["caption"] == nano.caption(recordings / "deep" / "dog.opus").caption
    assert shares == sorted(shares)


def test_it_answers_before_its_model_is_there(desk, recordings):
    """The tools are listed at once; a call waits, one that gives up leaves the ears to the others."""

    async def run(wake: Callable[[Future[Ears]], None]) -> Any:
        waking: Future[Ears] = Future()
        waking.set_running_or_notify_cancel()
        async with Client(server(waking, Roots([recordings]))) as client:
            assert len((await client.list_tools()).tools) == 5
            calls = [asyncio.create_task(client.call_tool("listen", {"path": "thunder.opus"})) for _ in range(2)]
            done, _ = await asyncio.wait(calls, timeout=0.2)
            assert not done
            calls[0].cancel()
            wake(waking)
            return await calls[1]

    heard = asyncio.run(run(lambda waking: waking.set_result(Ears(desk))))
    assert heard.structured_content["path"] == "thunder.opus"
    failed = asyncio.run(run(lambda waking: waking.set_exception(ModelError("There is no such model."))))
    assert failed.is_error and "There is no such model." in failed.content[0].text


def test_what_answers_first_needs_no_torch(program):
    names = "samcli.cli.commands.serve, samcli.serving.mcp"
    asked = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT, timeout=300).returncode == 0


@pytest.mark.slow
def test_without_its_model_it_ends_as_any_command_does(sam, recordings):
    ended = sam("mcp", recordings, "--model", recordings / "none", "--offline")
    assert ended.returncode == 3 and b"none" in ended.stderr


def test_over_http_on_a_live_port(sam, nano, recordings):
    """As a host far from the process asks: with a token, and not without."""
    process = sam.start("mcp", recordings, "--http", "--port", "0", environment={"SAM_TOKEN": "sesame"})
    try:
        line = process.stderr.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/mcp", line)
        assert found, line + process.stderr.read().decode()

        async def run() -> Any:
            http = create_mcp_http_client(headers={"Authorization": "Bearer sesame"})
            async with http, Client(streamable_http_client(found[0], http_client=http)) as client:
                assert len((await client.list_tools()).tools) == 5
                return await client.call_tool("listen", {"path": "deep/dog.opus"})

        heard = asyncio.run(run())
        assert heard.structured_content["caption"] == nano.caption(recordings / "deep" / "dog.opus").caption
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(found[0], b"{}", timeout=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 143
    finally:
        process.kill()
        process.communicate()


def test_without_folders_or_roots_nothing_is_read(desk, recordings):
    async def talk(client: Client) -> Any:
        return await client.call_tool("listen", {"path": str(recordings / "thunder.opus")})

    assert "No folder may be read" in asked(desk, Roots([]), talk).content[0].text


def test_the_command_refuses_what_cannot_be(here):
    assert here("mcp", "nowhere").returncode == 2
    assert here("mcp", "--http").returncode == 2
    open_to_all = here("mcp", ".", "--http", "--host", "0.0.0.0")
    assert open_to_all.returncode == 2 and b"token" in open_to_all.stderr
    assert here("mcp", ".", "--http", "--token-file", Path("missing")).returncode == 2
