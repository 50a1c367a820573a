"""The trainings of contenders on a title's seeds, by the road that all trainings go: an experiment for each contender.

A training is a trial, which never sees the test split: trial 2003 is that on seed 3 of reign 2, and 1002003 is that
again, where the first was lost.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import distributions
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlparse

from hpsearch.comparing.statistics.arrays import LARGEST
from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import LOG, is_experiment, replicate_run, trial_run
from hpsearch.experiment.log import read_state
from hpsearch.experiment.state import RunState
from hpsearch.jobs import Job, JobKind
from hpsearch.records import Outcome
from hpsearch.referee.contender import imports_undone, space_of
from hpsearch.referee.ledger import CONTENDERS, MOST, Contender, Ledger, Trained
from hpsearch.referee.snapshot import TREE, home_of, keep_environment
from hpsearch.running.runner import RunOptions, explaining_full_disks, open_session
from hpsearch.running.session import Session
from hpsearch.seeds import Seeds, derive_seed
from hpsearch.space import Space
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.local.workers import worker_shares

Watch = Callable[[Space, Path], AbstractContextManager[RunOptions]]
"""How a session is run and shown."""


_AGAIN = 1_000_000
"""Between the numbers of a training and of its repetition."""


class InterruptedChallengeError(Exception):
    """Ctrl-C, or SIGTERM: the same command goes on."""


class LostTrainingError(SearchFailedError):
    """A training of the champion was lost, which says nothing about the champion: the same command goes on."""


def seeds_of(title_seed: int, reign: int, seed: int) -> Seeds:
    """Return the seeds of a training: the same for all contenders of a reign, fresh ones in each."""
    return Seeds.for_replicate(derive_seed(title_seed, "reign", reign), seed)


def experiment_of(folder: Path, contender: int) -> Path:
    """Return the folder of a contender's experiment."""
    return folder / CONTENDERS / f"{contender:04d}"


class Trainings:
    """Trains contenders; the session of the last one stays open, and its workers with it."""

    def __init__(self, ledger: Ledger, project: Path, watch: Watch, *, trusted: int | None = None) -> None:
        """`trusted` is the contender whose code has been asked about just now."""
        self._ledger = ledger
        self._project = project
        self._watch = watch
        self._trusted = trusted
        self._environment: str | None = None
        self._stack = ExitStack()
        self._session: tuple[int, Session, Space] | None = None
        self._spaces: dict[int, Space] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def trained(self, contender: Contender, reign: int, seed: int, *, most: int) -> Trained:
        """Return the training of a contender on a seed; where it is not there yet, idle workers train further ones.

        `most` is the number of seeds that may be needed.
        """
        title = self._ledger.title
        known = title.trained.get((contender.number, reign, seed))
        if known is not None:
            return known
        width = self._width(contender)
        missing = [
            each for each in range(seed, max(most, seed + 1)) if (contender.number, reign, each) not in title.trained
        ]
        self.train(contender, reign, missing[:width])
        return title.trained[contender.number, reign, seed]

    def train(self, contender: Contender, reign: int, seeds: Sequence[int]) -> None:
        """Train a contender on seeds of a reign and write down what came of it.

        Raises:
            InterruptedChallengeError: It was interrupted.
            LostTrainingError: Trainings of the champion were lost; the others are written down.
        """
        config = self.space(contender).config({}).model_dump(mode="json")
        ran = self._run(contender, [partial(self._job, config, reign, seed) for seed in seeds], again=(Outcome.LOST,))
        lost: list[Trained] = []
        for seed, run in zip(seeds, ran.runs, strict=True):
            if run is not None:
                packages = self._environment if run.run in ran.now else None
                found = _trained(contender.number, reign, seed, run, packages)
                if found.outcome is Outcome.LOST and contender.number == self._ledger.title.reign.champion:
                    lost.append(found)
                else:
                    self._ledger.write(found)
        if ran.why is StopReason.INTERRUPTED:
            raise InterruptedChallengeError
        if lost:
            raise LostTrainingError(f"the champion's training on seed {lost[0].seed} was lost: {lost[0].reason}")

    def _run(self, contender: Contender, jobs: Sequence[Callable[[int], Job]], *, again: Sequence[Outcome]) -> "_Ran":
        """Train what has not ended, or ended so that it is tried `again`; each of `jobs` gives its repetition k."""
        self._environment = self._environment or keep_environment(self._ledger.title.folder)
        with explaining_full_disks():
            session, space = self._opened(contender)
            log = experiment_of(self._ledger.title.folder, contender.number) / LOG
            before = read_state(log).runs

            def newest(repeated: Callable[[int], Job]) -> Job:
                tries = map(repeated, count())
                return next(job for job in tries if (run := before.get(job.run)) is None or run.outcome not in again)

            chosen = [newest(each) for each in jobs]
            left = [job for job in chosen if not (job.run in before and before[job.run].ended)]
            why = session.train(left, StopReason.FINISHED, trial_time=space.search.trial_time)
        runs = read_state(log).runs
        ended = [runs.get(job.run) for job in chosen]
        found = [run if run is not None and run.outcome is not None else None for run in ended]
        return _Ran(found, frozenset(job.run for job in left), why)

    def _job(self, config: dict[str, Any], reign: int, seed: int, repetition: int) -> Job:
        number = repetition * _AGAIN + reign * MOST + seed
        seeds = seeds_of(self._ledger.title.terms.seed, reign, seed).model_dump()
        return Job(run=trial_run(number), number=number, params={}, config=config, seeds=seeds)

    def tested(self, contender: Contender, opening: int, seeds: Sequence[int]) -> list[RunState]:
        """Train a contender on seeds of an opening and score it on the test split; return how each one ended.

        What failed or was lost in an earlier call is trained again.

        Raises:
            InterruptedChallengeError: It was interrupted.
        """
        config = self.space(contender).config({}).model_dump(mode="json")
        jobs = [partial(self._replicate, config, opening, seed) for seed in seeds]
        ran = self._run(contender, jobs, again=(Outcome.LOST, Outcome.FAILED, Outcome.OUT_OF_MEMORY))
        if ran.why is StopReason.INTERRUPTED:
            raise InterruptedChallengeError
        return [run for run in ran.runs if run is not None]

    def _replicate(self, config: dict[str, Any], opening: int, seed: int, repetition: int) -> Job:
        replicate = repetition * _AGAIN + (opening - 1) * MOST + seed
        seeds = Seeds.for_replicate(derive_seed(self._ledger.title.terms.seed, "opening", opening), seed)
        return Job(
            run=replicate_run(0, replicate), number=0, params={}, config=config, seeds=seeds.model_dump(),
            kind=JobKind.REPLICATE, replicate=replicate,
        )  # fmt: skip

    def _width(self, contender: Contender) -> int:
        """Return how many trainings of a contender this machine does at once."""
        search = self.space(contender).search
        return len(worker_shares(search, jobs=search.trials)) if search.engine == "local" else 1

    def space(self, contender: Contender) -> Space:
        """Return the space of a contender, as its sessions have it."""
        known = self._spaces.get(contender.number)
        if known is None:
            title = self._ledger.title
            trusted = contender.number == self._trusted
            space = space_of(contender, title.folder, self._project, trusted=trusted)
            search = space.search.model_copy(update={"trials": title.terms.most, "time": None})
            known = self._spaces[contender.number] = replace(space, search=search)
        return known

    def _opened(self, contender: Contender) -> tuple[Session, Space]:
        if self._session is not None and self._session[0] == contender.number:
            return self._session[1], self._session[2]
        self._stack.close()
        self._session = None
        folder, space = experiment_of(self._ledger.title.folder, contender.number), self.space(contender)
        tree = home_of(self._ledger.title.folder, contender.snapshot) / TREE
        self._stack.enter_context(
            imports_undone(self._ledger.title.folder, self._project)
        )  # in this process, for a debugger
        self._stack.enter_context(_importing_from(tree, self._project))
        options = self._stack.enter_context(self._watch(space, folder))
        session = self._stack.enter_context(self._ending(space, folder, options))
        self._session = (contender.number, session, space)
        return session, space

    @contextmanager
    def _ending(self, space: Space, folder: Path, options: RunOptions) -> Iterator[Session]:
        with open_session(space, folder, options, changes=not is_experiment(folder)) as session:
            try:
                yield session
            except InterruptedChallengeError:
                session.end(StopReason.INTERRUPTED)
                raise
            session.end(StopReason.FINISHED)


@dataclass(frozen=True)
class _Ran:
    """What came of jobs: the newest run of each, None if it has not ended; those trained just now; why it stopped."""

    runs: Sequence[RunState | None]
    now: frozenset[str]
    why: StopReason


def _trained(contender: int, reign: int, seed: int, run: RunState, packages: str | None) -> Trained:
    assert run.outcome is not None  # noqa: S101 -- ours: only what has ended is written down
    outcome = Outcome.LOST if run.mistake else run.outcome
    value, reason = run.value if run.outcome is Outcome.COMPLETE else None, run.reason
    if value is not None and abs(value) > LARGEST:
        outcome, reason = Outcome.DIVERGED, f"its score of {value:.3g} is too large to be computed with"
        value = None
    return Trained(
        contender=contender, reign=reign, seed=seed, outcome=outcome, value=value, reason=reason, seconds=run.seconds,
        environment=packages,
    )  # fmt: skip


@contextmanager
def _importing_from(tree: Path, project: Path) -> Iterator[None]:
    """Let programs import the project's own modules from a snapshot, where they are installed from the working tree.

    An editable installation, or a PYTHONPATH, leads to the working tree from everywhere: the same folders of the
    snapshot come before it.
    """
    kept = os.environ.get("PYTHONPATH")
    ours = [str(tree / place) for place in _own_import_folders(project) if (tree / place).is_dir()]
    if not ours:
        yield
        return
    os.environ["PYTHONPATH"] = os.pathsep.join([*ours, *([kept] if kept else [])])
    try:
        yield
    finally:
        if kept is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = kept


def _own_import_folders(project: Path) -> list[Path]:
    """Return the folders of a project, within it, from which modules are imported anywhere."""
    found: dict[Path, None] = {}
    for each in (*sys.path[1:], *_editable()):
        place = Path(each).resolve() if each else None
        if place is None or not place.is_relative_to(project) or "site-packages" in place.parts:
            continue
        if place.suffix or (place / "hpsearch" / "workers").is_dir():  # an archive; hpsearch itself, which is running
            continue
        found[place.relative_to(project)] = None
    return [*found]


def _editable() -> Iterator[str]:
    for distribution in distributions():
        told = distribution.read_text("direct_url.json")
        if told and '"editable"' in told:
            address = urlparse(json.loads(told).get("url", ""))
            if address.scheme == "file":
                folder = Path(unquote(address.path))
                yield from (str(folder / "src"), str(folder))
