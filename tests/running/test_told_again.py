"""A step that is reported again by the same attempt: its last value counts, in the log and wherever it is read."""

from pathlib import Path

import pytest

from hpsearch.experiment.events import AskEvent, ReportEvent
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log, read_state
from hpsearch.experiment.reading import read_metrics
from hpsearch.jobs import AskInfo, Job, Report
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.space import objective_value
from hpsearch.space.search_settings import Objective
from hpsearch.workers.ledger import Ledger
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
    told = read_state(tmp_path / LOG).runs[JOB.run]
    assert list(told.history.items()) == [(1, 0.5), (2, 0.3)]
    assert (told.value, told.step) == (0.3, 2)
    assert [(row["step"], row["loss"]) for row in read_metrics(tmp_path, JOB.run)] == [(1, 0.5), (2, 0.3)]


def test_a_negative_step_in_an_old_log_does_not_end_the_search(tmp_path: Path) -> None:
    search = OptunaSearch(toy_space(tmp_path))
    params = search.ask(0)
    again = OptunaSearch(toy_space(tmp_path))
    again.replay(
        [
            AskEvent(run="trials/0000", number=0, params=params, seed=1),
            ReportEvent(run="trials/0000", step=-1, metric=0.5, value=0.5, at=-1, seconds=1.0),
            ReportEvent(run="trials/0000", step=0, metric=0.4, value=0.4, at=0, seconds=2.0),
        ],
        runs={"trials/0000": 0},
    )
    assert again.report(0, 1, 0.3) is False
