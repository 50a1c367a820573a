"""A fault of each group against a real search. `make faults` draws hundreds, of all kinds, at seeded moments."""

import os
from pathlib import Path

import pytest

from tests.faults.campaign import describe
from tests.faults.episode import Injection, Plan, Unbroken, run_episode
from tests.faults.fault import When
from tests.faults.faults import FAULTS
from tests.faults.searches import SEARCHES

KINDS = {
    "kill coordinator": "program-halving",
    "kill worker": "function",
    "kill fork server": "function",
    "kill group": "study",
    "stop coordinator": "program",
    "stop worker": "function",
    "interrupt twice": "program",
    "read-only folder": "program",
    "clock jump": "function",
    "little memory for a worker": "function",
    "torn log": "function",
    "torn tracking": "function",
    "server: error 500": "program-server",
    "training: nan": "program",
    "training: memory": "function",
    "training: leave": "function",
}
"""Which search each is shown on."""
MOMENTS = (5, 8, 3, 12)
"""Events after which it is tried to strike, until it hits."""


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return Unbroken(tmp_path_factory.mktemp("unbroken"))


def injections(name: str, events: int) -> tuple[Injection, ...]:
    if FAULTS[name].when is When.BETWEEN:
        return Injection("kill group", 0, events, number=0), Injection(name, 1, number=1)
    return (Injection(name, 0, events),)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "search"), KINDS.items(), ids=KINDS.keys())
def test_a_fault_costs_nothing_that_was_finished(name: str, search: str, tmp_path: Path, unbroken: Unbroken) -> None:
    if FAULTS[name].needs == "disk" and os.geteuid() != 0:
        pytest.skip("mounting a file system is not permitted here (it needs root, and a container that allows it)")
    for events in MOMENTS:
        plan = Plan(0, events, search, injections(name, events))
        result = run_episode(plan, tmp_path / "episode", unbroken)
        assert result.findings == [], "\n".join(describe(result))
        if any(injection.fault == name for injection, _ in result.landed):
            return
    pytest.fail(f"{name} never hit {SEARCHES[search].name}")
