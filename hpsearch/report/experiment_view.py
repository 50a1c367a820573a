"""An experiment as people and programs see it: tables and sentences for the terminal, and what `show --json` prints."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.experiment.layout import OUTPUT
from hpsearch.experiment.pruning import pruning_of
from hpsearch.health import Digest, Finding
from hpsearch.records import Change, ExperimentRecord, Outcome, RunRecord
from hpsearch.report.fitted_table import Column, FittedTable
from hpsearch.report.health import finding_json, health_lines
from hpsearch.report.replicates import (
    Confirmed,
    Summary,
    fold_fields,
    listed,
    scored,
    summarise,
    summarise_baselines,
    test_metrics,
)
from hpsearch.report.wording import (
    SEPARATOR,
    UNKNOWN,
    assignments,
    duration,
    no_sign,
    number,
    over_seeds,
    plain,
    replicate_title,
    rule,
    short_names,
    shorten,
    spread,
)

LONGEST_VALUE = 24
"""The longest text of a parameter in a column, in characters."""
_BEFORE_REASON = 3
"""So many parameters are left out of a table only after the reasons; steps and times are the first to go."""


def show_experiment(
    record: ExperimentRecord,
    *,
    limit: int = 20,
    importance: Mapping[str, float] | None = None,
    unit: str | None = None,
    health: Sequence[Digest] = (),
    silent: Mapping[str, float] = MappingProxyType({}),
) -> RenderableType:
    """Render the objective, the best `limit` trials, the best one, its confirmation, warnings.

    `importance` (shares by parameter) orders the columns. `unit` is what a step counts, if not the record's. `health`
    is what an examination of the trials found. `silent` are the seconds for which runs have given no sign of life.
    """
    unit = unit or record.unit
    parts: list[RenderableType] = [*_header(record, unit), Text()]
    if record.trials:
        parts += [_trials(record, limit, importance or {}, unit), *_more(record, limit)]
        parts += [
            *_changes(record, limit, unit),
            Text(),
            *_best(record, unit),
            *_pruning(record, unit),
            *_tracebacks(record),
        ]
    if importance:
        names = short_names(importance)
        shares = (f"{names[path]} {share:.0%}" for path, share in importance.items())
        parts.append(Text("importance: " + ", ".join(shares)))
    if record.replicates or record.baselines:
        parts += [Text(), *_confirmation(record)]
    if health:
        parts += [Text(), *health_lines(health)]
    for run in (*record.trials, *record.replicates):
        if run.run in silent:
            title = (
                f"trial {run.number}" if run.replicate is None else replicate_title(run.number, run.replicate, run.fold)
            )
            parts.append(Text(f"{title}: {no_sign(silent[run.run])}", "yellow"))
    parts += _notes(record)
    parts += [Text(f"warning: {one_line(warning)}", "yellow") for warning in record.warnings]
    return Group(*parts)


def _header(record: ExperimentRecord, unit: str) -> Iterator[Text]:
    objective = record.objective
    yield Text.assemble((one_line(record.name), "bold"), f"{SEPARATOR}{one_line(record.family)}")
    yield Text(f"{one_line(objective.metric)}, {objective.goal}, {rule(record.at, unit)}")
    outcomes = _outcomes(record.trials)
    trials = "1 trial" if len(record.trials) == 1 else f"{len(record.trials)} trials"
    left = max(0, (record.budget or 0) - len(record.trials) - record.dropped - record.reruns)
    trials += f" and {record.reruns} further seeds" if record.reruns else ""
    yield Text(
        f"{trials} in {duration(record.elapsed)}"
        + (f": {outcomes}" if outcomes else "")
        + (f"; {left} of {record.budget} not begun" if left else "")
    )

    if record.paused:
        yield Text("paused by a person; `hpsearch resume` goes on", "yellow")


def _notes(record: ExperimentRecord) -> list[Text]:
    """Return what people have written down, in the order of the experiment's notes, then of the trials."""
    told = [f"note: {one_line(note.text)}" for note in record.notes]
    told += [f"note on trial {trial.number}: {one_line(note.text)}" for trial in record.trials for note in trial.notes]
    return [Text(line) for line in told]


def _outcomes(trials: Sequence[RunRecord]) -> str:
    """Return `5 complete, 2 pruned, 1 unfinished`."""
    counts = Counter(_outcome(trial) for trial in trials)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())


def _outcome(run: RunRecord) -> str:
    return "unfinished" if run.outcome is None else run.outcome.replace("_", " ")


def _trials(record: ExperimentRecord, limit: int, importance: Mapping[str, float], unit: str) -> FittedTable:
    shown = listed(record)[:limit]
    varying = _varying(record.trials)
    last = len(varying) + 1
    columns = [
        Column("trial", [str(trial.number) for trial in shown]),
        Column("outcome", [_outcome(trial) for trial in shown], justify="left"),
        Column(one_line(record.objective.metric), [number(trial.value) for trial in shown]),
        *_seeds(shown),
        Column(unit, [UNKNOWN if trial.step is None else str(trial.step) for trial in shown], rank=last),
        Column("time", [duration(trial.seconds) for trial in shown], rank=last + 1),
    ]
    names = short_names(varying)
    for rank, path in enumerate(sorted(varying, key=lambda path: -importance.get(path, 0.0)), start=1):
        cells = [shorten(plain(trial.params[path]), LONGEST_VALUE) if path in trial.params else "" for trial in shown]
        columns.append(Column(names[path], cells, rank=rank))
    reasons = ["" if trial.outcome is Outcome.COMPLETE else one_line(trial.reason or "") for trial in shown]
    if any(reasons):
        columns.append(Column("reason", reasons, rank=_BEFORE_REASON, justify="left", flexible=True))
    return FittedTable(columns, noun="column")


def _seeds(shown: Sequence[RunRecord]) -> list[Column]:
    """Return the columns of a race over seeds: on how many each was trained, and how much its value varies."""
    if not any(trial.by_seed for trial in shown):
        return []
    return [
        Column("seeds", [str(len(trial.by_seed) or 1) for trial in shown]),
        Column("sd", [number(spread(trial.by_seed)) for trial in shown]),
    ]


def _varying(trials: Sequence[RunRecord]) -> list[str]:
    """Return the parameters that do not have one and the same value in all trials, in the order of the space."""
    paths = dict.fromkeys(path for trial in trials for path in trial.params)
    first = {path: plain(trials[0].params.get(path, "")) for path in paths}
    return [path for path in paths if any(plain(trial.params.get(path, "")) != first[path] for trial in trials)]


def _more(record: ExperimentRecord, limit: int) -> Iterator[Text]:
    if len(record.trials) > limit:
        rest = listed(record)[limit:]
        yield Text(f"… and {len(rest)} more trials: {_outcomes(rest)}", "dim")


def _tracebacks(record: ExperimentRecord) -> Iterator[Text]:
    """Yield where the traceback of a trial that failed is kept."""
    failed = [trial for trial in record.trials if trial.outcome is Outcome.FAILED]
    if failed:
        more = f" (of {len(failed)} that failed)" if len(failed) > 1 else ""
        path = f"{one_line(record.folder)}/{failed[0].ended_in or failed[0].run}/{OUTPUT}"
        yield Text(f"traceback of trial {failed[0].number}{more}: {path}", "dim")


def _changes(record: ExperimentRecord, limit: int, unit: str) -> Iterator[Text]:
    """Yield a line for each trial that went on as a copy of another: when, of which, and what it changed."""
    for trial in listed(record)[:limit]:
        if trial.changes:
            yield Text(
                f"trial {trial.number}: " + "; ".join(f"{unit} {_change(each)}" for each in trial.changes), "dim"
            )


def _change(change: Change) -> str:
    donor = one_line(change.donor.rpartition("/")[2])
    changed = [
        f"{one_line(path)} {plain(change.before.get(path, UNKNOWN))} -> {plain(value)}"
        for path, value in change.params.items()
        if change.before.get(path) != value
    ]
    return f"{change.step}: " + ", ".join([f"from {donor}", *changed])


def _best(record: ExperimentRecord, unit: str) -> Iterator[RenderableType]:
    best = record.best
    if best is None:
        yield Text("no trial is complete yet")
        return
    where = f"{over_seeds(best.by_seed)}, trial {best.number} at {unit} {best.step}"
    yield Text.assemble("best: ", (number(best.value), "bold green"), where)
    yield Padding(Text(assignments(best.params)), (0, 0, 0, 2))


def _pruning(record: ExperimentRecord, unit: str) -> Iterator[Text]:
    """Yield what pruning saved, and what it risked."""
    found = pruning_of(record)
    if found is None:
        return
    every = found.trained + found.saved
    yield Text(
        f"pruning saved {found.saved} of {every} {unit}s ({found.factor:.1f}x): "
        f"{found.pruned} of {len(record.trials)} trials were stopped"
    )
    told = [each for each in found.agreements if each.correlation is not None]
    if not told:
        yield Text(f"  what it risked cannot be told from {_complete(found.complete)}", "dim")
        return
    agreed = ", ".join(f"{each.correlation:.2f} at {unit} {each.step} ({each.stopped} stopped)" for each in told)
    trials = _complete(max(each.trials for each in told))
    yield Text(f"  rank correlation with the end: {agreed}, over {trials}")


def _complete(count: int) -> str:
    return "1 complete trial" if count == 1 else f"{count} complete trials"


def _confirmation(record: ExperimentRecord) -> Iterator[RenderableType]:
    """Yield a table with a row for each test metric, which fits where a column for each would not."""
    record, metrics = scored(record)
    columns = [Column("", [one_line(metric) for metric in metrics], justify="left")]
    for group, scores in summarise(record.replicates).items():
        cells = [_mean(scores.get(metric)) for metric in metrics]
        runs = max((summary.n for summary in scores.values()), default=0)
        columns.append(Column(f"trial {group.number}, {_counted(group, runs)}", cells, justify="left"))
    for rank, (name, scores) in enumerate(summarise_baselines(record.baselines).items(), start=1):
        cells = [_mean(scores.get(metric)) for metric in metrics]
        columns.append(Column(one_line(name), cells, rank=rank, justify="left"))
    trained = [trial.seed for trial in record.trials]
    if trained == [each.seed for each in record.replicates]:  # a single training, see `hpsearch train`
        yield Text("the test split, scored with the trained weights", "bold")
    else:
        baselines = ", and the baselines" if record.baselines else ""
        yield Text(f"confirmation on {_fresh(record)}: mean ± standard deviation{baselines}", "bold")
    if metrics == [record.objective.metric]:
        yield Text(f"no test metric was reported; {one_line(metrics[0])} is what the search chose by", "yellow")
    yield FittedTable(columns)
    for each in record.replicates:
        if each.outcome is not Outcome.COMPLETE:
            reason = f" ({one_line(each.reason)})" if each.reason else ""
            run = replicate_title(each.number, each.replicate, each.fold)
            yield Text(f"{run}: {_outcome(each)}{reason}; it is not in the mean", "yellow")


def _counted(group: Confirmed, runs: int) -> str:
    """Return `5 seeds` or `10 trainings on 5 folds`."""
    if group.folds is not None:
        return f"{runs} {'training' if runs == 1 else 'trainings'} on {group.folds} folds"
    return f"{runs} {'seed' if runs == 1 else 'seeds'}"


def _fresh(record: ExperimentRecord) -> str:
    on_folds = {each.fold is not None for each in record.replicates}
    if on_folds == {True}:
        return "folds of the data"
    split = ", test split" if test_metrics(record) or not any(each.scores for each in record.replicates) else ""
    return f"fresh seeds{split}" + (", and on folds of the data" if True in on_folds else "")


def _mean(summary: Summary | None) -> str:
    if summary is None:
        return UNKNOWN
    return number(summary.mean) if summary.sd is None else f"{number(summary.mean)} ± {number(summary.sd)}"


def show_json(record: ExperimentRecord, *, health: Sequence[Finding] | None = None) -> dict[str, Any]:
    """Return `experiment`, `trials`, `best`, `pruning`, `confirm`, `notes`, `paused` and, if examined, `health`.

    Numbers that are not finite become None.
    """
    best = record.best
    shown: dict[str, Any] = finite(
        {
            "experiment": record.name,
            "trials": [_trial(trial) for trial in record.trials],
            "best": None if best is None else _fields(best, "number", "value", "step", "params"),
            "pruning": _pruning_json(record),
            "confirm": _confirm(record),
            "notes": [asdict(note) for note in record.notes],
            "paused": record.paused,
            **({} if health is None else {"health": [finding_json(finding) for finding in health]}),
        }
    )
    return shown


def _fields(run: RunRecord, *names: str) -> dict[str, Any]:
    return {name: getattr(run, name) for name in names}


def _trial(trial: RunRecord) -> dict[str, Any]:
    shown = _fields(trial, "number", "outcome", "reason", "value", "step", "params", "seed", "seconds")
    changes = [{"step": change.step, "donor": change.donor, "params": change.params} for change in trial.changes]
    if trial.by_seed:
        shown |= {"by_seed": list(trial.by_seed), "sd": spread(trial.by_seed)}
    return {**shown, "changes": changes, "notes": [asdict(note) for note in trial.notes]}


def _pruning_json(record: ExperimentRecord) -> dict[str, Any] | None:
    found = pruning_of(record)
    return None if found is None else {**asdict(found), "factor": found.factor}


def _confirm(record: ExperimentRecord) -> dict[str, Any] | None:
    if not record.replicates and not record.baselines:
        return None
    return {
        "replicates": [_replicate(replicate) for replicate in record.replicates],
        "summary": {
            str(group): {metric: asdict(summary) for metric, summary in metrics.items()}
            for group, metrics in summarise(scored(record)[0].replicates).items()
        },
        "baselines": {baseline.title: baseline.scores for baseline in record.baselines},
    }


def _replicate(replicate: RunRecord) -> dict[str, Any]:
    names = ("number", "replicate", "seed", "outcome", "reason", "value", "step", "scores", "seconds")
    return {**_fields(replicate, *names), **fold_fields(replicate)}


def finite(value: Any) -> Any:
    """Return plain data in which the numbers that JSON has no word for are None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [finite(item) for item in value]
    return value
