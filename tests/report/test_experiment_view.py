import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.report.experiment_view import show_experiment
from hpsearch.report.wording import short_names

IMPORTANCE = {"train.learning_rate": 0.75, "model.layers": 0.25}


def lines(record: ExperimentRecord, *, width: int = 80, **arguments: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(show_experiment(record, **arguments))  # type: ignore[arg-type]
    return [line.rstrip() for line in capture.get().splitlines()]


def rows(text: list[str], title: str) -> list[list[str]]:
    """The words of a table's lines below its head."""
    start = next(index for index, line in enumerate(text) if line.startswith(title)) + 1
    end = next(index for index in range(start, len(text)) if not text[index])
    return [line.split() for line in text[start:end]]


def test_the_head_names_the_search_and_counts_outcomes(record: ExperimentRecord) -> None:
    head = lines(record, width=140)[:3]
    assert head[0] == "curves · curves"
    assert head[1] == "val/auc, maximize, at the best epoch"
    assert head[2].startswith("31 trials in 0.")
    for outcome in ("24 complete", "1 out of memory", "1 unfinished"):
        assert outcome in head[2]


def test_complete_trials_come_first_from_best_to_worst(record: ExperimentRecord) -> None:
    found = rows(lines(record, limit=100), "trial")
    values = [float(row[2]) for row in found if row[1] == "complete"]
    assert values == sorted(values, reverse=True)
    assert len(values) == 24
    assert [row[1] for row in found[:24]] == ["complete"] * 24


def test_a_limit_says_how_many_more_there_are(record: ExperimentRecord) -> None:
    found = lines(record, limit=5)
    assert "… and 26 more trials: 19 complete, 1 pruned, 1 diverged" in " ".join(found)
    assert len([row for row in rows(found, "trial") if "complete" in row]) == 5


def test_a_narrow_terminal_keeps_the_searched_parameters_before_steps_and_times(record: ExperimentRecord) -> None:
    found = lines(record, width=80, importance=IMPORTANCE)
    head = next(line for line in found if line.startswith("trial")).split()
    assert {"learning_rate", *list(short_names(IMPORTANCE).values())[:3]} <= set(head)
    assert "time" not in head


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_columns_are_left_out_and_named_rather_than_cut(record: ExperimentRecord, width: int) -> None:
    found = lines(record, width=width, limit=100, importance=IMPORTANCE)
    assert max(map(cell_len, found)) <= width
    head = next(line for line in found if line.startswith("trial ")).split()
    left_out = " ".join(found).partition("left out for width: ")[2]
    for name in ("learning_rate", "layers", "width", "kernels", "position", "base", "reason"):
        assert (name in head) != (name in left_out.split("best:")[0])
    assert "learning_rate" in head
    values = [row[2] for row in rows(found, "trial") if row[1:2] == ["complete"]]
    assert len(values) == 24
    assert not any("…" in value for value in values)


def test_parameters_that_do_not_vary_have_no_column(grown: Callable[..., ExperimentRecord]) -> None:
    record = grown(((0.5,), {"params": {"a.x": 1, "a.y": 1}}), ((0.6,), {"params": {"a.x": 2, "a.y": 1}}))
    head = next(line for line in lines(record) if line.startswith("trial ")).split()
    assert "x" in head
    assert "y" not in head


def test_reasons_stand_beside_the_trials_that_are_not_complete(grown: Callable[..., ExperimentRecord]) -> None:
    fields = {"outcome": Outcome.FAILED, "value": None, "step": None, "reason": "[bold]KeyError[/x]\nline 2"}
    found = lines(grown(((0.5,), {"reason": "stopped early"}), ((), fields)))
    assert any(line.startswith("    1  failed") and line.endswith("[bold]KeyError[/x] line 2") for line in found)
    assert not any("stopped early" in line for line in found)


def test_the_best_trial_and_the_importance_are_spelled_out(record: ExperimentRecord) -> None:
    found = lines(record, width=140, importance=IMPORTANCE)
    assert record.best is not None
    assert f"best: {record.best.value:.4g}, trial {record.best.number} at epoch {record.best.step}" in found
    assert "importance: learning_rate 75%, layers 25%" in found


def test_replicates_stand_next_to_the_baselines(record: ExperimentRecord) -> None:
    found = lines(record, width=100)
    start = next(index for index, line in enumerate(found) if line.startswith("confirmation on fresh seeds"))
    assert found[start + 1].split() == ["trial", "0,", "2", "seeds", "sloreta", "<i>minimum", "norm</i>"]
    assert found[start + 2].split() == ["test/auc", "0.85", "±", "0.07071", "0.6", "0.5"]
    assert found[start + 3].split() == ["test/loss", "0.5", "±", "0.3536", "—", "1.5"]
    assert "replicate 2 of trial 0: failed (ValueError: no data); it is not in the mean" in " ".join(found)


def test_without_any_test_score_the_objective_is_shown_over_the_seeds(record: ExperimentRecord) -> None:
    values = {"confirm/0000/seed-000": 0.8, "confirm/0000/seed-001": 0.9}
    bare = tuple(replace(each, scores={}, value=values.get(each.run, 0.1)) for each in record.replicates)
    found = lines(replace(record, replicates=bare, baselines=()), width=100)
    start = found.index("confirmation on fresh seeds: mean ± standard deviation")
    assert found[start + 1] == "no test metric was reported; val/auc is what the search chose by"
    assert found[start + 2].split() == ["trial", "0,", "2", "seeds"]
    assert found[start + 3].split() == ["val/auc", "0.85", "±", "0.07071"]
    running = tuple(replace(each, outcome=None) for each in bare)
    assert "no test metric" not in "".join(lines(replace(record, replicates=running, baselines=()), width=100))


def test_warnings_are_shown(record: ExperimentRecord) -> None:
    assert lines(replace(record, warnings=("the log is [torn]",)))[-1] == "warning: the log is [torn]"


def test_an_experiment_without_trials_or_results(grown: Callable[..., ExperimentRecord]) -> None:
    record = grown(((0.5,), {"outcome": None}))
    assert "no trial is complete yet" in lines(record)
    assert lines(replace(record, trials=()))[2].startswith("0 trials in")


def test_a_copy_tells_when_it_was_made_of_which_trial_and_what_it_changed(copied: ExperimentRecord) -> None:
    assert "trial 1: epoch 2: from 0000, train.learning_rate 1 -> 0.8" in lines(copied)
    assert not [line for line in lines(copied) if line.startswith("trial 0:")]


def test_baselines_are_promised_only_where_there_are_some(record: ExperimentRecord) -> None:
    said = " ".join(lines(record))
    assert ("and the baselines" in said) == bool(record.baselines)
    assert "and the baselines" not in " ".join(lines(replace(record, baselines=())))
