"""What an overview of experiments, studies and runs of other tools says of each: a row in every format."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from hpsearch.comparing.candidates import family_label
from hpsearch.records import ExperimentRecord, Goal, Outcome
from hpsearch.report.experiment_view import finite
from hpsearch.report.replicates import group_of
from hpsearch.report.wording import UNKNOWN, duration, number


@dataclass(frozen=True)
class Best:
    """The best complete trial of a search."""

    trial: int
    value: float
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Confirmation:
    """The replicates of a trial that have ended: on seeds, or on `folds`; `mean` and `sd` of their scores."""

    trial: int
    metric: str
    n: int
    folds: int | None
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Entry:
    """An experiment, a study, an arm of one or runs of another tool. `kind` says which; `study` is an arm's.

    Times are Unix seconds; `trial_seconds` and `confirmation_seconds` are training time. `outcomes` counts trials, of
    other tools all runs. `reader` says which tool wrote it.
    """

    name: str
    kind: str
    place: str
    reader: str
    family: str | None
    metric: str | None
    goal: Goal | None
    state: str | None
    outcomes: Mapping[str, int]
    best: Best | None = None
    confirmations: Sequence[Confirmation] = ()
    trial_seconds: float | None = None
    confirmation_seconds: float | None = None
    started: float | None = None
    last: float | None = None
    study: str | None = None
    groups: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the overview."""
        shown: dict[str, Any] = finite(
            {
                **{name: getattr(self, name) for name in ("name", "kind", "study", "place", "reader", "family")},
                "objective": None if self.metric is None else {"metric": self.metric, "goal": self.goal},
                "state": self.state,
                "trials": {"n": sum(self.outcomes.values()), "outcomes": dict(self.outcomes)},
                "best": None if self.best is None else asdict(self.best),
                "confirmation": [asdict(each) for each in self.confirmations],
                "seconds": {"trials": self.trial_seconds, "confirmation": self.confirmation_seconds},
                "started": moment(self.started, seconds=True),
                "last_activity": moment(self.last, seconds=True),
                "groups": list(self.groups),
            }
        )
        return shown


def experiment_entry(
    record: ExperimentRecord,
    *,
    name: str,
    tested: str | None,
    state: str,
    started: float | None,
    last: float | None,
    study: str | None = None,
) -> Entry:
    """Return the entry of an experiment, or of an arm; `tested` is the metric of its replicates."""
    best = record.best
    return Entry(
        name=name,
        kind="experiment" if study is None else "arm",
        place=record.folder,
        reader="hpsearch",
        family=record.family,
        metric=record.objective.metric,
        goal=record.objective.goal,
        state=state,
        outcomes=outcomes_of(record),
        best=None if best is None or best.value is None else Best(best.number, best.value, best.params),
        confirmations=_confirmations(record, tested),
        trial_seconds=math.fsum(trial.seconds for trial in record.trials) + record.rerun_seconds,
        confirmation_seconds=math.fsum(each.seconds for each in record.replicates),
        started=started,
        last=last,
        study=study,
    )


def outcomes_of(record: ExperimentRecord) -> dict[str, int]:
    """Return the trials by outcome, the complete ones first; those without an end are unfinished."""
    counts = Counter("unfinished" if trial.outcome is None else str(trial.outcome) for trial in record.trials)
    return dict(sorted(counts.items(), key=lambda item: (item[0] != Outcome.COMPLETE, item[0])))


def _confirmations(record: ExperimentRecord, metric: str | None) -> tuple[Confirmation, ...]:
    values: dict[tuple[int, int | None], list[float]] = {}
    for each in record.replicates:
        value = each.value if metric == record.objective.metric else each.scores.get(metric or "")
        if each.outcome is Outcome.COMPLETE and value is not None and math.isfinite(value):
            values.setdefault(group_of(each), []).append(value)
    return tuple(
        Confirmation(trial, metric or "", len(found), folds, statistics.fmean(found), _spread(found))
        for (trial, folds), found in values.items()
    )


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


OVERVIEW_TITLES = (
    *("experiment", "family", "objective", "state", "trials", "best", "confirmation"),
    *("trained for", "confirmed for", "begun (UTC)", "last activity (UTC)"),
)


def overview_rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return a row for each entry, with the titles OVERVIEW_TITLES."""
    return [_row(each) for each in entries]


def _row(each: Entry) -> tuple[str, ...]:
    objective = UNKNOWN if each.metric is None else f"{each.metric}{f', {each.goal}' if each.goal else ''}"
    return (
        title_of(each),
        family_label(each.family) if each.family else f"({each.reader})" if each.kind == "runs" else UNKNOWN,
        objective,
        each.state or UNKNOWN,
        counted(each.outcomes) or "none",
        UNKNOWN if each.best is None else f"{number(each.best.value)} (trial {each.best.trial})",
        "; ".join(map(_confirmation, each.confirmations)) or UNKNOWN,
        duration(each.trial_seconds),
        duration(each.confirmation_seconds),
        moment(each.started) or UNKNOWN,
        moment(each.last) or UNKNOWN,
    )


def counted(outcomes: Mapping[str, int]) -> str:
    """Return `5 complete, 1 out of memory`."""
    return ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in outcomes.items())


def title_of(each: Entry) -> str:
    """Return its name in the overview: `study duel` and `duel/arm` for its arms."""
    if each.kind == "study":
        return f"study {each.name}"
    return each.name if each.study is None else f"{each.study}/{each.name.rpartition('/')[2]}"


def _confirmation(each: Confirmation) -> str:
    spread = "" if each.sd is None else f" ± {number(each.sd)}"
    runs = f"{each.n} seed{'s' if each.n > 1 else ''}" if each.folds is None else f"{each.n} on {each.folds} folds"
    return f"{each.metric} {number(each.mean)}{spread} ({runs})"


def moment(time: float | None, *, seconds: bool = False) -> str | None:
    """Return a time of the calendar in UTC: `2026-11-27 04:35`, or with `seconds` as ISO 8601 has it."""
    if time is None:
        return None
    at = datetime.fromtimestamp(time, tz=UTC)
    return at.isoformat(timespec="seconds") if seconds else at.strftime("%Y-%m-%d %H:%M")
