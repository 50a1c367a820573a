"""A finished training becomes a folder with weights, configuration and card, and comes back as the same model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

import hpsearch
from hpsearch.comparing.statistics.intervals import t_interval
from hpsearch.errors import ExperimentError, HpsearchError, UnknownNameError
from hpsearch.experiment.layout import BEST
from hpsearch.experiment.reading import read_experiment
from hpsearch.final.export import export_model, register
from hpsearch.final.selection import Origin, find_source, read_origin, selection_of
from hpsearch.running.chosen import train
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.studies.run import run_study
from hpsearch.training.checkpoint import load
from tests.toy_spaces import toy_space, write_space
from tests.toy_studies import toy_study, with_options

HERE = RunOptions(in_process=True)
CONFIRM = "confirm: {seeds: 3}"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished toy study."""
    home = tmp_path_factory.mktemp("study")
    run_study(
        toy_study(home, trials=2, seeds=3),
        folder=home / "lines",
        run_arm=with_options(HERE),
        command="hpsearch study lines.yaml",
    )
    return home / "lines"


def final_training(study: Path, folder: Path) -> Path:
    """Train the winner of a study once more, as `hpsearch train --from` does."""
    source = find_source(study)
    origin = Origin("hpsearch train --params best", selection_of(source)).to_json()
    train(open_space(source.folder), source.params, folder=folder, test=True, origin=origin, options=HERE)
    return folder


def test_a_final_training_comes_back_with_its_scores(study: Path, tmp_path: Path) -> None:
    final = final_training(study, tmp_path / "final")
    exported = export_model(final, tmp_path / "models" / "line")
    trained = hpsearch.load_model(tmp_path / "models" / "line", home="/")
    (replicate,) = read_experiment(final).replicates
    assert trained.scores("test") == {"loss": replicate.scores["test/loss"]}
    assert trained.scores("val") == {"loss": pytest.approx(replicate.value, rel=1e-6)}
    assert not trained.model.training
    assert trained.config.train.optimizer.kind == read_origin(final).selection.experiment  # type: ignore[union-attr]
    assert trained.card["scores"] == {"test/loss": replicate.scores["test/loss"]} == exported.card.scores
    assert {path.name for path in (tmp_path / "models" / "line").iterdir()} == {
        *("model.safetensors", "config.json", "card.json", "card.md")
    }


def test_the_card_says_how_it_was_chosen_and_what_takes_away_from_it(study: Path, tmp_path: Path) -> None:
    card = export_model(final_training(study, tmp_path / "final"), tmp_path / "line").card
    assert card.selection is not None
    arm = card.selection["study"]["arm"]
    record = read_experiment(study / arm)
    values = [each.scores["test/loss"] for each in record.replicates]
    mean = sum(values) / 3
    sd = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
    score = card.selection["scores"]["test/loss"]
    assert (score["n"], score["mean"], score["sd"]) == (3, pytest.approx(mean), pytest.approx(sd))
    assert score["ci95"] == pytest.approx(t_interval(mean, sd / 3**0.5, 2))
    assert card.selection["baselines"] == {"mean": {"test/loss": record.baselines[0].scores["test/loss"]}}
    page = (tmp_path / "line" / "card.md").read_text()
    order = ["Model details", "Intended use", "Metrics", "Evaluation data", "Training data", "Quantitative analyses"]
    places = [page.index(f"\n## {title}\n") for title in [*order, "Caveats and recommendations"]]
    assert places == sorted(places)
    assert f"is the arm {arm} of the study lines" in page
    assert "hpsearch study lines.yaml\nhpsearch train --params best\nhpsearch export" in page
    assert "The best of several means is, on average, too good" in page
    assert "With 3 replicates" in page
    assert card.fingerprint in page
    assert json.loads((tmp_path / "line" / "card.json").read_text())["selection"] == card.selection


def test_a_classical_method_that_is_better_is_named(tmp_path: Path) -> None:
    """One epoch at a tiny rate leaves the network behind the mean of the training data; more of them do not."""
    said = []
    for rate, name in (("1e-5", "slow"), ("0.1", "fast")):
        folder = tmp_path / name
        folder.mkdir()
        space = toy_space(folder, trials=1, epochs=1 if name == "slow" else 20, rate=rate, more=CONFIRM)
        run(space, folder=folder / "x", options=HERE)
        limits = export_model(folder / "x", folder / "m").card.limits
        said.append([line for line in limits if "classical methods score better" in line])
    assert said == [["By test/loss classical methods score better than the mean here: mean."], []]


def test_the_origin_outlives_the_study(study: Path, tmp_path: Path) -> None:
    final = final_training(study, tmp_path / "final")
    before = export_model(final, tmp_path / "a").card
    study.rename(study.with_name("gone"))
    try:
        after = export_model(final, tmp_path / "a2").card
    finally:
        study.with_name("gone").rename(study)
    assert after.selection == before.selection
    assert after.data == before.data


def test_the_origin_is_as_it_was_when_the_training_began(study: Path, tmp_path: Path) -> None:
    final = final_training(study, tmp_path / "final")
    origin = read_origin(final)
    source = find_source(study)
    later = Origin("hpsearch train, another day", selection_of(source)).to_json()
    train(open_space(source.folder), source.params, folder=final, test=True, origin=later, options=HERE)
    assert read_origin(final) == origin


def test_a_studys_arm_may_be_exported_as_it_stands(study: Path, tmp_path: Path) -> None:
    card = export_model(study, tmp_path / "line").card
    assert card.scores == {}  # the trial itself was not scored on the test split; its replicates were
    assert any("Just these weights were not scored" in line for line in card.limits)


def test_a_replicate_of_the_winner_may_be_named_and_no_other_run(tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=3, more=CONFIRM), folder=tmp_path / "x", options=HERE)
    record = read_experiment(tmp_path / "x")
    chosen = record.replicates[1]
    card = export_model(tmp_path / "x", tmp_path / "m", run=chosen.run).card
    assert card.scores == chosen.scores
    assert hpsearch.load_model(tmp_path / "m", home="/").scores() == {"loss": chosen.scores["test/loss"]}
    assert record.best is not None
    other = next(trial for trial in record.trials if trial.number != record.best.number)
    with pytest.raises(UnknownNameError, match="unknown run of the winner"):
        export_model(tmp_path / "x", tmp_path / "n", run=other.run)


def test_weights_of_the_last_step_and_averaged_ones(tmp_path: Path) -> None:
    path = write_space(tmp_path, trials=1, epochs=9, rate="{log: [2, 3]}", more=CONFIRM)  # soon overshoots
    text = path.read_text().replace("at: best", "at: last").replace("batch_size: 8", "batch_size: 8\n  ema: 0.5")
    path.write_text(text)
    run(load_space(path, overrides=["train.optimizer=adamw"]), folder=tmp_path / "x", options=HERE)
    replicate = next(
        each
        for each in read_experiment(tmp_path / "x").replicates
        if load(tmp_path / "x" / each.run / BEST)["step"] < 9
    )
    export_model(tmp_path / "x", tmp_path / "m", run=replicate.run)
    assert hpsearch.load_model(tmp_path / "m", home="/").scores() == {"loss": replicate.scores["test/loss"]}


def test_replicates_of_an_earlier_winner_are_not_this_ones(tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=1, seed=1, more=CONFIRM), folder=tmp_path / "x", options=HERE)
    run(
        toy_space(tmp_path, trials=6, seed=1, more=CONFIRM), folder=tmp_path / "x", options=replace(HERE, confirm=False)
    )
    record = read_experiment(tmp_path / "x")
    assert record.best is not None
    assert {each.number for each in record.replicates} == {0} != {record.best.number}
    card = export_model(tmp_path / "x", tmp_path / "m").card
    assert card.selection is not None
    assert card.selection["scores"] == {}
    assert "It was not confirmed" in (tmp_path / "m" / "card.md").read_text()


def test_a_given_configuration_is_not_called_searched(tmp_path: Path) -> None:
    space = toy_space(tmp_path)
    params = {"model.start": 0.5, "model.width": 3, "train.learning_rate": 0.1, "train.optimizer": "adamw"}
    train(space, params, folder=tmp_path / "x", options=HERE)
    card = export_model(tmp_path / "x", tmp_path / "m").card
    assert card.selection is None
    assert "The configuration was given, not searched." in (tmp_path / "m" / "card.md").read_text()


def test_what_cannot_be_exported_or_loaded_is_told(tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=1), folder=tmp_path / "x", options=HERE)
    (tmp_path / "there").mkdir()
    with pytest.raises(HpsearchError, match="does not write over a model"):
        export_model(tmp_path / "x", tmp_path / "there")
    with pytest.raises(ExperimentError, match="is not an experiment"):
        export_model(tmp_path / "y", tmp_path / "m")
    with pytest.raises(HpsearchError, match="is not an exported model"):
        hpsearch.load_model(tmp_path / "there")
    export_model(tmp_path / "x", tmp_path / "m")
    with pytest.raises(HpsearchError, match=r"code of its own.*home=FOLDER"):
        hpsearch.load_model(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"version": 2}))
    with pytest.raises(HpsearchError, match="has format 2"):
        hpsearch.load_model(tmp_path / "m", home="/")


def test_damaged_weights_are_named_with_what_helps(tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=2, more="confirm: {seeds: 1}"), folder=tmp_path / "x", options=HERE)
    export_model(tmp_path / "x", tmp_path / "m")
    best = read_experiment(tmp_path / "x").best
    assert best is not None
    path, other = tmp_path / "x" / best.run / BEST, tmp_path / "x" / f"trials/{1 - best.number:04d}" / BEST
    whole = path.read_bytes()
    for damaged, told in ((whole[:-40], "is damaged: its end"), (b"", "is damaged: it is empty"), (None, "not exist")):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(HpsearchError, match=told) as raised:
            hpsearch.load_model(tmp_path / "x")
        assert "`hpsearch train --from" in str(raised.value)
        assert f"--run confirm/{best.number:04d}/seed-000" in str(raised.value)
    path.write_bytes(other.read_bytes())
    with pytest.raises(HpsearchError, match="another trial's"):
        export_model(tmp_path / "x", tmp_path / "again")
    weights = tmp_path / "m" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    with pytest.raises(HpsearchError, match="safetensors is damaged: its checksum does not fit"):
        hpsearch.load_model(tmp_path / "m", home=tmp_path)


def test_where_no_folder_can_be_made_is_told(tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=1), folder=tmp_path / "x", options=HERE)
    (tmp_path / "models").write_text("a file, where the models' folder should be")
    with pytest.raises(HpsearchError, match="cannot be written"):
        export_model(tmp_path / "x", tmp_path / "models" / "m")


def test_an_exported_model_may_be_registered_afterwards_with_what_its_card_says(
    study: Path, tmp_path: Path, empty_database: Path
) -> None:
    final = final_training(study, tmp_path / "final")
    export_model(final, tmp_path / "line")
    found = export_model(final, tmp_path / "line", again=True)
    uri = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"
    assert register(found, "line", tracking_uri=uri) == 1
    version = MlflowClient(tracking_uri=uri, registry_uri=uri).get_model_version("line", "1")
    selection = found.card.selection
    assert selection is not None
    assert version.tags["hpsearch.study"] == "lines"
    assert version.tags["hpsearch.arm"] == selection["study"]["arm"]
    assert version.tags["hpsearch.metric"] == "test/loss"
    assert float(version.tags["hpsearch.mean"]) == selection["scores"]["test/loss"]["mean"]
    assert version.tags["hpsearch.data_fingerprint"] == found.card.fingerprint
    assert "is the arm" in str(version.description)
    downloaded = mlflow.artifacts.download_artifacts(version.source)
    assert hpsearch.load_model(downloaded, home="/").scores() == {"loss": found.card.scores["test/loss"]}


def test_a_study_that_has_gone_on_since_its_result_has_no_first_arm(study: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(study, tmp_path / "lines"))
    result = json.loads((copied / "result.json").read_text())
    result["winners"]["sgd"]["trial"] += 1  # as if another trial had been the best when the result was written
    (copied / "result.json").write_text(json.dumps(result))
    with pytest.raises(ExperimentError, match="has gone on since"):
        find_source(copied)
    assert find_source(copied, arm="sgd").result is None


def test_another_models_folder_is_not_taken_for_this_one(study: Path, tmp_path: Path) -> None:
    export_model(study, tmp_path / "line")
    with pytest.raises(HpsearchError, match="does not write over a model"):
        export_model(final_training(study, tmp_path / "final"), tmp_path / "line", again=True)
