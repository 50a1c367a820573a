"""An experiment in Python or a notebook: `hpsearch.open("experiments/deepsif").plot_history()`."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.api.arguments import StrPath, find_experiment
from hpsearch.cleaning import page
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import replicate_run, trial_run
from hpsearch.experiment.reading import read_experiment, read_metrics, read_resolved, written_range
from hpsearch.records import ExperimentRecord, RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from hpsearch.health import Finding
    from hpsearch.running.session import SessionResult


def open_experiment(experiment: StrPath, *, session: "SessionResult | None" = None) -> "OpenedExperiment":
    """Return an experiment as it is now; open it again to see what a running one has done since.

    Nothing of the experiment is run, and neither torch nor MLflow is needed.

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        session: How the session that has just ended went.

    Raises:
        ExperimentError: The folder is not an experiment, or is damaged.
    """
    folder = find_experiment(experiment).resolve()
    if session is None:
        record = read_experiment(folder)
    else:  # it has just read all that there is
        record = replace(session.record, name=folder.name, folder=str(folder))
    return OpenedExperiment(folder, record, read_resolved(folder), session)


class OpenedExperiment:
    """A finished or running experiment with its tables and figures. It is a path, too: that of its folder.

    Attributes:
        folder: Where it is kept.
        record: Everything that its log tells.
        session: How the session that returned it ended, or None if it was only opened.
    """

    def __init__(
        self, folder: Path, record: ExperimentRecord, resolved: dict[str, Any], session: "SessionResult | None" = None
    ) -> None:
        self.folder = folder
        self.record = record
        self.session = session
        self._space: dict[str, Any] = resolved["space"]

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"<experiment {self.name}: {self._summary()}>"

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.record.name

    @property
    def best(self) -> RunRecord | None:
        """The complete trial with the best value."""
        return self.record.best

    @cached_property
    def trials(self) -> "DataFrame":
        """A row for each trial; parameters are columns `params.<name>`."""
        from hpsearch.report.tables import trials_frame

        return trials_frame(self.record)

    @cached_property
    def replicates(self) -> "DataFrame":
        """A row for each replicate of the confirmation, with its test scores."""
        from hpsearch.report.tables import replicates_frame

        return replicates_frame(self.record)

    @cached_property
    def importance(self) -> dict[str, float]:
        """Each parameter's share in what tells good trials from the rest; empty with fewer than 10 complete trials."""
        from hpsearch.search.importance import importance

        return importance(self.record, self._space)

    @cached_property
    def health(self) -> "list[Finding]":
        """What is wrong with the trials, the worst first, and which settings to change."""
        from hpsearch.console.watching import examined

        return examined(self.record)

    def metrics(self, number: int, *, replicate: int | None = None) -> "DataFrame":
        """Return every metric of a trial, or of a replicate of it, at every step.

        Raises:
            HpsearchError: if there is no such run.
        """
        import pandas as pd

        kept = {
            (each.number, each.replicate): each.run for each in (*self.record.replicates[::-1], *self.record.trials)
        }
        run = kept.get((number, replicate))  # of seeds and folds the seeds: they come first
        if run is None:
            run = trial_run(number) if replicate is None else replicate_run(number, replicate)
            raise HpsearchError(f"{self.name} has no {run}; it has {len(self.record.trials)} trials")
        return pd.DataFrame(read_metrics(self.folder, run))

    def plot_history(self) -> "Figure":
        """Return the trials' values in their order, with the best so far."""
        from hpsearch.report.charts.experiment import draw_history, prepare_history

        return draw_history(prepare_history(self.record))

    def plot_learning_curves(self) -> "Figure":
        """Return the searched metric of every trial, step by step; a ring marks a complete trial's best step."""
        from hpsearch.report.charts.experiment import draw_learning_curves, prepare_learning_curves

        return draw_learning_curves(prepare_learning_curves(self.record))

    def plot_importance(self) -> "Figure":
        """Return each parameter's share in what tells good trials from the rest."""
        from hpsearch.report.charts.experiment import draw_importance, prepare_importance

        return draw_importance(prepare_importance(self.importance, self.record.objective.metric))

    def plot_slices(self) -> "Figure":
        """Return a panel for each parameter, the most important ones first, with the values of the complete trials."""
        from hpsearch.report.charts.experiment import draw_slices, prepare_slices

        paths = dict.fromkeys(path for trial in self.record.trials for path in trial.params)
        ranges = {path: written_range(path, self._space) for path in paths}
        return draw_slices(prepare_slices(self.record, order=self.importance, ranges=ranges))

    def plot_replicates(self) -> "Figure":
        """Return the test scores of the confirmation and of the baselines."""
        from hpsearch.report.charts.experiment import draw_replicates, prepare_replicates

        return draw_replicates(prepare_replicates(self.record))

    def _summary(self) -> str:
        complete = len(self.record.ranked)
        return f"{len(self.record.trials)} trials, {complete} complete, {self._best()}"

    def _best(self) -> str:
        from hpsearch.report.wording import assignments, number, over_seeds

        if self.best is None:
            return "none the best yet"
        value = f"{self.record.objective.metric} {number(self.best.value)}{over_seeds(self.best.by_seed)}"
        return f"best {value} in trial {self.best.number} ({assignments(self.best.params)})"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook; every name and value is escaped."""
        lines = [
            f"<strong>{page(self.name)}</strong> ({page(self.record.family)})",
            page(self._summary()),
            *(f"warning: {page(warning)}" for warning in self.record.warnings),
        ]
        ranked = [trial.number for trial in self.record.ranked]
        table = self.trials.set_index("number").loc[ranked].dropna(axis="columns", how="all")
        shown = table.head(10).to_html(escape=True, border=0)
        return "<div>" + "".join(f"<p>{line}</p>" for line in lines) + (shown if ranked else "") + "</div>"
