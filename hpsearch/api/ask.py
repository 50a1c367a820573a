"""A search whose trials the caller trains: `hpsearch.ask_tell`."""

import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import Overrides, StrPath, settings_of
from hpsearch.api.spaces import GivenSpace, Wanted, external_space
from hpsearch.cleaning import terminal
from hpsearch.experiment.layout import EXPERIMENTS, folder_called
from hpsearch.running.asked_trial import AskedTrial
from hpsearch.running.asking import AskTell
from hpsearch.trust import trusting

__all__ = ["AskTell", "AskedTrial", "ask_tell"]
_NAME = "ask-tell"
"""The name of a search whose space has none."""


def ask_tell(
    space: GivenSpace,
    *,
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
    seed: int | None = None,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
    trust: bool | None = None,
) -> AskTell:
    """Open a search that is asked for trials and told what they came to; the caller trains them.

    It is an experiment like any other: on the disk after every call, resumable, readable by show, compare and sync.
    Several processes may open it at once. A trial whose process ends before it is told is lost, and comes first when
    the next one is asked for. Pruners that pause trials cannot be used; the default is asha.

    Example:
        with hpsearch.ask_tell({"lr": {"log": [1e-4, 1e-1]}}, metric="val/loss", goal="minimize", trials=20) as search:
            while (trial := search.ask()) is not None:
                for epoch in range(1, 11):
                    if not trial.report(epoch, (trial.config.lr - 0.01) ** 2 + 1 / epoch):
                        break
                else:
                    trial.tell()
        hpsearch.open(search).best

    Args:
        space: Ranges and values by name, in a dictionary (where a list is a choice), a dataclass, a pydantic model or a
            YAML file; a file may be the space of a family, which hpsearch can train when the winner is confirmed.
        metric: What is improved (objective.metric).
        goal: "minimize" or "maximize" (objective.goal).
        sampler: Such as "tpe", or {"tpe": {"startup": 20}} (search.sampler).
        pruner: Such as "asha" or "none" (search.pruner).
        search: Further settings of the search by their names, such as {"retries": 0}.
        start: Configurations to try first.
        name: The experiment's name; by default the file's, the class's, or ask-tell.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the space, by their dotted names.
        trials: Trials of the whole experiment (search.trials).
        seed: The experiment's seed (search.seed).
        root: Where experiments are kept.
        quiet: Do not print what was found in the folder; it is in `notes`.
        trust: Whether code from outside this project may run; by default it may (SECURITY.md).

    Raises:
        SpaceError: The space has mistakes; all of them are told.
        UntrustedCodeError: The space names code from outside this project, which is not trusted.
        HpsearchError: The pruner pauses trials, or the metric is missing.
        ExperimentError: The folder is in use, or holds a search that does not fit.
    """
    title = name or _title(space)
    numbers = {"trials": trials, "seed": seed}
    budget = [f"search.{option}={value}" for option, value in numbers.items() if value is not None]
    with trusting(trust):
        wanted = Wanted(metric, goal, sampler, pruner, search, start)
        loaded = external_space(space, wanted, name=title, quick=quick, overrides=[*settings_of(set), *budget])
        folder = folder_called(title + ("-quick" if quick and name is None else ""), Path(root))
        opened = AskTell(loaded, folder)
    for note in () if quiet else opened.notes:
        sys.stderr.write(f"{terminal(note)}\n")
    return opened


def _title(space: GivenSpace) -> str:
    if isinstance(space, str | PathLike):
        return Path(space).stem
    if isinstance(space, Mapping):
        return _NAME
    return (space if isinstance(space, type) else type(space)).__name__
