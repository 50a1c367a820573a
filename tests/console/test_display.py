"""What the display knows of a session before it begins."""

from pathlib import Path

import pytest

from hpsearch.console.display import ConsoleOptions, _target
from hpsearch.experiment.activity import locked
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log
from hpsearch.jobs import ObjectiveSpec
from hpsearch.running.loading import load_space
from hpsearch.workers.engines import EngineContext, open_workers
from tests.toy_spaces import write_space


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        ([], 4),
        (["search.resources.processes=2"], 2),
        (["search.resources.trials_per_gpu=2"], 6),
        (["search.workers=3", "search.resources.processes=2"], 3),
    ],
)
def test_workers_are_counted_as_the_engine_counts_them(
    overrides: list[str], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that is left follows from their number."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    space = load_space(write_space(tmp_path, workers="auto", trials=6), overrides=overrides)
    with locked(tmp_path) as lock:
        context = EngineContext(tmp_path, Log(tmp_path / LOG), space, ObjectiveSpec("", {}), lock, jobs=6)
        workers = open_workers(context)
        assert workers.idle == count
        workers.close()
    assert _target(space, tmp_path, ConsoleOptions()).workers == count
