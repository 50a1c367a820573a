"""hpsearch's own experiment folders: trials, replicates and baselines. Needs no torch, Optuna or MLflow."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import is_experiment
from hpsearch.experiment.reading import read_experiment, read_resolved
from hpsearch.readers import Reading, Wanted, last_word
from hpsearch.records import ExperimentRecord, FinishedRun, Goal, Measurement, Outcome, RunRecord, SearchOrigin, Series


def recognises(path: Path) -> bool:
    """Say whether a folder is an experiment."""
    return path.is_dir() and is_experiment(path)


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the experiment's runs.

    Trials belong to the search. Replicates of its winner are the experiment's own runs, paired with those of others by
    seed; those of a second or third winner are experiments beside it, called `name#trial`. A baseline is an experiment
    called after the method and the experiment. Errors: ExperimentError.
    """
    record = read_experiment(path)
    search = read_resolved(path)["space"]["search"]
    origin = SearchOrigin(record.objective.metric, _kind(search.get("sampler")), _kind(search.get("pruner")))
    runs = [*_trials(record, origin, wanted), *_replicates(record, wanted), *_baselines(record)]
    goal, tested = record.objective.goal, f"test/{last_word(record.objective.metric)}"
    main = tested if any(tested in run.metrics for run in runs) else record.objective.metric
    return Reading(tuple(runs), _goals(runs, record.objective.metric, goal), main, record.warnings, record)


def _kind(setting: Any) -> str | None:
    """Return the name of a sampler or pruner, which resolved.json keeps with its options."""
    return setting.get("kind") if isinstance(setting, dict) else setting


def _goals(runs: list[FinishedRun], metric: str, goal: Goal) -> dict[str, Goal]:
    """Return the objective's goal for its metric on every split."""
    names = {name for run in runs for name in run.metrics}
    return {name: goal for name in {*names, metric} if last_word(name) == last_word(metric)}


def _trials(record: ExperimentRecord, origin: SearchOrigin, wanted: Wanted) -> Iterator[FinishedRun]:
    for trial in record.trials:
        yield FinishedRun(
            experiment=record.name,
            trial=trial.number,
            search=origin,
            **_of_run(record, trial, wanted),
        )


def _replicates(record: ExperimentRecord, wanted: Wanted) -> Iterator[FinishedRun]:
    numbers = [trial.number for trial in record.ranked]
    winner = min((each.number for each in record.replicates), key=_rank_in(numbers), default=None)
    for each in record.replicates:
        yield FinishedRun(
            experiment=record.name if each.number == winner else f"{record.name}#{each.number}",
            trial=each.number,
            seed=each.seed,
            **_of_run(record, each, wanted),
        )


def _rank_in(numbers: list[int]) -> Any:
    return lambda number: numbers.index(number) if number in numbers else len(numbers)


def _of_run(record: ExperimentRecord, run: RunRecord, wanted: Wanted) -> dict[str, Any]:
    metric = record.objective.metric
    metrics = {name: Measurement(value, run.step) for name, value in run.scores.items()}
    if run.value is not None:
        metrics[metric] = Measurement(run.value, run.step)
    histories = {}
    if metric in wanted and len(run.history) > 1:
        steps, values = zip(*run.history, strict=True)
        histories[metric] = Series(array("q", steps), array("d", values))
    return {
        "run": f"{record.name}/{run.run}",
        "outcome": run.outcome,
        "reason": run.reason,
        "params": run.params,
        "metrics": metrics,
        "histories": histories,
        "steps": run.history[-1][0] if run.history else None,
        "seconds": run.seconds,
        "dropped": None if run.outcome else "it has not ended",
        "source": f"{record.folder}/{run.run}",
    }


def _baselines(record: ExperimentRecord) -> Iterator[FinishedRun]:
    for baseline in record.baselines:
        yield FinishedRun(
            experiment=f"{baseline.name} ({record.name})",
            run=f"{record.name}/{baseline.name}",
            outcome=Outcome.COMPLETE,
            metrics={name: Measurement(value) for name, value in baseline.scores.items()},
            deterministic=True,
            source=record.folder,
        )
