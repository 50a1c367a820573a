"""The command for programs that act by themselves: `hpsearch mcp`."""

from pathlib import Path
from typing import Annotated

import typer


def mcp(
    folder: Annotated[
        Path, typer.Argument(help="The folder in which it works; nothing outside is run, or read by name.")
    ] = Path(),
) -> None:
    """Serve an agent over standard input and output by the Model Context Protocol, until it closes them.

    Its tools check, plan, start and watch searches, propose configurations, compare runs and read reports.
    """
    from hpsearch.errors import HpsearchError
    from hpsearch.extras import Extra, require

    require("hpsearch mcp", Extra.MCP)
    if not folder.is_dir():
        raise HpsearchError(f"{folder} is no folder; `hpsearch mcp` works in one, by default the current one")
    from hpsearch.agents.server import serve

    serve(folder.resolve())
