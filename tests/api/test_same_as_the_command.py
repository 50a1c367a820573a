"""What the command line does, Python does: the same names, the same options, the same results."""

import importlib
import inspect
import json
import pkgutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

import hpsearch
from hpsearch.cli import app, comparing, experiments, preparing, probing, refereeing, running, steering, using
from hpsearch.records import ExperimentRecord
from tests.logs import read_log
from tests.toy_spaces import write_space

VALUES = {"train.learning_rate": 0.1, "model.width": 3, "model.start": 0.5, "train.optimizer": "adamw"}
FAST = f"start: [{json.dumps(VALUES)}]"
HOME = Path(__file__).parents[2]
QUIETLY: dict[str, Any] = {"in_process": True, "mlflow": False, "quiet": True}
COMMANDS: dict[str, Callable[..., None]] = {
    "run": running.run,
    "train": running.train,
    "confirm": running.confirm,
    "lr_find": probing.lr_find,
    "overfit": probing.overfit,
    "batch_size": probing.batch_size,
    "check": preparing.check,
    "doctor": experiments.doctor,
    "init": preparing.init,
    "compare": comparing.compare,
    "export": experiments.export,
    "add": steering.add,
    "stop": steering.stop,
    "pause": steering.pause,
    "resume": steering.resume,
    "budget": steering.budget,
    "note": steering.note,
    "predict": using.predict,
    "evaluate": using.evaluate,
    "champion_init": refereeing.init,
}
PRINTED = {"json", "json_", "plot", "out", "format", "titles"}
"""Options that say what becomes of a result, which Python has as an object: `plot()`, `save(folder, format=...)`."""
HEARD = {"announce", "tell", "watcher"}
"""How a result comes about, which the command prints."""
OF_FUNCTIONS = {"searched", "space", "metric", "goal", "sampler", "pruner", "search", "start"}
"""What `hpsearch.run` takes for a function of the user's, which no command can be given; `searched` may be a file."""
NAMED = {"set_": "set", "format_": "format", "sources": "paths"}


def command(*words: object) -> str:
    """Run a command and return what it prints."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    monkeypatch.chdir(folder)
    return write_space(folder, trials=3, more=FAST)


def essence(record: ExperimentRecord) -> list[Any]:
    """Return what two equal experiments have in common."""
    runs = (*record.trials, *record.replicates)
    return [(run.run, run.params, run.outcome, run.value, run.history, run.scores) for run in runs]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_has_the_options_of_its_command(name: str) -> None:
    typed = dict(inspect.signature(COMMANDS[name]).parameters)
    function = dict(inspect.signature(getattr(hpsearch, name)).parameters)
    if name == "run":
        function = {each: option for each, option in function.items() if each not in OF_FUNCTIONS}
        del typed["space"]
    options = {NAMED.get(each, each): option.default for each, option in typed.items()}
    assert options.keys() - PRINTED == function.keys() - HEARD - PRINTED
    given = {each: parameter.default for each, parameter in function.items()}
    assert {each: options[each] for each in given if each not in HEARD} == {
        each: default for each, default in given.items() if each not in HEARD
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_only_what_a_function_is_about_is_given_by_place(name: str) -> None:
    kinds = [parameter.kind for parameter in inspect.signature(getattr(hpsearch, name)).parameters.values()]
    places = 2 if name in ("export", "predict", "evaluate", "note") else 1
    assert kinds == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * places + [inspect.Parameter.KEYWORD_ONLY] * (
        len(kinds) - places
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_docstring_is_python(name: str) -> None:
    text = inspect.getdoc(getattr(hpsearch, name)) or ""
    assert "Example:" in text and "Raises:" in text  # noqa: PT018
    example = text.partition("Example:\n")[2].partition("\nArgs:")[0]
    compile(textwrap.dedent(example), name, "exec")


def test_the_functions_stay_functions_when_every_module_is_imported() -> None:
    for module in pkgutil.walk_packages(hpsearch.__path__, "hpsearch."):
        if not module.name.endswith(
            ("__main__", ".lightning", ".transformers")
        ):  # these two load much, and name nothing
            importlib.import_module(module.name)
    for name in (*COMMANDS, "open", "load_model"):
        assert isinstance(getattr(hpsearch, name), FunctionType), name
        assert not isinstance(vars(hpsearch).get(name), ModuleType), name


def test_run_confirm_and_train_leave_the_same_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = in_folder(tmp_path / "typed", monkeypatch)
    silent = ("--in-process", "--no-mlflow", "--quiet")
    command("run", space, "--set", "train.epochs=2", "--trials", 4, *silent)
    command("confirm", "toy", "--seeds", 2, *silent)
    command("train", "--params", "best", "--from", "toy", "--test", *silent)
    typed = [hpsearch.open(name) for name in ("toy", "toy-final")]

    space = in_folder(tmp_path / "called", monkeypatch)
    hpsearch.run(space, set={"train.epochs": 2}, trials=4, **QUIETLY)
    searched = hpsearch.confirm("toy", seeds=2, **QUIETLY)
    final = hpsearch.train(params="best", from_="toy", test=True, **QUIETLY)
    for one, other in zip(typed, (searched, final), strict=True):
        assert essence(one.record) == essence(other.record)
        assert one.name == other.name
    assert final.record.replicates[0].scores
    origins = [json.loads((each.folder / "origin.json").read_text()) for each in (typed[1], final)]
    assert origins[0]["command"] == origins[1]["command"]


def test_a_result_says_how_its_session_ended(tmp_path: Path) -> None:
    space = write_space(tmp_path, trials=2, more=FAST)
    first = hpsearch.run(space, root=tmp_path / "e", **QUIETLY)
    again = hpsearch.run(space, root=tmp_path / "e", **QUIETLY)
    assert first.session is not None and again.session is not None  # noqa: PT018
    assert (first.session.worked, again.session.worked) == (True, False)
    assert first.session.why == again.session.why == "finished"
    assert hpsearch.open(tmp_path / "e" / "toy").session is None
    ends = [event for event in read_log(tmp_path / "e" / "toy" / "log.jsonl") if event["event"] == "end"]
    assert len(ends) == 2


def test_values_are_a_mapping_or_a_file(tmp_path: Path) -> None:
    space = write_space(tmp_path, more=FAST)
    values = VALUES | {"model.width": 2}
    (tmp_path / "values.json").write_text(json.dumps(values))
    kept = [
        hpsearch.train(space, params=params, name=name, root=tmp_path, **QUIETLY).record
        for name, params in (("a", values), ("b", tmp_path / "values.json"))
    ]
    assert [dict(record.trials[0].params) for record in kept] == [values, values]
    with pytest.raises(hpsearch.HpsearchError, match=r"does not fit .*model\.widt"):
        hpsearch.train(space, params={"model.widt": 2}, name="c", root=tmp_path, **QUIETLY)


def test_a_learning_rate_is_found_alike(tmp_path: Path) -> None:
    space = write_space(tmp_path, more=FAST)
    heard: list[dict[str, Any]] = []
    found = hpsearch.lr_find(space, num_iter=40, announce=heard.append)
    said = command("lr-find", space, "--num-iter", 40)
    assert found.steepest is not None
    assert f"steepest descent: train.learning_rate={found.steepest:.2g}" in said
    assert f"{found.steepest:.2g}" in repr(found)
    assert heard == [VALUES]
    assert found.plot().axes
    given = hpsearch.lr_find(space, params=VALUES, num_iter=40)
    assert given == found


def test_a_batch_is_learned_alike(tmp_path: Path) -> None:
    space = write_space(tmp_path, more=FAST)
    found = hpsearch.overfit(space, target=0.1)
    assert found.passed
    said = command("overfit", space, "--target", 0.1)
    assert f"pass: the loss of one batch went from {found.first:.4g} to {found.last:.4g} in {found.steps} steps" in said


@pytest.mark.slow
def test_batch_sizes_are_found_alike(tmp_path: Path) -> None:
    space = write_space(tmp_path, data="data: {size: 20}", more=FAST)
    found = hpsearch.batch_size(space, most=8)
    said = command("batch-size", space, "--most", 8)
    assert [each.size for each in found.fitted] == [2, 4, 8]
    assert found.largest is not None
    assert f"largest that fits: train.batch_size={found.largest.size}" in said


def test_files_are_checked_alike(tmp_path: Path) -> None:
    path = write_space(tmp_path)
    (found,) = hpsearch.check(tmp_path)
    assert command("check", tmp_path) == f"{path}: fine ({found})\n"
    assert hpsearch.check([path], set={"model.width": 2})[0].ranges == found.ranges - 1
    (tmp_path / "b.yaml").write_text("famly: toy\n")
    with pytest.raises(hpsearch.HpsearchError) as called:
        hpsearch.check(tmp_path)
    with pytest.raises(hpsearch.HpsearchError) as typed:
        command("check", tmp_path)
    assert str(called.value) == str(typed.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(hpsearch.HpsearchError, match=r"holds no \.yaml files"):
        hpsearch.check(tmp_path / "empty")


def test_runs_are_compared_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"a,{seed},{0.5 + seed / 100}" for seed in range(5)] + [f"b,{seed},{0.72 + seed / 90}" for seed in range(5)]
    table = tmp_path / "runs.csv"
    table.write_text("experiment,seed,accuracy\n" + "\n".join(rows))
    compared = hpsearch.compare(table, margin=0.01)
    assert json.loads(command("compare", table, "--margin", 0.01, "--json")) == compared.to_json()
    assert repr(compared).startswith("<comparison of 2 by accuracy: b has the best mean accuracy, 0.74")
    frame = compared.to_frame()
    assert list(frame["verdict"]) == [str(pair.verdict) for pair in compared.pairs]
    assert {"a", "b", "group", "p_adjusted", "mean_difference", "effect.value"} <= {*frame.columns}
    assert "b has the best mean" in compared._repr_html_()
    command("compare", table, "--margin", 0.01, "--format", "md,csv")
    written = {path.name: path.read_bytes() for path in Path("reports/runs").iterdir() if path.is_file()}
    assert compared.save(tmp_path / "mine", format="md,csv") == tmp_path / "mine"
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir() if path.is_file()} == written
    assert compared.save(format=["json"]) == Path("reports/runs")
    with pytest.raises(hpsearch.HpsearchError, match="report format"):
        compared.save(format="pdf")
    with pytest.raises(hpsearch.HpsearchError, match="nothing to compare"):
        hpsearch.compare([])


def test_trials_and_winners_are_exported_alike(tmp_path: Path) -> None:
    experiment = hpsearch.run(write_space(tmp_path, trials=2, more=FAST), root=tmp_path, **QUIETLY)
    exported = hpsearch.export(experiment, tmp_path / "a.csv", to="csv")
    assert (exported.path, exported.card) == (tmp_path / "a.csv", None)
    assert command("export", experiment.folder, tmp_path / "b.csv", "--to", "csv") == f"wrote {tmp_path / 'b.csv'}\n"
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    model = hpsearch.export(experiment, tmp_path / "model", to="model")
    said = command("export", experiment.folder, tmp_path / "typed", "--to", "model")
    assert said == f"wrote {tmp_path / 'typed'}; its card is {tmp_path / 'typed' / 'card.md'}\n"
    assert model.card is not None
    assert model.card.is_file()
    ours, theirs = (hpsearch.load_model(tmp_path / name, home=HOME).model.state_dict() for name in ("model", "typed"))
    assert all((value == theirs[name]).all() for name, value in ours.items())
    with pytest.raises(hpsearch.HpsearchError, match="run='x' is about a model; to='csv' writes the trials"):
        hpsearch.export(experiment, tmp_path / "c.csv", to="csv", run="x")
    with pytest.raises(hpsearch.HpsearchError, match="format"):
        hpsearch.export(experiment, tmp_path / "c.xlsx", to="xlsx")
