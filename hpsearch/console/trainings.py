"""Trainings as their events tell them, and what many of them come to, kept up to date by every event."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hpsearch.cleaning import one_line
from hpsearch.experiment.state import RunState
from hpsearch.records import Goal, Metrics, Outcome, Params
from hpsearch.report.wording import replicate_title


@dataclass
class Training:
    """A trial or a replicate as its events tell it."""

    told: RunState
    heard: float
    """When `seconds` was true, on the observer's clock."""

    @property
    def run(self) -> str:
        """The run's name."""
        return self.told.run

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.told.number

    @property
    def replicate(self) -> int | None:
        """Which replicate it is, or None for a trial."""
        return self.told.replicate

    @property
    def is_rerun(self) -> bool:
        """Whether it is a trial's configuration on a further seed."""
        return self.told.rerun is not None

    @property
    def params(self) -> Params:
        """The newest parameters."""
        return self.told.params

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, if it did."""
        return self.told.outcome

    @property
    def reason(self) -> str | None:
        """Why it ended so, in one line."""
        return None if self.told.reason is None else one_line(self.told.reason)

    @property
    def scores(self) -> Metrics:
        """The test scores of a replicate."""
        return self.told.scores

    @property
    def step(self) -> int | None:
        """The last step while it runs, and then the step of the objective."""
        return self.told.last[0] if self.outcome is None else self.told.step

    @property
    def score(self) -> float | None:
        """The metric at `step` while it runs, and then the objective."""
        return self.told.last[1] if self.outcome is None else self.told.value

    @property
    def by_seed(self) -> tuple[float, ...]:
        """The objective on each seed, of a trial that was trained on several."""
        return tuple(self.told.by_seed.values()) if self.told.further else ()

    @property
    def standing(self) -> float | None:
        """The value for ranking: the objective, or its mean over seeds. None if the training cannot win."""
        out = self.outcome is not Outcome.COMPLETE or self.is_rerun or self.told.fallen is not None
        return None if out else self.told.mean

    @property
    def seconds(self) -> float:
        """Seconds of training, by the last event that has them."""
        return self.told.seconds

    @property
    def title(self) -> str:
        """The run's name in a sentence."""
        if self.is_rerun:
            return f"trial {self.number}, seed {self.told.rerun}"
        if self.replicate is None:
            return f"trial {self.number}"
        return replicate_title(self.number, self.replicate, self.told.fold)


class Tally:
    """The trials of a search, or the replicates of its confirmation. An event costs the same however many there are.

    `goal` is the direction of the objective; a race over seeds gives a trial up to `most_seeds`. A training that `take`
    or `drop` is called for has changed.
    """

    def __init__(self, goal: Goal, *, most_seeds: int = 0) -> None:
        self._goal = goal
        self._most_seeds = most_seeds
        self._begun: dict[str, Training] = {}
        self._unfinished: dict[str, Training] = {}
        self._ended: dict[str, tuple[Outcome, float]] = {}
        """How those ended that are counted, and after how many seconds."""
        self._counts: Counter[Outcome] = Counter()
        self._seconds = 0.0
        self._best: Training | None = None

    def __len__(self) -> int:
        return len(self._begun)

    def __iter__(self) -> Iterator[Training]:
        return iter(self._begun.values())

    @property
    def unfinished(self) -> Mapping[str, Training]:
        """Those that have not ended."""
        return self._unfinished

    @property
    def finished(self) -> int:
        """How many have ended."""
        return len(self._ended)

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many ended how, the most frequent ending first."""
        return {outcome: count for outcome, count in self._counts.most_common() if count}

    @property
    def mean_seconds(self) -> float | None:
        """Seconds of one that has ended; None when none has."""
        return self._seconds / len(self._ended) if self._ended else None

    @property
    def best(self) -> Training | None:
        """The complete one with the best value; the earliest of equals."""
        return self._best

    def take(self, training: Training) -> None:
        """Count a training as it is now."""
        self._forget(training.run)
        self._begun[training.run] = training
        if training.outcome is None:
            self._unfinished[training.run] = training
            return
        self._ended[training.run] = training.outcome, training.seconds
        self._counts[training.outcome] += 1
        self._seconds += training.seconds
        if self._better(training, self._best):
            self._best = training

    def drop(self, training: Training) -> None:
        """Leave a training out."""
        self._forget(training.run)
        self._begun.pop(training.run, None)

    def _forget(self, run: str) -> None:
        self._unfinished.pop(run, None)
        ended = self._ended.pop(run, None)
        if ended is None:
            return
        outcome, seconds = ended
        self._counts[outcome] -= 1
        self._seconds -= seconds
        if self._best is not None and self._best.run == run:
            self._find_best()

    def rank_again(self, run: str) -> None:
        """Take note that what a trial is ranked by has changed."""
        if run in self._ended:
            self._find_best()

    def _find_best(self) -> None:
        self._best = None
        for each in self._ended:
            if self._better(self._begun[each], self._best):
                self._best = self._begun[each]

    def _better(self, training: Training, than: Training | None) -> bool:
        """Check whether a training is the best so far; where seeds are raced, those with all of them come first."""
        score = training.standing
        if score is None or not math.isfinite(score):
            return False
        if than is None or than.standing is None:
            return True
        full, other = (len(each.by_seed) >= self._most_seeds for each in (training, than))
        if full != other:
            return full
        return self._goal.better(score, than.standing) or (score == than.standing and training.number < than.number)
