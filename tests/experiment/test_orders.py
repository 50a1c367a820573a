"""Orders as files: placed in one piece, found in their order, looked for seldom."""

import os
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import AddEvent, NoteEvent, OrderEvent, PauseEvent, ResumeEvent, StopEvent
from hpsearch.experiment.files import read_json
from hpsearch.experiment.layout import ORDERS
from hpsearch.experiment.orders import Inbox, new_order, pending, place, withdraw_stale
from hpsearch.experiment.state import ExperimentState


def orders() -> list[OrderEvent]:
    return [
        AddEvent(order=new_order(), params={"rate": 0.1}),
        NoteEvent(order=new_order(), text="odd \u00e9 \x1b[31m"),
        StopEvent(order=new_order(), run="trials/0001"),
        StopEvent(order=new_order()),
        PauseEvent(order=new_order()),
        ResumeEvent(order=new_order()),
    ]


def test_they_come_back_in_the_order_in_which_they_were_placed(tmp_path: Path) -> None:
    placed = orders()
    paths = [place(tmp_path, order) for order in placed]
    assert [each.event for each in pending(tmp_path)] == placed
    assert [each.path for each in pending(tmp_path)] == paths
    assert all(read_json(path)["version"] == 1 for path in paths)
    pending(tmp_path)[1].withdraw()
    assert [each.event for each in pending(tmp_path)] == [placed[0], *placed[2:]]


def test_what_was_meant_for_a_session_that_is_over_is_withdrawn(tmp_path: Path) -> None:
    placed = orders()
    for order in placed:
        place(tmp_path, order)
    state = ExperimentState()
    state.follow(placed[4])  # it was obeyed, and its file stayed: nothing has to be said of it
    told = withdraw_stale(tmp_path, state)
    assert [each.event for each in pending(tmp_path)] == [*placed[:3], placed[4]]
    assert [words.split()[3] for words in told] == ["stop", "resume"]


def test_the_folder_is_looked_into_about_once_a_second_however_often_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looks, scandir = [0.0], [0], os.scandir

    def counted(path: Any) -> Any:
        looks[0] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    inbox = Inbox(tmp_path, clock=lambda: now[0])
    for _ in range(1000):  # ten seconds of a hundred reports each
        assert inbox.look() == []
        now[0] += 0.01
    assert looks[0] <= 11
    place(tmp_path, orders()[0])
    assert [each.event is None for each in inbox.look(at_once=True)] == [False]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"event": "ask"}', '{"event": "stop"}', '{"event": 3}'])
def test_what_is_no_order_says_why(content: str, tmp_path: Path) -> None:
    (tmp_path / ORDERS).mkdir()
    (tmp_path / ORDERS / "1-a.json").write_text(content)
    (found,) = pending(tmp_path)
    assert found.event is None
    assert found.trouble


def test_a_place_that_cannot_be_read_ends_no_search(tmp_path: Path) -> None:
    (tmp_path / ORDERS).write_text("a file")
    assert pending(tmp_path) == []
    with pytest.raises(ExperimentError, match="orders is no folder"):
        place(tmp_path, orders()[0])
    (tmp_path / ORDERS).unlink()
    (tmp_path / ORDERS).mkdir()
    os.mkfifo(tmp_path / ORDERS / "1-a.json")
    (found,) = pending(tmp_path)
    assert found.event is None
