"""Requests to a server: those of one run one after another, those of several at the same time."""

import threading
from functools import partial

import pytest

from hpsearch.tracking.mlflow.client_store import Lanes


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(4)


def test_runs_are_written_at_the_same_time_and_each_in_its_order(lanes: Lanes) -> None:
    together, made = threading.Barrier(4), list[tuple[str, int]]()

    def meet(run: str) -> None:
        together.wait(30.0)
        made.append((run, 0))

    for run in "abcd":
        lanes.send(run, partial(meet, run))
        for number in (1, 2, 3):
            lanes.send(run, partial(made.append, (run, number)))
    lanes.wait()
    assert all([number for each, number in made if each == run] == [0, 1, 2, 3] for run in "abcd")
    lanes.close()


def test_what_fails_is_raised_and_leaves_the_rest_out(lanes: Lanes) -> None:
    made: list[str] = []
    lanes.send("a", partial(int, "no number"))
    lanes.send("a", partial(made.append, "behind it"))
    with pytest.raises(ValueError, match="no number"):
        lanes.wait()
    lanes.send("a", partial(made.append, "later"))
    lanes.wait()
    assert made == ["later"]
    lanes.close()


def test_what_is_closed_makes_no_request_any_more(lanes: Lanes) -> None:
    made: list[str] = []
    lanes.send("a", partial(made.append, "before"))
    lanes.wait()
    going, held = threading.Event(), threading.Event()

    def hang() -> None:
        going.set()
        held.wait(30.0)

    lanes.send("a", hang)
    lanes.send("a", partial(made.append, "behind it"))
    going.wait(30.0)
    closing = threading.Thread(target=lanes.close)
    closing.start()
    while not lanes._errors:
        pass
    held.set()
    closing.join()
    assert made == ["before"]
