"""Orders from Python and from the command line: what is checked before, and what becomes of them when nothing runs."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import hpsearch
from hpsearch.api import steer
from hpsearch.cli import app, steering
from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.experiment.activity import locked
from hpsearch.experiment.events import AskEvent
from hpsearch.experiment.layout import LOG, ORDERS, STUDY, replicate_run, rerun_run
from hpsearch.experiment.log import Log
from hpsearch.experiment.orders import pending
from tests.logs import read_log
from tests.toy_spaces import write_space

QUIETLY: dict[str, Any] = {"in_process": True, "mlflow": False, "quiet": True}
WHOLE = {"model.start": 0.5, "model.width": 2, "train.learning_rate": 0.1, "train.optimizer": "adamw"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("finished")
    hpsearch.run(write_space(home, trials=2), root=home / "experiments", **QUIETLY)
    return home


@pytest.fixture
def toy(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(finished, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    return Path("experiments/toy")


def go_on() -> Any:
    return hpsearch.run("toy.yaml", **QUIETLY).record


def test_what_is_ordered_while_nothing_runs_is_in_the_log_and_holds(toy: Path) -> None:
    placed = [
        hpsearch.add(toy, set=WHOLE),
        hpsearch.add(toy, set=["learning_rate=0.5"]),
        hpsearch.budget(toy, trials=3),
        hpsearch.note(toy, "good", trial=1),
    ]
    assert all(each.obeyed for each in placed)
    assert not pending(toy)
    assert [event.get("order") for event in read_log(toy / "log.jsonl")][-4:] == [each.order for each in placed]
    assert (hpsearch.open(toy).record.budget, hpsearch.open(toy).record.added) == (5, 2)
    record = go_on()
    assert len(record.trials) == 5
    assert record.trials[2].params == WHOLE
    assert record.trials[3].params["train.learning_rate"] == 0.5
    assert [note.text for note in record.trials[1].notes] == ["good"]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (
            lambda toy: hpsearch.add(toy, set={"learning_rat": 0.1}),
            "learning_rat is not a range of this space, did",
        ),
        (lambda toy: hpsearch.add(toy, set={"train.learning_rate": 7}), "7 is not in {log: [0.001, 1"),
        (lambda toy: hpsearch.add(toy, set=["learning_rate"]), "set: learning_rate: expected a.b.c=VALUE"),
        (hpsearch.add, "expected at least one"),
        (lambda toy: hpsearch.stop(toy, trial=0), "nothing runs in experiments/toy"),
        (hpsearch.stop, "nothing runs"),
        (hpsearch.pause, "nothing runs"),
        (hpsearch.resume, "nothing runs"),
        (hpsearch.budget, "neither trials nor a time"),
        (lambda toy: hpsearch.budget(toy, trials=0), "0 trials: at least 1 is expected"),
        (lambda toy: hpsearch.budget(toy, time="soon"), "time=: 'soon' is not a duration"),
        (lambda toy: hpsearch.note(toy, " "), "the note is empty"),
        (lambda toy: hpsearch.note(toy, "odd", trial=9), "has no trial 9"),
        (lambda toy: hpsearch.note(toy, 5), "the note is 5, not a text"),
        (lambda toy: hpsearch.note(toy, "odd", trial="1"), "trial=: '1' is not a whole number"),
        (lambda toy: hpsearch.stop(toy, trial=1.0), "trial=: 1.0 is not a whole number"),
        (lambda toy: hpsearch.budget(toy, trials=80.0), "trials=: 80.0 is not a whole number"),
        (lambda toy: hpsearch.budget(toy, trials=True), "trials=: True is not a whole number"),
        (lambda toy: hpsearch.budget(toy, trials="80"), "trials=: '80' is not a whole number"),
        (lambda toy: hpsearch.budget(toy, trials=10**30), "is not a whole number"),
        (lambda toy: hpsearch.budget(toy, time=10**400), "time=: "),
        (lambda _: hpsearch.note("toys", "odd"), "there is no experiment 'toys', did you mean 'toy'?"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_placed(order: Callable[[Path], Any], words: str, toy: Path) -> None:
    before = (toy / "log.jsonl").read_bytes()
    with pytest.raises(HpsearchError) as error:
        order(toy)
    assert words in str(error.value)
    assert (toy / "log.jsonl").read_bytes() == before
    assert not pending(toy)


def test_whole_numbers_of_numpy_are_whole_numbers(toy: Path) -> None:
    hpsearch.budget(toy, trials=np.int64(3))
    hpsearch.note(toy, "odd", trial=np.int32(1))
    record = hpsearch.open(toy).record
    assert (record.budget, [note.text for note in record.trials[1].notes]) == (3, ["odd"])
    assert record.warnings == ()


def test_an_added_configuration_must_be_a_new_one(toy: Path) -> None:
    hpsearch.add(toy, set=WHOLE)
    with pytest.raises(HpsearchError, match="these values were added before"):
        hpsearch.add(toy, set=WHOLE)
    go_on()
    with pytest.raises(HpsearchError, match="trial 2 has these values"):
        hpsearch.add(toy, set=WHOLE)
    for _ in range(2):  # the rest is drawn anew each time
        assert hpsearch.add(toy, set={"train.learning_rate": 0.25}).obeyed


def test_all_wrong_values_are_told_at_once_with_their_places(toy: Path) -> None:
    with pytest.raises(SpaceError) as error:
        hpsearch.add(toy, set=["train.learning_rate=7", "model.width=two"])
    sources = [problem.source for problem in error.value.problems]
    assert sources == ["--set model.width=two", "--set train.learning_rate=7"]


def test_while_it_runs_an_order_waits_for_the_search(toy: Path) -> None:
    with locked(toy):
        placed = [hpsearch.note(toy, "later"), hpsearch.pause(toy), hpsearch.stop(toy)]
        assert [each.event.order for each in pending(toy) if each.event] == [each.order for each in placed]
        assert not any(each.obeyed for each in placed)
        with pytest.raises(HpsearchError, match=r"trial 0 has ended \(complete\)"):
            hpsearch.stop(toy, trial=0)
        with pytest.raises(HpsearchError, match="there is no trials/0007"):
            hpsearch.stop(toy, trial=7)
        with pytest.raises(HpsearchError, match="is not paused"):
            hpsearch.resume(toy)
    record = go_on()  # that session is over: only the note is still meant
    assert record.closing == "finished"
    assert [note.text for note in record.notes] == ["later"]
    assert not pending(toy)


def test_an_arm_has_the_budget_of_its_study(toy: Path) -> None:
    (toy.parent / STUDY).write_text('{"version": 1, "latest": {"arms": {"toy": {}}}}')
    for order in (lambda: hpsearch.add(toy, set=WHOLE), lambda: hpsearch.budget(toy, trials=9)):
        with pytest.raises(HpsearchError, match="arms have equal budgets"):
            order()
    assert hpsearch.note(toy, "good").obeyed
    with pytest.raises(HpsearchError, match="is a study; say which of its arms: experiments/toy"):
        hpsearch.note(toy.parent, "good")


def test_the_commands_say_what_becomes_of_an_order(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "ANSWER_SECONDS", 0.0)

    def told(*words: str) -> str:
        result = CliRunner().invoke(app, [*words])
        assert result.exit_code == 0, result.exception
        return result.output

    assert told("note", "toy", "good") == "toy: noted\n"
    assert told("add", "toy", "--set", "learning_rate=0.5") == "toy: it is tried when the search goes on\n"
    assert "note: good" in told("show", "toy", "--no-importance")
    with locked(toy):
        assert told("pause", "toy") == "toy: placed; the search has not looked yet\n"


def test_while_the_winner_is_confirmed_an_order_is_for_later(toy: Path) -> None:
    placed = hpsearch.note(toy, "good")
    assert not steer.confirms(placed)
    with closing(Log(toy / LOG)) as log:  # a race's further seed belongs to the search
        log.append(AskEvent(run=rerun_run(0, 1), number=0, params={}, seed=1, rerun=1))
    assert not steer.confirms(placed)
    with closing(Log(toy / LOG)) as log:
        log.append(AskEvent(run=replicate_run(0, 0), number=0, params={}, seed=1, replicate=0))
    assert steer.confirms(placed)


def test_whoever_may_write_into_the_folder_may_order(toy: Path) -> None:
    """Whatever the umask of the account that ordered first."""
    toy.chmod(0o775)
    before = os.umask(0o077)
    try:
        with locked(toy):
            hpsearch.note(toy, "good")
    finally:
        os.umask(before)
    assert (toy / ORDERS).stat().st_mode & 0o777 == 0o775
