import json
import statistics
from collections.abc import Callable
from dataclasses import replace

from hpsearch.records import ExperimentRecord
from hpsearch.report.experiment_view import show_json


def test_its_fields_are_exactly_these(record: ExperimentRecord) -> None:
    shown = show_json(record)
    assert list(shown) == ["experiment", "trials", "best", "pruning", "confirm", "notes", "paused"]
    fields = ["number", "outcome", "reason", "value", "step", "params", "seed", "seconds", "changes", "notes"]
    assert all(list(trial) == fields for trial in shown["trials"])
    assert list(shown["best"]) == ["number", "value", "step", "params"]
    assert list(shown["confirm"]) == ["replicates", "summary", "baselines"]
    fields = ["number", "replicate", "seed", "outcome", "reason", "value", "step", "scores", "seconds"]
    assert all(list(replicate) == fields for replicate in shown["confirm"]["replicates"])


def test_changes_are_told_with_their_steps(copied: ExperimentRecord) -> None:
    assert [trial["changes"] for trial in show_json(copied)["trials"]] == [
        [],
        [{"step": 2, "donor": "trials/0000", "params": {"train.learning_rate": 0.8, "model.layers": 2}}],
    ]


def test_values_are_in_full_precision(record: ExperimentRecord) -> None:
    shown = json.loads(json.dumps(show_json(record), allow_nan=False))
    assert record.best is not None
    assert shown["best"]["value"] == record.best.value
    assert shown["best"]["params"] == record.best.params
    assert shown["trials"][30]["outcome"] is None
    assert shown["trials"][4]["outcome"] == "pruned"


def test_without_any_test_score_the_summary_is_of_the_objective(record: ExperimentRecord) -> None:
    bare = tuple(replace(each, scores={}, value=0.5) for each in record.replicates)
    confirm = show_json(replace(record, replicates=bare, baselines=()))["confirm"]
    assert confirm["summary"] == {"0": {"val/auc": {"n": 2, "mean": 0.5, "sd": 0.0}}}
    assert [each["scores"] for each in confirm["replicates"]] == [{}] * 3


def test_the_summary_counts_complete_replicates_only(record: ExperimentRecord) -> None:
    failed = replace(record.replicates[2], scores={"test/auc": 0.1})
    confirm = show_json(replace(record, replicates=(*record.replicates[:2], failed)))["confirm"]
    deviation = statistics.stdev([0.8, 0.9])
    assert confirm["summary"]["0"]["test/auc"] == {"n": 2, "mean": statistics.fmean([0.8, 0.9]), "sd": deviation}
    assert confirm["baselines"]["sloreta"] == {"val/auc": 0.7, "test/auc": 0.6}


def test_numbers_that_json_does_not_have_become_null(record: ExperimentRecord) -> None:
    first, *others = record.replicates
    odd = replace(first, value=float("inf"), scores={"test/auc": float("nan")})
    shown = show_json(replace(record, replicates=(odd, *others)))
    assert shown["confirm"]["replicates"][0]["value"] is None
    assert shown["confirm"]["replicates"][0]["scores"] == {"test/auc": None}
    assert shown["confirm"]["summary"]["0"]["test/auc"]["mean"] is None
    json.dumps(shown, allow_nan=False)


def test_a_single_replicate_has_no_deviation(record: ExperimentRecord) -> None:
    shown = show_json(replace(record, replicates=record.replicates[:1]))
    assert shown["confirm"]["summary"]["0"]["test/auc"] == {"n": 1, "mean": 0.8, "sd": None}


def test_what_there_is_not_is_null(grown: Callable[..., ExperimentRecord]) -> None:
    shown = show_json(grown(((0.5,), {"outcome": None})))
    assert shown["best"] is None
    assert shown["confirm"] is None
