"""hpsearch's own experiment folders: trials, replicates and baselines. Needs no torch, Optuna or MLflow."""

from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.experiment.by_example import read_by_example, unread
from hpsearch.experiment.layout import baseline_run, baselines_run, is_experiment
from hpsearch.experiment.reading import read_experiment, read_resolved, written_range
from hpsearch.readers import Reading, Wanted, last_word
from hpsearch.readers.naming import folders_above
from hpsearch.readers.table_examples import written_by_program
from hpsearch.records import (
    BaselineRecord,
    ExampleScores,
    ExperimentRecord,
    FinishedRun,
    Fold,
    Goal,
    Key,
    Measurement,
    Outcome,
    RunRecord,
    SearchOrigin,
    Series,
)


def recognises(path: Path) -> bool:
    """Check whether a folder is an experiment."""
    return path.is_dir() and is_experiment(path)


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the experiment's runs.

    Trials belong to the search. Replicates of its winner are the experiment's own runs, paired with those of others by
    seed, or by repeat and fold; those of a second or third winner are further experiments, called `name#trial`. A
    baseline is an experiment called after the method and the experiment.

    Replicates on seeds and on folds are never mixed: an experiment that holds both, or folds of two divisions, keeps
    the name for those on seeds, and those on folds are experiments called `name (5 folds)`.

    Raises:
        ExperimentError: the folder is damaged, or written by a newer version.
    """
    record = read_experiment(path)
    space = read_resolved(path)["space"]
    search = space["search"]
    place = _Place(record, search.get("seed", 0))
    ranges = {path: written_range(path, space) for trial in record.trials for path in trial.params}
    origin = SearchOrigin(record.objective.metric, _kind(search.get("sampler")), _kind(search.get("pruner")), ranges)
    runs = [*_trials(record, origin, wanted), *_replicates(record, wanted, place), *_baselines(record, place)]
    goal, tested = record.objective.goal, f"test/{last_word(record.objective.metric)}"
    main = tested if any(tested in run.metrics for run in runs) else record.objective.metric
    above = folders_above(Path(record.folder))
    runs = [replace(run, place=above) for run in runs]
    folders = (*(each.run for each in record.replicates), *map(_run_of, record.baselines))
    warnings = [*record.warnings, *unread(path / run for run in folders)]
    return Reading(tuple(runs), _goals(runs, record.objective.metric, goal), main, tuple(warnings), (record,))


def _kind(setting: Any) -> str | None:
    """Return the name of a sampler or pruner, which resolved.json keeps with its options: `{"asha": {...}}`."""
    if isinstance(setting, dict):
        return str(setting["kind"]) if "kind" in setting else next(iter(setting), None)
    return setting if isinstance(setting, str) else None


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


def fold_keys(fold: Fold | None, experiment_seed: int) -> dict[str, Key | None]:
    """Return `fold` and `repeat` of a run. They are equal for equal folds only: of one division, by one seed."""
    if fold is None:
        return {"fold": None, "repeat": None}
    repeat = fold.repeat if experiment_seed == 0 else f"{fold.repeat} of seed {experiment_seed}"
    return {"fold": f"{fold.fold}/{fold.folds}", "repeat": repeat}


class _Place:
    """Where replicates belong: to which experiment, and to which fold of which division."""

    def __init__(self, record: ExperimentRecord, seed: int) -> None:
        self._name = record.name
        self._seed = seed
        self._kinds = {None if each.fold is None else each.fold.folds for each in record.replicates}

    def name(self, fold: Fold | None, number: int | None = None) -> str:
        """Return the experiment of a replicate on this fold, of trial `number` where that is not the winner."""
        name = self._name if number is None else f"{self._name}#{number}"
        return name if fold is None or len(self._kinds) < 2 else f"{name} ({fold.folds} folds)"

    def keys(self, run: RunRecord | BaselineRecord) -> dict[str, Any]:
        """Return the keys that pair runs, and the numbers of examples."""
        return {"train_size": run.train_size, "test_size": run.test_size, **fold_keys(run.fold, self._seed)}


def _replicates(record: ExperimentRecord, wanted: Wanted, place: _Place) -> Iterator[FinishedRun]:
    numbers = [trial.number for trial in record.ranked]
    for kind in dict.fromkeys(each.fold and each.fold.folds for each in record.replicates):
        alike = [each for each in record.replicates if (each.fold and each.fold.folds) == kind]
        winner = min((each.number for each in alike), key=_rank_in(numbers))
        for each in alike:
            yield FinishedRun(
                experiment=place.name(each.fold, None if each.number == winner else each.number),
                trial=each.number,
                seed=each.seed,
                by_example=_by_example(Path(record.folder) / each.run, each),
                **place.keys(each),
                **_of_run(record, each, wanted),
            )


def _by_example(folder: Path, run: RunRecord) -> ExampleScores | None:
    return read_by_example(folder) or written_by_program(folder, run.scores.keys())


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
        "unit": record.unit,
        "steps": run.history[-1][0] if run.history else None,
        "seconds": run.seconds,
        "dropped": None if run.outcome else "it has not ended",
        "source": f"{record.folder}/{run.run}",
        "data": run.data,
    }


def _baselines(record: ExperimentRecord, place: _Place) -> Iterator[FinishedRun]:
    """Yield the methods' scores. One that learned in every fold has a value for each, like anything that is trained."""
    for baseline in record.baselines:
        yield FinishedRun(
            experiment=f"{baseline.name} ({place.name(baseline.fold)})",
            run=f"{record.name}/{baseline.title}",
            outcome=Outcome.COMPLETE,
            metrics={name: Measurement(value) for name, value in baseline.scores.items()},
            deterministic=baseline.fold is None,
            source=record.folder,
            data=next((trial.data for trial in record.trials if trial.data), None),
            by_example=read_by_example(Path(record.folder) / _run_of(baseline)),
            **place.keys(baseline),
        )


def _run_of(baseline: BaselineRecord) -> str:
    return baseline_run(baselines_run(baseline.fold), baseline.name)
