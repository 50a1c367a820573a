"""`hpsearch mcp` as a real process, spoken to by the SDK's own client."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from hpsearch.experiment.activity import state_of
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from tests.agents.calling import read
from tests.toy_spaces import FAMILY, write_space

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
ASKED = {"space": {"lr": {"log": [1e-4, 1e-1]}}, "metric": "val/loss", "goal": "minimize", "trials": 2}


@pytest.mark.slow
def test_it_answers_while_searches_run_and_they_outlive_it(tmp_path: Path) -> None:
    shutil.copy(FAMILY, tmp_path / "own.py")
    for name in ("ended", "stopped"):
        data = f"data: {{trouble: wait, marker: {tmp_path / name}}}"
        file = write_space(tmp_path, trials=2, data=data, name=f"{name}.yaml")
        file.write_text(file.read_text(encoding="utf-8").replace(str(FAMILY), "./own.py"), encoding="utf-8")
    processes: list[int] = []
    try:
        anyio.run(_talk, tmp_path, processes)
        assert state_of(tmp_path / "experiments" / "ended") == "running"
        (tmp_path / "ended").touch()
        _wait_for(lambda: state_of(tmp_path / "experiments" / "ended") == "finished")
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
    record = read_experiment(tmp_path / "experiments" / "ended")
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 2
    assert state_of(tmp_path / "experiments" / "mine") == "interrupted"


async def _talk(folder: Path, processes: list[int]) -> None:
    """Start two searches, stop one, and train a trial oneself meanwhile."""
    strange: list[object] = []

    async def hear(message: object) -> None:
        if isinstance(message, Exception):  # a line that is no message
            strange.append(message)

    words = ["-m", "hpsearch", "mcp", str(folder)]
    server = StdioServerParameters(command=sys.executable, args=words, env={"PYTHONPATH": str(ROOT)}, cwd=folder.parent)
    async with Client(server, message_handler=hear) as client:

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            return read(await client.call_tool(tool, arguments, read_timeout_seconds=PATIENCE))

        assert {"plan_search", "start", "ask", "compare"} <= {each.name for each in (await client.list_tools()).tools}
        runs = {}
        for name in ("ended", "stopped"):
            plan = await call("plan_search", space=f"{name}.yaml", mlflow=False)
            assert plan["trials"] == 2
            started = await call("start", token=plan["token"])
            processes.append(started["process"])
            assert os.getpgid(started["process"]) == started["process"]  # what ends the agent does not reach it
            runs[name] = started["run"]
        with anyio.fail_after(PATIENCE):
            while (await call("watch", run="stopped"))["state"] != "running":
                await anyio.sleep(0.3)
        async with anyio.create_task_group() as group:
            group.start_soon(_wait_with, call, runs["stopped"])
            await anyio.sleep(0.1)
            trial = (await call("ask", experiment="mine", **ASKED))["trial"]  # while another call waits
            assert (await call("tell", experiment="mine", number=trial["number"], value=0.5))["outcome"] == "complete"
            (folder / "stopped").touch()
            await call("stop", run=runs["stopped"])
        assert (await call("watch", run="ended"))["runs"] is True
    assert strange == []


async def _wait_with(call: Any, run: str) -> None:
    """Wait for the end of a search in one call after another."""
    with anyio.fail_after(PATIENCE):
        while (told := await call("watch", run=run, wait=30))["runs"]:
            pass
    assert told["exit_status"] in (0, 130), told


def _wait_for(true: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        time.sleep(0.2)
