"""A session as somebody at a terminal sees it: progress while it runs, the result at its end, and what to do next."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from hpsearch.console.progress import Aim, make_progress
from hpsearch.console.watching import HealthMonitor, digested
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Event, read_log
from hpsearch.report.json_view import show_json
from hpsearch.report.terminal import show_experiment
from hpsearch.running.runner import Finished, Options, trackers
from hpsearch.running.session import step_unit
from hpsearch.space import Space
from hpsearch.workers.bench import Cluster
from hpsearch.workers.coordinator import Why
from hpsearch.workers.local.workers import worker_shares

INTERRUPTED = 130


@dataclass(frozen=True)
class Manner:
    """How a session is run and shown, as the command line's flags say."""

    in_process: bool = False
    cluster: Cluster = field(default_factory=Cluster)
    confirm: bool = True
    mlflow: bool = True
    tracking_uri: str | None = None
    quiet: bool = False
    as_json: bool = False
    track: str = "mlflow"
    single: bool = False
    """Whether one configuration is trained, not a search."""

    @property
    def trackers(self) -> str:
        """The names in `track`, without MLflow where that is not wanted."""
        return ",".join(name for name in self.track.split(",") if self.mlflow or name.strip() != "mlflow")


class _Work:
    """Counts what was begun, to tell a session that worked from one that found everything done."""

    begun = 0

    def observe(self, event: Event) -> None:
        self.begun += event["event"] == "begin"


def displayed(call: Callable[[Options], Finished], space: Space, folder: Path, manner: Manner) -> int:
    """Run a session under a display, print its result and return the exit status. Errors: those of `call`."""
    finished = attended(call, space, folder, manner)
    if manner.as_json:
        text = json.dumps({**show_json(finished.record), "why": finished.why.value}, indent=2)
        sys.stdout.write(text + "\n")
    else:
        Console().print(show_experiment(finished.record, health=digested(finished.record)))
    return INTERRUPTED if finished.why is Why.INTERRUPTED else 0


def attended(
    call: Callable[[Options], Finished], space: Space, folder: Path, manner: Manner, *, hints: bool = True
) -> Finished:
    """Run a session under a display on standard error, with `hints` at its end if wanted. Errors: those of `call`."""
    console, work = Console(stderr=True), _Work()
    earlier = list(read_log(folder / LOG))
    with make_progress(_aim(space, folder, manner), console=console, earlier=earlier, quiet=manner.quiet) as progress:

        def warn(text: str) -> None:
            if manner.quiet:
                console.print(text, markup=False)
            progress.observe({"event": "note", "text": text})

        monitor = HealthMonitor(
            folder,
            metric=space.objective.metric,
            goal=space.objective.goal,
            unit=step_unit(space),
            tell=lambda text: progress.observe({"event": "health", "text": text}),
        )
        options = Options(
            in_process=manner.in_process,
            cluster=manner.cluster,
            confirm=manner.confirm,
            make_tracker=trackers(manner.trackers, manner.tracking_uri, warn),
            observers=(progress, work, monitor),
        )
        finished = call(options)
    lines = _hints(finished, space, folder, worked=work.begun > 0, single=manner.single, trackers=manner.trackers)
    for line in lines if hints else ():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return finished


def _aim(space: Space, folder: Path, manner: Manner) -> Aim:
    confirm = space.confirm if manner.confirm else None
    unit = step_unit(space)
    replicates = confirm.top * confirm.count if confirm else None
    jobs = max(space.search.trials, replicates or 1)
    workers = len(worker_shares(space.search, jobs=jobs)) if space.search.engine == "optuna" else None
    return Aim(
        metric=space.objective.metric,
        goal=space.objective.goal,
        budget=space.search.trials,
        title=folder.name,
        unit=unit,
        length=lambda params: _length(space, params, unit),
        replicates=replicates,
        workers=1 if manner.in_process else workers,
        time=space.search.time,
    )


def _length(space: Space, params: Mapping[str, Any], unit: str) -> int | None:
    """Return the epochs of a configuration's training; steps are not known before the data are loaded."""
    train = getattr(space.config(params), "train", None) if unit == "epoch" else None
    return getattr(train, "epochs", None)


def _hints(finished: Finished, space: Space, folder: Path, *, worked: bool, single: bool, trackers: str) -> list[str]:
    """Return what the user may want to know or do next."""
    lines = []
    if finished.why is Why.INTERRUPTED:
        lines.append("Interrupted; nothing that was finished is lost. The same command goes on from here.")
    elif finished.why is Why.TIME:
        unfinished = sum(trial.outcome is None for trial in finished.record.trials)
        lines.append(f"The time is used up ({unfinished} trials unfinished); a larger --time goes on from here.")
    elif finished.exhausted:
        lines.append("Every configuration of the space has been tried.")
    elif not worked and single:
        lines.append(f"{folder.name} is trained: nothing was left to do. --name NAME trains once more, elsewhere.")
    elif not worked:
        more = 2 * max(space.search.trials, len(finished.record.trials))
        lines.append(
            f"{folder.name} is finished: nothing was left to do. "
            f"--trials {more} extends it, --name NAME starts another experiment."
        )
    if not finished.mirrored:
        what, to = ("MLflow", "") if trackers == "mlflow" else (trackers, f" --to {trackers}")
        lines.append(f"{what} is behind; `hpsearch sync {folder}{to}` catches up.")
    return lines
