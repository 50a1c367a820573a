"""An engine: a brain that says what to try, a coordinator, and the workers that the space asks for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from hpsearch.experiment.log import Event
from hpsearch.jobs import Job, JobSource
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.population import Population
from hpsearch.search.sources import JobList, MakeJob, TrialSource
from hpsearch.space import objective_value
from hpsearch.space.pruner_options import PB2, PBT
from hpsearch.workers.coordinator import Coordinator, Limits, StopReason
from hpsearch.workers.engines import EngineContext, open_workers
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.progress import confirm_seconds, without_mistakes


class Engine:
    """Searches and trains; a context manager, so that its workers serve all it does."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._workers = open_workers(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()

    def search(
        self,
        make_job: MakeJob,
        *,
        events: Sequence[Event],
        fitting: Mapping[str, int],
        asked: int,
        unfinished: Iterable[Job],
        longest: int | None,
    ) -> tuple[StopReason, bool]:
        """Run the search up to its budget; return why it ended, and whether the space was exhausted.

        `events` are those of earlier sessions, with parameters as the space has them now; `fitting` maps the runs in
        them that fit the space to their numbers; `asked` is the next number; `unfinished` are the jobs to be taken up
        again; `longest` is how many evaluations the longest training has, if known.
        Errors: SearchFailedError.
        """
        settings, events = self._context.space.search, list(without_mistakes(events))
        brain = OptunaSearch(self._context.space, longest=longest)
        brain.replay(events, runs=fitting)
        trials = TrialSource(brain, make_job, budget=settings.trials, asked=asked)
        source: TrialSource | Population = trials
        if isinstance(settings.pruner, PBT | PB2):
            source = Population(trials, self._context.space, settings.pruner)
            source.replay(events, runs=fitting, unfinished=unfinished)
        else:
            trials.resume(unfinished)
        time = None if settings.time is None else settings.time + confirm_seconds(self._context.log.events)
        limits = Limits(time=time, trial_time=settings.trial_time, retries=settings.retries)
        return self._run(source, limits), trials.exhausted

    def train(self, jobs: Sequence[Job]) -> StopReason:
        """Train jobs that were decided on beforehand to their ends; no budget of the search applies to them."""
        return self._run(JobList(jobs), Limits(retries=self._context.space.search.retries))

    def _run(self, source: JobSource, limits: Limits) -> StopReason:
        context, objective = self._context, self._context.space.objective
        ledger = Ledger(
            context.folder,
            context.log,
            metric=objective.metric,
            value_of=lambda history: objective_value(history, objective),
            observers=context.observers,
        )
        return Coordinator(ledger, self._workers, limits).run(source)
