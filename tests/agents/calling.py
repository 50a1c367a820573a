"""Tools called as an agent calls them: by the SDK's own client, in this process."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.types import CallToolResult, TextContent

from hpsearch.agents.server import opened, told

Call = Callable[..., dict[str, Any]]


class ToolRefusedError(Exception):
    """A tool has answered with a sentence instead of a result."""


def read(result: CallToolResult) -> dict[str, Any]:
    """Return what a tool has answered; its two forms say the same.

    Raises:
        ToolRefusedError: It is an error.
    """
    (content,) = result.content
    assert isinstance(content, TextContent)
    if result.is_error:
        raise ToolRefusedError(content.text)
    found: dict[str, Any] = json.loads(content.text)
    assert found == result.structured_content
    assert content.text == json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    assert found.pop("version") == 1
    return found


@contextmanager
def calling(folder: Path, *further: Callable[..., dict[str, Any]]) -> Iterator[Call]:
    """Yield a function that calls a tool of a server for a folder, or one of `further` tools."""
    with opened(folder) as server:
        for tool in further:
            server.add_tool(told(tool, folder), name=tool.__name__)

        async def called(name: str, arguments: dict[str, Any]) -> CallToolResult:
            async with Client(server) as client:
                return await client.call_tool(name, arguments)

        def call(name: str, /, **arguments: Any) -> dict[str, Any]:
            return read(anyio.run(called, name, arguments))

        yield call
