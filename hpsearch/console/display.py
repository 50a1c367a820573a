"""A session as somebody at a terminal sees it: its progress while it runs, and at its end what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

from rich.console import Console

from hpsearch.cleaning import terminal
from hpsearch.console.progress import make_progress
from hpsearch.console.search_state import SearchTarget
from hpsearch.console.watching import HealthMonitor
from hpsearch.experiment.activity import last_sign
from hpsearch.experiment.events import HealthNotice, TextNotice
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.extras import Extra, install, missing
from hpsearch.families.function.function import Function
from hpsearch.running.earlier import step_unit, training_length
from hpsearch.running.mirroring import trackers
from hpsearch.running.runner import COMMAND, RunOptions
from hpsearch.running.session import SessionResult
from hpsearch.space import Space
from hpsearch.space.checks import no_test_split
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.engines import Cluster
from hpsearch.workers.local.workers import worker_shares


@dataclass(frozen=True)
class ConsoleOptions:
    """How a session is run and shown, as the command line's flags say."""

    in_process: bool = False
    cluster: Cluster = field(default_factory=Cluster)
    confirm: bool = True
    mlflow: bool = True
    tracking_uri: str | None = None
    quiet: bool = False
    track: str = "mlflow"

    @property
    def trackers(self) -> str:
        """The names in `track`, without MLflow if that is not wanted."""
        return ",".join(name for name in self.track.split(",") if self.mlflow or name.strip() != "mlflow")


def installed_trackers(options: ConsoleOptions) -> ConsoleOptions:
    """Return the options without MLflow where that was not asked for by name and is not installed, after saying so."""
    if options.trackers != "mlflow" or options.tracking_uri is not None or not missing(Extra.MLFLOW):
        return options
    if not options.quiet:
        Console(stderr=True).print(NO_MLFLOW, markup=False, highlight=False, soft_wrap=True)
    return replace(options, mlflow=False)


NO_MLFLOW = (
    "MLflow is not installed: the experiment's folder has everything, and `hpsearch sync` catches up later "
    f"({install(Extra.MLFLOW)})"
)


@contextmanager
def watched(space: Space, folder: Path, shown: ConsoleOptions) -> Iterator[RunOptions]:
    """Show a session on standard error while it runs.

        with watched(space, folder, shown) as options:
            result = run(space, folder=folder, options=options)

    Yields:
        How to run the session: its observers are the display and the health monitor, and its trackers tell them what
        they cannot write.
    """
    console = Console(stderr=True)
    with make_progress(_target(space, folder, shown), console=console, quiet=shown.quiet) as progress:

        def warn(text: str) -> None:
            if shown.quiet:
                console.print(terminal(text), markup=False)
            progress.observe(TextNotice(text))

        monitor = HealthMonitor(
            folder,
            metric=space.objective.metric,
            goal=space.objective.goal,
            unit=step_unit(space),
            tell=lambda text: progress.observe(HealthNotice(text)),
        )
        yield RunOptions(
            in_process=shown.in_process,
            cluster=shown.cluster,
            confirm=shown.confirm,
            make_tracker=trackers(shown.trackers, shown.tracking_uri, warn),
            opened=progress.resume,
            observers=(progress, monitor),
        )


def show_next_steps(result: SessionResult, space: Space, shown: ConsoleOptions, *, single: bool = False) -> None:
    """Print what the user may want to know or do next on standard error; `single` for one configuration's training."""
    console = Console(stderr=True)
    lines = _next_steps(result, space, single=single, trackers=shown.trackers)
    if not shown.quiet:
        own = space.family == COMMAND or isinstance(space.interface, Function)
        confirmed = not single and no_test_split(space) is None
        lines += _whereabouts(result, exported=not own, confirmed=confirmed)
    if lines:  # at once: in a notebook each print is an output of its own
        console.print("\n".join(map(terminal, lines)), markup=False, highlight=False, soft_wrap=True)


def _target(space: Space, folder: Path, shown: ConsoleOptions) -> SearchTarget:
    confirm = space.confirm if shown.confirm else None
    unit = step_unit(space)
    replicates = confirm.top * confirm.count if confirm else None
    jobs = max(space.search.trials, replicates or 1)
    workers = len(worker_shares(space.search, jobs=jobs)) if space.search.engine == "local" else None
    return SearchTarget(
        metric=space.objective.metric,
        goal=space.objective.goal,
        budget=space.search.trials,
        title=folder.name,
        unit=unit,
        length=lambda params: training_length(space, params, unit),
        replicates=replicates,
        workers=1 if shown.in_process else workers,
        time=space.search.time,
        last_sign=lambda run: last_sign(folder / run),
        most_seeds=space.search.seeds.race.most if space.search.seeds else 0,
    )


def _next_steps(result: SessionResult, space: Space, *, single: bool, trackers: str) -> list[str]:
    lines, folder = [], Path(result.record.folder)
    if result.why is StopReason.INTERRUPTED:
        lines.append("Interrupted; nothing that was finished is lost. The same command goes on from here.")
    elif result.why is StopReason.TIME:
        unfinished = sum(trial.outcome is None for trial in result.record.trials)
        lines.append(f"The time is used up ({unfinished} trials unfinished); a larger --time goes on from here.")
    elif result.exhausted:
        lines.append("Every configuration of the space has been tried.")
    elif not result.worked and single:
        lines.append(f"{folder.name} is trained: nothing was left to do. --name NAME trains once more, elsewhere.")
    elif not result.worked:
        more = 2 * max(space.search.trials, len(result.record.trials))
        lines.append(
            f"{folder.name} is finished: nothing was left to do. "
            f"--trials {more} extends it, --name NAME starts another experiment."
        )
    if not result.mirrored:
        what, to = ("MLflow", "") if trackers == "mlflow" else (trackers, f" --to {trackers}")
        lines.append(f"{what} is behind; `hpsearch sync {folder}{to}` catches up.")
    return lines


def _whereabouts(result: SessionResult, *, exported: bool, confirmed: bool) -> list[str]:
    """Say where everything is, and the two commands that most want next.

    `exported` and `confirmed` say whether a winner can be.
    """
    record, folder = result.record, Path(result.record.folder)
    kept = folder.parent.resolve() == EXPERIMENTS.resolve()
    name = quote(folder.name if kept else str(folder))
    commands = {each: f"hpsearch {each} {name}" for each in ("show", "watch", "doctor", "confirm", "compare")}
    commands["export"] = f"hpsearch export {name} models/{quote(folder.name)} --to model"
    if result.why is StopReason.INTERRUPTED:
        chosen: tuple[str, ...] = ("show",)
    elif record.best is None:
        chosen = ("show", "doctor")
    elif not record.replicates and confirmed:
        chosen = ("show", "confirm")
    else:
        chosen = ("compare" if record.replicates else "show", "export" if exported else "watch")
    return [f"Everything is in {folder}. Next:", *(f"  {commands[each]}" for each in chosen)]
