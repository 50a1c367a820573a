"""Training what is already chosen: a winner or given values to the end, or winners on fresh seeds or folds.

These are `hpsearch.train` and `hpsearch.confirm`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join
from typing import Any

from hpsearch.api.arguments import (
    BEST,
    Overrides,
    Params,
    StrPath,
    find_experiment,
    given_params,
    place_of,
    settings_of,
)
from hpsearch.api.open import OpenedExperiment
from hpsearch.api.run import opened
from hpsearch.cleaning import terminal
from hpsearch.console.display import ConsoleOptions, installed_trackers, watched
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS, folder_called, is_study
from hpsearch.final.selection import Origin, WinnerSource, find_source, selection_of
from hpsearch.running import chosen
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.same_data import changed_since
from hpsearch.space import Space, only
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.trust import trusting
from hpsearch.workers.engines import Cluster


def train(
    space: StrPath | None = None,
    *,
    params: Params,
    from_: StrPath | None = None,
    arm: str | None = None,
    name: str | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    processes: int | None = None,
    test: bool = False,
    in_process: bool = False,
    mlflow: bool = True,
    tracking_uri: str | None = None,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
    trust: bool | None = None,
) -> OpenedExperiment:
    """Train one configuration to its end, without pruning; `hpsearch train` in Python. Again, it goes on with it.

    Example:
        final = hpsearch.train(params="best", from_="experiments/char_lm-quick", test=True)
        final.replicates  # the test scores

    Args:
        space: A space file; left out, the space of what `from_` names, as it was run.
        params: The values by their dotted names, a YAML or JSON file of them, or "best".
        from_: The experiment, or study, whose winner "best" is.
        arm: Which arm of the study; by default the first of its comparison.
        name: The experiment's name; by default the space's, or that of `from_`, and -final.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        processes: Processes that train together (search.resources.processes).
        test: Score the test split at the end.
        in_process: In this process, for a debugger.
        mlflow: Mirror the training in MLflow.
        tracking_uri: The MLflow server or store.
        root: Where experiments are kept.
        quiet: Print nothing but problems and what to do next.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Returns:
        An experiment of one trial.

    Raises:
        UntrustedCodeError: What is trained is code from outside this project, which is not trusted.
        HpsearchError: The arguments contradict one another, the values do not fit, or there is no winner.
        SearchFailedError: The training failed.
    """
    together = [] if processes is None else [f"search.resources.processes={processes}"]
    request = TrainRequest(
        params,
        None if space is None else Path(space),
        None if from_ is None else place_of(from_),
        arm,
        quick,
        [*settings_of(set), *together],
    )
    with trusting(trust):
        planned, origin = _planned(request, root=Path(root)), None
        selected = selection_of(planned.source) if planned.source else None
    if planned.source and selected:
        changed = planned.data_changed
        selection = replace(selected, data_changed=changed)
        origin = Origin(_command(request, name=name, test=test), selection).to_json()
        if changed:
            _say(f"the winner of {planned.source.folder} was chosen on other data: {'; '.join(changed)}")
        if planned.source.study:
            _say(f"arm {planned.source.arm} of {planned.source.study}. {planned.source.grounds}")
    folder, alone = folder_called(name or planned.name, Path(root)), only(planned.space, planned.params)
    shown = ConsoleOptions(in_process, mlflow=mlflow, tracking_uri=tracking_uri, quiet=quiet)
    with watched(alone, folder, installed_trackers(shown)) as options:
        result = chosen.train(planned.space, planned.params, folder=folder, test=test, origin=origin, options=options)
    return opened(result, alone, shown, single=True)


def _say(text: str) -> None:
    sys.stderr.write(f"{terminal(text)}\n")


@dataclass(frozen=True)
class TrainRequest:
    """What is to be trained, as the options say: `file` is the space file, `source` what --from names."""

    params: Params
    file: Path | None = None
    source: Path | None = None
    arm: str | None = None
    quick: bool = False
    overrides: Sequence[str] = ()


@dataclass(frozen=True)
class FinalTraining:
    """One configuration to train. `name` is that of its experiment unless the user gives one."""

    space: Space
    params: dict[str, Any]
    name: str
    source: WinnerSource | None

    @property
    def data_changed(self) -> tuple[str, ...]:
        """How the data differ from those on which the winner was chosen."""
        return tuple(changed_since(self.space, self.source.folder)) if self.source else ()


def _planned(request: TrainRequest, *, root: Path) -> FinalTraining:
    """Return the training that is asked for.

    With a space file the values are those of a file or of an experiment's winner. Without one the space is that of the
    experiment that `source` names, or of the arm of a study, as it was run.

    Raises:
        HpsearchError: The options contradict one another, or there is no winner.
    """
    _refuse_contradictions(request)
    if request.source is not None:
        find_experiment(request.source)
    if request.file is not None:
        space = load_space(find_file(request.file, Shelf.SPACES), quick=request.quick, overrides=request.overrides)
        source = request.source or root / (space.path.stem + ("-quick" if request.quick else ""))
        return _training(space, request, find_source(source, arm=request.arm), f"{space.path.stem}-final")
    if request.source is None:
        raise HpsearchError("name a space file, or with --from the experiment or study whose space is to be used")
    found = find_source(request.source, arm=request.arm)
    name = f"{request.source.resolve().name}{f'-{request.arm}' if request.arm else ''}-final"
    return _training(open_space(found.folder, overrides=request.overrides), request, found, name)


def _command(request: TrainRequest, *, name: str | None, test: bool) -> str:
    """Return the command that trains this again; how it was shown and where it was kept do not matter."""
    words = ["hpsearch", "train", *([str(request.file)] if request.file else []), "--params", str(request.params)]
    for option, value in (("--from", request.source), ("--arm", request.arm), ("--name", name)):
        words += [] if value is None else [option, str(value)]
    words += ["--quick"] if request.quick else []
    words += [word for override in request.overrides for word in ("--set", override)]
    return join([*words, *(["--test"] if test else [])])


def _training(space: Space, request: TrainRequest, source: WinnerSource, name: str) -> FinalTraining:
    if request.params == BEST:
        return FinalTraining(space, source.params, name, source)
    return FinalTraining(space, given_params(request.params, space), name, None)


def _refuse_contradictions(request: TrainRequest) -> None:
    params, file, source = request.params, request.file, request.source
    if file is None and request.quick:
        raise HpsearchError(
            "--quick lays a space file's quick section over it; without a space file, --from says what was run"
        )
    if file is not None and source is not None and params != BEST:
        raise HpsearchError(
            f"--from names whose winner is taken, but the values come from {params} and the space from {file}"
        )
    if request.arm is not None and source is None:
        raise HpsearchError(f"--arm={request.arm} needs --from with the study that has this arm")
    if file is not None and source is not None and is_study(source):
        raise HpsearchError(f"--from={source} is a study, whose arms have their own spaces: leave {file} out")


def confirm(
    experiment: StrPath,
    *,
    top: int = 1,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    address: str | None = None,
    verbose: bool = False,
    in_process: bool = False,
    mlflow: bool = True,
    track: str = "mlflow",
    tracking_uri: str | None = None,
    quiet: bool = False,
    trust: bool | None = None,
) -> OpenedExperiment:
    """Train an experiment's best configurations again and score them on the test split; `hpsearch confirm` in Python.

    Example:
        experiment = hpsearch.confirm("experiments/char_lm-quick", seeds=10)
        experiment.replicates

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        top: How many of the best configurations.
        seeds: Fresh seeds for each; 5 by default.
        folds: Instead of seeds, folds of the data to test on.
        repeats: How often to divide the data into new folds.
        address: A running Ray cluster: "auto" or "HOST:PORT".
        verbose: Show what Ray itself has to say.
        in_process: One training at a time in this process, for a debugger.
        mlflow: Mirror the replicates in MLflow.
        track: Where to mirror them: mlflow, tensorboard, wandb, several with commas, or none.
        tracking_uri: The MLflow server or store.
        quiet: Print nothing but problems and what to do next.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Returns:
        The experiment with all its replicates.

    Raises:
        UntrustedCodeError: The experiment runs code from outside this project, which is not trusted.
        ExperimentError: The folder is not an experiment, or in use.
        SearchFailedError: No trial has a result.
        HpsearchError: Both seeds and folds were asked for, or the family's data have no folds.
    """
    folder = find_experiment(experiment)
    with trusting(trust):
        space = open_space(folder)
    shown = ConsoleOptions(in_process, Cluster(address, verbose), True, mlflow, tracking_uri, quiet, track)
    with trusting(trust), watched(space, folder, installed_trackers(shown)) as options:
        result = chosen.confirm(folder, top=top, seeds=seeds, folds=folds, repeats=repeats, options=options)
    return opened(result, space, shown)
