"""Catching up with a large experiment: the more there is to write down of how far it has come, the rarer it is."""

from pathlib import Path

from hpsearch.experiment.events import AskEvent, OutcomeEvent, ReportEvent, SessionEvent
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import LOG, RESOLVED, trial_run
from hpsearch.experiment.log import Log
from hpsearch.records import Outcome
from hpsearch.tracking import entries
from hpsearch.tracking.entries import MirroredRun, load_state
from hpsearch.tracking.mirror import ExperimentMirror, RunNews, Sink
from tests.counting import calls


class Nowhere(Sink):
    """A tool that keeps nothing but the number of rows."""

    name = title = "nowhere"
    state_file = "tracking-nowhere.json"
    rows = 0

    def write(self, run: MirroredRun, news: RunNews) -> None:
        self.rows += len(news.rows)


def mirrored(folder: Path, trials: int) -> int:
    """Mirror an experiment; return how often the state was written."""
    folder.mkdir()
    objective = {"metric": "m", "goal": "minimize", "at": "best"}
    write_json(folder / RESOLVED, {"version": 1, "space": {"family": "f", "objective": objective}})
    log, sink = Log(folder / LOG), Nowhere()
    log.append(SessionEvent())
    for number in range(trials):
        run, value = trial_run(number), float("nan") if number == 1 else 1.0
        log.append(AskEvent(run=run, number=number, params={}, seed=number))
        for step in range(2):
            log.append(ReportEvent(run=run, step=step, metric=value, value=value, at=step, seconds=1.0))
        log.append(OutcomeEvent(run=run, outcome=Outcome.COMPLETE, seconds=1.0, value=value, step=1))
    log.close()
    mirror = ExperimentMirror(folder, sink)
    [saves] = calls(mirror.catch_up, entries.save_state)
    mirror.close()
    assert sink.rows == trials  # each has its metrics in files, and its objective once
    runs = load_state(folder / sink.state_file).runs
    assert {run.outcome for run in runs.values()} == {"complete"}
    assert str(runs[trial_run(1)].value) == "nan"
    return saves


def test_the_state_is_written_ever_more_rarely(tmp_path: Path) -> None:
    few, many = mirrored(tmp_path / "few", 400), mirrored(tmp_path / "many", 1600)
    assert few < many < 2.5 * few  # each time all runs are written: four times as often would be quadratic
