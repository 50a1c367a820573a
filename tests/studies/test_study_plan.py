"""The plan of a study: what it counts, what a probe measures, what it says of power; and that it leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from hpsearch.comparing.statistics.adjustment import adjusted
from hpsearch.errors import SpaceError
from hpsearch.report.wording import rough_duration, rough_size
from hpsearch.running.runner import RunOptions
from hpsearch.studies.forecast import forecast_study, probing
from hpsearch.studies.forecast import tests_of as number_of_tests
from hpsearch.studies.plan import StudyPlan, show_study_plan, study_plan_json
from hpsearch.studies.probe import Probe, Probed, probe_arm
from hpsearch.studies.reading import load_study
from hpsearch.studies.run import run_study
from hpsearch.studies.study import Study
from hpsearch.workers.machine import Share
from tests.folded_spaces import folded_study
from tests.toy_spaces import toy_space, write_space
from tests.toy_studies import altered, toy_study, with_options, write_study

CONFIG = {"train": {"keep": None}}


def made_up(seconds: float, *, weights: int = 0) -> Probe:
    return Probe(seconds, evaluations=1.0, epoch_steps=4.0, weights=weights, checkpoint=0, row=0, config=CONFIG)


def plan(study: Study, folder: Path, *probes: Probe, load: float = 0.0, seeds: int | None = None) -> StudyPlan:
    """Plan with workers' probes that are made up, or without any."""
    probe = (lambda _, __: Probed(probes, load)) if probes else None
    return forecast_study(study, folder=folder / "none", seeds=seeds, probe=probe)


def changed(folder: Path, *changes: tuple[str, str]) -> Study:
    return load_study(altered(write_study(folder), *changes))


def shown(found: StudyPlan, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(show_study_plan(found))
    return captured.get()


def test_it_counts_trainings_and_epochs(tmp_path: Path) -> None:
    found = plan(toy_study(tmp_path, trials=4, seeds=5), tmp_path)
    assert [(arm.name, arm.trials, arm.replicates, arm.epochs) for arm in found.arms] == [
        ("sgd", 4, 5, (3, 3)),
        ("adamw", 4, 5, (3, 3)),
    ]
    total = study_plan_json(found)["total"]
    assert total == {"trainings": 18, "epochs": (54, 54), "seconds": None, "bytes": None}
    assert found.baselines == {"mean": "baseline mean"}
    assert not list(tmp_path.glob("none*"))


def test_more_seeds_than_planned(tmp_path: Path) -> None:
    found = plan(toy_study(tmp_path, trials=4, seeds=5), tmp_path, seeds=9)
    assert [arm.replicates for arm in found.arms] == [9, 9]
    assert found.power.replicates == 9


def test_searched_epochs_give_a_range_and_a_finite_space_fewer_trials(tmp_path: Path) -> None:
    write_study(tmp_path, trials=30)
    space = write_space(tmp_path, rate="0.1", width="{int: [1, 2]}")
    altered(space, ("epochs: 3", "epochs: {int: [2, 6], step: 2}"), ("{float: [-1, 1]}", "0.5"))
    sgd, adamw = plan(load_study(tmp_path / "study.yaml"), tmp_path, made_up(1.0)).arms
    assert (adamw.epochs, adamw.continuous, adamw.combinations, adamw.trials) == ((2, 6), 0, 6, 6)
    assert adamw.all_epochs == (2 * 9, 6 * 9)
    assert adamw.seconds == (2 * 9, 6 * 9)
    assert (sgd.continuous, sgd.combinations, sgd.trials) == (1, 6, 30)


def test_a_length_in_steps_is_counted_and_priced_by_the_probes_epochs(tmp_path: Path) -> None:
    """20 steps are 5 epochs of 4 steps: 6 trainings of 5 epochs of 10 s."""
    path = write_study(tmp_path)
    altered(tmp_path / "toy.yaml", ("epochs: 3", "steps: 20"))
    study = load_study(path)
    unpriced = plan(study, tmp_path).arms[0]
    assert (unpriced.epochs, unpriced.steps, unpriced.trouble) == (None, (20, 20), ())
    found = plan(study, tmp_path, made_up(10.0))
    assert (found.arms[0].epochs, found.arms[0].seconds) == ((5, 5), (6 * 5 * 10,) * 2)
    assert "steps" in shown(found)


def test_time_is_rounds_of_trainings_over_the_workers(tmp_path: Path) -> None:
    """3 trials and 3 replicates of 3 epochs by one worker, the data loaded once."""
    found = plan(toy_study(tmp_path), tmp_path, made_up(10.0), made_up(20.0), load=7.0)
    assert found.arms[0].seconds == (7 + 6 * 3 * 10, 7 + 6 * 3 * 20)
    write_space(tmp_path, workers=2)
    found = plan(load_study(tmp_path / "study.yaml"), tmp_path, made_up(10.0))
    assert found.arms[0].seconds == (2 * (2 * 3 * 10),) * 2  # two rounds of trials, two of replicates
    write_space(tmp_path, data="data: {size: {int: [16, 32]}}")
    found = plan(load_study(tmp_path / "study.yaml"), tmp_path, made_up(10.0), load=7.0)
    assert found.arms[0].seconds == (3 * 7 + 6 * 3 * 10,) * 2  # other data for every trial


def test_the_budget_of_time_ends_the_search(tmp_path: Path) -> None:
    study = changed(tmp_path, ("{trials: 3}", "{trials: 100, time: 5m}"))
    found = plan(study, tmp_path, made_up(10.0))
    assert found.arms[0].seconds == (300 + 3 * 3 * 10,) * 2
    assert found.arms[0].capped
    assert "the budget ends the search of sgd, adamw after 5 min 00 s" in " ".join(shown(found).split())


def test_a_disk_without_room_is_a_warning(tmp_path: Path) -> None:
    found = plan(toy_study(tmp_path), tmp_path, made_up(1.0, weights=10**15))
    assert any("the disk has room for" in warning and "12000 TB" in warning for warning in found.warnings)
    assert not plan(toy_study(tmp_path), tmp_path, made_up(1.0, weights=10)).warnings


def test_unequal_spaces_are_said(tmp_path: Path) -> None:
    assert "spaces are not equally large" in shown(plan(toy_study(tmp_path), tmp_path))
    equal = changed(tmp_path, ("set: {train.optimizer: sgd}", "set: {train.optimizer: adamw}"))
    assert "spaces are equally large" in shown(plan(equal, tmp_path))


def test_a_bad_study_is_told_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"study.yaml:7:18: budget.trials: 0 is out of bounds"):
        changed(tmp_path, ("{trials: 3}", "{trials: 0}"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    """A toy study that was really run, in `experiments`."""
    home = tmp_path_factory.mktemp("plan")
    study = toy_study(home, trials=4, seeds=4)
    run_study(study, folder=home / "experiments", run_arm=with_options(RunOptions(in_process=True)), command="")
    return study, home / "experiments"


def test_the_disk_is_what_a_real_run_leaves(done: tuple[Study, Path], tmp_path: Path) -> None:
    study, folder = done
    left = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    before = set(tmp_path.iterdir())
    found = forecast_study(study, folder=tmp_path / "x", probe=probing(in_process=True, tell=str))
    assert set(tmp_path.iterdir()) == before
    low, high = study_plan_json(found)["total"]["bytes"]
    assert left / 2 < low <= high < 2 * left


def test_the_number_of_tests_is_that_of_the_comparison(done: tuple[Study, Path]) -> None:
    study, folder = done
    end = run_study(study, folder=folder, run_arm=with_options(RunOptions(in_process=True)), command="")
    assert end.report is not None
    assert number_of_tests(study) == end.report.evidence.comparison.family_size == 3


def test_earlier_replicates_tell_the_power(done: tuple[Study, Path]) -> None:
    """Their spread is that of the differences which the comparison has."""
    study, folder = done
    end = run_study(study, folder=folder, run_arm=with_options(RunOptions(in_process=True)), command="")
    assert end.report is not None
    pairs = end.report.evidence.comparison.pairs
    found = forecast_study(study, folder=folder, probe=None)
    assert [(pair.a, pair.b, pair.n) for pair in found.power.observed] == [(pair.a, pair.b, pair.n) for pair in pairs]
    for pair, observed in zip(pairs, found.power.observed, strict=True):
        mean = sum(pair.values.differences) / pair.n
        variance = sum((each - mean) ** 2 for each in pair.values.differences) / (pair.n - 1)
        assert observed.sd == pytest.approx(variance**0.5)


@pytest.mark.parametrize(("trouble", "said"), [("diverge", "diverged"), ("memory", "out_of_memory")])
def test_a_probe_that_fails_is_told_and_the_rest_stands(trouble: str, said: str, tmp_path: Path) -> None:
    write_study(tmp_path)
    write_space(tmp_path, data=f"data: {{trouble: {trouble}}}")
    study = load_study(tmp_path / "study.yaml")
    found = forecast_study(study, folder=tmp_path / "x", probe=probing(in_process=True, tell=str))
    assert [arm.seconds for arm in found.arms] == [None, None]
    assert [warning.split(":")[:2] for warning in found.warnings] == [["sgd", f" {said}"], ["adamw", f" {said}"]]
    assert found.power.tests == 3


PROGRAM = """\
family: command
objective: {metric: loss, goal: minimize}
command: "true --rate {rate}"
rate: {log: [1e-3, 1]}
"""
PROGRAMS = """\
question: Which kind?
metric: {name: test/loss, goal: minimize}
arms: {a: {space: program.yaml}, b: {space: program.yaml}}
budget: {trials: 5}
replicates: {seeds: 4}
"""


def test_a_program_s_time_is_not_known_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "program.yaml").write_text(PROGRAM)
    (tmp_path / "study.yaml").write_text(PROGRAMS)
    found = plan(load_study(tmp_path / "study.yaml"), tmp_path, made_up(1.0))
    assert [(arm.trainings, arm.epochs, arm.seconds) for arm in found.arms] == [(9, None, None)] * 2
    assert [warning.partition(":")[0] for warning in found.warnings] == ["a", "b"]
    assert "it is trained by code of its own" in found.warnings[0]
    assert "the test of test/loss at the level 0.05" in " ".join(shown(found).split())


def test_without_a_margin_the_smallest_effect_is_said(tmp_path: Path) -> None:
    """Three seeds, three tests at 0.05 / 3: scipy's noncentral t gives the power at that effect."""
    found = plan(changed(tmp_path, ("margin: 0.1", "alpha: 0.05")), tmp_path)
    power = found.power
    assert (power.margin, power.largest_sd, power.needed) == (None, None, {})
    critical = stats.t.isf(0.05 / 3 / 2, 2)
    assert stats.nct.sf(critical, 2, power.effect * 3**0.5) == pytest.approx(0.8, abs=1e-6)
    assert f"a difference of {power.effect:.2g} standard deviations" in " ".join(shown(found).split())


@pytest.mark.parametrize("adjust", ["holm", "hommel", "bh", "none"])
def test_the_planned_power_holds_under_the_adjustment(adjust: str, tmp_path: Path) -> None:
    """Three tests, one of them of a true difference as large as the margin: simulated as spread as the plan allows."""
    found = plan(
        changed(tmp_path, ("seeds: 3", "seeds: 8"), ("margin: 0.1", f"margin: 0.1, adjust: {adjust}")), tmp_path
    ).power
    assert (found.adjust, found.tests, found.replicates) == (adjust, 3, 8)
    assert found.margin is not None
    assert found.largest_sd is not None
    times = 2_000
    values = np.random.default_rng(0).normal(0, found.largest_sd, (times, 3, 8))
    values[:, 0] += found.margin
    p = stats.ttest_1samp(values, 0, axis=2).pvalue.tolist()
    shown = sum(adjusted(row, method=adjust)[0] <= found.alpha for row in p)
    assert shown / times == pytest.approx(0.8, abs=0.05)
    assert shown / times >= 0.8 - 4 * (0.16 / times) ** 0.5
    assert any("differences and equivalences are two families of tests" in note for note in found.notes)


def test_folds_are_worth_less_than_as_many_seeds(tmp_path: Path) -> None:
    """Two by two folds, a tenth for validation: the mean of four differences varies by s² (1/4 + 0.5 / 0.4)."""
    found = plan(folded_study(tmp_path), tmp_path)
    assert [arm.replicates for arm in found.arms] == [4, 4]
    critical, sd = stats.t.isf(0.05 / 3 / 2, 3), found.power.largest_sd
    assert sd is not None
    assert stats.nct.sf(critical, 3, 0.05 / sd / (1 / 4 + 0.5 / 0.4) ** 0.5) == pytest.approx(0.8, abs=1e-6)
    assert "folds overlap: the variance of the mean is s² (1/4 + 1.25)" in " ".join(shown(found).split())


@pytest.mark.slow
def test_a_worker_whose_process_dies_is_told(tmp_path: Path) -> None:
    """As in a study the probe has a process of its own, so that the plan outlives it."""
    probed = probe_arm(toy_space(tmp_path, data="data: {trouble: kill}"), Share(1))
    assert probed.probes == ()
    assert probed.trouble == ("lost: its process ended (signal SIGKILL)",)


def test_a_probe_measures_an_epoch(tmp_path: Path) -> None:
    """Scores that take 50 ms each, one an epoch: that is what an epoch takes, at least."""
    space = toy_space(tmp_path, data="data: {seconds: 0.05}", epochs=20)
    probed = probe_arm(space, Share(1), in_process=True)
    assert len(probed.probes) == 2
    assert all(probe.evaluations == 1 and probe.epoch_seconds > 0.05 for probe in probed.probes)
    assert all(probe.weights > 0 and probe.checkpoint > probe.weights for probe in probed.probes)


def test_a_training_that_was_seen_enough_is_weighed_with_its_checkpoint(tmp_path: Path) -> None:
    probed = probe_arm(toy_space(tmp_path, epochs=20), Share(1), in_process=True, enough=0.0)
    assert probed.trouble == ()
    assert all(probe.checkpoint > probe.weights > 0 for probe in probed.probes)


def test_it_fits_into_a_terminal_and_into_json(tmp_path: Path) -> None:
    found = plan(toy_study(tmp_path), tmp_path, made_up(10.0), made_up(20.0))
    assert max(map(len, shown(found).splitlines())) <= 80
    assert "3 - 6 min" in shown(found)
    assert json.loads(json.dumps(study_plan_json(found), allow_nan=False))["arms"][0]["seconds"] == [180, 360]


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_probe_that_is_broken_off_leaves_nothing(blow: signal.Signals, tmp_path: Path) -> None:
    write_study(tmp_path)
    write_space(tmp_path, data="data: {trouble: hang}")
    place = tmp_path / "temporary"
    place.mkdir()
    before = set(tmp_path.iterdir())
    command = [sys.executable, "-m", "hpsearch", "study", "study.yaml", "--plan"]
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "TMPDIR": str(place)}) as process:
        while not list(place.glob("*/trials/*/output.log")):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(blow)
        assert process.wait() == 130
    assert set(tmp_path.iterdir()) == before
    assert not list(place.iterdir())


def test_rough_numbers() -> None:
    assert [rough_duration(seconds) for seconds in (8, 1500, 9000, 90 * 3600)] == ["8 s", "25 min", "2.5 h", "3 d 18 h"]
    assert [rough_size(count) for count in (900, 34_000, 1.24e9, 34e6)] == ["1 kB", "34 kB", "1.2 GB", "34 MB"]
