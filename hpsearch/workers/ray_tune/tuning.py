"""Ray Tune's end: a search that runs in a thread and asks the coordinator for everything.

Tune's searcher gets its configurations from a queue, Tune's scheduler its decisions from the coordinator. So nothing is
decided twice: samplers, pruners, outcomes and the log are those of every engine.

What goes wrong when Tune decides by itself, and cannot happen here: trials that its schedulers stop are told to Optuna
as complete, and NaN leaves them running for ever; ASHA lets NaN pass its rungs, cannot tell a full trial from a pruned
one, and draws its brackets from numpy's global generator; a stop arrives in the training as SystemExit.
"""

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hpsearch.workers.ray_tune.actors import JobTrainable

_WAIT_SECONDS = 0.05
"""How long Tune's loop waits for an order where one is to be expected, before it looks at its trials again."""


@dataclass(frozen=True)
class OrderUpdate:
    """What happened to the order with this ticket; `answer` waits for whether it goes on, when somebody asks."""

    ticket: int
    message: Mapping[str, Any]
    answer: "queue.Queue[bool] | None" = None


@dataclass
class Wire:
    """Between the coordinator's thread and Tune's."""

    orders: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)
    news: "queue.Queue[OrderUpdate]" = field(default_factory=queue.Queue)
    closing: threading.Event = field(default_factory=threading.Event)
    room: threading.Event = field(default_factory=threading.Event)
    """Set when an order has ended, so that another one may soon come."""
    most: int = 0
    """The most orders that there have been at a time."""
    actors: dict[int, Any] = field(default_factory=dict)
    """The Ray actor that runs an order, by its ticket."""

    def __deepcopy__(self, memo: Any) -> "Wire":
        """Tune copies what it is given; there is one wire."""
        return self

    def __reduce__(self) -> tuple[type["Wire"], tuple[()]]:
        """Tune pickles what it is given, for a resume of its own that nobody asks for: an empty wire will do."""
        return Wire, ()

    def tell(self, ticket: int, **message: Any) -> None:
        """Let the coordinator know of an end."""
        self.room.set()
        self.news.put(OrderUpdate(ticket, message))

    def ask(self, ticket: int, message: Mapping[str, Any]) -> bool:
        """Let the coordinator know, and wait for whether the order goes on; it does not when all is over."""
        answer: queue.Queue[bool] = queue.Queue()
        self.news.put(OrderUpdate(ticket, message, answer))
        while not self.closing.is_set():
            with contextlib.suppress(queue.Empty):
                if answer.get(timeout=0.2):
                    return True
                break
        self.room.set()
        return False


class _Orders(Searcher):
    """Hands the coordinator's orders to Tune, one for each trial that Tune makes."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next order, nothing for now, or that there will be no more."""
        del trial_id  # the order has a ticket of its own
        if self._wire.closing.is_set():
            return Searcher.FINISHED  # type: ignore[return-value] # Ray's types forget that it is a string
        try:
            order = self._wire.orders.get(timeout=_WAIT_SECONDS if self._wire.room.is_set() else 0.001)
        except queue.Empty:
            self._wire.room.clear()
            return None
        return {"ticket": order["ticket"], "order": json.dumps(order)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing to learn: the coordinator's own search hears of outcomes."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the experiment's log is the search's state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class _Decisions(FIFOScheduler):
    """Lets the coordinator answer every report."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Ray's
        self._wire = wire
        self._kept = 0

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Have Tune keep as many idle actors as there have been orders at a time, for the orders to come.

        By itself it keeps one, ends the others, and starts new processes a moment later.
        """
        while self._kept < self._wire.most:
            tune_controller._actor_cache.increase_max(trial.placement_group_factory)
            self._kept += 1

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Hand a message on; a trial that does not go on has been written down already."""
        del tune_controller
        ticket = trial.config["ticket"]
        self._wire.actors[ticket] = trial.temporary_state.ray_actor
        goes_on = self._wire.ask(ticket, json.loads(result["message"]))
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Hand the last message on, if the training itself came to its end."""
        del tune_controller
        message = json.loads(result["message"])
        if message["kind"] == "ended":
            self._wire.tell(trial.config["ticket"], **message)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Tell of a process or a node that died, or of memory that ran out on the node."""
        del tune_controller
        reason = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
        self._wire.tell(trial.config["ticket"], kind="lost", reason=reason)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Leave the order to Tune, which starts what is pending first come, first served."""
        del tune_controller
        return None


class _WhenClosing(tune.Stopper):
    """Ends everything, what is still waiting for room too, when the coordinator closes."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __call__(self, trial_id: str, result: Any) -> bool:
        """Stop no single trial."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Check whether all is over."""
        return self._wire.closing.is_set()


class Tuning:
    """A Ray Tune run in a thread: takes orders until it is closed."""

    def __init__(self, wire: Wire, folder: Path) -> None:
        """`folder` is for Tune's own files, which nobody reads."""
        self._wire = wire
        self._folder = folder
        self._thread = threading.Thread(target=self._run, name="ray tune", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            tune.Tuner(
                JobTrainable,
                tune_config=tune.TuneConfig(
                    search_alg=_Orders(self._wire),
                    scheduler=_Decisions(self._wire),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=_name,
                    trial_name_creator=_name,
                ),
                run_config=tune.RunConfig(
                    name="tune",
                    storage_path=str(self._folder),
                    verbose=0,
                    stop=_WhenClosing(self._wire),
                    failure_config=tune.FailureConfig(max_failures=0),  # the coordinator counts losses, for all engines
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                ),
            ).fit()
        except Exception as error:  # noqa: BLE001 -- the coordinator must hear of it, whatever it is
            self._wire.news.put(OrderUpdate(-1, {"kind": "broken", "reason": f"{type(error).__name__}: {error}"}))

    def close(self, stop: Callable[[], None], *, patience: float) -> bool:
        """End the run; `stop` ends what keeps it. Return whether it has ended within `patience` seconds."""
        self._wire.closing.set()
        stop()
        self._thread.join(patience)
        return not self._thread.is_alive()


def _name(trial: Trial) -> str:
    return f"order-{trial.config['ticket']:05d}"
