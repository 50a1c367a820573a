"""`hpsearch compare experiments/` where not all can be compared with all: one report that always answers."""

import csv
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch.errors import DataError, HpsearchError, UnknownNameError
from hpsearch.experiment.activity import locked
from hpsearch.experiment.events import AskEvent
from hpsearch.experiment.layout import RESOLVED, replicate_run
from hpsearch.records import Outcome
from hpsearch.report.comparison.overview import overview_rows
from tests.api.test_compare import typed
from tests.experiment_factory import TEXT, GrowingExperiment
from tests.tracking.folders import StudyFolder

ACCURACY = "experiment,seed,accuracy\n" + "".join(
    f"{name},{seed},0.{80 + seed}\n" for name in "ab" for seed in range(4)
)


def grown(
    folder: Path,
    *,
    family: str = "curves",
    data: dict[str, Any] | None = None,
    trials: Sequence[float] = (0.5, 0.7, 0.6),
    scores: Sequence[float] = (),
    baseline: bool = False,
) -> GrowingExperiment:
    """An experiment with trials and replicates of the best; `data` is the section of its space."""
    experiment = GrowingExperiment(folder, text=TEXT.replace("curves", family))
    if data is not None:
        resolved = json.loads((folder / RESOLVED).read_text())
        resolved["space"]["data"] = data
        (folder / RESOLVED).write_text(json.dumps(resolved))
    for number, value in enumerate(trials):
        experiment.trial(number, (value / 2, value))
    for replicate, score in enumerate(scores):
        run = replicate_run(1, replicate)
        experiment.emit(AskEvent(run=run, number=1, params={}, seed=200 + replicate, replicate=replicate))
        (folder / run).mkdir(parents=True)
        experiment.report(run, 1, 0.5, value=0.5, at=1, seconds=1.0)
        experiment.end(run, Outcome.COMPLETE, (0.5,), scores={"test/auc": score})
    if baseline:
        experiment.baseline("chance", {"test/auc": 0.5})
    return experiment


def document(*sources: Path, **options: Any) -> dict[str, Any]:
    text = json.dumps(hpsearch.compare(sources, **options).to_json(), allow_nan=False)
    found: dict[str, Any] = json.loads(text)
    return found


def names_of(content: dict[str, Any]) -> list[list[str]]:
    return [[each["name"] for each in group["experiments"]] for group in content["groups"]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two families: two experiments of one that can be compared, and one of the other."""
    for name, scores in (("one", (0.71, 0.74, 0.69)), ("two", (0.81, 0.85, 0.8))):
        grown(tmp_path / "experiments" / name, scores=scores)
    grown(tmp_path / "experiments" / "wave", family="waves", scores=(0.9, 0.92), baseline=True)
    return tmp_path / "experiments"


@pytest.mark.slow
def test_a_folder_of_two_families_is_told_group_by_group(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home.parent)
    monkeypatch.setenv("COLUMNS", "120")
    assert typed(monkeypatch, "experiments/") == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "3 experiments: 2 groups to compare",
        "two is better than one",
        "curves: test/auc",
        "waves: test/auc",
        "its p-values are adjusted for the tests of the group and for no others",
        "(one, two) and wave: other families: curves and waves; --metric test/auc compares them all the same",
        "the report is in reports/experiments",
    ):
        assert words in said
    report = home.parent / "reports" / "experiments"
    text = (report / "report.md").read_text()
    assert "## curves: test/auc\n" in text
    assert "### Notes" in text
    assert "(figures/group-2-scores.svg)" in text
    assert (report / "figures" / "group-2-scores.svg").is_file()
    assert json.loads((report / "compare.json").read_text()) == document(Path("experiments"))
    page = (report / "report.html").read_text()
    assert 'data-plot="group-1-differences"' in page
    assert page.count("<h1>") == 1
    assert "curves: test/auc. test/auc (higher is better)" in (report / "report.tex").read_text()
    with (report / "pairs.csv").open() as file:
        assert [(row["group"], row["a"], row["b"]) for row in csv.DictReader(file)] == [
            ("curves: test/auc", "one", "two"),
            ("waves: test/auc", "wave", "chance (wave)"),
        ]
    with (report / "overview.csv").open() as file:
        assert [row["confirmation.n"] for row in csv.DictReader(file)] == ["3", "3", "2"]


def test_each_group_is_the_comparison_of_its_members_alone(home: Path) -> None:
    for group, members in zip(document(home)["groups"], (["one", "two"], ["wave"]), strict=True):
        assert group.pop("name")
        assert group.pop("why")
        assert group == document(*(home / name for name in members))


def test_the_overview_says_of_each_what_there_is(home: Path) -> None:
    one, _, wave = document(home)["overview"]
    assert (one["kind"], one["family"], one["state"]) == ("experiment", "curves", "interrupted")
    assert one["objective"] == {"metric": "val/auc", "goal": "maximize"}
    assert one["trials"] == {"n": 3, "outcomes": {"complete": 3}}
    assert (one["best"]["trial"], one["best"]["value"]) == (1, 0.7)
    (confirmed,) = one["confirmation"]
    assert (confirmed["metric"], confirmed["n"], confirmed["trial"]) == ("test/auc", 3, 1)
    assert confirmed["mean"] == pytest.approx((0.71 + 0.74 + 0.69) / 3)
    assert one["seconds"] == {"trials": 6.0, "confirmation": 3.0}
    assert one["started"] <= one["last_activity"]
    assert wave["groups"] == ["waves: test/auc"]


def test_one_group_alone_has_the_report_that_it_always_had(home: Path) -> None:
    content = document(home / "one", home / "two")
    assert content["metric"] == "test/auc"
    assert "groups" not in content
    assert document(home, metric="test/auc")["metric"] == "test/auc"
    assert {"one", "two", "wave"} <= {each["name"] for each in document(home, metric="test/auc")["experiments"]}


def test_python_has_the_groups(home: Path) -> None:
    compared = hpsearch.compare(home)
    assert [group.comparison.family_size for group in compared.groups] == [1, 1]
    assert compared.groups[0].evidence.runs == compared.groups[0].runs
    with pytest.raises(HpsearchError, match=r"2 groups .*`groups` has the comparison of each"):
        _ = compared.comparison
    grown(home.parent / "other" / "alone")
    grown(home.parent / "other" / "wave", family="waves")
    shown = compared._repr_html_()
    assert all(f"<p>{html.escape(group.name)}: {html.escape(group.why)}</p>" in shown for group in compared.groups)
    assert shown.count("<th>verdict</th>") == 2
    nothing = hpsearch.compare(home.parent / "other")
    assert [each.name for each in nothing.alone] == ["alone", "wave"]
    assert "0 groups" in nothing._repr_html_()
    with pytest.raises(HpsearchError, match="nothing here can be compared"):
        _ = nothing.evidence
    single = hpsearch.compare(home / "one")
    assert [group.comparison for group in single.groups] == [single.comparison]


def test_other_settings_of_the_data_are_not_tested_against_each_other(tmp_path: Path) -> None:
    for name, size in (("small", 16), ("large", 32), ("equal", 16)):
        grown(tmp_path / name, data={"size": size, "path": "a.txt"}, scores=(0.5, 0.6))
    content = document(tmp_path)
    assert names_of(content) == [["equal", "small"]]
    assert [each["name"] for each in content["alone"]] == ["large"]
    assert content["alone"][0]["comparison"]["experiments"][0]["n"] == 2
    assert {each["a"] for each in content["not_compared"]} | {each["b"] for each in content["not_compared"]} == {
        *("equal", "large", "small")
    }
    assert all("data.size is 16 and 32" in each["why"] for each in content["not_compared"])
    asked = document(tmp_path, metric="test/auc")
    assert len(asked["pairs"]) == 3
    assert sum("data.size is" in warning for warning in asked["warnings"]) == 2


def test_searches_without_replicates_are_compared_at_equal_budgets(tmp_path: Path) -> None:
    grown(tmp_path / "confirmed", scores=(0.5, 0.6))
    grown(tmp_path / "searched", trials=(0.4, 0.5))
    content = document(tmp_path)
    (group,) = content["groups"]
    assert (group["metric"], group["unit"], group["pairs"]) == ("val/auc", "trial", [])
    assert [each["n"] for each in group["experiments"]] == [3, 2]
    assert any("compare them at n = 2" in warning for warning in group["warnings"])


def test_what_runs_or_failed_or_is_new_is_in_the_overview(tmp_path: Path) -> None:
    running = grown(tmp_path / "running", trials=())
    running.trial(0, (0.3,), outcome=None)
    failed = grown(tmp_path / "failed", trials=())
    for number in range(2):
        failed.trial(number, (), outcome=Outcome.FAILED, value=None, step=None)
    grown(tmp_path / "new", trials=())
    with locked(tmp_path / "running"):
        content = document(tmp_path)
        assert document(tmp_path / "running")["overview"] == [content["overview"][2]]
    told = {each["name"]: (each["state"], each["trials"]["outcomes"]) for each in content["overview"]}
    assert told == {
        "failed": ("interrupted", {"failed": 2}),
        "new": ("interrupted", {}),
        "running": ("running", {"unfinished": 1}),
    }
    assert content["groups"] == []
    assert {each["name"]: each["why"] for each in content["alone"]} == {
        "failed": "none of its trials is complete: 2 failed",
        "new": "no trial of it has begun",
        "running": "it is still running, and no trial is complete yet",
    }


def test_of_a_running_confirmation_the_replicates_that_ended_count(tmp_path: Path) -> None:
    grown(tmp_path / "done", scores=(0.5, 0.6, 0.7))
    grown(tmp_path / "running", scores=(0.6, 0.8))
    grown(tmp_path / "other", family="waves")
    with locked(tmp_path / "running"):
        (group,) = document(tmp_path)["groups"]
    assert [each["n"] for each in group["experiments"]] == [3, 2]
    assert "of running, still running, the replicates that have ended" in group["why"]


def study(folder: Path, *, replicates: int = 2) -> StudyFolder:
    growing = StudyFolder(folder)
    for arm in ("a", "b"):
        growing.finish(arm) if replicates else growing.begin(arm)
    return growing


def test_a_study_beside_searches_is_a_group_by_its_plan(tmp_path: Path) -> None:
    grown(tmp_path / "solo", scores=(0.5, 0.6))
    study(tmp_path / "duel")
    study(tmp_path / "second")
    StudyFolder(tmp_path / "planned")
    content = document(tmp_path)
    assert names_of(content) == [["duel/a", "duel/b", "duel/floor"], ["second/a", "second/b", "second/floor"]]
    kinds = [(each["name"], each["kind"], each["study"]) for each in content["overview"]]
    assert kinds == [
        ("duel", "study", None),
        *(("duel/a", "arm", "duel"), ("duel/b", "arm", "duel")),
        ("planned", "study", None),
        ("second", "study", None),
        *(("second/a", "arm", "second"), ("second/b", "arm", "second")),
        ("solo", "experiment", None),
    ]
    assert {each["name"]: each["why"] for each in content["alone"]}["planned"] == "no arm of it has begun"
    titles = [row[0] for row in overview_rows(hpsearch.compare(tmp_path).overview)]
    assert titles[:4] == ["study duel", "duel/a", "duel/b", "study planned"]


def test_a_study_is_tested_as_it_was_planned_unless_something_else_is_asked_for(tmp_path: Path) -> None:
    path = study(tmp_path / "duel").path / "study.json"
    content = json.loads(path.read_text())
    content["latest"]["decide"] = {"margin": 0.1, "alpha": 0.01, "adjust": "hommel"}
    path.write_text(json.dumps(content))
    grown(tmp_path / "solo")
    (group,) = document(tmp_path)["groups"]
    assert (group["alpha"], group["adjust"]) == (0.01, "hommel")
    assert "by its plan (margin 0.1, error rate 0.01, adjusted by hommel)" in group["why"]
    (group,) = document(tmp_path, alpha=0.1)["groups"]
    assert (group["alpha"], group["adjust"]) == (0.1, "hommel")


def test_what_cannot_be_read_is_a_line_and_not_the_end(home: Path) -> None:
    (home / "empty").mkdir()
    (home / "notes.txt").write_text("remember the milk")
    grown(home / "torn")
    log = (home / "torn" / "log.jsonl").read_text().splitlines()
    (home / "torn" / "log.jsonl").write_text("\n".join([log[0], '{"event":"report"}', *log[1:], ""]))
    (home / "bad").mkdir()
    (home / "bad" / RESOLVED).write_text("{")
    (home / "mlflow.db-wal").write_text("")
    content = document(home)
    assert [Path(each["place"]).name for each in content["unread"]] == ["bad", "empty", "notes.txt"]
    assert "is not valid JSON" in content["unread"][0]["why"]
    assert "log.jsonl: line 2 was left out: it is no event of a log: report: run is missing" in json.dumps(content)
    assert len(content["groups"]) == 3
    named = document(*sorted(home.iterdir()))
    assert (names_of(named), len(named["unread"])) == (names_of(content), 3)
    one = document(home / "one", home / "bad")
    assert "is not valid JSON" in one["warnings"][0]
    with pytest.raises(HpsearchError, match="is not valid JSON"):
        document(home / "bad", home / "empty")
    with pytest.raises(DataError, match="holds no runs"):
        document(home / "empty")


def test_a_mirror_named_beside_its_experiments_is_not_read_twice(home: Path, empty_database: Path) -> None:
    import shutil

    shutil.copy(empty_database, home / "mlflow.db")
    (home / "mlflow.lock").touch()
    found = hpsearch.compare(home.iterdir()).found
    assert {reader for _, reader in found.readers} == {"hpsearch"}
    assert found.unread == ()


def test_tables_of_two_metrics_are_two_groups(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ACCURACY)
    (tmp_path / "b.csv").write_text(ACCURACY.replace("accuracy", "loss"))
    (tmp_path / "c.csv").write_text(ACCURACY.replace("accuracy", "marvel"))
    content = document(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv")
    assert [group["name"] for group in content["groups"]] == ["a.csv: accuracy", "b.csv: loss"]
    assert [group["goal"] for group in content["groups"]] == ["maximize", "minimize"]
    assert "does 'marvel' improve upwards or downwards?" in content["alone"][0]["why"]
    asked = document(tmp_path / "a.csv", tmp_path / "c.csv", goal="minimize")
    assert [group["goal"] for group in asked["groups"]] == ["minimize", "minimize"]


def test_a_table_joins_the_experiment_that_has_its_metric(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "peer.csv"
    table.write_text("experiment,seed,test/auc,test/loss\npeer,0,0.6,1\npeer,1,0.7,2\n")
    alone = document(home / "one", table)
    assert [each["name"] for each in alone["experiments"]] == ["one", "peer"]
    content = document(home, table)
    assert {each["name"]: each["why"] for each in content["alone"]}["peer.csv"].startswith(
        "the runs have several metrics"
    )


def test_options_count_for_the_groups_that_they_fit(home: Path) -> None:
    content = document(home, baseline="two", margin=0.01)
    assert [(pair["a"], pair["b"]) for group in content["groups"] for pair in group["pairs"]] == [
        ("one", "two"),
        ("wave", "chance (wave)"),
    ]
    assert all(pair["equivalence"]["margin"] == 0.01 for group in content["groups"] for pair in group["pairs"])
    with pytest.raises(UnknownNameError, match="unknown baseline 'tow', did you mean 'two'"):
        document(home, baseline="tow")
    with pytest.raises(UnknownNameError, match="unknown parameter 'width'"):
        document(home, by="width")
    with pytest.raises(UnknownNameError, match="unknown unit 'seeds'"):
        document(home, unit="seeds")
    with pytest.raises(HpsearchError, match="alpha is an error rate"):
        document(home, alpha=5)
    with pytest.raises(HpsearchError, match="no run has a fold"):
        document(home, unit="fold")


def test_a_sampler_that_resolved_json_names_was_noted(tmp_path: Path) -> None:
    text = TEXT.replace("trials: 60", "trials: 60, sampler: random")
    experiment = GrowingExperiment(tmp_path / "mine", text=text)
    for number, value in enumerate((0.5, 0.7, 0.6)):
        experiment.trial(number, (value,))
    assert document(tmp_path)["warnings"] == []
