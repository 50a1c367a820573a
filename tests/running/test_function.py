"""A function is searched as any family is: its endings, its checkpoints, the sealed test split, going on."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import Event, Notice, ReportEvent, TextNotice
from hpsearch.experiment.files import read_lines
from hpsearch.experiment.layout import CHECKPOINT, LOG, METRICS, PREVIOUS
from hpsearch.experiment.reading import read_experiment, read_metrics
from hpsearch.jobs import Completed, Report
from hpsearch.records import Decision, ExperimentRecord, Moment, Outcome
from hpsearch.running.chosen import confirm
from hpsearch.running.function_objective import FunctionObjective
from hpsearch.running.mending import trial_job
from hpsearch.running.runner import RunOptions, run
from hpsearch.space import Space
from tests.logs import read_log
from tests.ray_cluster import own_cluster
from tests.running.functions import SIMPLE, function_space

HERE = RunOptions(in_process=True)


def search(space: Space, folder: Path, options: RunOptions = HERE) -> ExperimentRecord:
    return run(space, folder=folder / "e", options=options).record


def test_trials_and_replicates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = search(function_space(tmp_path, confirm="{top: 1, seeds: 2}"), tmp_path)
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 3
    for trial in record.trials:
        told = [(epoch, (trial.params["lr"] - 0.3) ** 2 + 1 / epoch) for epoch in range(1, 5)]
        assert list(trial.history) == [(epoch, pytest.approx(loss, rel=1e-6)) for epoch, loss in told]
        rows = read_metrics(tmp_path / "e", trial.run)
        assert [row["train/total"] for row in rows] == pytest.approx(
            [trial.params["lr"] * epoch for epoch in range(1, 5)]
        )
        assert not any("test/loss" in row for row in rows)
        assert "test" not in (tmp_path / "e" / trial.run / "printed.jsonl").read_text()
    assert capsys.readouterr().out.count("test/loss is dropped, as a search must not see the test split") == 3
    best = min(record.trials, key=lambda trial: trial.value)
    assert [each.scores["test/loss"] for each in record.replicates] == [pytest.approx(10 * best.value + 4)] * 2
    assert len({each.seed for each in (*record.trials, *record.replicates)}) == 5


@pytest.mark.parametrize(
    ("trouble", "outcome", "words"),
    [
        ("nan", Outcome.DIVERGED, "val/loss became nan at step 2"),
        ("memory", Outcome.OUT_OF_MEMORY, "no room for the weights"),
        ("fail", Outcome.FAILED, "ValueError: no such layer"),
        ("text", Outcome.FAILED, "the metric val/loss is not a number but a str: '0.5'"),
    ],
)
def test_every_ending_is_an_outcome(trouble: str, outcome: Outcome, words: str, tmp_path: Path) -> None:
    with pytest.raises(SearchFailedError, match=words):
        search(function_space(tmp_path, f"trouble={trouble}", trials=1), tmp_path)
    ends = [event for event in read_log(tmp_path / "e" / "log.jsonl") if event["event"] == "outcome"]
    assert [event["outcome"] for event in ends] == [outcome]


RETURNS = """
def train(lr: float, how: str, *, report):
    if how == "late":
        report(3, {"val/loss": lr, "test/loss": 1})
        return {"val/loss": 0.0, "test/accuracy": 0.5, "notes": "whatever it has", "model": object()}
    if how == "quiet":
        return None
    return lr if how == "number" else {"val/loss": lr, "test/loss": 7}
"""


@pytest.mark.parametrize(
    ("how", "history", "scores"),
    [
        ("number", [1], {}),
        ("mapping", [1], {"test/loss": 7}),
        ("late", [3], {"test/loss": 1, "test/accuracy": 0.5}),
    ],
)
def test_what_is_returned_counts_where_nothing_was_reported(
    how: str, history: list[int], scores: dict[str, float], tmp_path: Path
) -> None:
    space = function_space(
        tmp_path, code=RETURNS, trials=1, confirm="{seeds: 1}", body=f"lr: {{float: [0, 1]}}\nhow: {how}\n"
    )
    record = search(space, tmp_path)
    assert record.trials[0].history == tuple((step, record.trials[0].params["lr"]) for step in history)
    assert dict(record.replicates[0].scores) == scores


LEAVES = """
import sys

def train(lr: float, code: int, *, report):
    report(1, {"val/loss": lr})
    sys.exit(code)
"""


@pytest.mark.parametrize(("code", "outcome"), [(0, Outcome.COMPLETE), (3, Outcome.FAILED)])
def test_a_function_may_leave_as_a_program_does(code: int, outcome: Outcome, tmp_path: Path) -> None:
    body = f"lr: {{float: [0, 1]}}\ncode: {code}\n"
    with contextlib.suppress(SearchFailedError):
        search(function_space(tmp_path, code=LEAVES, trials=1, body=body), tmp_path)
    record = read_experiment(tmp_path / "e")
    assert [trial.outcome for trial in record.trials] == [outcome]


PARTS = """
def train(lr: float, unit: float, *, report):
    for number in (1, 2, 3):
        step = number * unit
        report(step, {"train/loss": 2.0 * step})
        report(step, {"val/loss": lr + step})
        report(step, {"val/accuracy": 0.5 * step})
"""


@pytest.mark.parametrize("unit", [1.0, 0.5])
def test_the_metrics_of_a_step_may_be_told_one_by_one(unit: float, tmp_path: Path) -> None:
    body = f"lr: {{float: [0, 1]}}\nunit: {unit}\n"
    [trial] = search(function_space(tmp_path, code=PARTS, trials=1, body=body), tmp_path).trials
    rows = [{**row, "seconds": 0} for row in read_metrics(tmp_path / "e", trial.run)]
    steps, lr = [unit * number for number in (1, 2, 3)], trial.params["lr"]
    told = [{"train/loss": 2.0 * step, "val/loss": lr + step, "val/accuracy": 0.5 * step} for step in steps]
    assert rows == [{"step": n, "seconds": 0, **each} for n, each in zip((1, 2, 3), told, strict=True)]
    assert trial.history == tuple((n, lr + step) for n, step in zip((1, 2, 3), steps, strict=True))


def test_without_any_report_it_fails(tmp_path: Path) -> None:
    space = function_space(tmp_path, code=RETURNS, trials=1, body="lr: {float: [0, 1]}\nhow: quiet\n")
    with pytest.raises(SearchFailedError, match="the training ended without reporting val/loss"):
        search(space, tmp_path)


STUBBORN = """
def train(lr: float, way: str, *, report):
    told = []
    for step in range(1, 5):
        if way == "returns":
            told.append(report(step, {"val/loss": 1.0}, raises=False))
            if report.stopped:
                break
        else:
            try:
                told.append(report(step, {"val/loss": 1.0}))
            except BaseException:
                told.append(None)
    (report.folder / "told").write_text(str(told))
    if way == "falls":
        raise ValueError("on the way out")
    if way == "exits":
        raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("returns", "[False]"),
        ("swallows", "[None, None, None, None]"),
        ("falls", "[None, None, None, None]"),
        ("exits", "[None, None, None, None]"),
    ],
)
def test_whatever_a_pruned_function_makes_of_it_it_is_pruned(way: str, told: str, tmp_path: Path) -> None:
    pruned = "{threshold: {upper: 0}}"
    space = function_space(
        tmp_path, code=STUBBORN, pruner=pruned, trials=1, body=f"lr: {{float: [0, 1]}}\nway: {way}\n"
    )
    with pytest.raises(SearchFailedError, match="no trial came to a result; pruned"):
        search(space, tmp_path)
    assert (tmp_path / "e" / "trials" / "0000" / "told").read_text() == told


DRAWS = """
import random
import numpy as np
import torch

def train(lr: float, *, report):
    drawn = random.random() + np.random.random() + float(torch.rand(()))
    report(1, {"val/loss": drawn, "seed": report.seed, "split": report.split_seed, "device": report.device == "cpu"})
"""


def test_random_numbers_follow_from_the_seed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (search(function_space(tmp_path / each, code=DRAWS), tmp_path / each) for each in "ab")
    assert [trial.value for trial in one.trials] == [trial.value for trial in other.trials]
    assert len({trial.value for trial in one.trials}) == 3
    rows = [read_metrics(tmp_path / "a" / "e", trial.run)[0] for trial in one.trials]
    assert [row["seed"] for row in rows] == [trial.seed for trial in one.trials]
    assert len({row["split"] for row in rows}) == 1


def test_auto_stops_a_function_without_a_checkpoint_and_pauses_one_with(tmp_path: Path) -> None:
    def endings(pruner: str, code: str) -> list[tuple[Outcome | None, int, int]]:
        place = tmp_path / f"{pruner}{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        record = search(function_space(place, "epochs=9", pruner=pruner, trials=8, code=code), place)
        return [(trial.outcome, len(trial.history), trial.attempts) for trial in record.trials]

    without = SIMPLE_WITHOUT
    assert endings("auto", without) == endings("asha", without)
    paused = endings("auto", WITH)
    assert paused == endings("auto", WITH)
    assert max(attempts for _, _, attempts in paused) > 1


SIMPLE_WITHOUT = """
def train(lr: float, epochs: int, *, report):
    for epoch in range(1, epochs + 1):
        report(epoch, {"val/loss": (lr - 0.3) ** 2 + 1 / epoch})
"""
WITH = """
def train(lr: float, epochs: int, *, report):
    done = int(report.checkpoint.read_text()) if report.checkpoint.exists() else 0
    with (report.folder / "trained").open("a") as file:
        for epoch in range(done + 1, epochs + 1):
            file.write(f"{epoch} ")
            file.flush()
            report.checkpoint.write_text(str(epoch))
            report(epoch, {"val/loss": (lr - 0.3) ** 2 + 1 / epoch})
"""


def test_a_paused_function_trains_no_epoch_twice(tmp_path: Path) -> None:
    record = search(function_space(tmp_path, "epochs=9", pruner="auto", trials=8, code=WITH), tmp_path)
    for trial in record.trials:
        trained = (tmp_path / "e" / trial.run / "trained").read_text().split()
        assert trained == [str(epoch) for epoch in range(1, len(trial.history) + 1)]


LAST = """
def train(lr: float, says: bool, *, report):
    for step in (1, 2, 3):
        report.checkpoint.write_text("")
        report(step, {"val/loss": lr}, final=says and step == 3)
"""


@pytest.mark.parametrize("says", [True, False])
def test_one_that_says_that_it_ends_is_not_pruned_for_that(says: bool, tmp_path: Path) -> None:
    body = f"lr: {{float: [0, 1]}}\nsays: {str(says).lower()}\n"
    halving = "{halving: {minimum: 3, reduction: 4}}"
    record = search(function_space(tmp_path, code=LAST, trials=4, pruner=halving, body=body), tmp_path)
    complete = [trial.outcome is Outcome.COMPLETE for trial in record.trials]
    assert complete == [True] * 4 if says else sum(complete) == 1


def test_killed_in_the_middle_of_a_checkpoint_it_goes_on_from_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = search(function_space(tmp_path / "whole", trials=1), tmp_path / "whole")
    broken = search(function_space(tmp_path, "trouble=torn", trials=1), tmp_path, RunOptions())
    assert [trial.attempts for trial in broken.trials] == [2]
    for one, other in zip(whole.trials, broken.trials, strict=True):
        assert (one.history, one.value) == (other.history, other.value)
        totals = [
            [row["train/total"] for row in read_metrics(place / "e", one.run)]
            for place in (tmp_path / "whole", tmp_path)
        ]
        assert totals[0] == totals[1]


COUNTED = """
import json

def train(lr: float, named: bool, epochs: int = 5, *, report):
    start, total = json.loads(report.checkpoint.read_text()) if report.checkpoint.exists() else (0, 0.0)
    for epoch in range(start + 1, epochs + 1):
        total += lr / epoch
        report.checkpoint.write_text(json.dumps([epoch, total]))
        report(epoch if named else None, {"val/loss": total})
"""


class Killer:
    """Ends the session when a trial has reported a step; keeps what is said."""

    def __init__(self, step: int = 0) -> None:
        self.step = step
        self.said: list[str] = []

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, ReportEvent) and event.step == self.step:
            raise SearchFailedError("killed")
        if isinstance(event, TextNotice):
            self.said.append(event.text)


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0], content[1] ^ 1]) + content[2:])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("names", "damage", "said"),
    [
        ([CHECKPOINT], flip, "goes on from the checkpoint before it, after step 2"),
        ([CHECKPOINT], lambda path: path.write_bytes(b""), "goes on from the checkpoint before it, after step 2"),
        ([CHECKPOINT, PREVIOUS], flip, "begins again at its beginning"),
        ([CHECKPOINT], lambda path: path.unlink(), ""),
    ],
)
def test_a_damaged_checkpoint_costs_time_alone(
    names: list[str], damage: Callable[[Path], None], said: str, named: bool, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    body = f"lr: {{float: [0, 1]}}\nnamed: {str(named).lower()}\n"
    whole = search(function_space(tmp_path / "whole", code=COUNTED, trials=1, body=body), tmp_path / "whole")
    space, run = function_space(tmp_path, code=COUNTED, trials=1, body=body), tmp_path / "e" / "trials" / "0000"
    with pytest.raises(SearchFailedError, match="killed"):
        search(space, tmp_path, RunOptions(in_process=True, observers=[Killer(3)]))
    for name in names:
        damage(run / name)
    flawed = {each.where for each in hpsearch.doctor(tmp_path / "e").findings if not each.note}
    assert flawed == {str(run / name) for name in names if (run / name).exists()}
    watcher = Killer()
    resumed = search(space, tmp_path, RunOptions(in_process=True, observers=[watcher]))
    for one, other in zip(whole.trials, resumed.trials, strict=True):
        assert (one.history, one.value, one.step) == (other.history, other.value, other.step)
    assert [said in sentence for sentence in watcher.said] == ([True] if said else [])
    assert not (run / PREVIOUS).exists()


def test_a_step_that_was_noted_and_not_told_is_written_once(tmp_path: Path) -> None:
    """As when its process is killed between the note and the report: the notes tell it, and then the function."""
    space = function_space(tmp_path, code=COUNTED, trials=1, body="lr: {float: [0, 1]}\nnamed: true\n")
    with pytest.raises(SearchFailedError, match="killed"):
        search(space, tmp_path, RunOptions(in_process=True, observers=[Killer(3)]))
    for path in (tmp_path / "e" / LOG, tmp_path / "e/trials/0000" / METRICS):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if b'"step":3' not in line))
    flip(tmp_path / "e/trials/0000" / CHECKPOINT)
    search(space, tmp_path)
    steps = [row["step"] for row, _ in read_lines(tmp_path / "e/trials/0000" / METRICS)]
    assert steps == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_killed_at_every_attempt_it_is_lost(tmp_path: Path) -> None:
    space = function_space(tmp_path, "trouble=kill", trials=1)
    with pytest.raises(SearchFailedError, match="SIGKILL"):
        search(space, tmp_path, RunOptions())


DATA = """
def train(lr: float, data, *, report):
    report(1, {"val/loss": lr + len(open(data.corpus).read())})
"""


def test_files_are_found_beside_the_space_and_watched(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("hello")
    body = "lr: {float: [0, 1]}\ndata: {corpus: corpus.txt, name: nothing}\n"
    search(function_space(tmp_path, code=DATA, body=body, trials=1), tmp_path)
    kept = json.loads((tmp_path / "e" / "data.json").read_text())
    [source] = kept["sources"].values()
    assert [each["setting"] for each in source["contents"]] == ["data.corpus"]
    (tmp_path / "corpus.txt").write_text("other")
    with pytest.raises(Exception, match="the data have changed since"):
        search(function_space(tmp_path, code=DATA, body=body, trials=2), tmp_path)


def test_a_file_that_is_missing_is_a_mistake_that_is_tried_again(tmp_path: Path) -> None:
    body = "lr: {float: [0, 1]}\ndata: {corpus: corpus.txt}\n"
    space = function_space(tmp_path, code=DATA, body=body, trials=1)
    with pytest.raises(SearchFailedError, match=r"there is no file corpus\.txt"):
        search(space, tmp_path)
    (tmp_path / "corpus.txt").write_text("hello")
    assert search(space, tmp_path).trials[0].outcome is Outcome.COMPLETE


@pytest.mark.parametrize("command", ["run", "confirm"])
def test_changed_code_is_said(command: str, tmp_path: Path) -> None:
    search(function_space(tmp_path, trials=1), tmp_path)
    told: list[str] = []

    class Hearing:
        def observe(self, event: object) -> None:
            told.append(str(event))

    options = RunOptions(in_process=True, observers=[Hearing()])
    space = function_space(tmp_path, trials=2, confirm="{seeds: 1}", code=f"# new\n{SIMPLE}")
    if command == "run":
        search(space, tmp_path, options)
    else:
        confirm(tmp_path / "e", seeds=1, options=options)
    assert any("the code of ./train.py:train has changed" in each for each in told)


def everything(record: ExperimentRecord, folder: Path) -> list[object]:
    """Return what a broken search and an unbroken one have in common."""
    runs = (*record.trials, *record.replicates)
    rows = [[{**row, "seconds": 0} for row in read_metrics(folder / "e", run.run)] for run in runs]
    return [[(run.run, run.params, run.outcome, run.value, run.history, run.scores) for run in runs], rows]


@pytest.mark.slow
def test_killed_and_resumed_it_is_the_unbroken_search(tmp_path: Path) -> None:
    settings = {"trials": 6, "confirm": "{seeds: 2}", "pruner": "auto"}
    (tmp_path / "whole").mkdir()
    space = function_space(tmp_path / "whole", "epochs=9", **settings)
    whole = search(space, tmp_path / "whole", RunOptions())
    assert any(trial.outcome is Outcome.PRUNED for trial in whole.trials)
    function_space(tmp_path, "trouble=sleep", "epochs=9", **settings)
    words = ["run", "space.yaml", "--name", "e", "--root", ".", "--no-mlflow", "--set", "trouble=sleep"]
    command = [sys.executable, "-m", "hpsearch", *words, "--set", "epochs=9"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for seconds in (3.0, 4.5, 3.7, 4.2):
        killed = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        killed.kill()
        killed.wait()
    resumed = search(function_space(tmp_path, "trouble=sleep", "epochs=9", **settings), tmp_path, RunOptions())
    assert max(run.attempts for run in resumed.trials) > 1
    assert everything(resumed, tmp_path) == everything(whole, tmp_path / "whole")


@pytest.mark.slow
def test_on_ray_with_pauses(tmp_path: Path) -> None:
    with own_cluster(cpus=2):
        space = function_space(
            tmp_path, "epochs=9", "search.engine=ray", pruner="auto", trials=8, code=WITH, confirm="{seeds: 1}"
        )
        record = search(space, tmp_path, RunOptions())
    assert {trial.outcome for trial in record.trials} == {Outcome.COMPLETE, Outcome.PRUNED}
    assert max(trial.attempts for trial in record.trials) > 1
    assert len(record.replicates) == 1
    for trial in record.trials:
        trained = (tmp_path / "e" / trial.run / "trained").read_text().split()
        assert trained == [str(epoch) for epoch in range(1, len(trial.history) + 1)]


@pytest.mark.slow
def test_a_function_that_is_silent_is_ended_at_its_time_limit(tmp_path: Path) -> None:
    code = "import time\n\ndef train(lr: float, *, report):\n    time.sleep(600)\n"
    space = function_space(tmp_path, "search.trial_time=1s", code=code, trials=1)
    with pytest.raises(SearchFailedError, match="timed_out: no report within the trial's time of 1 s"):
        search(space, tmp_path, RunOptions())


def test_the_wait_for_an_answer_is_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, clock, passed, told = function_space(tmp_path), time.monotonic, [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock() + passed[0])
    job = trial_job(space, 0, {"lr": 0.5})
    (tmp_path / job.run).mkdir(parents=True)

    def report(report: Report | Moment) -> Decision:
        assert isinstance(report, Report)
        told.append(report.seconds)
        passed[0] += 10_000.0  # the coordinator was suspended, say
        return Decision.CONTINUE

    objective = FunctionObjective(
        folder=str(tmp_path),
        family=space.family,
        family_folder=str(tmp_path),
        metric="val/loss",
        goal="minimize",
        at_best=True,
        threads=1,
    )
    result = objective(job, report, lambda: None)
    assert isinstance(result, Completed)
    assert len(told) == 4
    assert [seconds < 1000 for seconds in (*told, result.seconds or 0.0)] == [True] * 5
