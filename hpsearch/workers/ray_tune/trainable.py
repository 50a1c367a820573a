"""Runs in Ray's actors: a Ray Tune trainable that trains one job after another without a new process.

The job trains in a thread, since it pushes reports where Tune pulls results. A result is one message as JSON; that Tune
asks for the next one is the answer `continue`; all else that it does with a trial means: stop, the checkpoint stands.
"""

import json
import os
import queue
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune

from hpsearch.jobs import Failed, Job, JobResult, ObjectiveSpec, Report, result_to_json
from hpsearch.records import Decision
from hpsearch.workers.ray_tune.companions import Companions
from hpsearch.workers.ray_tune.storage import Storage
from hpsearch.workers.running import Runner

STOP_SECONDS = 10.0
"""How long a stopped training may take to return before its process is given up."""


class Training:
    """One job in a thread of its own."""

    def __init__(self, runner: Runner, job: Job, storage: Storage, companions: Companions) -> None:
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._decisions: queue.Queue[Decision] = queue.Queue()
        self._runner = runner
        self._job = job
        self._storage = storage
        self._companions = companions
        self._asked = self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=job.run)
        self._thread.start()

    def _run(self) -> None:
        self._say("begun")
        try:
            self._storage.fetch(self._job.run)
            result: JobResult = self._runner.run(self._job, self._report, lambda: self._say("started"))
            self._storage.leave(self._job.run)
        except Exception as error:  # noqa: BLE001 -- nothing may end this thread without a word
            result = Failed(f"{type(error).__name__}: {error}")
        self._say("ended", **result_to_json(result))

    def _say(self, kind: str, **fields: Any) -> None:
        self._messages.put({"kind": kind, **fields})

    def _report(self, report: Report) -> Decision:
        if self._stopped:
            return Decision.PAUSE
        self._storage.keep(self._job.run)
        self._say("report", **asdict(report))
        decision = self._decisions.get()
        self._companions.decide(decision)
        return decision

    def next_message(self) -> dict[str, Any]:
        """Let the training go on, and return what it says next."""
        if self._asked:
            self._decisions.put(Decision.CONTINUE)
        message = self._messages.get()
        self._asked = message["kind"] == "report"
        return message

    def stop(self) -> bool:
        """Have the training return at its next report; say whether it did."""
        self._stopped = True
        self._decisions.put(Decision.PAUSE)
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()


class JobTrainable(tune.Trainable):
    """Ray Tune's face of a worker. `config` has `order`, JSON: the job, the objective, folders, resources."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Reserve a bundle for each process of the trial, together if they fit on a node."""
        order = json.loads(config["order"])
        return tune.PlacementGroupFactory([order["bundle"]] * order["processes"], strategy="PACK")

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the actor's first job."""
        order = json.loads(config["order"])
        self._runner = Runner(Path(order["folder"]), ObjectiveSpec(**order["objective"]))
        self._companions = Companions(order["processes"])
        self._begin(order)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next job in the same process, unless the last one hangs: then this process is of no more use.

        The order comes again to another process. To return False, as Tune offers, would lose it without a word.
        """
        if not self._training.stop():
            _end()
        self._begin(json.loads(new_config["order"]))
        return True

    def _begin(self, order: Mapping[str, Any]) -> None:
        self._companions.begin(order, lost=_end)
        storage = Storage(Path(order["folder"]), order["storage"])
        self._training = Training(self._runner, Job.from_json(order["job"]), storage, self._companions)

    def step(self) -> dict[str, Any]:
        """Return the training's next message."""
        message = self._training.next_message()
        return {"message": json.dumps(message), "done": message["kind"] == "ended"}

    def cleanup(self) -> None:
        """End the training that is under way."""
        self._training.stop()


def _end() -> None:
    """End this process at once: the coordinator takes that for a loss, and the job goes on from its checkpoint."""
    os._exit(1)
