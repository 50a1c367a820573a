"""The trials of earlier sessions under a space that may have changed: which are kept, and with which parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.layout import CONFIG
from hpsearch.experiment.log import Event
from hpsearch.records import Params
from hpsearch.space import Space
from hpsearch.workers.ledger import stored_job
from hpsearch.workers.progress import progress_of


@dataclass(frozen=True)
class Earlier:
    """The trials of earlier sessions, by their runs.

    Of those that the space, as it is now, would train just as they were: their numbers, and their newest parameters as
    the space has them. Of the others: why they do not fit.
    """

    numbers: dict[str, int]
    params: dict[str, Params]
    misfits: dict[str, str]


def earlier_trials(space: Space, folder: Path, events: Sequence[Event]) -> Earlier:
    """Sort the earlier trials.

    Of those whose data could not be used only the values have to fit: they are tried again, with what is fixed now.
    Errors: ExperimentError when there are others and none fits.
    """
    earlier, begun = Earlier({}, {}, {}), progress_of(events)
    left_out = {event["run"] for event in events if event["event"] == "drop"}
    for event in events:
        if event["event"] != "ask" or not event["run"].startswith("trials/") or event["run"] in left_out:
            continue
        run = event["run"]
        try:
            earlier.params[run] = _fitted(space, folder, run, event["params"], again=run not in begun)
            earlier.numbers[run] = event["number"]
        except HpsearchError as misfit:
            earlier.misfits[run] = str(misfit)
    begun_misfits = {run: reason for run, reason in earlier.misfits.items() if run in begun}
    if begun_misfits and not earlier.numbers:
        run, reason = next(iter(begun_misfits.items()))
        gone = "; those that an earlier change left out do not come back" if left_out else ""
        told = f"no earlier trial in {folder} fits the changed space ({run}: {reason}{gone})"
        raise ExperimentError(f"{told}; start another experiment with --name")
    return earlier


def _fitted(space: Space, folder: Path, run: str, asked: Params, *, again: bool) -> Params:
    """Return a trial's newest parameters as the space has them.

    A setting that was fixed and is a range now has its value from the trial's configuration, and a range that is fixed
    now is no parameter any more. What is fixed may have changed for a trial that is trained `again` from its start.
    Errors: HpsearchError, which says why the trial does not fit.
    """
    if not (folder / run / CONFIG).is_file():
        raise HpsearchError(f"its {CONFIG} is missing")
    job = stored_job(folder, run)
    fitted = _checked(space, job.config, asked)
    for params, config in () if again else job.stretches:
        fitted = _checked(space, config, params)
        if space.config(fitted).model_dump(mode="json") != _filled(space, config):
            raise HpsearchError("a fixed setting has changed")
    return fitted


def _filled(space: Space, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored configuration with the settings that are newer than it; as it is where the family refuses it."""
    try:
        return space.face.Config.model_validate(config).model_dump(mode="json")
    except ValueError:
        return config


def _checked(space: Space, config: Mapping[str, Any], known: Params) -> Params:
    params = space.params_of(config, known)
    wrong = space.check_params(params)
    if wrong:
        raise HpsearchError(wrong[0])
    return params


def translated(space: Space, events: Sequence[Event], newest: Mapping[str, Params]) -> list[Event]:
    """Return the events with the trials' parameters as the space has them; `newest` are those of each run."""
    return [
        {**event, "params": _completed(space, event["params"], newest[event["run"]])}
        if "params" in event and event["run"] in newest
        else event
        for event in events
    ]


def _completed(space: Space, params: Params, newest: Params) -> Params:
    """Return all parameters of a run at some time: what is missing was fixed then, and has its value still."""
    known = {each.path for each in space.parameters}
    kept = {path: value for path, value in params.items() if path in known}
    active = (each.path for each in space.active({**newest, **kept}))
    return kept | {path: newest[path] for path in active if path not in kept and path in newest}
