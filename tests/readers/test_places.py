"""Where a run stands: the experiment of its folder, and the place that tells experiments of one name apart."""

import json
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from hpsearch import compare
from hpsearch.readers.naming import home_of
from hpsearch.readers.shelf import read_sources


@pytest.mark.parametrize(
    ("folder", "experiment", "place", "units"),
    [
        ("/d/lstm/seed_3", "lstm", ("d",), {"seed": 3}),
        ("/d/lstm_seed_3", "lstm", ("d",), {"seed": 3}),
        ("/d/lstm/version_0", "lstm", ("d",), {}),
        ("/d/lstm/seed_3/version_0", "lstm", ("d",), {"seed": 3}),
        ("/d/lstm/fold_1/seed_3", "lstm", ("d",), {"seed": 3, "fold": 1}),
        ("/d/lstm/fold_1_seed_3", "lstm", ("d",), {"seed": 3, "fold": 1}),
        ("/d/seed_3/lstm", "lstm", ("d",), {"seed": 3}),
        ("/d/seed_4/lstm_seed_3", "lstm", ("d",), {"seed": 3}),
        ("/d/proj/lightning_logs/version_2", "proj", ("d",), {}),
        ("/d/proj/lightning_logs", "proj", ("d",), {}),
        ("/d/e/../lstm/seed_3", "lstm", ("d",), {"seed": 3}),
        ("/seed_3", "seed_3", (), {"seed": 3}),
    ],
)
def test_the_home_of_a_run(folder: str, experiment: str, place: tuple[str, ...], units: dict[str, int]) -> None:
    home = home_of(Path(folder))
    assert (home.experiment, home.place, home.units) == (experiment, place, units)


def test_a_relative_folder_has_the_same_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lstm" / "seed_3").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "lstm")
    assert home_of(Path("seed_3")) == home_of(tmp_path / "lstm" / "seed_3")
    monkeypatch.chdir("seed_3")
    assert home_of(Path()) == home_of(tmp_path / "lstm" / "seed_3")


def test_lightnings_versions_in_event_files(tmp_path: Path) -> None:
    """What TensorBoardLogger leaves: the model is the folder above, the seed stands in hparams.yaml."""
    from lightning.pytorch.loggers import TensorBoardLogger

    for name, score in (("resnet", 0.75), ("vit", 0.875)):
        for seed in (3, 4):
            logger = TensorBoardLogger(tmp_path, name)
            logger.log_hyperparams({"lr": 0.01, "seed": seed})
            logger.log_metrics({"acc": score}, step=1)
            logger.save()
            logger.finalize("success")
    runs = read_sources([str(tmp_path)]).runs
    assert [(run.experiment, run.seed, run.metrics["acc"].value) for run in runs] == [
        (name, seed, score) for name, score in (("resnet", 0.75), ("vit", 0.875)) for seed in (3, 4)
    ]
    assert all(run.params["lr"] == 0.01 and run.place[0] == tmp_path.name for run in runs)


@pytest.mark.parametrize("kind", ["csv", "events"])
def test_lightning_logs_of_two_projects(tmp_path: Path, kind: str) -> None:
    for project in ("a", "b"):
        for version in range(2):
            folder = tmp_path / project / "lightning_logs" / f"version_{version}"
            folder.mkdir(parents=True)
            (folder / "hparams.yaml").write_text(f"seed: {version}\n")
            if kind == "csv":
                (folder / "metrics.csv").write_text("epoch,step,acc\n0,9,0.5\n")
            else:
                with SummaryWriter(str(folder)) as writer:
                    writer.add_scalar("acc", 0.5, 9)
    runs = read_sources([str(tmp_path / "a"), str(tmp_path / "b")]).runs
    assert [(run.experiment, run.seed) for run in runs] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_equal_names_in_two_folders_have_two_places(tmp_path: Path) -> None:
    for project in ("a", "b"):
        for seed in range(2):
            folder = tmp_path / project / f"lstm_seed_{seed}"
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text('{"acc": 0.5}')
    runs = read_sources([str(tmp_path)]).runs
    assert [run.place[0] for run in runs] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "layout", ["{model}/{data}/seed_{seed}", "{data}/{model}/seed_{seed}", "{data}/{model}_seed_{seed}"]
)
def test_a_folder_named_after_the_data_set_that_a_run_notes_is_no_place(tmp_path: Path, layout: str) -> None:
    for model in ("lstm", "gru"):
        for data in ("cora", "pubmed", "1_0"):
            for seed in range(2):
                folder = tmp_path / layout.format(model=model, data=data, seed=seed)
                folder.mkdir(parents=True)
                (folder / "config.json").write_text(json.dumps({"dataset": data}))
                (folder / "metrics.json").write_text(json.dumps({"acc": 0.5 + (model == "lstm") * 0.25}))
    comparison = compare(tmp_path).comparison
    assert comparison.unit == "dataset"
    assert {each.name: (each.n, each.mean) for each in comparison.experiments} == {"lstm": (3, 0.75), "gru": (3, 0.5)}
