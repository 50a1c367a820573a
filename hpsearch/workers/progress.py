"""What the coordinator knows of a run between its beginnings: kept from the log, so that a restart knows it too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hpsearch.experiment.log import Event


@dataclass
class RunProgress:
    """One run: its attempts so far, the metric at each step, training seconds, and whether it has ended."""

    attempts: int = 0
    lost: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)
    value: float | None = None
    step: int | None = None
    seconds: float = 0.0
    ended: bool = False
    known_steps: set[int] = field(default_factory=set)
    """Steps in the log."""
    written_steps: set[int] = field(default_factory=set)
    """Steps in the metrics file: at most one more than in the log, when a crash fell between the two."""

    def add(self, step: int, metric: float, seconds: float) -> None:
        """Take note of an evaluation; of a step that is told again the last one counts."""
        if step in self.known_steps:
            self.history = [(known, metric if known == step else value) for known, value in self.history]
        else:
            self.history.append((step, metric))
        self.known_steps.add(step)
        self.seconds = seconds

    def copy(self, donor: "RunProgress") -> None:
        """Take note that the run goes on as a copy of another."""
        self.history, self.known_steps = list(donor.history), set(donor.known_steps)
        self.value, self.step, self.seconds = donor.value, donor.step, donor.seconds


def progress_of(events: Iterable[Event]) -> dict[str, RunProgress]:
    """Return the progress of every run in a log, by its name; one whose data could not be used has not begun."""
    runs: dict[str, RunProgress] = {}
    for event in events:
        if "run" not in event:
            continue
        progress = runs.setdefault(event["run"], RunProgress())
        kind = event["event"]
        if kind == "begin":
            progress.attempts = event["attempt"]
        elif kind == "lost":
            progress.lost += 1
        elif kind == "report":
            progress.add(event["step"], event["metric"], event["seconds"])
            progress.value, progress.step = event["value"], event["at"]
        elif kind == "exploit":
            progress.copy(runs[event["donor"]])
        elif kind in ("outcome", "drop"):
            progress.ended = True
            if "mistake" in event:
                del runs[event["run"]]
    return runs


def without_mistakes(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events as if every run whose data could not be used had only been asked for, once."""
    failed: set[str] = set()
    for event in events:
        if event["event"] == "outcome" and "mistake" in event:
            failed.add(event["run"])
        elif event["event"] != "ask" or event["run"] not in failed:
            yield event


def confirm_seconds(events: Iterable[Event]) -> float:
    """Return how much of the experiment's running time went into confirmations: the search's budget is without it."""
    spent, before = 0.0, 0.0
    for event in events:
        if event.get("run", "").startswith("confirm/"):
            spent += event["elapsed"] - before
        before = event["elapsed"]
    return spent
