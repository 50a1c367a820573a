"""What every tracker promises: it catches up, and whatever goes wrong stays with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ExperimentError, TrackingError
from hpsearch.tracking import Mirror, Tracker
from hpsearch.tracking.shelf import LiveTracker

PATIENCE = 120.0
"""Seconds after which a mirror on a busy machine is not coming any more."""


class TrackerSuite:
    """The promises of a mirror of an experiment's folder.

    Write `open`, which makes the mirror of a folder, and `spoil`, which puts something in the way of its files.
    """

    def open(self, folder: Path) -> Mirror:
        """Return a new mirror of an experiment's folder."""
        raise NotImplementedError

    def spoil(self, folder: Path) -> None:
        """Make it impossible to write the mirror, even for root: put a folder where it writes a file."""
        raise NotImplementedError

    @pytest.fixture
    def experiment(self, tmp_path: Path) -> Path:
        """Return the folder of a finished experiment."""
        return finished_experiment(tmp_path / "line")

    def test_it_catches_up_and_closes(self, experiment: Path) -> None:
        tracker: Tracker = LiveTracker(self.open(experiment), warn=pytest.fail)
        tracker.notify()
        assert tracker.close(timeout=PATIENCE)
        again = self.open(experiment)
        again.catch_up(final=True)  # the lock is free again, and nothing is left to do
        again.close()

    def test_a_failure_is_a_warning_and_no_exception(self, experiment: Path) -> None:
        self.spoil(experiment)
        warnings: list[str] = []
        tracker = LiveTracker(self.open(experiment), warn=warnings.append, pause=0.01)
        tracker.notify()
        assert not tracker.close(timeout=PATIENCE)
        (warning,) = warnings
        assert "the search goes on" in warning
        assert f"hpsearch sync {experiment}" in warning

    def test_two_at_once_are_refused(self, experiment: Path) -> None:
        first = self.open(experiment)
        first.catch_up()
        with pytest.raises(TrackingError, match="another process is mirroring"):
            self.open(experiment).catch_up()
        first.close()

    def test_what_is_no_experiment_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ExperimentError):
            self.open(tmp_path).catch_up()


def finished_experiment(folder: Path) -> Path:
    """Write an experiment of one complete trial, as the coordinator and a worker would, and return its folder."""
    run, params = "trials/0000", {"train.learning_rate": 0.1}
    (folder / run).mkdir(parents=True)
    (folder / "space.yaml").write_text("family: line\n", encoding="utf-8")
    space = {
        "family": "line",
        "objective": {"metric": "val/loss", "goal": "minimize", "at": "best"},
        "search": {"sampler": "random"},
    }
    described = {"git": {"commit": "c0ffee", "dirty": False}, "machine": {"cpus": 2}, "versions": {"hpsearch": "0.1.0"}}
    _write(folder / "resolved.json", {"version": 1, "id": "e-1", "space": space, "seed": 5, **described})
    config = {"train": {"learning_rate": 0.1, "epochs": 2}}
    _write(folder / run / "config.json", {"config": config, "params": params})
    (folder / run / "best.pt").write_bytes(b"weights")
    rows = [{"step": step, "seconds": step / 10, "train/loss": 1 / step, "val/loss": 1 / step} for step in (1, 2)]
    _write(folder / run / "metrics.jsonl", *rows)
    ended = {"outcome": "complete", "value": 0.5, "step": 2, "reason": None, "seconds": 0.2, "scores": {}}
    events: list[dict[str, Any]] = [
        {"event": "session", "version": 1, "pid": 1, "host": "here"},
        {"event": "ask", "run": run, "number": 0, "params": params, "seed": 100, "rejected": 0},
        {"event": "begin", "run": run, "attempt": 1},
        *(
            {"event": "report", "run": run, "step": row["step"], "metric": row["val/loss"], "value": row["val/loss"]}
            | {"at": row["step"], "seconds": row["seconds"]}
            for row in rows
        ),
        {"event": "outcome", "run": run, **ended},
        {"event": "end", "why": "finished"},
    ]
    _write(folder / "log.jsonl", *({**event, "time": 1e9 + at, "elapsed": at} for at, event in enumerate(events)))
    return folder


def _write(path: Path, *lines: Any) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
