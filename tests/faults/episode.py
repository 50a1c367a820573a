"""One episode: a search over several sessions, struck at its moments, then run to its end in peace, and checked."""

import random
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.checker import (
    Expected,
    Run,
    check_experiment,
    check_left_behind,
    check_mlflow,
    check_output,
    fold,
    read_log,
)
from tests.faults.fault import When
from tests.faults.faults import FAULTS
from tests.faults.scene import Conditions, Scene, Session
from tests.faults.searches import EPOCHS, SEARCHES, Search, landed
from tests.faults.server import Server

_CALM = 4
"""Sessions in peace that a search may need to come to its end."""


@dataclass(frozen=True)
class Injection:
    """A fault in a session: after so many events of that session, and a delay in seconds. `number` is its place."""

    fault: str
    session: int = 0
    events: int = 0
    delay: float = 0.0
    number: int = 0


@dataclass(frozen=True)
class Plan:
    """An episode before it is played; `drawn_from` has the words that chose its kinds of faults and of searches."""

    seed: int
    number: int
    search: str
    injections: tuple[Injection, ...]
    drawn_from: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """An episode afterwards: which faults hit, with what they say of it, and the promises that were broken."""

    plan: Plan
    landed: list[tuple[Injection, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Unbroken:
    """What searches come to that nothing strikes; each is run once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Mapping[tuple[str, str], Run]] = {}

    def runs(self, search: Search) -> Mapping[tuple[str, str], Run]:
        """Return the runs of a search by experiment and run."""
        search = replace(SEARCHES["program"], name=search.name) if search.server else search
        if search.name not in self._known:
            scene = Scene(self._folder / search.name, search)
            try:
                session = scene.start()
                assert session.end() == 0, session.output
                self._known[search.name] = {
                    (name, run): found
                    for name, folder in zip(search.experiments, scene.experiments, strict=True)
                    for run, found in fold(read_log(folder / "log.jsonl")[0]).items()
                }
            finally:
                scene.close()
        return self._known[search.name]


def run_episode(plan: Plan, folder: Path, unbroken: Unbroken) -> Result:
    """Play an episode in a folder, which is emptied first, and check what it leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    search = SEARCHES[plan.search]
    whole = unbroken.runs(search)
    return _Episode(plan, Scene(folder, search), whole).play()


class _Episode:
    def __init__(self, plan: Plan, scene: Scene, whole: Mapping[tuple[str, str], Run]) -> None:
        self.plan = plan
        self.scene = scene
        self.search = scene.search
        self.result = Result(plan)
        self.whole = whole
        self.running: dict[str, frozenset[str]] = {}
        """What else runs may have come to that were under way when something struck."""
        self.named: list[tuple[str, str]] = []
        """Files that were damaged and that somebody must speak of, with what was done to them."""
        self.damaged = 0
        self.statuses: frozenset[int] = frozenset({0})
        """With which the sessions may end, because of what was damaged before."""

    def play(self) -> Result:
        scene, begun = self.scene, time.monotonic()
        try:
            self._prepare()
            for number in range(1 + max((each.session for each in self.plan.injections), default=0)):
                self._session([each for each in self.plan.injections if each.session == number])
            self._calm()
            self.result.findings += self._check()
        finally:
            scene.close()
        self.result.seconds = time.monotonic() - begun
        return self.result

    def _prepare(self) -> None:
        needs = {FAULTS[each.fault].needs for each in self.plan.injections}
        if "disk" in needs:
            self.scene.mount()
        if "clock" in needs:
            self.scene.prepare_clock()
        if self.search.server:
            self.scene.server = Server(self.scene.folder)

    def _session(self, injections: list[Injection]) -> None:
        scene = self.scene
        kept = dict(scene.conditions.environment)
        allowed = set(self.statuses)
        for each in injections:
            if FAULTS[each.fault].when is not When.DURING:
                allowed |= self._strike(each)
        session = scene.start()
        scene.conditions = Conditions(kept)
        for each in injections:
            if FAULTS[each.fault].when is When.DURING and scene.wait_for(each.events):
                time.sleep(each.delay)
                allowed |= self._strike(each)
        self._end(session, frozenset(allowed))

    def _end(self, session: Session, allowed: frozenset[int]) -> None:
        status = session.end()
        allowed |= self._hopeless()
        statuses = [other.end() for other in self.scene.others]  # they may have taken the search over
        self.scene.heal()
        if self.scene.server is not None:
            self.scene.server.settle()
        self._quiet()
        self.scene.look()
        self.result.findings += check_output(session.output, status, allowed, traceback=self._may_crash)
        for other, of_other in zip(self.scene.others, statuses, strict=True):
            self.result.findings += check_output(other.output, of_other, allowed | {2}, traceback=self._may_crash)
        self.scene.others.clear()

    @property
    def _may_crash(self) -> bool:
        """Whether something has hit after which an import of a library may fail anywhere."""
        return any(FAULTS[each.fault].crashes for each, _ in self.result.landed)

    @property
    def _store_damaged(self) -> bool:
        """Whether MLflow's database was damaged."""
        return any(
            each.fault.endswith(" mlflow.db") and FAULTS[each.fault].when is When.BETWEEN
            for each, _ in self.result.landed
        )

    def _quiet(self) -> None:
        """Wait until the session's processes are gone, as the kernel ends them."""
        deadline = time.monotonic() + 10
        while self.scene.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.result.findings += [f"after a session: {each}" for each in self._processes()]

    def _processes(self) -> Iterator[str]:
        left = self.scene.processes()
        if left:
            told = check_left_behind(self.scene.folder, self.scene.temporary, [], left)
            yield from (each for each in told if each.startswith("left: process"))
            self.scene.end_all()

    def _strike(self, injection: Injection) -> frozenset[int]:
        """Strike; return the exit statuses with which the session may end for it."""
        fault = FAULTS[injection.fault]
        if fault.when is not When.DURING:  # else it is noted right after the blow, which must not wait
            self.scene.look()
        open_runs = self._open_runs() if fault.running else []
        has_runs = fault.named and any(fold(read_log(folder / "log.jsonl")[0]) for folder in self.scene.experiments)
        pick = random.Random(f"{self.plan.seed}/{self.plan.number}/{injection.number}")
        told = fault.strike(self.scene, pick)
        if fault.when is When.DURING:
            self.scene.look()
        if told is None:
            return frozenset()
        self.result.landed.append((injection, told))
        for run in [*open_runs, *(self._open_runs() if fault.running else [])]:
            self.running[run] = self.running.get(run, frozenset()) | fault.running
        if fault.named and has_runs:
            self.named.append((fault.named, told))
        if fault.damages:
            self.scene.written.clear()
            self.damaged += 1
            self.statuses |= fault.statuses
        return fault.statuses

    def _hopeless(self) -> frozenset[int]:
        """Return the status of a search all of whose trainings have misbehaved: no trial came to a result."""
        for folder in self.scene.experiments:
            trials = [
                run for name, run in fold(read_log(folder / "log.jsonl")[0]).items() if name.startswith("trials/")
            ]
            failed = [run for run in trials if run.outcome not in ("complete", "pruned", None)]
            if len(failed) == len(trials) >= self.search.trials:
                return frozenset({1})
        return frozenset()

    def _open_runs(self) -> list[str]:
        """Return the runs that have no outcome yet, and the next ones to come."""
        found = []
        for folder in self.scene.experiments:
            runs = fold(read_log(folder / "log.jsonl")[0])
            found += [run for run, each in runs.items() if not each.outcomes]
            begun = sum(run.startswith("trials/") for run in runs)
            found += [f"trials/{begun + ahead:04d}" for ahead in range(3)]
        return found

    def _calm(self) -> None:
        """Run the search to its end in peace; what refuses damaged files gets them back as from a backup."""
        session = None
        for _ in range(_CALM):
            session = self.scene.start()
            status = session.end()
            self._quiet()
            hopeless = self._hopeless()
            self.result.findings += check_output(session.output, status, frozenset({0}) | self.statuses | hopeless)
            if status == 0 or status in hopeless:
                self.scene.look()
                return
            if self.damaged:
                self.scene.restore()
        assert session is not None
        self.result.findings.append(f"calm: it comes to no end: {session.output.strip().splitlines()[-3:]}")

    # Afterwards

    def _check(self) -> Iterator[str]:
        scene = self.scene
        outcomes = self._outcomes()
        deviates = any(outcomes.values()) or bool(self.running)
        whole = {
            key: run
            for key, run in self.whole.items()
            if not deviates or (key[1].startswith("trials/") and "sampler: random" in self.search.files["space.yaml"])
        }
        expected = Expected(
            value=self.search.value,
            relative=self.search.relative,
            trials=self.search.trials,
            finished=self.scene.finished,
            outcomes=outcomes,
            damaged=self.damaged,
            whole=whole,
            last_step=None if self.search.study else EPOCHS,
        )
        pairs = list(zip(self.search.experiments, self.scene.experiments, strict=True))
        for name, folder in pairs:
            yield from check_experiment(name, folder, expected)
        yield from self._named()
        yield from scene.rewritten
        yield from self._synced(expected)
        left = scene.processes()
        yield from check_left_behind(scene.folder, scene.temporary, scene.experiments, left, gone=scene.pids)

    def _named(self) -> Iterator[str]:
        """Yield what was damaged, and no session has said so."""
        said = "".join(session.output for session in self.scene.sessions)
        yield from (
            f"named: nobody speaks of {named}: {told}" for named, told in self.named if not re.search(named, said)
        )

    def _outcomes(self) -> dict[str, frozenset[str]]:
        """Return what each run may have come to besides its own end."""
        allowed = dict(self.running)
        for folder in self.scene.experiments:
            runs = fold(read_log(folder / "log.jsonl")[0])
            for trouble in landed(self.scene.folder):
                by = FAULTS[f"training: {trouble['kind']}"].outcomes or {}
                for run, found in runs.items():
                    if found.params.get(self.search.who) == trouble["who"]:
                        allowed[run] = allowed.get(run, frozenset()) | by[self.search.interface]
        return allowed

    def _synced(self, expected: Expected) -> Iterator[str]:
        """Sync, and compare MLflow's database with the logs."""
        whole = self.search.experiments[0].split("/")[0]
        uri = ["--tracking-uri", self.scene.server.uri] if self.scene.server is not None else []
        session = self.scene.run("sync", whole, *uri)
        if self._store_damaged and "doctor" in session.output:  # which mends what sync must not touch by itself
            self.scene.run("doctor", "experiments", "--repair")
            session = self.scene.run("sync", whole, *uri)
        yield from check_output(session.output, session.process.returncode, frozenset({0}))
        database = self.scene.folder / "experiments" / "mlflow.db"
        if self.scene.server is not None:
            database = self.scene.server.database
        if not database.exists():
            yield f"mlflow: there is no {database.name}"
            return
        for name, folder in zip(self.search.experiments, self.scene.experiments, strict=True):
            try:
                yield from check_mlflow(name, folder, database, expected)
            except sqlite3.Error as error:
                yield f"mlflow: {database.name} cannot be read: {error}; sync said: {session.output[-300:]}"
