"""Tables as other tools export them: frames of pandas with their index, MLflow, Optuna, Ray, Weights & Biases."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hpsearch import compare
from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.shelf import read_sources
from hpsearch.readers.table import read
from hpsearch.records import FinishedRun, Outcome
from hpsearch.report.tables import export_table
from tests.experiment_factory import GrowingExperiment, grow_search

RATE = "train.learning_rate"
FRAME = pd.DataFrame({"method": ["a", "b", "a", "b"], "seed": [0, 0, 1, 1], "accuracy": [0.5, 0.625, 0.75, 0.875]})
EXPECTED = [("a", 0, 0.5), ("b", 0, 0.625), ("a", 1, 0.75), ("b", 1, 0.875)]


def stored(frame: pd.DataFrame, path: Path, **options: Any) -> Reading:
    """Read a frame that pandas wrote."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, **options)
    return read(path, Wanted())


def told(reading: Reading) -> list[tuple[Any, ...]]:
    """Return what matters of runs; each has one metric, and no parameters."""
    assert all(run.params == {} for run in reading.runs)
    return [(run.experiment, run.seed, *(each.value for each in run.metrics.values())) for run in reading.runs]


FRAMES = {
    "no index": FRAME,
    "one level": FRAME.set_index("method"),
    "two levels": FRAME.set_index(["method", "seed"]),
    "the seed": FRAME.set_index("seed"),
    "rows that were chosen": FRAME.set_index(pd.Index([7, 2, 9, 4])),
    "rows of two frames": FRAME.set_index(pd.Index([0, 1, 0, 1])),
    "names of rows": FRAME.set_index(pd.Index(["w", "x", "y", "z"])),
    "categories": FRAME.astype({"method": "category"}),
    "nullable": FRAME.convert_dtypes(),
    "arrow": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "texts": FRAME.astype({"seed": str}),
    "floats": FRAME.astype({"seed": float}),
    "columns without anything": FRAME.assign(notes=None, tags=float("nan")),
    "reset index": FRAME.set_index(pd.Index([3, 1, 2, 0])).reset_index(),
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("kind", FRAMES)
def test_an_index_is_a_column_or_nothing(tmp_path: Path, kind: str, ending: str) -> None:
    assert told(stored(FRAMES[kind], tmp_path / f"t.{ending}")) == EXPECTED


def test_an_index_of_a_range_with_a_name_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"accuracy": [0.5, 0.75]}, index=pd.RangeIndex(2, name="seed"))
    for ending in ("csv", "parquet"):
        assert [run.seed for run in stored(frame, tmp_path / f"t.{ending}").runs] == [0, 1]


def test_an_index_of_methods_without_a_name_names_the_methods(tmp_path: Path) -> None:
    frame = pd.DataFrame({"accuracy": [0.5, 0.75]}, index=["lstm", "gru"])
    for ending in ("csv", "parquet"):
        assert [run.experiment for run in stored(frame, tmp_path / f"t.{ending}").runs] == ["lstm", "gru"]


def test_an_index_that_is_called_like_a_column_is_refused_unless_it_is_the_same(tmp_path: Path) -> None:
    same = FRAME.set_index("seed", drop=False)
    assert told(stored(same, tmp_path / "same.parquet")) == EXPECTED
    with pytest.raises(DataError, match="'seed' is the name of two columns or of an index and a column"):
        stored(FRAME.set_index(pd.Index([4, 5, 6, 7], name="seed")), tmp_path / "other.parquet")


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_typed_cells_keep_what_they_are(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame(
        {
            "method": ["None", "NA", "nan", "007"],
            "seed": pd.array([2**60 + 1, None, 2**60, 3], dtype="Int64"),
            "amp": [True, False, True, False],
            "loss": [0.5, 1.0, None, -0.0],
        }
    )
    runs = stored(frame, tmp_path / f"t.{ending}").runs
    assert [run.experiment for run in runs] == ["None", "NA", "nan", "007"]
    assert [run.seed for run in runs] == [2**60 + 1, None, 2**60, 3]
    assert [run.params for run in runs] == [{"amp": True}, {"amp": False}, {"amp": True}, {"amp": False}]
    assert [len(run.metrics) for run in runs] == [1, 1, 0, 1]


def test_seeds_that_pandas_rounded_are_a_warning(tmp_path: Path) -> None:
    frame = pd.DataFrame({"method": ["a", "a", "b"], "seed": [2.0**53, None, 1.0], "loss": [1.0, 2.0, 3.0]})
    (warning,) = stored(frame, tmp_path / "t.parquet").warnings
    assert "column 'seed' holds numbers from 2^53 on as floats, which are rounded" in warning


def test_json_lines_are_flattened_and_zero_is_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"method": 0, "config": {"seed": 1, "lr": 0.1}, "loss": 1}\n'
        '{"method": "0", "config": {"seed": 1, "lr": 0.2}, "loss": 2}\n\n'
        '{"method": "0", "config": {"se',
        encoding="utf-8-sig",
    )
    found = read(path, Wanted())
    assert [(run.experiment, run.seed, run.params["lr"]) for run in found.runs] == [("0", 1, 0.1), ('"0"', 1, 0.2)]
    assert len(found.warnings) == 1
    path.write_text('{"method": "a", "loss": 1}\n[1]\n')
    with pytest.raises(DataError, match=r"t\.jsonl:2 is not a JSON object"):
        read(path, Wanted())


def test_rows_without_a_key_are_runs_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{method},{value}" for value in (0.5, 0.625, 0.75) for method in ("lstm", "gru")]
    path.write_text("\n".join(["method,accuracy", *rows]) + "\n")
    assert [run.run for run in read(path, Wanted()).runs][:3] == ["lstm/row 1", "gru/row 2", "lstm/row 3"]
    compared = compare(path, metric="accuracy").comparison
    assert [(each.name, each.n, each.mean) for each in compared.experiments] == [("lstm", 3, 0.625), ("gru", 3, 0.625)]
    assert not compared.pairs[0].paired


def test_rows_with_equal_keys_are_told_apart_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,seed,loss\na,0,1\na,0,2\na,1,3\n")
    assert [run.run for run in read(tmp_path / "t.csv", Wanted()).runs] == ["a/0 (row 1)", "a/0 (row 2)", "a/1"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("Unnamed: 0", "012"),
        ("Unnamed: 0.1", "120"),
        ("", "345"),
        ("index", "201"),
        ("id", "001"),
        ("nummer", "012"),
        ("n", "123"),
    ],
)
def test_a_running_number_is_no_metric_unless_it_is_asked_for(tmp_path: Path, column: str, values: str) -> None:
    rows = [f"{value},a,{seed},0.5" for seed, value in enumerate(values)]
    (tmp_path / "t.csv").write_text("\n".join([f"{column},method,seed,loss", *rows]))
    runs = read(tmp_path / "t.csv", Wanted()).runs
    assert all((run.metrics.keys(), run.params) == ({"loss"}, {}) for run in runs)
    if column:
        asked = read(tmp_path / "t.csv", Wanted(column)).runs
        assert [run.metrics[column].value for run in asked] == [float(value) for value in values]


@pytest.mark.parametrize("values", ["010", "021", "012.5"])
def test_other_numbers_are_metrics(tmp_path: Path, values: str) -> None:
    rows = [f"{value},a,{seed},0.5" for seed, value in enumerate([*values[:2], values[2:]])]
    (tmp_path / "t.csv").write_text("\n".join(["errors,method,seed,loss", *rows]))
    assert read(tmp_path / "t.csv", Wanted()).runs[0].metrics.keys() == {"errors", "loss"}


def test_the_only_numbers_are_the_metric_even_if_they_run(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,rank\na,1\nb,2\nc,3\n")
    assert [run.metrics["rank"].value for run in read(tmp_path / "t.csv", Wanted()).runs] == [1, 2, 3]


WANDB = """Name,State,Notes,User,Tags,Created,Runtime,Sweep,Group,seed,lr,val_acc
sunny-1,finished,,me,,2024-05-01T10:00:00Z,15,,lstm,0,0.1,0.5
windy-2,finished,again,me,x,2024-05-01T11:00:00Z,16,,lstm,1,0.1,0.75
rainy-3,crashed,,me,,2024-05-01T12:00:00Z,17,,gru,0,0.1,0.25
foggy-4,running,,me,,2024-05-01T13:00:00Z,18,,gru,1,0.1,0.5
"""


def test_an_export_from_weights_and_biases(tmp_path: Path) -> None:
    (tmp_path / "wandb.csv").write_text(WANDB)
    runs = read(tmp_path / "wandb.csv", Wanted()).runs
    assert [(run.experiment, run.run, run.seed) for run in runs[:2]] == [("lstm", "sunny-1", 0), ("lstm", "windy-2", 1)]
    assert [run.outcome for run in runs] == [Outcome.COMPLETE, Outcome.COMPLETE, Outcome.FAILED, None]
    assert runs[3].dropped == "its status is 'running': it has not ended"
    assert all((run.params, run.metrics.keys()) == ({"lr": 0.1}, {"val_acc"}) for run in runs)
    assert runs[0].seconds == 15


def test_names_of_weights_and_biases_tell_the_seed_where_no_group_tells_the_method(tmp_path: Path) -> None:
    rows = ["lstm-seed-0,finished,,1", "lstm-seed-1,finished,,2", "gru-seed-1,finished,,3", "seed-0,finished,cnn,4"]
    (tmp_path / "wandb.csv").write_text("\n".join(["Name,State,Group,acc", *rows]))
    runs = read(tmp_path / "wandb.csv", Wanted()).runs
    assert [(run.experiment, run.seed, run.run) for run in runs] == [
        ("lstm", 0, "lstm-seed-0"),
        ("lstm", 1, "lstm-seed-1"),
        ("gru", 1, "gru-seed-1"),
        ("cnn", 0, "seed-0"),
    ]


@pytest.mark.parametrize(
    ("status", "outcome", "counts"),
    [
        ("FINISHED", Outcome.COMPLETE, True),
        ("terminated", Outcome.COMPLETE, True),
        ("crashed", Outcome.FAILED, True),
        ("killed", Outcome.FAILED, True),
        ("pruned", Outcome.PRUNED, True),
        ("RUNNING", None, False),
        ("pending", None, False),
        ("", None, False),
        ("None", None, False),
    ],
)
def test_only_a_run_that_ended_well_counts(tmp_path: Path, status: str, outcome: Outcome | None, counts: bool) -> None:
    (tmp_path / "t.csv").write_text(f"method,seed,status,loss\na,0,{status},1\na,1,finished,2\n")
    run = read(tmp_path / "t.csv", Wanted()).runs[0]
    assert (run.outcome, run.dropped is None) == (outcome, counts)


RAY = """loss,timestamp,checkpoint_dir_name,done,training_iteration,trial_id,date,time_this_iter_s,time_total_s,pid,\
hostname,node_ip,time_since_restore,iterations_since_restore,config/lr,config/seed,logdir
0.5,1714557600,,False,3,a1_00000,2024-05-01_10-00-00,1.5,3.5,11,host,10.0.0.1,3.5,3,0.1,0,a1_00000
0.25,1714557601,,True,3,a1_00001,2024-05-01_10-00-01,1.5,3.5,12,host,10.0.0.1,3.5,3,0.1,1,a1_00001
"""


def test_rays_frame_of_results(tmp_path: Path) -> None:
    (tmp_path / "ray.csv").write_text(RAY)
    runs = read(tmp_path / "ray.csv", Wanted()).runs
    assert [(run.trial, run.seed, run.steps, run.seconds) for run in runs] == [
        ("a1_00000", 0, 3, 3.5),
        ("a1_00001", 1, 3, 3.5),
    ]
    assert [(run.params, run.metrics.keys()) for run in runs] == [
        ({"lr": 0.1, "seed": 0}, {"loss"}),
        ({"lr": 0.1, "seed": 1}, {"loss"}),
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_of_trials_that_hpsearch_exports_is_a_search(tmp_path: Path, ending: str) -> None:
    experiment = GrowingExperiment(tmp_path / "mine")
    grow_search(experiment, trials=8)
    export_table(experiment.record, tmp_path / f"trials.{ending}")
    runs = read(tmp_path / f"trials.{ending}", Wanted()).runs
    assert all(run.search is not None for run in runs)
    assert [run.outcome for run in runs] == [trial.outcome for trial in experiment.record.trials]
    whole = [(run, trial) for run, trial in zip(runs, experiment.record.trials, strict=True) if trial.value is not None]
    assert [(run.trial, run.params[RATE], run.metrics["value"].value, run.steps) for run, _ in whole] == [
        (trial.number, trial.params[RATE], trial.value, trial.step) for _, trial in whole
    ]
    assert all(run.metrics.keys() == {"value"} for run, _ in whole)


def test_examples_of_folds_are_sizes_and_no_metrics(tmp_path: Path) -> None:
    rows = [f"a,{fold},80,20,0.5" for fold in range(3)]
    (tmp_path / "t.csv").write_text("\n".join(["method,fold,train_size,test_size,f1", *rows]))
    runs = read(tmp_path / "t.csv", Wanted()).runs
    assert [(run.train_size, run.test_size, [*run.metrics]) for run in runs] == [(80, 20, ["f1"])] * 3
    (tmp_path / "t.csv").write_text("method,fold,test_size,f1\na,0,0.2,0.5\na,1,0.2,0.75\n")  # a share, no size
    assert read(tmp_path / "t.csv", Wanted()).runs[0].test_size is None


def test_optunas_frame_of_trials(tmp_path: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical("opt", ["adam", "sgd"])
        trial.suggest_int("seed", 0, 5)
        if trial.number == 2:
            raise optuna.TrialPruned
        return trial.suggest_float("lr", 0, 1)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=4)
    study.ask()
    study.trials_dataframe().to_csv(tmp_path / "trials.csv")
    runs = read(tmp_path / "trials.csv", Wanted()).runs
    assert [run.trial for run in runs] == [0, 1, 2, 3, 4]
    assert [run.outcome for run in runs] == [*[Outcome.COMPLETE] * 2, Outcome.PRUNED, Outcome.COMPLETE, None]
    assert all(run.search is not None for run in runs)  # a proposed seed makes no replicates
    assert runs[0].params == study.trials[0].params
    assert {name: each.value for name, each in runs[0].metrics.items()} == {"value": study.trials[0].value}
    assert runs[0].seconds is not None


MLFLOW = """run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.acc,metrics.loss,params.seed,\
params.model,params.dropout,tags.mlflow.runName,tags.mlflow.user,tags.stage
aa,1,FINISHED,x,2024-05-01,2024-05-02,0.5,1.0,0,lstm,None,calm-cat-1,me,dev
bb,1,FINISHED,x,2024-05-01,2024-05-02,0.75,,1,lstm,None,wild-dog-2,me,dev
cc,1,FAILED,x,2024-05-01,2024-05-02,0.25,2.0,0,gru,0.5,glad-owl-3,me,dev
"""


def test_an_exported_table_of_mlflows(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(MLFLOW)
    found = read(tmp_path / "runs.csv", Wanted())
    assert [(run.experiment, run.run, run.seed) for run in found.runs] == [
        ("lstm", "aa", 0),
        ("lstm", "bb", 1),
        ("gru", "cc", 0),
    ]
    assert found.runs[0].metrics.keys() == {"acc", "loss"}
    assert found.runs[0].params == {"seed": 0, "model": "lstm", "dropout": "None", "tags.stage": "dev"}
    asked = read_sources([str(tmp_path / "runs.csv")], asked=Wanted("metrics.acc", by="model")).runs
    assert {run.experiment for run in asked} == {"runs"}
    assert [run.metrics["metrics.acc"].value for run in asked] == [0.5, 0.75, 0.25]
    assert [each.name for each in compare(tmp_path / "runs.csv", metric="acc", by="model").comparison.experiments] == [
        "model=lstm"
    ]


def arms(path: Path, **options: Any) -> dict[str, tuple[int, float | None]]:
    """Return how many units each experiment of a comparison has, and their mean."""
    found = compare(path, **options).comparison.experiments
    return {each.name: (each.n, each.mean) for each in found}


SEEDS = "0.5,{0},lstm,0 0.75,{0},lstm,1 0.125,{1},lstm,0 0.375,{1},lstm,1"


@pytest.mark.parametrize("holder", ["experiment_id", "study_name", "study", "project"])
def test_methods_of_one_name_in_two_studies_or_projects_are_two(tmp_path: Path, holder: str) -> None:
    (tmp_path / "runs.csv").write_text(f"acc,{holder},model,seed\n" + "\n".join(SEEDS.format("7", "8").split()) + "\n")
    assert arms(tmp_path / "runs.csv") == {"7/lstm": (2, 0.625), "8/lstm": (2, 0.25)}
    (tmp_path / "runs.csv").write_text(f"acc,{holder},model,seed\n" + "\n".join(SEEDS.format("7", "7").split()) + "\n")
    assert arms(tmp_path / "runs.csv") == {"lstm": (2, 0.4375)}


def test_two_studies_of_optuna_in_one_frame_are_two_searches(tmp_path: Path) -> None:
    rows = ["a,0,0.5,0.1,COMPLETE", "a,1,0.75,0.2,COMPLETE", "b,0,0.25,0.1,COMPLETE", "b,1,0.5,0.3,COMPLETE"]
    (tmp_path / "runs.csv").write_text("\n".join(["study_name,number,value,params_lr,state", *rows]) + "\n")
    assert arms(tmp_path / "runs.csv", goal="maximize") == {"a": (2, 0.625), "b": (2, 0.375)}
    by = arms(tmp_path / "runs.csv", goal="maximize", by="study_name")
    assert by == {"study_name=a": (2, 0.625), "study_name=b": (2, 0.375)}


def test_rows_of_one_run_id_are_one_run_whose_mean_counts(tmp_path: Path) -> None:
    rows = ["a,x,0.5", "a,x,0.75", "a,y,0.875", "b,x,0.25", "b,z,0.5"]
    (tmp_path / "runs.csv").write_text("\n".join(["method,run,acc", *rows]) + "\n")
    assert arms(tmp_path / "runs.csv") == {"a": (2, 0.75), "b": (2, 0.375)}
    (said,) = read(tmp_path / "runs.csv", Wanted()).warnings
    assert said.endswith("row 1, row 2 are all of the run x of a: it counts with their mean")


def test_names_of_runs_are_no_methods_where_a_parameter_groups_them(tmp_path: Path) -> None:
    rows = [
        "sun-1,finished,0,lstm,0.5",
        "sea-2,finished,1,lstm,0.75",
        "owl-3,finished,0,gru,0.25",
        "cat-4,finished,1,gru,0",
    ]
    (tmp_path / "runs.csv").write_text("\n".join(["Name,State,seed,model,acc", *rows]) + "\n")
    expected = {"lstm": (2, 0.625), "gru": (2, 0.125)}
    assert arms(tmp_path / "runs.csv") == expected
    by = arms(tmp_path / "runs.csv", by="model")
    assert by == {f"model={name}": found for name, found in expected.items()}


def test_a_second_name_of_each_run_is_no_setting(tmp_path: Path) -> None:
    rows = ["r1,calm-1,FINISHED,lstm,0,0.5", "r2,calm-2,FINISHED,lstm,1,0.75"]
    (tmp_path / "runs.csv").write_text("\n".join(["Run ID,Name,Status,model,seed,acc", *rows]) + "\n")
    assert [(run.run, run.params) for run in read(tmp_path / "runs.csv", Wanted()).runs] == [("r1", {}), ("r2", {})]


NESTED = """run_id,experiment_id,status,metrics.acc,params.seed,params.lr,tags.mlflow.runName,tags.mlflow.parentRunId
p1,0,FINISHED,,,,{},
p2,0,FINISHED,,,,{},
a,0,FINISHED,0.5,{},0.1,c1,p1
b,0,FINISHED,0.75,{},{},c2,p1
c,0,FINISHED,0.125,{},0.1,c1,p2
d,0,FINISHED,0.375,{},{},c2,p2
"""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("lstm", "gru"), {"lstm": (2, 0.625), "gru": (2, 0.25)}),
        (("lstm", "lstm"), {"run p1/lstm": (2, 0.625), "run p2/lstm": (2, 0.25)}),
        (("deleted", "gru"), {"parent p1": (2, 0.625), "gru": (2, 0.25)}),
    ],
)
@pytest.mark.parametrize(
    ("keys", "unit"), [(("0", "1", "0.1"), "seed"), (("", "", "0.1"), "seed"), (("", "", "0.2"), "trial")]
)
def test_runs_below_parents_in_an_exported_table_belong_to_them(
    tmp_path: Path, names: tuple[str, str], expected: dict[str, Any], keys: tuple[str, str, str], unit: str
) -> None:
    (first, second, rate), path = keys, tmp_path / "runs.csv"
    text = NESTED.format(*names, first, second, rate, first, second, rate)
    path.write_text("".join(line for line in text.splitlines(keepends=True) if "deleted" not in line))
    assert arms(path) == expected
    assert compare(path).comparison.unit == unit
    assert len(read(path, Wanted()).runs) == 4  # parents without any value trained nothing


def test_methods_below_parents_are_told_apart_where_they_would_be_pooled(tmp_path: Path) -> None:
    header = "run_id,metrics.acc,params.seed,params.model,tags.mlflow.parentRunId\n"
    (tmp_path / "runs.csv").write_text(
        f"{header}a,0.5,0,lstm,p1\nb,0.75,1,lstm,p1\nc,0.25,0,lstm,p2\nd,0.5,1,lstm,p2\n"
    )
    assert arms(tmp_path / "runs.csv") == {"parent p1/lstm": (2, 0.625), "parent p2/lstm": (2, 0.375)}
    (tmp_path / "runs.csv").write_text(f"{header}a,0.5,0,lstm,p1\nb,0.75,0,gru,p1\nc,0.25,1,lstm,p2\nd,0.5,1,gru,p2\n")
    assert arms(tmp_path / "runs.csv") == {"lstm": (2, 0.375), "gru": (2, 0.625)}


@pytest.mark.slow
def test_what_mlflow_itself_exports(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.tracking.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("base", artifact_location=(tmp_path / "artifacts").as_uri())
    for method in ("lstm", "gru"):
        for seed in range(2):
            run = client.create_run(experiment, run_name=method).info.run_id
            client.log_param(run, "seed", seed)
            client.log_param(run, "bidirectional", method == "gru")
            client.log_metric(run, "acc", seed / 4)
            client.set_terminated(run, "FINISHED")
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.search_runs([experiment]).to_csv(tmp_path / "runs.csv")
    finally:
        mlflow.set_tracking_uri(None)
    runs = read(tmp_path / "runs.csv", Wanted()).runs
    assert {(run.experiment, run.seed, run.metrics["acc"].value, run.params["bidirectional"]) for run in runs} == {
        (method, seed, seed / 4, method == "gru") for method in ("lstm", "gru") for seed in range(2)
    }
    assert all(run.metrics.keys() == {"acc"} and run.params.keys() == {"seed", "bidirectional"} for run in runs)


def by_experiment(reading: Reading) -> dict[str, FinishedRun]:
    """Return the last run of each experiment."""
    return {run.experiment: run for run in reading.runs}


def test_a_resumed_run_has_its_newest_attempt(tmp_path: Path) -> None:
    steps = [(1, 0.5), (2, 0.75), (3, 0.875), (2, 0.25)]
    rows = [f"a,0,{step},{value}" for step, value in steps] + ["b,0,1,1.0", "b,0,2,2.0"]
    (tmp_path / "t.csv").write_text("\n".join(["method,seed,epoch,loss", *rows]) + "\n")
    found = read(tmp_path / "t.csv", Wanted())
    run = by_experiment(found)["a"]
    assert (run.metrics["loss"].value, run.metrics["loss"].step, run.steps) == (0.25, 2, 2)
    assert list(run.histories["loss"].values) == [0.5, 0.25]
    assert "rows 2 and 4 are both of step 2 of a/0: the later attempt counts, from that step on" in found.warnings[0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_steps_in_any_order_are_one_history(tmp_path: Path, order: tuple[int, ...]) -> None:
    rows = ["a,0,1,0.5", "a,0,2,0.75", "a,0,3,0.625"]
    (tmp_path / "t.csv").write_text("\n".join(["method,seed,epoch,loss", *(rows[each] for each in order)]))
    (run,) = read(tmp_path / "t.csv", Wanted()).runs
    assert (run.metrics["loss"].value, list(run.histories["loss"].values)) == (0.625, [0.5, 0.75, 0.625])


def test_runs_of_one_seed_that_differ_in_a_parameter_are_two(tmp_path: Path) -> None:
    rows = [f"a,0,{opt},{epoch},{epoch / 4}" for epoch in (1, 2) for opt in ("adam", "sgd")]
    (tmp_path / "t.csv").write_text("\n".join(["method,seed,opt,epoch,loss", *rows]))
    runs = read(tmp_path / "t.csv", Wanted()).runs
    assert [(run.params["opt"], run.steps) for run in runs] == [("adam", 2), ("sgd", 2)]


def test_steps_of_runs_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,epoch,loss\na,1,1\na,2,2\na,1,3\na,2,4\n")
    with pytest.raises(DataError, match="rows 1 and 3 are both of step 1 of a, and nothing tells their runs apart"):
        read(tmp_path / "t.csv", Wanted())


@pytest.mark.parametrize("keys", ["", "d,"])
def test_rows_without_a_run_that_differ_in_the_step_are_one_and_that_is_said(tmp_path: Path, keys: str) -> None:
    header = "method,dataset,epoch,loss" if keys else "method,epoch,loss"
    rows = [f"{method},{keys}{epoch},{epoch / 2}" for method in "ab" for epoch in (1, 2)]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]))
    found = read(tmp_path / "t.csv", Wanted())
    assert [(run.experiment, run.steps) for run in found.runs] == [("a", 2), ("b", 2)]
    assert "the rows of a, b have no seed, fold or run and differ in their epoch" in found.warnings[0]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows, rows[1]]))
    with pytest.raises(DataError, match="nothing tells their runs apart"):
        read(tmp_path / "t.csv", Wanted())


def test_a_table_with_a_row_for_each_metric_is_refused(tmp_path: Path) -> None:
    rows = ["a,0,accuracy,0.5", "a,0,loss,2.5", "b,0,accuracy,0.75"]
    (tmp_path / "t.csv").write_text("\n".join(["method,seed,metric,value", *rows]))
    with pytest.raises(DataError, match=r"column 'metric' names several metrics \(accuracy, loss\)"):
        read(tmp_path / "t.csv", Wanted())
    assert len(read(tmp_path / "t.csv", Wanted(by="metric")).runs) == 3
    (tmp_path / "t.csv").write_text("\n".join(["method,seed,metric,value", rows[0], rows[2]]))
    assert len(read(tmp_path / "t.csv", Wanted()).runs) == 2


@pytest.mark.parametrize(
    ("header", "rows", "experiments"),
    [
        ("experiment,method", ["x,a", "x,b", "x,a", "x,b"], "abab"),  # one experiment with several methods
        ("method,name", ["x,p", "x,q", "x,r", "x,s"], "xxxx"),  # runs with names of their own
        ("method,group", ["p,x", "q,x", "r,y", "s,y"], "pqrs"),  # methods with a run each
        ("model,method", ["x,a", "y,a", "x,b", "y,b"], "aabb"),
    ],
)
def test_the_methods_are_what_their_word_says_unless_it_is_a_constant(
    tmp_path: Path, header: str, rows: list[str], experiments: str
) -> None:
    lines = [f"{row},{seed},0.5" for seed, row in enumerate(rows)]
    (tmp_path / "t.csv").write_text("\n".join([f"{header},seed,loss", *lines]))
    assert [run.experiment for run in read(tmp_path / "t.csv", Wanted()).runs] == [*experiments]
