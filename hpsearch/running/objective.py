"""What a worker does with a job: settings -> family -> task -> the shared loop. The one place where these meet."""

import contextlib
import warnings
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.experiment.artifacts import write_heat_map
from hpsearch.experiment.by_example import write_by_example
from hpsearch.experiment.files import no_room, write_json
from hpsearch.experiment.layout import BEST, UNREAD, baseline_run
from hpsearch.families.data_watch import DataWatch
from hpsearch.families.loading import load_family
from hpsearch.jobs import BaselinesScored, Completed, Job, JobKind, JobResult, Paused, Report, Reporter, stopped
from hpsearch.places import located
from hpsearch.reads import counted_reads
from hpsearch.records import Decision, Goal, Metrics, Monitor, metric_numbers
from hpsearch.running.job_data import JobData, load_alone, sizes_of
from hpsearch.running.telling import TOLD_EVERY, PreparationStoppedError, Teller
from hpsearch.seeds import Seeds
from hpsearch.training.by_example import ByExample, MethodScores
from hpsearch.training.checkpoint import load_weights
from hpsearch.training.devices import resolve_device
from hpsearch.training.generations import newest
from hpsearch.training.loop import fit
from hpsearch.training.progress import Evaluation, FitResult, Tell
from hpsearch.training.scoring import evaluate_split, examine_split
from hpsearch.training.task import Dataset, Splits, Task, clusters_of
from hpsearch.training.team import ALONE, Team, joined
from hpsearch.workers.job_runner import resolve

MOST_EXAMPLES = 20_000
"""Test examples up to which scores by example are kept: the jackknife of N takes N times N operations."""


class _Stretch:
    """Reports what a training tells, and pauses it at the step where its settings change."""

    def __init__(self, report: Reporter, tell: Tell, end: int | None) -> None:
        self._report = report
        self.tell = tell
        self._end = end
        self._over = False

    def is_over(self) -> bool:
        """Check whether it paused the training, which goes on with other settings."""
        return self._over

    def __call__(self, evaluation: Evaluation) -> Decision:
        decision = self._report(as_report(evaluation))
        reached = self._end is not None and evaluation.step >= self._end and not evaluation.final
        self._over = reached and decision is Decision.CONTINUE
        return Decision.PAUSE if self._over else decision


class FamilyObjective:
    """Trains jobs of one family; keeps the data of the last configuration's `data` section from job to job."""

    def __init__(
        self,
        *,
        folder: str,
        family: str,
        family_folder: str,
        metric: str,
        goal: str,
        at_best: bool,
        threads: int,
        share: str | None,
        pauses_unheard: bool = False,
        processes: int = 1,
        data: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        told_every: float = TOLD_EVERY,
    ) -> None:
        torch.set_num_threads(threads)
        self._folder = Path(folder)
        self._home = Path(family_folder)
        self._family = load_family(family, self._home)
        self._monitor = Monitor(metric, Goal(goal))
        self._at_best = at_best
        self._pauses_unheard = pauses_unheard
        self._processes = processes
        self._told_every = told_every
        self._data = JobData(
            self._family,
            name=f"{family_folder}:{family}",
            watch=DataWatch(self._family, self._home, data),
            share=resolve(share) if share else load_alone,
        )

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        """Train a trial; or train and score a replicate on the test split; or score the baselines.

        Of a training's several processes rank 0 speaks for all; the others only train.
        """
        configs = [self._settings(config) for _, config in job.stretches]
        teller = Teller(report, self._folder / job.run)
        with counted_reads(configs) as reads, self._team(configs[0]) as team, contextlib.closing(teller):
            try:
                result = self._run(job, configs, team, report, started, teller)
            except PreparationStoppedError:
                return Paused()
        unread = reads.unread(job.params)
        if unread and isinstance(result, Completed) and team.leads:
            write_json(self._folder / job.run / UNREAD, {"unread": unread})
        return result

    def _settings(self, config: Mapping[str, Any]) -> Any:
        if self._pauses_unheard:
            config = {**config, "train": {**config.get("train", {}), "checkpoint_seconds": 0.0}}
        return located(self._family.Config.model_validate(config), self._home)

    def _team(self, config: Any) -> contextlib.AbstractContextManager[Team]:
        return joined(config.train.device) if self._processes > 1 else contextlib.nullcontext(ALONE)

    def _run(
        self,
        job: Job,
        configs: Sequence[Any],
        team: Team,
        report: Reporter,
        started: Callable[[], None],
        teller: Teller,
    ) -> JobResult:
        splits = self._data.of(configs[0], job).view(sealed=job.kind is JobKind.TRIAL)
        if job.kind is JobKind.BASELINES:
            if not team.leads:
                return BaselinesScored()
            with teller.preparing(stops=False):
                found = self._baselines(job, configs[0], splits)
                data = self._data.noted(splits, "train", "val", "test")
            return BaselinesScored(scores=found, sizes=sizes_of(splits), data=data)
        ends = [change.step for change in job.changes]
        number = team.led(lambda: bisect_right(ends, newest(self._folder / job.run, job.seeds).step if ends else 0))
        with teller.preparing(stops=True) if team.size == 1 else contextlib.nullcontext():
            task = self._family.task(configs[number], splits)
            data = self._data.noted(splits, "train", "val")
        started()  # loading is not training: it is done before the run's time counts
        while True:
            stretch = _Stretch(report, teller, ends[number] if number < len(ends) else None)
            result = self._fit(job, task, splits, configs[max(number - 1, 0) : number + 1], stretch, team)
            if not team.led(stretch.is_over):
                break
            number += 1
            task = self._family.task(configs[number], splits)
        return self._ending(job, task, splits, configs[number], result, data, leads=team.leads)

    def _ending(
        self,
        job: Job,
        task: Task,
        splits: Splits,
        config: Any,
        result: FitResult,
        data: Mapping[str, Any],
        *,
        leads: bool = True,
    ) -> JobResult:
        """Return how a job ended whose training ended so; a replicate is scored on the test split."""
        if result.decision is not Decision.CONTINUE:
            return stopped(result.decision, seconds=result.seconds, data=data)
        scores: Metrics = {}
        sizes: Mapping[str, int] = {}
        if leads:
            if self._at_best:
                _load_best(result, self._folder / job.run / BEST)
            self._write_artifacts(task, job, result.model)
            if job.kind is JobKind.REPLICATE:
                data = self._data.noted(splits, "train", "val", "test")
                scores = self._test_scores(task, splits, config, result.model)
                self._write_by_example(job, task, splits, config, result.model, scores)
                sizes = sizes_of(splits)
        reason = "stopped early: no further gain" if result.stopped_early else None
        return Completed(reason, seconds=result.seconds, scores=scores, sizes=sizes, data=data)

    def _fit(
        self, job: Job, task: Task, splits: Splits, configs: Sequence[Any], stretch: _Stretch, team: Team
    ) -> FitResult:
        """Train a stretch of a job with the last of the configurations; its checkpoint may be of the one before."""
        config = configs[-1]
        return fit(
            task,
            splits,
            config.train,
            seeds=Seeds(**job.seeds),
            monitor=self._monitor,
            report=stretch,
            folder=self._folder / job.run,
            device=config.train.device,
            before=configs[0].train if len(configs) > 1 else None,
            team=team,
            tell=stretch.tell,
            look_every=self._told_every,
        )

    def _write_artifacts(self, task: Task, job: Job, model: nn.Module) -> None:
        """Write what the family shows of the trained model, which has the weights that the objective's rule chose.

        What cannot be shown does not take a finished training with it: that is a warning in the run's output.
        """
        try:
            with torch.no_grad():
                artifacts = task.artifacts(model.eval())
            if artifacts:
                from hpsearch.report.charts.training import heat_map_png

            for name, heat_map in artifacts.items():
                write_heat_map(self._folder / job.run, name, heat_map, picture=heat_map_png(heat_map))
        except Exception as error:
            if no_room(error):
                raise
            warnings.warn(f"no artifacts: {type(error).__name__}: {error}", stacklevel=2)

    def _test_scores(self, task: Task, splits: Splits, config: Any, model: nn.Module) -> dict[str, float]:
        """Score a model on the test split."""
        device = resolve_device(config.train.device)
        scores = evaluate_split(
            task,
            splits,
            "test",
            model.to(device),
            batch_size=config.train.batch_size,
            device=device,
            precision=config.train.precision,
        )
        return {f"test/{name}": value for name, value in scores.items()}

    def _write_by_example(
        self, job: Job, task: Task, splits: Splits, config: Any, model: nn.Module, scores: Metrics
    ) -> None:
        """Write the test scores by example where the family can tell them; what it cannot tell fails no training."""
        data, device = splits["test"], resolve_device(config.train.device)
        if not 1 < len(data) <= MOST_EXAMPLES:
            return
        try:
            found = examine_split(
                task.by_example,
                data,
                model,
                batch_size=config.train.batch_size,
                device=device,
                precision=config.train.precision,
            )
            if found:
                self._keep_by_example(job.run, found, scores, data)
        except Exception as error:
            if no_room(error):
                raise
            warnings.warn(f"no scores by example: {type(error).__name__}: {error}", stacklevel=2)

    def _keep_by_example(self, run: str, found: ByExample, scores: Metrics, data: Dataset) -> None:
        """Write those of a run's scores by example that are among its test scores, with the clusters of its examples.

        Raises:
            ValueError: The data have clusters of another number of examples.
        """
        clusters = found.clusters if found.clusters is not None else clusters_of(data)
        if clusters is not None and len(clusters) != found.examples:
            raise ValueError(f"the data tell the clusters of {len(clusters)} examples, and there are {found.examples}")
        values = {f"test/{name}": own.tolist() for name, own in found.pseudo_values().items()}
        known = {name: own for name, own in values.items() if name in scores}
        if known:
            folder = self._folder / run
            folder.mkdir(parents=True, exist_ok=True)
            write_by_example(folder, known, None if clusters is None else clusters.tolist())

    def _baseline_by_example(self, job: Job, method: str, scores: Mapping[str, float], data: Dataset) -> None:
        """Keep a method's test scores by example where it tells them; what it cannot tell costs no scores."""
        if not isinstance(scores, MethodScores) or not 1 < len(data) <= MOST_EXAMPLES:
            return
        try:
            told = {f"test/{name}": value for name, value in scores.items()}
            self._keep_by_example(baseline_run(job.run, method), scores.by_example(), told, data)
        except Exception as error:
            if no_room(error):
                raise
            warnings.warn(f"no scores by example of {method}: {type(error).__name__}: {error}", stacklevel=2)

    def _baselines(self, job: Job, config: Any, splits: Splits) -> dict[str, dict[str, Metrics]]:
        """Return the metrics of every method on each split; of the test split also by example, into their folders."""
        found: dict[str, dict[str, Metrics]] = {}
        for split in ("val", "test"):
            for method, scores in self._family.baselines(config, splits, split).items():
                if not str(method).strip():
                    raise ValueError("a method that the family's baselines scored has no name")
                own = found.setdefault(str(method), {})
                own[split] = metric_numbers(scores)
                if split == "test":
                    self._baseline_by_example(job, str(method), scores, splits["test"])
        return found


def _load_best(result: FitResult, path: Path) -> None:
    """Put the weights of its best step into the model of a training that has ended.

    Raises:
        HpsearchError: They are damaged, or of another step: the value would not be theirs.
    """
    found = load_weights(result.model, path)
    if (found["step"], found["value"]) != (result.best_step, result.best_value):
        raise HpsearchError(
            f"{path} holds the weights of step {found['step']} with {found['metric']} {found['value']}, and the best "
            f"step was {result.best_step} with {result.best_value}"
        )


def as_report(evaluation: Evaluation) -> Report:
    """Return an evaluation as the coordinator is told of it."""
    metrics: Mapping[str, float] = {name: float(value) for name, value in evaluation.metrics.items()}
    return Report(evaluation.step, metrics, evaluation.seconds, final=evaluation.final)
