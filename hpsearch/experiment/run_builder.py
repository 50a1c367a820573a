"""The record of a run while the log is read: a million reports are added to it, not as many records made."""

from collections.abc import Mapping
from typing import Any

from hpsearch.experiment.files import decode_number
from hpsearch.experiment.log import Event
from hpsearch.records import Change, Fold, Metrics, Outcome, Params, RunRecord


class RunBuilder:
    """Takes in the events of one run, in order, and gives its record."""

    def __init__(self) -> None:
        self.run = ""
        self.number = 0
        self.params: Params = {}
        self.seed = 0
        self.replicate: int | None = None
        self.fold: Fold | None = None
        self.attempts = 0
        self._forget()

    def _forget(self) -> None:
        """Begin anew: a run that is asked for again has nothing of its earlier training."""
        self.outcome: Outcome | None = None
        self.reason: str | None = None
        self.value: float | None = None
        self.step: int | None = None
        self.seconds = 0.0
        self.history: list[tuple[int, float]] = []
        self.scores: Metrics = {}
        self.train_size: int | None = None
        self.test_size: int | None = None
        self.data: str | None = None
        self.changes: tuple[Change, ...] = ()

    def add(self, event: Event) -> None:
        """Take in one event of the run."""
        kind = event["event"]
        if kind == "report":
            self.value = _plain(event["value"])
            self._note(event["step"], _plain(event["metric"]))
            self.step, self.seconds = event["at"], event["seconds"]
        elif kind == "ask" or not self.run:
            self._begin(event)
        elif kind == "begin":
            self.attempts = event["attempt"]
        elif kind == "outcome":
            self._end(event)

    def _note(self, step: int, metric: float) -> None:
        """Add an evaluation; of a step that is told again the last one counts."""
        if self.history and step <= self.history[-1][0]:
            self.history = [point for point in self.history if point[0] != step]
        self.history.append((step, metric))

    def _begin(self, event: Event) -> None:
        self._forget()
        self.run, self.number = event["run"], event["number"]
        self.params, self.seed = event["params"], event["seed"]
        self.replicate, self.attempts = event.get("replicate"), 0
        self.fold = fold_of(event)

    def _end(self, event: Event) -> None:
        self.outcome, self.reason = Outcome(event["outcome"]), event["reason"]
        self.value, self.step = _plain(event["value"]), event["step"]
        self.seconds, self.scores = event["seconds"], decoded_scores(event)
        self.train_size, self.test_size = event.get("train_size"), event.get("test_size")
        self.data = event.get("data", {}).get("source") or self.data

    def copy(self, donor: "RunBuilder", event: Event) -> None:
        """Go on as a copy of another run, with other parameters: its history, seed and changes are this run's then."""
        self.outcome, self.reason, self.scores = donor.outcome, donor.reason, donor.scores
        self.value, self.step, self.seconds = donor.value, donor.step, donor.seconds
        self.seed, self.replicate, self.history = donor.seed, donor.replicate, list(donor.history)
        self.changes = (*donor.changes, Change(event["step"], event["donor"], donor.params, event["params"]))
        self.params = event["params"]

    def record(self) -> RunRecord:
        """Return the run as it stands."""
        return RunRecord(
            run=self.run,
            number=self.number,
            params=self.params,
            seed=self.seed,
            outcome=self.outcome,
            reason=self.reason,
            value=self.value,
            step=self.step,
            seconds=self.seconds,
            attempts=self.attempts,
            history=tuple(self.history),
            scores=self.scores,
            replicate=self.replicate,
            fold=self.fold,
            train_size=self.train_size,
            test_size=self.test_size,
            changes=self.changes,
            data=self.data,
        )


def fold_of(event: Event) -> Fold | None:
    """Return the fold of the replicate that an `ask` decided on."""
    return Fold(event["folds"], event["repeat"], event["fold"]) if "fold" in event else None


def decoded_scores(event: Event) -> Mapping[str, Any]:
    """Return the scores of an outcome, non-finite ones as floats."""
    return {name: decode_number(value) for name, value in event["scores"].items()}


def _plain(value: Any) -> Any:
    return decode_number(value) if isinstance(value, str) else value
