"""What hpsearch's own mirror says in MLflow: replicates, folds and classical methods are told apart by their tags."""

from dataclasses import replace

import pytest

from hpsearch.errors import DataError
from hpsearch.readers import Wanted
from hpsearch.readers.hpsearch_experiment import fold_keys
from hpsearch.readers.mlflow_runs import MlflowRun, as_finished
from hpsearch.records import Fold, Goal, Measurement, Outcome


def kept(name: str, kind: str, parent: str = "0", **tags: str) -> MlflowRun:
    own = {"hpsearch.kind": kind, "hpsearch.outcome": "complete", "mlflow.parentRunId": parent}
    own |= {f"hpsearch.{tag}": text for tag, text in tags.items()}
    return MlflowRun(name, name, "all", "FINISHED", 1.0, {}, own, {"test/loss": Measurement(0.5)}, {})


def test_seeds_folds_and_classical_methods_are_not_mixed() -> None:
    parent = MlflowRun("0", "mine", "all", "FINISHED", 1.0, {}, {"hpsearch.kind": "experiment"}, {}, {})
    place = {"fold": "3", "folds": "5", "repeat": "1"}
    runs = [
        parent,
        kept("confirm-0007-seed-002", "replicate", seed="11"),
        kept("confirm-0007-repeat-1-fold-3-of-5", "replicate", seed="12", **place),
        kept("baseline-sloreta", "baseline", run="confirm/baselines/sloreta"),
        kept("baseline-on-fold", "baseline", run="confirm/baselines/repeat-1-fold-3-of-5/sloreta", **place),
    ]
    found = as_finished(runs, source="mlflow.db").runs
    assert [(run.experiment, run.fold, run.repeat, run.deterministic) for run in found] == [
        ("mine", None, None, False),
        ("mine (5 folds)", "3/5", 1, False),
        ("sloreta (mine)", None, None, True),
        ("sloreta (mine (5 folds))", "3/5", 1, False),
    ]


def test_what_chose_a_winner_or_quotes_others_is_no_run_of_its_own() -> None:
    parent = MlflowRun("0", "mine", "all", "FINISHED", 1.0, {}, {"hpsearch.kind": "experiment"}, {}, {})
    race = kept("race-0007-seed-001", "rerun", seed="11", number="7", rerun="1")
    runs = [
        parent,
        kept("trial-0007", "trial", number="7"),
        race,
        kept("mine", "title"),
        kept("1: accepted", "challenge"),
    ]
    assert [run.run for run in as_finished(runs, source="mlflow.db").runs] == ["trial-0007"]


def test_folds_alone_are_the_experiments_own_runs() -> None:
    parent = MlflowRun("0", "mine", "all", "FINISHED", 1.0, {}, {"hpsearch.kind": "experiment"}, {}, {})
    on_fold = kept("confirm-0007-repeat-1-fold-3-of-5", "replicate", seed="12", fold="3", folds="5", repeat="1")
    assert [run.experiment for run in as_finished([parent, on_fold], source="mlflow.db").runs] == ["mine"]


def test_folds_of_experiments_with_other_seeds_are_no_partners() -> None:
    """They are other divisions of the data. The seed stands with the parent; the keys are those of the folders."""
    runs = []
    for seed in ("0", "7"):
        tags = {"hpsearch.kind": "experiment", "hpsearch.seed": seed}
        runs.append(MlflowRun(seed, f"seed-{seed}", "all", "FINISHED", 1.0, {}, tags, {}, {}))
        place = {"parent": seed, "fold": "3", "folds": "5", "repeat": "1"}
        runs += [kept(kind, kind, **place) for kind in ("replicate", "baseline")]
    found = as_finished(runs, source="mlflow.db").runs
    keys = [fold_keys(Fold(folds=5, repeat=1, fold=3), seed) for seed in (0, 0, 7, 7)]
    assert [{"fold": run.fold, "repeat": run.repeat} for run in found] == keys
    assert keys[0] != keys[2]


@pytest.mark.parametrize(("status", "outcome"), [("FINISHED", Outcome.COMPLETE), ("RUNNING", None)])
def test_a_run_that_was_taken_up_again_has_not_ended(status: str, outcome: Outcome | None) -> None:
    run = replace(kept("trial-0001", "trial"), status=status)
    (found,) = as_finished([run], source="mlflow.db").runs
    assert found.outcome is outcome
    assert (found.dropped is None) is (outcome is not None)


def test_experiments_of_two_directions_are_refused() -> None:
    runs = []
    for name, goal in (("a", "minimize"), ("b", "maximize")):
        tags = {"hpsearch.kind": "experiment", "hpsearch.metric": "val/loss", "hpsearch.goal": goal}
        runs += [MlflowRun(name, name, "all", "FINISHED", 1.0, {}, tags, {}, {}), kept(f"{name}1", "trial", name)]
    with pytest.raises(DataError, match="not all agree on 'test/loss': 'a' minimizes it and 'b' maximizes it"):
        as_finished(runs, source="mlflow.db")
    other = as_finished(runs, source="mlflow.db", wanted=Wanted("accuracy"))
    assert (len(other.runs), other.goals) == (2, {})
    assert as_finished(runs[:2], source="mlflow.db").goals == {"test/loss": Goal.MINIMIZE}
