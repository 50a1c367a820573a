"""One challenge through `hpsearch mcp`, by the official SDK's own client: planned, started by its token, answered.

python by_mcp.py PROJECT OUT.json "what and why" model.heads=4
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters


async def main(project: Path, out: Path, note: str, *changes: str) -> None:
    """Write what each tool has answered, in the order of the calls."""
    told: list[dict[str, Any]] = []
    words = ["-m", "hpsearch", "mcp", str(project)]
    server = StdioServerParameters(command=sys.executable, args=words, cwd=project, env={**os.environ})
    async with Client(server) as client:

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            answered = await client.call_tool(tool, arguments, read_timeout_seconds=600)
            content = json.loads(answered.content[0].text)
            told.append({"tool": tool, "arguments": arguments, "answer": content})
            return dict(content)

        wanted = dict(each.split("=", 1) for each in changes)
        plan = await call(
            "plan_challenge", note=note, changes={name: json.loads(text) for name, text in wanted.items()}
        )
        run = (await call("start", token=plan["token"]))["run"]
        while (await call("watch", run=run, wait=30))["runs"]:
            told.pop()  # only the last look is kept
        await call("champion")
    out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]).resolve(), Path(sys.argv[2]), *sys.argv[3:])
