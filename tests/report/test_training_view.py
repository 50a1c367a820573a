"""The numbers behind `hpsearch watch`, by hand, and what is shown of them."""

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.health import examine_trial
from hpsearch.report.charts.style import save_figure
from hpsearch.report.charts.training import draw_training
from hpsearch.report.training_view import (
    Trace,
    TrainingView,
    improvement,
    moving_average,
    prepare_training,
    show_training,
    sparkline,
    speed,
)
from tests.health.curves import LOSS, decay, trial

SICK = trial(
    train=decay(20, end=0.0),
    val=[*decay(10, end=1.0), *(1.1 + 0.1 * k for k in range(10))],
    learning_rate=[1e-3] * 10 + [1e-4] * 10,
    gradient_norm=decay(20),
)
DECISIONS = [{"step": 187, "epoch": 11.0, "reason": "no gain for 30 evaluations", "before": 1.0, "after": 0.1}]
"""As the training's rate_control.py writes them: 17 optimizer steps make an epoch."""


def view() -> TrainingView:
    return prepare_training(SICK, LOSS, unit="epoch", decisions=DECISIONS)


def shown(seen: TrainingView, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(show_training(seen, examine_trial(SICK, LOSS), width=width))
    return capture.get().splitlines()


def test_the_moving_average_begins_with_what_there_is() -> None:
    series = Trace("loss", (1, 2, 3, 4), (4.0, 2.0, 6.0, 1.0))
    assert moving_average(series, 2).values == (4.0, 3.0, 4.0, 3.5)


def test_the_speed_is_for_one_step_also_where_steps_are_far_apart() -> None:
    series = Trace("loss", (10, 20, 40), (4.0, 2.0, 6.0))
    assert (speed(series).steps, speed(series).values) == ((20, 40), (-0.2, 0.2))


def test_the_improvement_is_relative_and_for_one_step() -> None:
    falling = Trace("loss", tuple(range(8)), (9.0, 9.0, 4.0, 3.9, 3.8, 3.7, 3.6, 3.0))
    assert improvement(falling, 5) == pytest.approx((4.0 - 3.0) / 4.0 / 5)
    assert improvement(Trace("loss", (1, 2), (-2.0, -3.0))) == pytest.approx(0.5)
    assert improvement(Trace("loss", (1,), (2.0,))) is None


@pytest.mark.parametrize(
    ("values", "width", "blocks"),
    [([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"), ([5, 5, 5], 9, "▁▁▁"), ([], 9, ""), ([0, 0, 7, 7], 2, "▁█")],
)
def test_a_curve_in_a_line(values: list[float], width: int, blocks: str) -> None:
    assert sparkline(values, width) == blocks


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_terminal_shows_curves_decisions_and_advice(width: int) -> None:
    text = shown(view(), width)
    assert max(map(cell_len, text)) <= width
    whole = " ".join(" ".join(text).split())
    for word in (
        "trial 0 (complete), epoch 20",
        "train/loss",
        "val/loss",
        "learning_rate",
        "improves by",
        "over-fitting",
    ):
        assert word in whole
    assert "rate, epoch 11: no gain for 30 evaluations (factor 1 -> 0.1)" in whole


def test_nothing_yet_is_said(tmp_path: Path) -> None:
    empty = prepare_training(trial(outcome=None), LOSS, unit="epoch")
    assert any("nothing has been reported yet" in line for line in shown(empty, 80))
    save_figure(draw_training(empty), tmp_path / "empty.png")


def test_the_picture_has_every_curve_at_its_values() -> None:
    losses, rate, average, change = draw_training(view()).axes
    assert [list(line.get_ydata()) for line in losses.lines] == [list(view().train.values), list(view().val.values)]
    assert list(rate.lines[0].get_ydata()) == list(view().rate.values)
    assert list(rate.lines[1].get_xdata()) == [11, 11]
    assert list(average.lines[0].get_ydata()) == list(view().average.values)
    assert list(change.lines[-1].get_ydata()) == list(view().speed.values)


def test_pictures_are_written_in_the_formats_there_are(tmp_path: Path) -> None:
    figure = draw_training(view())
    for name, begin in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        save_figure(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begin)
    with pytest.raises(UnknownNameError, match="jpog"):
        save_figure(figure, tmp_path / "a.jpog")
    with pytest.raises(HpsearchError, match="cannot be written"):
        save_figure(figure, tmp_path / "nowhere" / "a.png")
