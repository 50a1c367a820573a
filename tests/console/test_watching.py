"""Watching an experiment that grows, until nobody runs it any more."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hpsearch.cli.main import app
from hpsearch.console.watching import HealthMonitor, gradient_flow, look, watch
from hpsearch.errors import ExperimentError
from hpsearch.experiment.activity import in_use, locked
from hpsearch.experiment.artifacts import write_histograms
from hpsearch.experiment.events import ReportEvent
from hpsearch.experiment.files import append_json_line
from hpsearch.experiment.layout import METRICS, RATE_DECISIONS, trial_run
from hpsearch.records import Goal, Outcome
from hpsearch.report.charts.training import draw_flow
from tests.experiment_factory import GrowingExperiment


@pytest.fixture
def growing(tmp_path: Path) -> GrowingExperiment:
    return GrowingExperiment(tmp_path / "curves")


def watched(folder: Path, sleep: Callable[[float], None]) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with console.capture() as capture:
        watch(folder, console, interval=30, sleep=sleep)
    return capture.get()


def test_it_is_looked_at_again_until_the_experiment_ends(growing: GrowingExperiment) -> None:
    run = growing.trial(0, [0.5], outcome=None)
    slept: list[float] = []
    lock = locked(growing.folder)
    lock.__enter__()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            growing.report(run, 2, 0.75, value=0.75, at=2, seconds=2)
        else:
            growing.end(run, Outcome.COMPLETE, [0.5, 0.75])
            lock.__exit__(None, None, None)

    text = watched(growing.folder, sleep)
    assert slept == [30, 30]
    for state in ("trial 0 (running), epoch 1", "trial 0 (running), epoch 2", "trial 0 (complete), epoch 2"):
        assert state in text


def test_who_is_watched(growing: GrowingExperiment) -> None:
    with pytest.raises(ExperimentError, match="no trials yet"):
        look(growing.folder)
    growing.trial(0, [0.9])
    growing.trial(1, [0.5])
    assert look(growing.folder)[0].title == "trial 0 (complete)"
    growing.trial(2, [0.4], outcome=None)
    assert look(growing.folder)[0].title == "trial 2 (running)"
    assert look(growing.folder, 1)[0].title == "trial 1 (complete)"
    with pytest.raises(ExperimentError, match="no trial 7; it has 3 trials"):
        look(growing.folder, 7)


def test_the_decisions_of_an_adaptive_schedule_are_shown(growing: GrowingExperiment) -> None:
    run = growing.trial(0, [0.9, 0.8])
    row = {"step": 34, "epoch": 2.0, "reason": "stagnation", "before": 1.0, "after": 1.5}
    append_json_line(growing.folder / run / RATE_DECISIONS, row)
    (decision,) = look(growing.folder)[0].decisions
    assert (decision.step, decision.text) == (2.0, "stagnation (factor 1 -> 1.5)")


def test_a_lock_that_is_held_shows(growing: GrowingExperiment) -> None:
    assert not in_use(growing.folder)
    with locked(growing.folder):
        assert in_use(growing.folder)
    assert not in_use(growing.folder)


def test_large_gradients_that_stay_are_not_told(growing: GrowingExperiment) -> None:
    told: list[str] = []
    monitor = HealthMonitor(growing.folder, metric="val/auc", goal=Goal.MAXIMIZE, unit="epoch", tell=told.append)
    growing.observers.append(monitor)
    growing.ask(run := trial_run(0), 0, {})
    for step, norm in enumerate((80.0, 46.0, 65.0), start=1):
        append_json_line(growing.folder / run / METRICS, {"step": step, "gradient_norm": norm})
        growing.emit(ReportEvent(run=run, step=step, metric=0.5, value=0.5, at=1, seconds=step))
    assert told == []


def test_exploding_gradients_and_a_divergence_are_told_at_once_and_once(growing: GrowingExperiment) -> None:
    told: list[str] = []
    monitor = HealthMonitor(growing.folder, metric="val/auc", goal=Goal.MAXIMIZE, unit="epoch", tell=told.append)
    growing.observers.append(monitor)
    growing.ask(run := trial_run(0), 0, {})
    for step, norm in enumerate((0.5, 20.0, 50.0), start=1):
        append_json_line(
            growing.folder / run / METRICS,
            {"step": step, **dict.fromkeys(("gradient_norm", "gradient_norm_max"), norm)},
        )
        growing.emit(ReportEvent(run=run, step=step, metric=0.5, value=0.5, at=1, seconds=step))
        assert len(told) == (step > 1)
    assert told[0].startswith("trial 0, exploding gradients: the gradient norm rose above 10 at 1 of 2 evaluations")
    growing.end(run, Outcome.DIVERGED, [0.5], reason="the loss became nan at optimizer step 9")
    assert told[1].startswith("trial 0, divergence: the loss became nan at optimizer step 9; the largest gradient norm")
    assert len(told) == 2


def numbers(mean: float, largest: float, *, nan: int = 0, inf: int = 0) -> dict[str, Any]:
    return {"norm": 1.0, "mean": mean, "max": largest, "nan": nan, "inf": inf, "low": 0.0, "high": 0.0, "counts": [1]}


def test_the_picture_of_the_gradients_has_the_weights_in_the_models_order(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "line")
    experiment.trial(0, (0.5, 0.6))
    gradients = {"stem": numbers(0.1, 0.5), "head": numbers(0.2, 0.3, nan=2), "a": numbers(0.3, 0.4, inf=1)}
    look = {f"{name}.weight": {"gradient": each, "weight": each, "ratio": 1.0} for name, each in gradients.items()}
    look |= {"stem.bias": {"gradient": numbers(9.0, 9.0)}, "frozen.weight": {"weight": numbers(1.0, 1.0)}}
    folder = tmp_path / "line" / trial_run(0)
    with pytest.raises(ExperimentError, match=r"trial 0 of line has no histograms.jsonl; .*train.histograms={}"):
        gradient_flow(tmp_path / "line")
    for step, shown in ((3, {"stem.weight": look["stem.weight"]}), (6, look)):
        write_histograms(folder, step, shown)
    flow = gradient_flow(tmp_path / "line")
    assert flow.title == "trial 0, gradients at epoch 6"
    assert flow.names == ("stem.weight", "head.weight", "a.weight")
    assert flow.means == pytest.approx([0.1, math.nan, math.inf], nan_ok=True)
    assert flow.largest == pytest.approx([0.5, math.nan, math.inf], nan_ok=True)
    axes = draw_flow(flow).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["stem", "head", "a"]
    assert [bar.get_height() for bar in axes.patches[:1]] == [0.5]
    assert list(axes.lines[0].get_xdata()) == [1, 2]
    assert gradient_flow(tmp_path / "line", 0, 3).names == ("stem.weight",)
    with pytest.raises(ExperimentError, match="trial 0 has no gradients of epoch 4; it has those of 3, 6"):
        gradient_flow(tmp_path / "line", step=4)


def test_the_command_writes_the_picture(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "line")
    experiment.trial(0, (0.5,))
    write_histograms(tmp_path / "line" / trial_run(0), 1, {"w": {"gradient": numbers(0.1, 0.5)}})
    file = tmp_path / "flow.png"
    found = CliRunner().invoke(app, ["watch", str(tmp_path / "line"), "--gradients", str(file)])
    assert found.output == f"wrote {file}\n"
    assert file.read_bytes().startswith(b"\x89PNG")
