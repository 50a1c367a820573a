"""The main road: a space becomes an experiment folder with finished trials and a confirmed winner.

The one place where space, workers, family, experiment and tracker meet. `hpsearch.run` ends here.
"""

import errno
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, HpsearchError, SearchFailedError
from hpsearch.experiment.activity import locked, refuse_askers
from hpsearch.experiment.events import TextNotice
from hpsearch.experiment.files import fault_of_the_machine
from hpsearch.experiment.gaps import gaps, lost_log, trained_without_log
from hpsearch.experiment.layout import EXPERIMENTS, LOG, folder_called, is_experiment
from hpsearch.experiment.log import Log, read_past
from hpsearch.experiment.orders import withdraw_stale
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.state import ExperimentState
from hpsearch.families.function.external import EXTERNAL, REFUSAL
from hpsearch.families.function.function import Function
from hpsearch.families.loading import family_names
from hpsearch.jobs import ObjectiveSpec
from hpsearch.running.earlier import changed_code, earlier_trials, prepare_experiment
from hpsearch.running.mending import mend_configs
from hpsearch.running.mirroring import CLOSE_SECONDS, Notifier, no_tracker
from hpsearch.running.needs import require_installed
from hpsearch.running.same_data import same_data
from hpsearch.running.session import Session, SessionResult
from hpsearch.running.telling import TOLD_EVERY
from hpsearch.space import Space
from hpsearch.space.checks import no_test_split
from hpsearch.tracking import Tracker
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.engines import Cluster, EngineContext
from hpsearch.workers.ledger import Observer
from hpsearch.workers.local.processes import EarlyServer

COMMAND = "command"
"""The family whose programs train themselves."""


def _unheard(_: ExperimentState) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class RunOptions:
    """How to run, apart from what the space says.

    `cluster`: where the engine `ray` finds its machines. `in_process`: one trial at a time in this very process, for a
    debugger. `early`: what local workers may be forked from. `make_tracker` gets the experiment's folder; see
    `trackers`. `opened` is told where the experiment stands before the session; `observers` hear every event from then
    on. Of a training between two reports they hear every `told_every` seconds.
    """

    in_process: bool = False
    cluster: Cluster = field(default_factory=Cluster)
    early: EarlyServer | None = None
    confirm: bool = True
    make_tracker: Callable[[Path], Tracker] = no_tracker
    opened: Callable[[ExperimentState], None] = _unheard
    observers: Sequence[Observer] = ()
    told_every: float = TOLD_EVERY


def default_folder(space: Space, *, name: str | None, root: str | Path = EXPERIMENTS, quick: bool = False) -> Path:
    """Return the folder of an experiment: called after the space, with `-quick` behind a quick one, unless named.

    Raises:
        ExperimentError: The name cannot be that of a folder.
    """
    return folder_called(name or space.path.stem + ("-quick" if quick else ""), Path(root))


def run(space: Space, *, folder: str | Path, options: RunOptions = RunOptions()) -> SessionResult:
    """Search a space and confirm its winner in an experiment folder, or resume what is there.

    Raises:
        MissingExtraError: A package that trials need is not installed.
        ExperimentBusyError: The folder is in use.
        ExperimentError: It holds a search that does not fit.
        SearchFailedError: No trial came to a result.
    """
    folder = Path(folder)
    with explaining_full_disks(), open_session(space, folder, options, changes=True) as session:
        confirm = space.confirm if options.confirm else None
        refusal = None if confirm is None or confirm.folds else no_test_split(space)
        why = session.search(None if refusal else confirm)
        if why in (StopReason.FINISHED, StopReason.TIME):
            if why is StopReason.FINISHED:
                session.require_result()
            if refusal:
                session.note(refusal)
            elif confirm is not None:
                why = session.confirm(confirm, otherwise=why)
        session.end(why)
    return session.result()


@contextmanager
def explaining_full_disks() -> Iterator[None]:
    """Raise SearchFailedError with a sentence where there is no room for a file, or it may not be written."""
    try:
        yield
    except OSError as error:
        if obstacle := fault_of_the_machine(error):
            raise SearchFailedError(obstacle) from error
        raise


def make_folder(folder: Path) -> None:
    """Make an experiment's folder, if it is not there.

    Raises:
        ExperimentError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ExperimentError(
            f"the folder {folder} cannot be made: {error.strerror or error}; experiments can be elsewhere, see --root"
        ) from error


def _tell(observers: Sequence[Observer], text: str) -> None:
    for observer in observers:
        observer.observe(TextNotice(text, problem=True))


@contextmanager
def open_session(space: Space, folder: Path, options: RunOptions, *, changes: bool) -> Iterator[Session]:
    """Hold the experiment, its log, its tracker and its workers for one session."""
    require_installed(space)
    make_folder(folder)
    with locked(folder, tell=partial(_tell, options.observers)) as hold:
        refuse_askers(folder)
        space = space.going_on_from(read_resolved(folder)["space"]) if is_experiment(folder) else space
        past = read_past(folder / LOG)
        if sentence := lost_log(folder, past.state):
            raise ExperimentError(sentence)
        past.state.orphans |= {*trained_without_log(folder, past.state)}
        stale = withdraw_stale(folder, past.state)
        missing = gaps(folder, past.state)
        mended = [] if changes else mend_configs(folder, past.state)  # a search mends what it looks at: earlier.py
        data = same_data(space, folder, past.state.runs.values())
        find_earlier = cache(lambda: earlier_trials(space, folder, past.state))
        if changes:
            notes = prepare_experiment(space, folder, find_earlier)
        else:
            notes = changed_code(space, read_resolved(folder))
        log = Log(folder / LOG, past, check=hold.lease.check)
        options.opened(log.state)
        tracker = options.make_tracker(folder)
        replicates = space.confirm.top * space.confirm.count if space.confirm else 1
        session = Session(
            EngineContext(
                folder,
                log,
                space,
                objective_spec(
                    space, folder, data.for_workers(), packs=not options.in_process, told_every=options.told_every
                ),
                hold.descriptor,
                jobs=max(space.search.trials, replicates),
                in_process=options.in_process,
                cluster=options.cluster,
                early=options.early,
                observers=[*options.observers, Notifier(tracker)],
            ),
            find_earlier,
        )
        try:
            with session:
                session.begin(notes)
                for sentence in [*missing, *mended, *stale]:
                    session.note(sentence)
                if hold.taken_over:
                    session.note(hold.taken_over)
                data.write(folder, log)
                for notice in data.notices:
                    session.note(notice)
                try:
                    yield session
                except SearchFailedError:
                    session.end(StopReason.FAILED)
                    raise
        finally:
            try:
                log.close()
            finally:
                tracker.notify()
                session.mirrored = tracker.close(CLOSE_SECONDS)


def objective_spec(
    space: Space,
    folder: Path,
    data: Mapping[str, Any] | None = None,
    *,
    packs: bool = False,
    told_every: float = TOLD_EVERY,
) -> ObjectiveSpec:
    """Return the recipe by which workers build the objective function of a space.

    `data` is the reference that the families' workers check their data against; `packs` lets a worker train several
    jobs at once, if the space asks for it; `told_every` is that of RunOptions.

    Raises:
        HpsearchError: Several processes were asked for where there can be only one.
        ExperimentError: The folder of the space file is gone.
    """
    if space.family == EXTERNAL:
        raise HpsearchError(REFUSAL)
    processes, home = space.search.resources.processes, space.path.parent.resolve()
    if not home.is_dir():
        raise ExperimentError(
            f"the folder of the space file, {home}, is gone, where the programs and data of {folder} are looked for: "
            "put it back, or move the experiment together with it; nothing was trained"
        )
    common = {
        "folder": str(folder.resolve()),
        "family_folder": str(home),
        "metric": space.objective.metric,
        "goal": space.objective.goal.value,
        "at_best": space.objective.at == "best",
    }
    if space.family == COMMAND or isinstance(space.interface, Function):
        return _of_the_users(space, common)
    own = {
        "family": space.family,
        "threads": 1,
        "share": None,
        "pauses_unheard": False,
        "processes": processes,
        "data": data or {},
        "told_every": told_every,
    }
    if space.search.pack != "off" and packs:
        if space.search.engine != "local" or processes > 1:
            raise HpsearchError("search.pack: packs are for the engine local and trials of one process; say off")
        arguments = {**common, **own, "lanes": space.search.pack}
        modules = [*modules_of(space.family), "hpsearch.running.packed_objective"]
        return ObjectiveSpec("hpsearch.running.packed_objective:PackedObjective", arguments, modules)
    return ObjectiveSpec("hpsearch.running.objective:FamilyObjective", {**common, **own}, modules_of(space.family))


def _of_the_users(space: Space, common: Mapping[str, Any]) -> ObjectiveSpec:
    """Return the recipe for a program or a function, which train by themselves."""
    kind = "function" if isinstance(space.interface, Function) else "program"
    if space.search.resources.processes > 1:
        raise HpsearchError(f"search.resources.processes: a {kind} starts its own processes; leave it at 1")
    if space.search.pack != "off":
        raise HpsearchError(f"search.pack: a {kind} trains one configuration at a time; say off")
    if kind == "program":
        module = "hpsearch.running.command_objective"
        return ObjectiveSpec(f"{module}:CommandObjective", {**common, "trial_time": space.search.trial_time}, [module])
    module = "hpsearch.running.function_objective"
    used = sorted({"numpy", "torch"} & sys.modules.keys())
    arguments = {**common, "family": space.family, "threads": 1}
    return ObjectiveSpec(f"{module}:FunctionObjective", arguments, [module, *used])


def modules_of(family: str) -> list[str]:
    """Return the modules that every training of a family needs; what a user's own file imports may begin threads."""
    own = [f"hpsearch.families.{family}.task"] if family in family_names() else []
    return ["hpsearch.running.objective", *own]
