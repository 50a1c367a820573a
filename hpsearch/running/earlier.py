"""What an earlier session left in the folder, and a space that may have changed since.

`prepare_experiment` writes what the experiment is and refuses another search; `earlier_trials` says which trials are
kept, and with which parameters.
"""

import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.experiment.checksums import sealed
from hpsearch.experiment.events import AdoptEvent, AskEvent, DropEvent, Event, ExploitEvent, OutcomeEvent
from hpsearch.experiment.files import remove_leftovers, write_atomically, write_json
from hpsearch.experiment.layout import (
    CODE,
    CONFIG,
    DATA,
    FORMAT_VERSION,
    LOCK,
    LOG,
    RESOLVED,
    SPACE,
    RunKind,
    is_experiment,
)
from hpsearch.experiment.lease import LEASE
from hpsearch.experiment.log import read_state
from hpsearch.experiment.provenance import git_state, machine, versions
from hpsearch.experiment.reading import place_of_space, read_resolved
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.jobs import Job
from hpsearch.records import Params
from hpsearch.running.mending import mended_job
from hpsearch.space import Space, differences
from hpsearch.training.settings import TrainSettings
from hpsearch.trust import is_own
from hpsearch.workers.ledger import stored_job

_BUDGET = (
    *("search.trials", "search.time", "search.trial_time", "confirm"),
    *("search.engine", "search.workers", "search.retries", "search.resources", "search.storage"),
)
"""What may change between two sessions of an experiment without making it another search."""


@dataclass(frozen=True)
class Earlier:
    """The trials of earlier sessions, by their runs.

    Of those that the space, as it is now, would train just as they were: their numbers, and their newest parameters as
    the space has them. Of the others: why they do not fit. `mended` are those whose configuration was written again,
    `lost` those whose is gone.
    """

    numbers: dict[str, int]
    params: dict[str, Params]
    misfits: dict[str, str]
    mended: list[str]
    lost: list[str]


def earlier_trials(space: Space, folder: Path, state: ExperimentState) -> Earlier:
    """Sort the earlier trials, but for those that were left out before.

    Of those whose data could not be used only the values have to fit: they are tried again, with what is fixed now.

    Raises:
        ExperimentError: There are others, and none fits.
    """
    earlier, trials = Earlier({}, {}, {}, [], []), list(state.of_kind(RunKind.TRIAL))
    for trial in trials:
        if trial.dropped:
            continue
        try:
            job = _job(folder, trial, earlier)
            earlier.params[trial.run] = _fitted(space, job, trial.first_params, again=trial.mistake)
            earlier.numbers[trial.run] = trial.number
        except HpsearchError as misfit:
            earlier.misfits[trial.run] = str(misfit)
    begun = [run for run in earlier.misfits if not state.runs[run].mistake]
    if begun and not earlier.numbers:
        left_out = any(trial.dropped for trial in trials)
        gone = "; those that an earlier change left out do not come back" if left_out else ""
        told = f"no earlier trial in {folder} fits the changed space ({begun[0]}: {earlier.misfits[begun[0]]}{gone})"
        raise ExperimentError(f"{told}; start another experiment with --name")
    return earlier


def settled(earlier: Earlier, state: ExperimentState) -> list[DropEvent | AdoptEvent]:
    """Return what the log is told of earlier trials: who is dropped, and who has other parameters now."""
    adopted = {run: params for run, params in earlier.params.items() if params != state.runs[run].params}
    return [
        *(DropEvent(run=run, reason=reason) for run, reason in earlier.misfits.items()),
        *(AdoptEvent(run=run, params=dict(params)) for run, params in adopted.items()),
    ]


def require_fit(space: Space, folder: Path, trial: RunState) -> None:
    """Require that a trial's configuration is one of the space, with the parameters that the log has.

    Raises:
        ExperimentError: It was damaged or exchanged.
    """
    try:
        _fitted(space, stored_job(folder, trial.run), trial.first_params, again=False)
    except (OSError, HpsearchError) as misfit:
        raise ExperimentError(
            f"{trial.run} cannot be trained again: its {CONFIG} is not what the log and the space of {folder} say "
            f"({misfit}); put a copy back"
        ) from None


def _job(folder: Path, trial: RunState, earlier: Earlier) -> Job:
    """Return a trial's job, written again if its file is damaged.

    Raises:
        HpsearchError: the message says why there is none.
    """
    why: object = "its parameters are not those of the log"
    try:
        job = stored_job(folder, trial.run)
    except (OSError, ExperimentError) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else error
    else:
        if job.changes or trial.changes or job.params == trial.first_params:  # what copied another began as that one
            return job
    again = mended_job(folder, trial)
    if again is None:
        earlier.lost.append(trial.run)
        raise HpsearchError(f"its {CONFIG} is missing or cannot be read: {why}")
    earlier.mended.append(trial.run)
    return again


def _fitted(space: Space, job: Job, asked: Params, *, again: bool) -> Params:
    """Return a trial's newest parameters as the space has them.

    A setting that was fixed and is a range now has its value from the trial's configuration, and a range that is fixed
    now is no parameter any more. What is fixed may have changed for a trial that is trained `again` from its start.

    Raises:
        HpsearchError: the message says why the trial does not fit.
    """
    checked: Any = job.config, asked
    fitted, built = _checked(space, *checked)
    for params, config in () if again else job.stretches:
        if (config, params) != checked:
            checked = config, params
            fitted, built = _checked(space, config, params)
        now = built.model_dump(mode="json")
        if now != config and now != _filled(space, config):
            raise HpsearchError("a fixed setting has changed")
    return fitted


def _filled(space: Space, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored configuration with the settings that are newer than it; as it is where the family refuses it."""
    try:
        return space.interface.Config.model_validate(config).model_dump(mode="json")
    except ValueError:
        return config


def _checked(space: Space, config: Mapping[str, Any], known: Params) -> tuple[Params, BaseModel]:
    params = space.params_of(config, known)
    if wrong := space.check_values(params):
        raise HpsearchError(wrong[0])
    try:
        built = space.config(params)
        broken = space.broken(built)
    except HpsearchError as error:
        raise HpsearchError(f"breaks {error}") from error
    if broken:
        raise HpsearchError(f"breaks {broken}")
    return params, built


def to_replay(space: Space, events: Iterable[Event], newest: Mapping[str, Params]) -> list[Event]:
    """Return the events as a search goes on from them.

    The trials' parameters are as the space has them; `newest` are those of each run. Runs whose data could not be used
    have only been asked for, once.
    """
    kept: list[Event] = []
    failed: set[str] = set()
    for event in events:
        if isinstance(event, OutcomeEvent) and event.mistake is not None:
            failed.add(event.run)
        elif not (isinstance(event, AskEvent) and event.run in failed):
            kept.append(_translated(space, event, newest))
    return kept


def _translated(space: Space, event: Event, newest: Mapping[str, Params]) -> Event:
    if not isinstance(event, AskEvent | ExploitEvent | AdoptEvent) or event.run not in newest:
        return event
    params = newest[event.run]
    return event if event.params == params else replace(event, params=_completed(space, event.params, params))


def _completed(space: Space, params: Params, newest: Params) -> Params:
    """Return all parameters of a run at some time: what is missing was fixed then, and has its value still."""
    known = {each.path for each in space.parameters}
    kept = {path: value for path, value in params.items() if path in known}
    active = (each.path for each in space.active({**newest, **kept}))
    return kept | {path: newest[path] for path in active if path not in kept and path in newest}


def changes_since(space: Space, resolved: Mapping[str, Any]) -> list[str]:
    """Return what makes a space another search than in resolved.json; a budget may change."""
    lines = differences(_without_login(resolved["space"]), _without_login(space.resolved()))
    return [line for line in lines if not line.startswith(_BUDGET)]


def changed_code(space: Space, resolved: Mapping[str, Any]) -> list[str]:
    """Return a sentence if the code of a function is another than in resolved.json, else nothing."""
    code = _code(space)
    same = code is None or resolved.get("code", code) == code
    return [] if same else [f"the code of {space.family} has changed"]


def _code(space: Space) -> str | None:
    return getattr(space.interface, "code", None) or None


def prepare_experiment(space: Space, folder: Path, find_earlier: Callable[[], Earlier] | None = None) -> list[str]:
    """Write what the experiment is; return how it differs from what the folder held before.

    `find_earlier` returns the earlier trials; without it the log is read for them.
    """
    resolved = _without_login(space.resolved())
    code = _code(space)
    changed: list[str] = []
    identity = uuid.uuid4().hex
    created = time.time()
    if is_experiment(folder):
        old = read_resolved(folder)
        identity, created = old["id"], old["created"]
        changed = [*changes_since(space, old), *changed_code(space, old)]
        if alien := [line for line in changed if line.startswith(("family", "objective"))]:
            raise ExperimentError(f"{folder} is a search of another kind ({'; '.join(alien)}); choose another --name")
        raced = space.search.seeds is not None or "seeds" in old["space"].get("search", {})
        if raced and (seeds := [line for line in changed if line.startswith(("search.seed", "search.split_seed"))]):
            told = f"the trials of {folder} were trained for other seeds ({'; '.join(seeds)})"
            raise ExperimentError(f"{told}, so that a race could not pair them; start another experiment with --name")
        if changed:
            if find_earlier is None:  # either of them refuses before anything is written
                earlier_trials(space, folder, read_state(folder / LOG))
            else:
                find_earlier()
            kept = len(list(folder.glob("resolved-*.json"))) + 1
            write_json(folder / f"resolved-{kept}.json", old)
    elif _holds_something(folder):
        raise ExperimentError(f"{folder} exists and is no experiment; choose another --name")
    remove_leftovers(folder, SPACE, f"{Path(RESOLVED).stem}*", DATA)
    storage = space.search.storage or SPACE
    text = space.text.replace(storage, without_secrets(storage))
    content = {
        "version": FORMAT_VERSION,
        "id": identity,
        "created": created,
        "space": resolved,
        "unit": step_unit(space),
        **place_of_space(space.path, folder),
        "seed": space.search.seed,
        "versions": versions(),
        "git": git_state(space.path.parent, own=is_own(space.path)),
        **({} if code is None else {"code": code}),
        "machine": machine(),
        "space_file_crc": f"{zlib.crc32(text.encode()):08x}",
    }
    write_json(folder / RESOLVED, sealed(content))
    write_atomically(folder / SPACE, text)  # last: a folder with it alone would not be an experiment
    return changed


def _without_login(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved space without a login in the address of the workers' storage: it is not written down."""
    search = resolved.get("search", {})
    kept = {"storage": without_secrets(search["storage"])} if isinstance(search.get("storage"), str) else {}
    return {**resolved, "search": {**search, **kept}} if kept else dict(resolved)


def _holds_something(folder: Path) -> bool:
    """Check whether a folder holds more than what a start leaves in it."""
    own = (
        path.suffix == ".tmp" or path.name in (LOCK, CODE) or LEASE.fullmatch(path.name) for path in folder.iterdir()
    )
    return not all(own)


def step_unit(space: Space) -> str:
    """Return the unit of a training's steps: `epoch`, or `step` if `train.evaluate` is in steps."""
    train = any_training(space)
    return "step" if train is not None and train.evaluate.steps is not None else "epoch"


def any_training(space: Space, params: Mapping[str, Any] | None = None) -> TrainSettings | None:
    """Return the settings of a training of a space, of some `params` or any; None if the shared loop does not train."""
    train = getattr(space.config(space.example if params is None else params), "train", None)
    return train if isinstance(train, TrainSettings) else None


def training_length(space: Space, params: Mapping[str, Any], unit: str) -> int | None:
    """Return how many steps in a `unit` a training has; None where only its data tell, as for epochs of n steps."""
    train = any_training(space, params)
    if train is None or (unit == "step") != (train.steps is not None):
        return None
    return train.steps or train.epochs
