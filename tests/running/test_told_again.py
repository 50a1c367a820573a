"""A step that is reported again by the same attempt: its last value counts, in the log and wherever it is read."""

from pathlib import Path

import pytest

from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log, read_log
from hpsearch.experiment.reading import read_metrics
from hpsearch.experiment.run_builder import RunBuilder
from hpsearch.jobs import AskInfo, Job, Report
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.space import objective_value
from hpsearch.space.search_settings import Objective
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.progress import progress_of
from tests.toy_spaces import toy_space

REPORTS = [(1, 0.5, False), (2, 0.1, False), (2, 0.3, True)]
JOB = Job("trials/0000", 0, {"x": 1}, {}, {"initialisation": 1})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    rule = Objective(metric="loss", goal="minimize")
    found = Ledger(
        tmp_path, Log(tmp_path / LOG), metric="loss", value_of=lambda history: objective_value(history, rule)
    )
    found.begin(JOB, AskInfo())
    return found


def test_the_last_value_of_a_step_counts(ledger: Ledger, tmp_path: Path) -> None:
    values = [ledger.report(JOB, Report(step, {"loss": loss}, 1.0, again=again)) for step, loss, again in REPORTS]
    assert values == [0.5, 0.1, 0.3]
    ledger.begin(JOB, AskInfo())
    ledger.report(JOB, Report(2, {"loss": 0.9}, 1.0))  # by a later attempt, from its checkpoint
    assert progress_of(read_log(tmp_path / LOG))[JOB.run].history == [(1, 0.5), (2, 0.3)]
    builder = RunBuilder()
    for event in read_log(tmp_path / LOG):
        builder.add(event)
    assert [step for step, _ in builder.record().history] == [1, 2]
    assert (builder.record().value, builder.record().step) == (0.3, 2)
    assert [(row["step"], row["loss"]) for row in read_metrics(tmp_path, JOB.run)] == [(1, 0.5), (2, 0.3)]


def test_a_negative_step_in_an_old_log_does_not_end_the_search(tmp_path: Path) -> None:
    search = OptunaSearch(toy_space(tmp_path))
    params = search.ask(0)
    again = OptunaSearch(toy_space(tmp_path))
    again.replay(
        [
            {"event": "ask", "run": "trials/0000", "params": params, "rejected": 0},
            {"event": "report", "run": "trials/0000", "step": -1, "value": 0.5, "metric": 0.5},
            {"event": "report", "run": "trials/0000", "step": 0, "value": 0.4, "metric": 0.4},
        ],
        runs={"trials/0000": 0},
    )
    assert again.report(0, 1, 0.3) is False
