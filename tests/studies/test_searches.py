"""A study whose searches are repeated: what varies, what is shared, and that a search, not a seed, is what counts."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import pytest

from hpsearch.comparing.question import Unit
from hpsearch.errors import ExperimentError, SpaceError
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.studies import arm_folders
from hpsearch.readers import Wanted, hpsearch_study
from hpsearch.records import FinishedRun
from hpsearch.running.runner import RunOptions
from hpsearch.studies.forecast import forecast_study
from hpsearch.studies.history import fix_plan, plan_of
from hpsearch.studies.progress import progress_of
from hpsearch.studies.reading import load_study
from hpsearch.studies.report import StudyReport, study_json, study_markdown
from hpsearch.studies.run import StudyEnd, run_study
from hpsearch.studies.study import Study
from tests.studies.test_run import Interrupting
from tests.toy_studies import altered, with_options, write_study


def repeated(folder: Path, replicates: str) -> Study:
    path = write_study(folder, trials=2, seeds=2)
    return load_study(altered(path, ("{seeds: 2}", replicates)))


def go(study: Study, folder: Path, *, only: str | None = None) -> StudyEnd:
    run_arm = with_options(RunOptions(in_process=True))
    return run_study(study, folder=folder, run_arm=run_arm, only=only, command="hpsearch study")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, StudyReport]:
    home = tmp_path_factory.mktemp("searches")
    study = repeated(home, "{searches: 3, seeds: 2}")
    report = go(study, home / "done").report
    assert report is not None
    return study, home / "done", report


def test_a_search_is_the_unit_and_its_seeds_count_as_their_mean(done: tuple[Study, Path, StudyReport]) -> None:
    _, folder, report = done
    comparison = report.evidence.comparison
    assert comparison.unit is Unit.SEARCH
    assert [(each.name, each.n) for each in comparison.experiments] == [("sgd", 3), ("adamw", 3), ("mean", 1)]
    for summary in comparison.experiments[:2]:
        records = [read_experiment(folder / name) for name in (summary.name, f"{summary.name}@2", f"{summary.name}@3")]
        means = [mean(run.scores["test/loss"] for run in record.replicates) for record in records]
        assert [len(record.replicates) for record in records] == [2, 2, 2]
        assert summary.values == pytest.approx(means)
    searched, *against_baseline = comparison.pairs
    assert (searched.paired, searched.n, searched.test, searched.df) == (True, 3, "paired t", 2)
    assert [pair.n for pair in against_baseline] == [3, 3]


def test_searches_share_their_seeds_with_the_other_arm_and_the_data_with_each_other(
    done: tuple[Study, Path, StudyReport],
) -> None:
    study, folder, _ = done
    seeds = {
        arm.folder: [run.seed for run in read_experiment(folder / arm.folder).replicates] for arm in study.searches
    }
    assert [seeds[f"sgd{end}"] for end in ("", "@2", "@3")] == [seeds[f"adamw{end}"] for end in ("", "@2", "@3")]
    assert len({seed for found in seeds.values() for seed in found}) == 6
    trials = {arm.folder: [run.seed for run in read_experiment(folder / arm.folder).trials] for arm in study.searches}
    assert trials["sgd"] != trials["sgd@2"] == trials["adamw@2"]
    baselines = [read_experiment(folder / f"sgd{end}").baselines[0].scores for end in ("", "@2", "@3")]
    assert baselines[0] == baselines[1] == baselines[2]  # a method without a seed sees the same data in each


def test_report_and_json_name_what_was_varied(done: tuple[Study, Path, StudyReport]) -> None:
    _, _, report = done
    text, shown = study_markdown(report), study_json(report)
    assert shown["comparison"]["unit"] == "search"
    assert shown["comparison"]["varied"] == ["choice of hyperparameters", "seed"]
    assert "sources of variance that are varied: choice of hyperparameters, initialisation" in text
    assert "3 searches of each arm" in text
    methods = shown["comparison"]["methods"]["text"]
    assert (
        "3 searches of each, by other seeds. The best trial of each search was trained again on 2 fresh seeds"
        in methods
    )
    assert "Each arm was searched several times" in text
    assert "Each search was run once" not in text
    assert set(shown["winners"]) == {f"{arm}{end}" for arm in ("sgd", "adamw") for end in ("", "@2", "@3")}


def test_compare_reads_the_folder_as_the_study_does(done: tuple[Study, Path, StudyReport]) -> None:
    _, folder, report = done
    reading = hpsearch_study.read(folder, Wanted())
    keys = ("experiment", "run", "seed", "search_number", "fold", "repeat", "deterministic", "metrics")

    def told(runs: Sequence[FinishedRun]) -> list[tuple[object, ...]]:
        return [tuple(getattr(run, key) for key in keys) for run in runs if run.search is None]

    assert told(reading.runs) == told(report.evidence.runs)
    assert [arm.name for arm in arm_folders(folder)] == ["sgd", "sgd@2", "sgd@3", "adamw", "adamw@2", "adamw@3"]
    assert [(each.name, each.replicates) for each in progress_of(folder).arms if each.replicates] == [
        (arm.name, 2) for arm in arm_folders(folder)
    ]


def test_searches_of_studies_with_other_seeds_are_no_partners(done: tuple[Study, Path, StudyReport]) -> None:
    run = next(run for run in hpsearch_study.read(done[1], Wanted()).runs if run.search is None)
    names = {str(hpsearch_study.of_search(run, 2, {}, seed=seed).search_number) for seed in (0, 5)}
    assert names == {"2", "2 of seed 5"}


def test_the_first_search_is_that_of_a_study_with_one(done: tuple[Study, Path, StudyReport], tmp_path: Path) -> None:
    """More searches can be added to a study that has one, and its folder stays what it was."""
    study, folder, _ = done
    once = load_study(write_study(tmp_path, trials=2, seeds=2))
    go(once, tmp_path / "x", only="sgd")
    for one, other in zip(
        read_experiment(tmp_path / "x" / "sgd").replicates, read_experiment(folder / "sgd").replicates, strict=True
    ):
        assert (one.seed, one.scores, one.params) == (other.seed, other.scores, other.params)
    assert plan_of(once, once.settings.confirm)["replicates"] == {"seeds": 2, "folds": None, "repeats": 1}
    assert plan_of(study, study.settings.confirm)["replicates"] == {
        "seeds": 2,
        "folds": None,
        "repeats": 1,
        "searches": 3,
        "vary": "seeds",
    }


def test_interrupted_in_a_later_search_it_goes_on_to_the_same_report(
    done: tuple[Study, Path, StudyReport], tmp_path: Path
) -> None:
    study, _, report = done
    stopped = run_study(study, folder=tmp_path / "x", run_arm=Interrupting(16), command="hpsearch study")
    assert stopped.interrupted
    assert (tmp_path / "x" / "sgd@2").is_dir()
    again = go(study, tmp_path / "x").report
    assert again is not None
    assert study_markdown(again) == study_markdown(report)


def test_the_plan_counts_every_search(done: tuple[Study, Path, StudyReport], tmp_path: Path) -> None:
    study, folder, _ = done
    plan = forecast_study(study, folder=tmp_path / "none", probe=None)
    assert [(arm.searches, arm.trials, arm.replicates, arm.trainings) for arm in plan.arms] == [(3, 2, 2, 12)] * 2
    assert (plan.power.unit, plan.power.replicates) == ("searches", 3)
    again = forecast_study(study, folder=folder, probe=None)
    assert [arm.done for arm in again.arms] == [12, 12]
    assert {pair.n for pair in again.power.observed} == {3}


def test_vary_all_gives_each_search_data_of_its_own_and_one_seed(tmp_path: Path) -> None:
    study = repeated(tmp_path, "{searches: 2, vary: all}")
    assert study.settings.replicates.seeds == 1
    report = go(study, tmp_path / "x").report
    assert report is not None
    comparison = report.evidence.comparison
    assert (comparison.unit, [each.n for each in comparison.experiments]) == (Unit.SEARCH, [2, 2, 2])
    assert comparison.varied == ("choice of hyperparameters", "division of the data", "seed")
    baselines = [read_experiment(tmp_path / "x" / name).baselines[0].scores["test/loss"] for name in ("sgd", "sgd@2")]
    assert baselines[0] != baselines[1]
    assert comparison.experiments[2].values == pytest.approx(baselines)


@pytest.mark.parametrize(
    ("replicates", "said"),
    [
        ("{searches: 3, folds: 5}", "searches are repeated with seeds, not with folds"),
        ("{seeds: 5, vary: all}", "write {searches: k, vary: all}"),
        ("{searches: 1, seeds: 1}", "one seed shows no variance"),
        ("{seeds: 1}", "one seed shows no variance"),
        ("{searches: 0, seeds: 3}", "searches"),
    ],
)
def test_what_does_not_go_together_is_refused(replicates: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as caught:
        repeated(tmp_path, replicates)
    assert said in str(caught.value)


def test_other_divisions_are_not_told_of_what_was_trained(
    done: tuple[Study, Path, StudyReport], tmp_path: Path
) -> None:
    with pytest.raises(ExperimentError, match="divided its data by another seed"):
        fix_plan(done[1], repeated(tmp_path, "{searches: 3, vary: all}"))
    assert fix_plan(done[1], repeated(tmp_path, "{searches: 4, seeds: 2}"))[0].changes


def test_searches_alone_are_confirmed_on_five_seeds(tmp_path: Path) -> None:
    assert repeated(tmp_path, "{searches: 3}").settings.confirm.seeds == 5


def test_the_split_is_one_for_all_searches_unless_all_is_varied(tmp_path: Path) -> None:
    study = repeated(tmp_path, "{searches: 2, seeds: 2}")
    first, second, *_ = study.searches
    assert (first.space.search.seed, first.space.search.split_seed) == (study.settings.seed, None)
    assert second.space.search.seed != study.settings.seed == second.space.search.split_seed
