"""Orders from the page: placed as the commands place them, only with `--control`, and refused in the same words."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.activity import locked
from hpsearch.experiment.orders import pending
from hpsearch.web.app import Page
from hpsearch.web.feed import Feed
from hpsearch.web.shelf import Opening, Shelf
from tests.experiment_factory import GrowingExperiment
from tests.web.asking import HOST, TOKEN, Answer, ask

HEADERS = {"x-hpsearch-token": TOKEN, "origin": f"http://{HOST}"}


@pytest.fixture
def growing(tmp_path: Path) -> GrowingExperiment:
    made = GrowingExperiment(tmp_path / "line")
    made.trial(0, (0.5, 0.6))
    made.trial(1, (0.5,), outcome=None)
    return made


def order(growing: GrowingExperiment, body: Any, **headers: str) -> Answer:
    page = Page(Shelf(growing.folder.parent), TOKEN, Opening(control=True))
    return ask(page, "api/orders", method="POST", headers=HEADERS | headers, body=body, of="line")


def test_orders_wait_for_the_search_that_runs(growing: GrowingExperiment) -> None:
    with locked(growing.folder):
        feed = Feed(growing.folder)
        feed.advance()
        given = [{"order": "stop", "trial": 1}, {"order": "pause"}, {"order": "note", "text": "odd", "trial": 1}]
        given += [{"order": "budget", "trials": 80, "time": "2h"}]
        for each in given:
            answer = order(growing, each)
            assert (answer.status, answer.json["obeyed"]) == (200, False)
        assert [type(each.event).__name__ for each in pending(growing.folder)] == [
            *("StopEvent", "PauseEvent", "NoteEvent", "BudgetEvent"),
        ]
        assert feed.whole()["head"]["waiting"] == 4


def test_what_nothing_runs_for_is_in_the_log_at_once(growing: GrowingExperiment) -> None:
    growing.log.close()
    assert order(growing, {"order": "note", "text": "look\x1b[31m again", "trial": 1}).json["obeyed"] is True
    assert order(growing, {"order": "note", "text": "both"}).json["obeyed"] is True
    assert order(growing, {"order": "budget", "trials": 70}).json["obeyed"] is True
    told = Feed(growing.folder).whole()
    assert [[text for _, text in row[11]] for row in told["rows"]] == [[], ["look [31m again"]]
    assert [text for _, text in told["head"]["notes"]] == ["both"]
    assert told["head"]["goal_count"] == 70


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"order": "stop", "trial": 0}, "nothing runs"),
        ({"order": "note", "text": " "}, "the note is empty"),
        ({"order": "note", "text": "x" * 20_000}, "at most 10,000"),
        ({"order": "note", "text": "x", "trial": 9}, "no trial 9"),
        ({"order": "note", "text": 5}, "text is not what"),
        ({"order": "stop", "trial": "1; rm"}, "trial is not what"),
        ({"order": "stop", "trial": True}, "trial is not what"),
        ({"order": "budget", "trials": -1}, "--trials"),
        ({"order": "__init__"}, "unknown order"),
        (["stop"], "an order is an object"),
    ],
)
def test_what_is_no_order_is_refused_with_a_sentence(growing: GrowingExperiment, body: Any, sentence: str) -> None:
    before = (growing.folder / "log.jsonl").read_bytes()
    answer = order(growing, body)
    assert answer.status == 400
    assert sentence in answer.json["error"]
    assert (growing.folder / "log.jsonl").read_bytes() == before
    assert pending(growing.folder) == []


def test_a_flood_is_refused(growing: GrowingExperiment) -> None:
    assert order(growing, {"order": "note", "text": "x" * 200_000}).status == 413


@pytest.mark.parametrize("headers", [{"x-hpsearch-token": "no"}, {"origin": "http://evil.example"}, {"host": "evil"}])
def test_another_page_gives_no_orders(growing: GrowingExperiment, headers: dict[str, str]) -> None:
    growing.log.close()
    assert order(growing, {"order": "note", "text": "from elsewhere"}, **headers).status == 403
    assert Feed(growing.folder).whole()["head"]["notes"] == []
