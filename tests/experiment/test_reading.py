"""Reading an experiment back, whole or torn, finished or running, without the libraries that made it (design.md 5)."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError
from hpsearch.experiment.artifacts import write_histograms
from hpsearch.experiment.files import append_json_line, write_json
from hpsearch.experiment.layout import CONFIG, FORMAT_VERSION, LOG, METRICS, RESOLVED
from hpsearch.experiment.log import read_state
from hpsearch.experiment.reading import read_evidence, read_experiment, read_metrics, read_resolved
from hpsearch.records import Change, Evidence, ExperimentRecord, RunRecord
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    experiment = GrowingExperiment(tmp_path / "experiments" / "curves")
    grow_search(experiment, trials=4)
    grow_confirmation(experiment)
    return experiment.folder


def test_a_log_torn_at_any_byte_is_read_with_a_warning(folder: Path) -> None:
    log = folder / LOG
    whole = log.read_bytes()
    end = whole.rstrip(b"\n").rfind(b"\n") + 1
    log.write_bytes(whole[:end])
    record = read_experiment(folder)
    assert record.warnings == ()
    for size in range(end + 1, len(whole)):
        log.write_bytes(whole[:size])
        torn = read_experiment(folder)
        assert torn.warnings == (f"{log}: the last line is torn and was left out",)
        assert (torn.trials, torn.replicates, torn.baselines) == (record.trials, record.replicates, record.baselines)
        assert log.stat().st_size == size  # reading repairs nothing


def test_a_log_cut_off_anywhere_can_be_read(folder: Path) -> None:
    log = folder / LOG
    whole = log.read_bytes()
    trials = 0
    for size in range(0, len(whole), 23):
        log.write_bytes(whole[:size])
        record = read_experiment(folder)
        assert len(record.trials) >= trials
        trials = len(record.trials)
    assert trials == 4


def test_lines_behind_a_damaged_one_are_missed_loudly(folder: Path) -> None:
    log = folder / LOG
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:3], b"damaged\n", *lines[4:]]))
    [warning] = read_experiment(folder).warnings
    assert "line 4" in warning
    assert "torn" not in warning


def test_metrics_torn_at_any_byte_are_read(folder: Path) -> None:
    path = folder / "trials/0000" / METRICS
    whole = path.read_bytes()
    end = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[:end])
    rows = read_metrics(folder, "trials/0000")
    assert len(rows) == whole.count(b"\n") - 1
    for size in range(end + 1, len(whole)):
        path.write_bytes(whole[:size])
        assert read_metrics(folder, "trials/0000") == rows
    assert read_metrics(folder, "trials/9999") == []


def test_an_experiment_that_has_no_log_yet_is_empty(folder: Path) -> None:
    (folder / LOG).unlink()
    (warning,) = read_experiment(folder).warnings
    assert "log.jsonl is gone, and with it the parameters, values and outcomes of 4 trials" in warning
    shutil.rmtree(folder / "trials")
    record = read_experiment(folder)
    assert isinstance(record, ExperimentRecord)
    assert (record.trials, record.best, record.elapsed, record.warnings) == ((), None, 0.0, ())


def test_a_newer_format_is_refused(folder: Path) -> None:
    resolved = read_resolved(folder)
    write_json(folder / RESOLVED, {**resolved, "version": FORMAT_VERSION + 1})
    with pytest.raises(ExperimentError, match=rf"was written by a newer hpsearch \(format {FORMAT_VERSION + 1}\)"):
        read_experiment(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"version": 1}', "\udcff"])
def test_a_description_that_cannot_be_read_is_refused_with_its_path(text: str, folder: Path) -> None:
    (folder / RESOLVED).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ExperimentError, match=RESOLVED):
        read_experiment(folder)


def test_a_missing_folder_names_its_neighbours(folder: Path) -> None:
    GrowingExperiment(folder.with_name("abc"))
    (folder.parent / "notes").mkdir()
    mistyped = folder.with_name("curvse")
    with pytest.raises(ExperimentError) as caught:
        read_experiment(mistyped)
    place = folder.parent
    assert str(caught.value) == f"{mistyped} is not an experiment: it has no {RESOLVED}; {place} holds: abc, curves"


def test_the_folder_of_all_experiments_names_those_in_it(folder: Path) -> None:
    with pytest.raises(ExperimentError, match=r"experiments holds: curves$"):
        read_experiment(folder.parent)


def test_a_place_without_experiments_names_none(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=rf"it has no {RESOLVED}$"):
        read_experiment(tmp_path / "nowhere" / "x")


def test_reading_loads_none_of_the_libraries_that_made_it(folder: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from hpsearch.experiment.reading import read_evidence, read_experiment, read_metrics
record = read_experiment(Path({str(folder)!r}))
assert len(record.trials) == 4 and read_metrics(Path({str(folder)!r}), "trials/0000")
import hpsearch.experiment.files, hpsearch.experiment.activity, hpsearch.experiment.log, hpsearch.experiment.provenance
heavy = ("torch", "optuna", "mlflow", "numpy", "pandas", "scipy", "yaml", "pydantic", "rich", "typer", "matplotlib")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_record_says_is_what_the_log_says(folder: Path) -> None:
    record = read_experiment(folder)
    events = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    outcomes = {event["run"]: event for event in events if event["event"] == "outcome"}
    for run in (*record.trials, *record.replicates):
        if run.outcome is not None:
            ended = outcomes[run.run]
            assert (run.value, run.step, run.seconds) == (ended["value"], ended["step"], ended["seconds"])
    confirming = read_state(folder / LOG).confirm_seconds
    assert confirming > 0
    assert record.elapsed == pytest.approx(events[-1]["elapsed"] - confirming)


def test_a_copy_has_the_history_and_the_changes_of_its_donor_up_to_then(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "curves")
    first, second, third = ({"train.learning_rate": rate} for rate in (0.1, 0.2, 0.3))
    experiment.trial(0, (0.5, 0.4), outcome=None, params=first)
    experiment.trial(1, (0.1, 0.2), outcome=None, params=second)
    experiment.exploit(1, donor=0, step=2, params=third)
    experiment.report("trials/0001", 3, 0.7, value=0.7, at=3, seconds=3.0)
    experiment.exploit(0, donor=1, step=3, params=second)
    donor, copy = experiment.record.trials
    assert copy.history == ((1, 0.5), (2, 0.4), (3, 0.7))
    assert copy.changes == (Change(2, "trials/0000", first, third),)
    assert (copy.params, copy.seed, copy.value, copy.step) == (third, 100, 0.7, 3)
    assert donor.changes == (*copy.changes, Change(3, "trials/0001", third, second))
    assert (donor.run, donor.number, donor.params, donor.history) == ("trials/0000", 0, second, copy.history)


def test_the_evidence_has_rows_configuration_and_gradients_of_single_parameters(tmp_path: Path) -> None:
    run = RunRecord("trials/0000", 0, {}, seed=1)
    assert read_evidence(tmp_path, run) == Evidence(run)
    folder = tmp_path / run.run
    gradient = {"norm": 3.0, "nan": 0, "inf": 0}
    parameters = {"a": {"gradient": gradient}, "b": {"gradient": {**gradient, "inf": 2}}, "frozen": {"weight": {}}}
    write_histograms(folder, 4, parameters)
    write_json(folder / CONFIG, {"config": {"width": 1}, "changes": [{"config": {"width": 2}}]})
    append_json_line(folder / METRICS, {"step": 1, "train/loss": 0.5})
    evidence = read_evidence(tmp_path, run)
    assert evidence.gradients == ((4, "a", 3.0), (4, "b", math.inf))
    assert evidence.config == {"width": 2}
    assert evidence.rows == ({"step": 1, "train/loss": 0.5},)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("space", [], "space is [], not an object"),
        ("space.family", None, "space.family is null, not a text"),
        ("space.objective.goal", "biggest", 'space.objective.goal is "biggest", not one of minimize, maximize'),
        ("space.objective", {}, "space.objective.metric is missing, not a text"),
        ("space.search.trials", "many", 'space.search.trials is "many", not a whole number'),
        ("space_folder", 3, "space_folder is 3, not a text"),
        ("version", [1], "version is [1], not a whole number"),
        ("created", "today", 'created is "today", not a number'),
    ],
)
def test_a_damaged_description_is_named_with_what_it_should_be(
    folder: Path, path: str, value: object, told: str
) -> None:
    content = json.loads((folder / RESOLVED).read_text())
    *above, last = path.split(".")
    place = content
    for name in above:
        place = place[name]
    place[last] = value
    (folder / RESOLVED).write_text(json.dumps(content))
    with pytest.raises(ExperimentError, match=re.escape(f"{RESOLVED} is damaged: {told}")):
        read_experiment(folder)


def test_a_row_of_metrics_without_its_step_costs_that_row(folder: Path) -> None:
    path = folder / "trials/0000" / METRICS
    rows = read_metrics(folder, "trials/0000")
    path.write_bytes(b'{"seconds":1.0}\n{"step":"x"}\n' + path.read_bytes())
    assert read_metrics(folder, "trials/0000") == rows
