"""Searching a space and confirming its winner: `hpsearch.run`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import Overrides, StrPath, settings_of
from hpsearch.api.open import OpenedExperiment, open_experiment
from hpsearch.api.spaces import GivenSpace, Wanted, function_space
from hpsearch.console.display import ConsoleOptions, installed_trackers, show_next_steps, watched
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.extras import Extra, missing
from hpsearch.running import runner
from hpsearch.running.loading import load_space
from hpsearch.running.session import SessionResult
from hpsearch.space import Space
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.trust import trusting
from hpsearch.workers.engines import Cluster
from hpsearch.workers.local.processes import EarlyServer


def run(
    searched: StrPath | Callable[..., Any] | None = None,
    *,
    space: GivenSpace | None = None,
    metric: str | None = None,
    goal: str | None = None,
    sampler: Any = None,
    pruner: Any = None,
    search: Mapping[str, Any] | None = None,
    start: Sequence[Mapping[str, Any]] | None = None,
    name: str | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    trials: int | None = None,
    time: str | float | None = None,
    workers: str | int | None = None,
    seed: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    verbose: bool = False,
    in_process: bool = False,
    confirm: bool | int | Mapping[str, Any] = True,
    mlflow: bool = True,
    track: str = "mlflow",
    tracking_uri: str | None = None,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
    trust: bool | None = None,
) -> OpenedExperiment:
    """Search a space and confirm its winner; `hpsearch run` in Python. Running it again goes on with it.

    Example:
        experiment = hpsearch.run("spaces/char_lm.yaml", quick=True, trials=4, set={"train.epochs": 3})
        experiment.best.params

        def train(lr, width, *, report):
            for epoch in range(1, 11):
                report(epoch, {"val/loss": (lr - 0.01) ** 2 + width / epoch})

        space = {"lr": {"log": [1e-4, 1e-1]}, "width": [32, 64]}
        hpsearch.run(train, space=space, metric="val/loss", goal="minimize", trials=20, confirm=5)

    Args:
        searched: A space file, or a function of yours, which takes `report` and its settings.
        space: Of a function: its ranges and values by name, in a dictionary (where a list is a choice), a dataclass, a
            pydantic model or a YAML file.
        metric: What is improved (objective.metric).
        goal: "minimize" or "maximize" (objective.goal).
        sampler: Such as "tpe", or {"tpe": {"startup": 20}} (search.sampler).
        pruner: Such as "asha" or "none" (search.pruner).
        search: Further settings of the search by their names, such as {"trial_time": "10m"}.
        start: Configurations to try first.
        name: The experiment's name; by default the space's, or the function's.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        trials: Trials of the whole experiment (search.trials).
        time: Time of the whole search, such as "2h" (search.time).
        workers: Worker processes, or "auto" (search.workers).
        seed: The experiment's seed (search.seed).
        engine: Where trials run (search.engine).
        address: A running Ray cluster: "auto" or "HOST:PORT".
        verbose: Show what Ray itself has to say.
        in_process: One trial at a time in this process, for a debugger.
        confirm: Train the winner on fresh seeds, as the space says; or how: 5 seeds, or {"top": 2, "seeds": 5}.
        mlflow: Mirror the experiment in MLflow.
        track: Where to mirror it: mlflow, tensorboard, wandb, several with commas, or none.
        tracking_uri: The MLflow server or store.
        root: Where experiments are kept.
        quiet: Print nothing but problems and what to do next.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Returns:
        The experiment as it is now, also after an interruption; its `session` says how this one ended.

    Raises:
        SpaceError: The space has mistakes; all of them are told.
        UntrustedCodeError: The space names code from outside this project, which is not trusted.
        HpsearchError: The function cannot be called by other processes, or with what a space gives.
        ExperimentError: The folder is in use, or holds a search that does not fit.
        SearchFailedError: No trial came to a result.
    """
    how = None if isinstance(confirm, bool) else confirm
    wanted = Wanted(metric, goal, sampler, pruner, search, start, how)
    budget = {"trials": trials, "time": time, "workers": workers, "seed": seed, "engine": engine}
    settings = [f"search.{option}={value}" for option, value in budget.items() if value is not None]
    overrides = [*settings_of(set), *settings]
    shown = ConsoleOptions(
        in_process, Cluster(address, verbose), confirm is not False, mlflow, tracking_uri, quiet, track
    )

    with EarlyServer() as early, trusting(True if callable(searched) else trust):

        def named(family: str) -> None:
            if not in_process and engine != "ray" and family != runner.COMMAND and not missing(Extra.TORCH):
                early.start(runner.modules_of(family))

        if callable(searched):
            if space is None:
                raise HpsearchError("space= is missing: the ranges of the function's settings by their names")
            found = Path(root)
            loaded = function_space(searched, space, wanted, name=name, root=found, quick=quick, overrides=overrides)
        else:
            overrides = [*settings_of(wanted.given), *overrides]
            loaded = load_space(_file(searched, space), quick=quick, overrides=overrides, named=named)
        folder = runner.default_folder(loaded, name=name, root=Path(root), quick=quick)
        with watched(loaded, folder, installed_trackers(shown)) as options:
            result = runner.run(loaded, folder=folder, options=replace(options, early=early))
    return opened(result, loaded, shown)


def _file(searched: StrPath | None, space: Any) -> Path:
    """Return the space file that was given by place or by name."""
    if (searched is None) == (space is None):
        raise HpsearchError("hpsearch.run takes a space file, or a function and space=")
    return find_file(Path(space if searched is None else searched), Shelf.SPACES)


def opened(result: SessionResult, space: Space, shown: ConsoleOptions, *, single: bool = False) -> OpenedExperiment:
    """Show the next steps after a session and return its experiment."""
    show_next_steps(result, space, shown, single=single)
    return open_experiment(result.record.folder, session=result)
