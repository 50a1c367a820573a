"""Ask/tell for an agent: searches that are open in the server, and the trials that it has."""

import threading
from typing import Annotated, Any

from pydantic import Field

from hpsearch.agents.confined import Confined
from hpsearch.api.ask import AskedTrial, AskTell, ask_tell
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.experiment.reading import read_experiment

Name = Annotated[str, Field(description="The experiment's name.")]
Number = Annotated[int, Field(description="The trial's number, as `ask` has returned it.")]
Value = Annotated[
    float | str | dict[str, float | str],
    Field(description='The objective, or several metrics by name with it; "nan" and "inf" are numbers, too.'),
]
_NOT_FINITE = ("nan", "inf", "-inf")


_NO_TRIAL = (
    "no trial is left: the budget or the time is used up, everything was tried, or somebody has stopped the search"
)


class AskedSearches:
    """The searches that are asked here; one that its server leaves hands its trials out again."""

    def __init__(self, confined: Confined) -> None:
        self._confined = confined
        self._searches: dict[str, AskTell] = {}
        self._given: dict[str, dict[str, Any]] = {}
        """With what each was opened."""
        self._opening: dict[str, threading.Lock] = {}
        """One may wait for long until another process lets go of its folder; the others go on."""
        self._trials: dict[tuple[str, int], AskedTrial] = {}
        self._mutex = threading.Lock()

    def close(self) -> None:
        """Leave all searches."""
        for search in self._searches.values():
            search.close()
        self._searches.clear()
        self._trials.clear()

    def ask(
        self,
        experiment: Name,
        space: Annotated[
            str | dict[str, Any] | None,
            Field(
                description='For the first call: a space file in the folder, or ranges by name, such as {"lr": {"log": '
                '[1e-4, 0.1]}, "width": [32, 64]}; each later call finds it open.'
            ),
        ] = None,
        metric: Annotated[str | None, Field(description="What is improved, such as val/loss.")] = None,
        goal: Annotated[str | None, Field(description="minimize or maximize.")] = None,
        trials: Annotated[int | None, Field(ge=1, description="Trials of the whole experiment.")] = None,
        sampler: Annotated[str | None, Field(description="Such as tpe or random.")] = None,
        pruner: Annotated[str | None, Field(description="Such as asha, median or none.")] = None,
        seed: Annotated[int | None, Field(description="The experiment's seed.")] = None,
    ) -> dict[str, Any]:
        """Ask a search for the next configuration, which you train yourself; then `tell` its value, or `fail`.

        While it trains, `report` says whether to go on. Without a trial nothing is left to try. It is an experiment on
        the disk; a trial that was never told comes again after the server has ended.
        """
        given = {"metric": metric, "goal": goal, "trials": trials, "sampler": sampler, "pruner": pruner, "seed": seed}
        with self._mutex:
            opening = self._opening.setdefault(experiment, threading.Lock())
        with opening:
            search = self._searches.get(experiment)
            if search is None:
                search = self._searches[experiment] = self._open(experiment, space, given)
                self._given[experiment] = {"space": space, **given}
            else:
                self._require_same(experiment, {"space": space, **given})
        trial = search.ask()
        if trial is None:
            return {"experiment": experiment, "trial": None, "why": _NO_TRIAL}
        self._trials[experiment, trial.number] = trial
        return {
            "experiment": experiment,
            "trial": {
                "number": trial.number,
                "params": trial.params,
                "config": trial.config.to_dict(),
                "seed": trial.seed,
                "split_seed": trial.split_seed,
                "folder": str(trial.folder),
                "attempt": trial.attempt,
            },
            "metric": search.metric,
            "notes": list(search.notes),
        }

    def _require_same(self, experiment: str, given: dict[str, Any]) -> None:
        before = self._given[experiment]
        for name, value in given.items():
            if value is not None and value != before[name]:
                raise HpsearchError(
                    f"{experiment} is open here with another {name} ({before[name]!r}): leave it out to go on, or ask "
                    "under another experiment's name"
                )

    def _open(self, experiment: str, space: str | dict[str, Any] | None, given: dict[str, Any]) -> AskTell:
        if space is None:
            raise HpsearchError(f"{experiment} is not open here: give its space, too; a search on the disk goes on")
        self._confined.new(experiment)
        file = self._confined.space(space) if isinstance(space, str) else space
        if isinstance(file, dict):
            self._confined.values(file)
        else:
            self._confined.settings(file)
        return ask_tell(file, name=experiment, root=EXPERIMENTS, quiet=True, **given)

    def report(
        self,
        experiment: Name,
        number: Number,
        step: Annotated[int, Field(ge=0, description="An epoch, or any count that grows.")],
        value: Value,
    ) -> dict[str, Any]:
        """Report the metric of a trial at a step, and hear whether its training should go on."""
        trial = self._trial(experiment, number)
        goes_on = trial.report(step, _numbers(value))
        return {"number": number, "go_on": goes_on, "outcome": None if goes_on else trial.tell().value}

    def tell(
        self,
        experiment: Name,
        number: Number,
        value: Annotated[
            Value | None, Field(description="The objective; left out, it follows from the reports.")
        ] = None,
    ) -> dict[str, Any]:
        """Report the result of a trial whose training has ended."""
        outcome = self._trial(experiment, number).tell(None if value is None else _numbers(value))
        best = read_experiment(self._searches[experiment].folder).best
        told = None if best is None else {"number": best.number, "value": best.value, "params": best.params}
        return {"number": number, "outcome": outcome.value, "best": told}

    def fail(
        self,
        experiment: Name,
        number: Number,
        reason: Annotated[str, Field(description="Why its training came to nothing.")],
        outcome: Annotated[str, Field(description="failed, diverged, out_of_memory or timed_out.")] = "failed",
    ) -> dict[str, Any]:
        """Say that a trial's training came to nothing."""
        return {"number": number, "outcome": self._trial(experiment, number).fail(reason, outcome=outcome).value}

    def _trial(self, experiment: str, number: int) -> AskedTrial:
        trial = self._trials.get((experiment, number))
        if trial is None:
            mine = sorted(each for name, each in self._trials if name == experiment)
            raise HpsearchError(
                f"trial {number} of {experiment} was not asked for here; known: {', '.join(map(str, mine)) or 'none'}. "
                "One of an earlier server comes first when you ask again"
            )
        return trial


def _numbers(value: Any) -> Any:
    """Return a value with numbers in place of the words that JSON has no numbers for."""
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    return float(value) if isinstance(value, str) and value in _NOT_FINITE else value
