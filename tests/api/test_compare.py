"""`hpsearch compare` as its user types it: what is printed, what is written, what a mistake says."""

import json
from pathlib import Path

import pytest

import hpsearch
from hpsearch.cli import main
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search

TABLE = "experiment,seed,accuracy\n" + "".join(
    f"{name},{seed},{base + seed * 0.001 + (seed * 7 % 5) * lift}\n"
    for name, base, lift in (("ours", 0.92, 0.001), ("theirs", 0.90, 0.002))
    for seed in range(8)
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.csv").write_text(TABLE)
    return tmp_path / "results.csv"


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["hpsearch", "compare", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_it_prints_the_conclusion_and_writes_the_report(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "results.csv") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ours is better than theirs" in said
    assert "the report is in reports/results" in said
    assert (table.parent / "reports" / "results" / "report.html").is_file()


@pytest.mark.parametrize("more", [["--format", "md"], ["--json"]])
def test_a_warning_about_a_source_is_said_once(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert typed(monkeypatch, table.name, table.name, *more) == 0
    said = capsys.readouterr()
    assert said.out.count("given twice") == 1
    assert said.err.count("given twice") == ("--json" in more)


def test_json_alone_goes_to_stdout(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, str(table), "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["pairs"][0]["verdict"] == "better"
    assert not (table.parent / "reports").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["results.csv", "--metric", "acuracy"], "unknown metric 'acuracy', did you mean 'accuracy'"),
        (["results.csv", "--goal", "up"], "unknown goal 'up'"),
        (["results.csv", "--unit", "seeds"], "unknown unit 'seeds', did you mean 'seed'"),
        (["results.csv", "--adjust", "bonferroni"], "unknown adjustment 'bonferroni'"),
        (["results.csv", "--baseline", "our"], "unknown baseline 'our', did you mean 'ours'"),
        (["results.csv", "--format", "doc"], "unknown report format 'doc'"),
        (["results.csv", "--margin", "-1"], "a margin is a difference above 0"),
        (["results.csv", "--alpha", "5"], "alpha is an error rate"),
        (["results.csv", "--by", "width"], "width"),
    ],
)
def test_a_mistake_is_a_sentence_and_status_2(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert typed(monkeypatch, *words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_a_table_that_leaves_its_decimal_mark_open_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{name};{seed};1,{lift * (seed + 1) + 37 * seed * seed % 11:03}"
        for name, lift in (("a", 1), ("b", 100))
        for seed in range(5)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["method;seed;loss", *rows]) + "\n")
    assert typed(monkeypatch, "t.csv", "--json") == 2
    assert "'1,001' in column 'loss', row 1 may be a number with decimals or with thousands" in capsys.readouterr().err
    for mark, mean in ((",", 1.0072), (".", 1007.2)):
        assert typed(monkeypatch, "t.csv", "--decimal", mark, "--separator", "semicolon", "--json") == 0
        content = json.loads(capsys.readouterr().out)
        assert content["experiments"][0]["mean"] == pytest.approx(mean)
        assert content["pairs"][0]["verdict"] == "better"


def test_experiments_of_hpsearch_are_compared_by_their_replicates(tmp_path: Path) -> None:
    for name in ("first", "second"):
        experiment = GrowingExperiment(tmp_path / name)
        grow_search(experiment, trials=12)
        grow_confirmation(experiment)
    compared = hpsearch.compare(tmp_path)
    assert compared.comparison.metric == "test/auc"
    assert str(compared.comparison.unit) == "seed"
    assert {each.name for each in compared.comparison.experiments} >= {"first", "second"}
    assert set(compared.evidence.importance) == {"first", "second"}
    written = compared.save(tmp_path / "report", format="md")
    assert (written / "report.md").is_file()


def test_runs_of_several_tools_are_compared_in_one_report(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    (tmp_path / "results.csv").write_text(
        "experiment,seed,accuracy\n" + "".join(f"table,{s},0.{80 + s}\n" for s in range(5))
    )
    for seed in range(5):
        with SummaryWriter(str(tmp_path / "runs" / f"events_seed_{seed}")) as writer:
            writer.add_scalar("accuracy", 0.9 + seed / 100, 1)
        folder = tmp_path / "files" / f"loop_seed_{seed}"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"accuracy": 0.7 + seed / 50}))
    compared = hpsearch.compare(tmp_path)
    assert {each.name: each.n for each in compared.comparison.experiments} == {"loop": 5, "table": 5, "events": 5}
    assert all(pair.paired for pair in compared.comparison.pairs)


def test_a_report_says_what_is_wrong_with_the_trainings(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "mine")
    grow_search(experiment, trials=30)
    compared = hpsearch.compare(tmp_path)
    written = {path.name: path.read_text() for path in compared.save(tmp_path / "r", format="md,html").glob("report.*")}
    diverged = [trial for trial in experiment.record.trials if trial.outcome == "diverged"]
    assert diverged
    assert "## Health of the trainings" in written["report.md"]
    assert f"trial {diverged[0].number}" in written["report.md"]
    assert "Health of the trainings" in written["report.html"]


def test_an_experiment_is_compared_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the end of a search suggests."""
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(("ours", "theirs")):
        growing = GrowingExperiment(Path("experiments") / name)
        grow_search(growing, trials=4, seed=place)
        grow_confirmation(growing)
        growing.log.close()
    assert hpsearch.compare(["ours", "theirs"]).sources == ("experiments/ours", "experiments/theirs")
    assert typed(monkeypatch, "ours", "their") != 0
    assert "their does not exist; there is no experiment 'their', did you mean 'theirs'?" in capsys.readouterr().err
