"""What the page is told: everything once, then only what has changed, and as much as that is."""

import json
import math
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.activity import locked
from hpsearch.experiment.askers import Asker
from hpsearch.experiment.events import (
    AdoptEvent,
    AskEvent,
    BeginEvent,
    DropEvent,
    LostEvent,
    PauseEvent,
    SessionEvent,
)
from hpsearch.experiment.files import read_json, write_json
from hpsearch.experiment.layout import ALIVE, ARTIFACTS, LOCK, LOG, OUTPUT, PROGRESS, RESOLVED, STUDY, trial_run
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Moment, Outcome
from hpsearch.web.app import Page
from hpsearch.web.feed import Feed
from hpsearch.web.shelf import Shelf
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search
from tests.web.asking import TOKEN, ask

FIELDS = (
    *("number", "outcome", "value", "step", "seconds", "begun", "ended", "after", "reason", "lost", "params"),
    *("notes", "stopping"),
)


class Browser:
    """What a browser knows: it begins with everything, and takes in the changes as search.js does."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        told = feed.whole()
        self.offset, self.generation = told["offset"], told["generation"]
        self.rows = {row[0]: row for row in told["rows"]}
        self.curves: dict[int, dict[int, float]] = {
            number: dict(zip(steps, values, strict=True)) for number, steps, values in feed.curves()["curves"]
        }

    def listen(self) -> dict[str, Any]:
        changes = self.feed.since(self.generation, self.offset)
        assert changes is not None
        self.offset = changes["offset"]
        self.rows |= {row[0]: row for row in changes["rows"]}
        for number in changes["gone"]:
            del self.rows[number]
            self.curves.pop(number, None)
        for number, anew, steps, values in changes["points"]:
            curve = {} if anew else self.curves.setdefault(number, {})
            self.curves[number] = curve | dict(zip(steps, values, strict=True))
        return changes


@pytest.fixture
def growing(tmp_path: Path) -> GrowingExperiment:
    return GrowingExperiment(tmp_path / "line")


def same_as_read(browser: Browser, folder: Path) -> None:
    """Whoever has listened knows what whoever reads the folder now does."""
    record = read_experiment(folder)
    assert sorted(browser.rows) == [trial.number for trial in record.trials]
    for trial in record.trials:
        row = dict(zip(FIELDS, browser.rows[trial.number], strict=True))
        assert (row["outcome"], row["value"], row["step"]) == (trial.outcome, trial.value, trial.step)
        assert {str(step): value for step, value in browser.curves.get(trial.number, {}).items()} == {
            str(step): value for step, value in trial.history
        } or any(math.isnan(value) for _, value in trial.history)


def test_a_browser_that_listens_knows_what_is_in_the_folder(growing: GrowingExperiment) -> None:
    browser = Browser(Feed(growing.folder))
    grow_search(growing, trials=8)
    browser.listen()
    same_as_read(browser, growing.folder)
    growing.ask(trial_run(8), 8, {"train.learning_rate": 0.1})
    growing.train(trial_run(8), (0.1, 0.2, 0.1, 0.2, 0.1, 0.2))  # more steps than what it then goes on from
    browser.listen()
    same_as_read(browser, growing.folder)
    growing.exploit(8, donor=0, step=2, params={"train.learning_rate": 0.05})
    browser.listen()
    same_as_read(browser, growing.folder)
    growing.train(trial_run(8), (0.5, 0.6, 0.7))
    growing.emit(LostEvent(run=trial_run(8), attempt=1, reason="killed"))
    browser.listen()
    growing.report(trial_run(8), 3, 0.71, value=0.71, at=3, seconds=3.0)  # again, from its checkpoint
    growing.emit(DropEvent(run=trial_run(1), reason="a changed space"))
    changes = browser.listen()
    same_as_read(browser, growing.folder)
    assert changes["gone"] == [1]
    assert [(number, steps) for number, _, steps, _ in changes["points"]] == [(8, [3])]


def test_only_what_changed_is_told(growing: GrowingExperiment) -> None:
    grow_search(growing, trials=30)
    browser = Browser(Feed(growing.folder))
    assert (browser.listen()["rows"], browser.listen()["points"]) == ([], [])
    run = growing.trial(30, (0.1, 0.2), outcome=None, params={"train.learning_rate": 0.1})
    changes = browser.listen()
    assert [row[0] for row in changes["rows"]] == [30]
    growing.report(run, 3, 0.3, value=0.3, at=3, seconds=3.0)
    changes = browser.listen()
    assert changes["points"] == [[30, False, [3], [0.3]]]
    assert "confirmed" not in changes
    growing.end(run, Outcome.COMPLETE, (0.1, 0.2, 0.3))
    grow_confirmation(growing)
    changes = browser.listen()
    assert (changes["points"], changes["confirmed"]) == ([], True)


def test_an_experiment_that_was_made_anew_is_told_anew(tmp_path: Path) -> None:
    growing = GrowingExperiment(tmp_path / "line")
    grow_search(growing, trials=5)
    growing.log.close()
    browser = Browser(Feed(growing.folder))
    kept = tmp_path / "kept"
    growing.folder.rename(kept)  # so that the new log is another file
    again = GrowingExperiment(tmp_path / "line")
    grow_search(again, trials=7)
    again.log.close()
    assert browser.feed.since(browser.generation, browser.offset) is None
    browser = Browser(browser.feed)
    assert sorted(browser.rows) == [*range(7)]
    (kept / LOG).write_bytes((growing.folder / LOG).read_bytes())
    shutil.copyfile(_later(kept / LOG), growing.folder / LOG)  # the same file to the disk, as often after a removal
    assert browser.feed.since(browser.generation, browser.offset) is None


def _later(log: Path) -> Path:
    """Give a log another first line, as of a session that begins later."""
    first, *others = log.read_text(encoding="utf-8").splitlines(keepends=True)
    told = {key: value for key, value in json.loads(first).items() if key != "crc"} | {"host": "another" * 9}
    log.write_text("".join([json.dumps(told) + "\n", *others]), encoding="utf-8")
    return log


def test_the_scales_are_those_of_the_space(growing: GrowingExperiment) -> None:
    """Values of a narrow part of a log range are still on its log scale, over all of it."""
    for number, rate in enumerate((0.01, 0.02, 0.015)):
        params = {"model.layers": 2 + number, "model.width": 128, "train.learning_rate": rate}
        growing.trial(number, (0.5,), params=params)
    axes = {axis["name"]: axis for axis in Feed(growing.folder).whole()["axes"]}
    assert axes["learning_rate"] == {
        "path": "train.learning_rate", "name": "learning_rate", "low": 1e-5, "high": 1e-1, "log": True, "whole": False,
    }  # fmt: skip
    assert (axes["layers"]["low"], axes["layers"]["high"], axes["layers"]["log"]) == (1, 8, False)
    assert axes["width"]["options"] == [128, 256]


def test_what_ended_has_no_time_left_and_its_time_stands(growing: GrowingExperiment) -> None:
    growing.emit(SessionEvent(version="0.1.0", host="here"))
    grow_search(growing, trials=3)
    growing.log.close()
    os.utime(growing.folder / LOG)
    head = Feed(growing.folder).whole()["head"]
    assert (head["live"], head["left"], head["running"], head["state"]) == (False, None, [], "killed")
    assert head["elapsed"] == pytest.approx(read_experiment(growing.folder).elapsed, abs=1e-3)


def test_damaged_lines_are_left_out_as_everywhere(growing: GrowingExperiment) -> None:
    grow_search(growing, trials=4)
    growing.log.close()
    log = growing.folder / LOG
    lines = log.read_bytes().splitlines(keepends=True)
    asked = next(place for place, line in enumerate(lines) if b'"trials/0002"' in line)
    joined = next(line for line in lines if b'"trials/0001"' in line)  # asks again for what has ended
    log.write_bytes(b"".join([*lines[:asked], b"no json\n", *lines[asked + 1 :], joined, b'{"torn']))
    same_as_read(Browser(Feed(growing.folder)), growing.folder)


LETTERS = "\x1b[31m\u202e<img src=x onerror=alert(1)>\r\n"


def test_texts_of_others_are_cleaned(growing: GrowingExperiment) -> None:
    params = {"model.width": LETTERS, f"{LETTERS}.x": 1}
    run = growing.trial(0, (0.5,), outcome=Outcome.FAILED, params=params, reason=LETTERS)
    (growing.folder / run / "output.log").write_text(f"begun\n{LETTERS}", encoding="utf-8")
    page = Page(Shelf(growing.folder.parent), TOKEN)
    for path in ("api/experiment", "api/training", "api/examination", "api/confirmation", "api/experiments"):
        answer = ask(page, path, of="line", run=run)
        assert answer.status == 200
        assert not any(letter in answer.body.decode() for letter in ("\x1b", "\\u001b", "\u202e"))
        assert answer.headers["content-type"] == "application/json"
    assert ask(page, "api/training", of="line", run=run).json["output"]["text"].startswith("begun\n")


def grown(folder: Path, trials: int) -> Feed:
    """A search of many trials of ten reports each, copied from one of few: an experiment's log is text."""
    growing = GrowingExperiment(folder)
    params = {"model.width": 128, "model.layers": 3, "train.learning_rate": 0.00123456789}
    growing.trial(0, [0.5 + place / 100 for place in range(10)], params=params)
    growing.log.close()
    head, *lines = [json.loads(line) for line in (folder / LOG).read_bytes().splitlines()]
    with (folder / LOG).open("w", encoding="utf-8") as log:
        log.write(json.dumps(head) + "\n")
        for number in range(trials):
            for line in lines:
                told = {key: value for key, value in line.items() if key != "crc"} | {"run": trial_run(number)}
                told |= {"number": number} if "number" in line else {}
                log.write(json.dumps(told) + "\n")
    return Feed(folder)


def test_what_is_told_grows_with_the_trials_and_no_faster(tmp_path: Path) -> None:
    """Ten thousand trials are 2.5 MB, and as much for their curves; what has changed is as small as ever."""
    small, large = (grown(tmp_path / f"search-{trials}", trials) for trials in (250, 1_000))
    page = Page(Shelf(tmp_path), TOKEN)
    paths = ("api/experiment", "api/curves")
    sizes = [[len(ask(page, path, of=feed.folder.name).body) for path in paths] for feed in (small, large)]
    assert all(size < 250 * 1_000 for size in sizes[1])
    assert all(after < 4.2 * before for before, after in zip(*sizes, strict=True))
    whole, curves = large.whole(), large.curves()
    assert (len(whole["rows"]), len(curves["curves"])) == (1_000, 1_000)
    quiet = large.since(0, whole["offset"])
    assert quiet is not None
    assert len(json.dumps(quiet)) < 2_000


def test_a_stream_tells_what_changes_and_ends_with_the_server(growing: GrowingExperiment) -> None:
    grow_search(growing, trials=2)
    turns = iter([False, True])
    page = Page(Shelf(growing.folder.parent), TOKEN, stopping=lambda: next(turns))
    answer = ask(page, "api/stream", of="line", generation=0, offset=0)
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in answer.events]
    assert names[0] == "changes"
    assert [row[0] for row in answer.events[0][1]["rows"]] == [0, 1]
    assert all(not changes["rows"] for _, changes in answer.events[1:])


def test_a_stream_of_another_log_says_so(growing: GrowingExperiment) -> None:
    page = Page(Shelf(growing.folder.parent), TOKEN)
    assert [name for name, _ in ask(page, "api/stream", of="line", generation=7, offset=0).events] == ["anew"]
    assert ask(page, "api/stream", of="line", generation="x", offset=0).status == 400
    assert ask(page, "api/changes", of="line", generation=7, offset=0).json == {"anew": True}
    assert ask(page, "api/changes", of="line", generation="-1", offset=0).status == 404
    assert len(ask(page, "api/changes", of="line", generation=0, offset=0).json["rows"]) == 0
    page.shelf.feed("line")
    shutil.rmtree(growing.folder)
    assert ask(page, "api/stream", of="line", generation=0, offset=0).status in (200, 400)


def test_artifacts_are_files_of_the_training_and_nothing_else(growing: GrowingExperiment) -> None:
    run = growing.trial(0, (0.5,), params={})
    place = growing.folder / run / ARTIFACTS
    place.mkdir()
    (place / "map.png").write_bytes(b"picture")
    (place / "page.html").write_text("<script>", encoding="utf-8")
    (growing.folder / "secret").write_text("secret", encoding="utf-8")
    (place / "link.png").symlink_to(growing.folder / "secret")
    page = Page(Shelf(growing.folder.parent), TOKEN)
    picture = ask(page, "artifact", of="line", run=run, name="map.png")
    assert (picture.body, picture.headers["content-type"]) == (b"picture", "image/png")
    other = ask(page, "artifact", of="line", run=run, name="page.html")
    assert other.headers["content-disposition"] == "attachment"
    assert other.headers["content-type"] == "application/octet-stream"
    for name in ("link.png", "../../secret", "../config.json", "", "nothing"):
        assert ask(page, "artifact", of="line", run=run, name=name).status == 404
    (place / "odd\tname.csv").write_bytes(b"a,b\n" * 500_000)
    (listed,) = [
        each for each in ask(page, "api/training", of="line", run=run).json["artifacts"] if "odd" in each["name"]
    ]
    odd = ask(page, "artifact", of="line", run=run, name="odd name.csv")
    assert (listed["name"], listed["bytes"], len(odd.body)) == ("odd name.csv", 2_000_000, 2_000_000)
    assert odd.headers["content-length"] == "2000000"
    assert ask(page, "artifact", of="line", run="../line", name="map.png").status == 404


def test_what_lies_elsewhere_by_a_link_is_not_shown(growing: GrowingExperiment, tmp_path: Path) -> None:
    """An experiment may have come by mail; but its owner may keep all trials on a larger disk."""
    run, elsewhere = growing.trial(0, (0.5,), params={}), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "key").write_text("secret", encoding="utf-8")
    (growing.folder / run / ARTIFACTS).symlink_to(elsewhere)
    (growing.folder / run / OUTPUT).symlink_to(elsewhere / "key")
    page = Page(Shelf(growing.folder.parent), TOKEN)
    told = ask(page, "api/training", of="line", run=run).json
    assert (told["artifacts"], told["output"]["text"]) == ([], "")
    assert "a link" in told["output"]["why"]
    assert ask(page, "artifact", of="line", run=run, name="key").status == 404
    (growing.folder / run / OUTPUT).unlink()
    (growing.folder / run / OUTPUT).write_text("trained", encoding="utf-8")
    (growing.folder / "trials").rename(tmp_path / "large")
    (growing.folder / "trials").symlink_to(tmp_path / "large")
    assert ask(page, "api/training", of="line", run=run).json["output"]["text"] == "trained"


def test_a_list_shows_every_search_at_a_glance(growing: GrowingExperiment) -> None:
    grow_search(growing, trials=6)
    growing.log.close()
    page = Page(Shelf(growing.folder.parent), TOKEN)
    (listed,) = ask(page, "api/experiments").json["experiments"]
    assert (listed["name"], listed["kind"], listed["live"], listed["small"]) == ("line", "experiment", False, True)
    told = ask(page, "api/glance", of="line").json
    best = read_experiment(growing.folder).best
    assert best is not None
    assert (told["ended"], told["head"]["trials"], told["head"]["best"]["number"]) == (6, 60, best.number)


def test_a_damaged_neighbour_costs_nobody_else_the_page(growing: GrowingExperiment) -> None:
    growing.trial(0, (0.5,))
    damaged = {"study": STUDY, "search": RESOLVED}
    for name, file in damaged.items():
        (growing.folder.parent / name).mkdir()
        (growing.folder.parent / name / file).write_text("{", encoding="utf-8")
    page = Page(Shelf(growing.folder.parent), TOKEN)
    assert {each["name"] for each in ask(page, "api/experiments").json["experiments"]} == {"line", *damaged}
    assert ask(page, "api/experiment", of="line").status == 200
    for name, file in damaged.items():
        answer = ask(page, "api/study" if file == STUDY else "api/experiment", of=name)
        assert answer.status == 404
        assert file in answer.json["error"]


def test_what_runs_is_told_between_its_reports(growing: GrowingExperiment) -> None:
    """As the live screen does: by the workers' own files, and the time left by the pace so far."""
    growing.trial(0, (0.5, 0.6, 0.7, 0.8))
    run = growing.trial(1, (0.5,), outcome=None)
    (growing.folder / run / ALIVE).touch()
    with locked(growing.folder):
        feed = Feed(growing.folder)
        feed.advance()
        (running,) = feed.whole()["head"]["running"]
        assert (running["run"], running["step"], running["length"], running["now"]) == (run, 1, 4, "")
        write_json(growing.folder / run / PROGRESS, asdict(Moment(120, 4000, loss=0.53, seconds_left=180.0)))
        head = feed.whole()["head"]
        assert head["running"][0]["now"] == "step 120/4,000, 3 min left, loss 0.53"
        assert (head["live"], head["state"]) == (True, "running")
        assert head["left"] > 180
    assert feed.whole()["head"]["running"] == []


@pytest.mark.parametrize(
    "told",
    [
        {"done": 1, "total": "x"},
        {"done": None, "total": 2},
        {"done": 1, "total": 2, "seconds_left": "soon"},
        {"done": 1, "total": 2, "seconds_left": "inf"},
        {"done": 1, "total": 2, "preparing": 3},
        {"done": 1, "total": 2, "of": "another version"},
        ["a", "list"],
        5,
    ],
)
def test_a_moment_that_cannot_be_used_is_none(growing: GrowingExperiment, told: Any) -> None:
    run = growing.trial(0, (0.5,), outcome=None)
    (growing.folder / run / ALIVE).touch()
    write_json(growing.folder / run / PROGRESS, told)
    with locked(growing.folder):
        (running,) = Feed(growing.folder).whole()["head"]["running"]
        assert running["now"] == ""


def test_the_scales_have_the_values_that_trials_have_now(growing: GrowingExperiment) -> None:
    """A space that has changed leaves trials out, and others keep with values of more parameters."""
    for number, layers in enumerate((0, 2, 3)):
        growing.trial(number, (0.5,), params={"model.layers": layers})
    browser = Browser(Feed(growing.folder))
    growing.emit(DropEvent(run=trial_run(0), reason="a changed space"))
    growing.emit(AdoptEvent(run=trial_run(1), params={"model.layers": 2, "model.heads": 16}))
    axes = {axis["path"]: axis for axis in browser.listen()["axes"]}
    assert (axes["model.layers"]["low"], axes["model.heads"]["high"]) == (1, 16)
    assert browser.rows[1][10] == [2, 16]


def test_seconds_of_searching_are_without_those_of_confirmations(growing: GrowingExperiment) -> None:

    def pass_time(seconds: float) -> None:
        growing.log._opened -= seconds  # the log's clock, as if so much time had passed

    pass_time(100)
    growing.trial(0, (0.5,))
    pass_time(1000)
    growing.replicate(0, 0, {"test/auc": 0.5})
    pass_time(50)
    growing.trial(1, (0.6,))
    told = Feed(growing.folder).whole()
    assert [round(row[7]) for row in told["rows"]] == [100, 150]
    assert round(told["head"]["searched"]) == 150


def at_work(feed: Feed) -> list[int]:
    return [each["number"] for each in feed.whole()["head"]["running"]]


def test_a_trial_that_a_pruner_has_paused_is_not_at_work(growing: GrowingExperiment) -> None:
    """One worker trains six trials by turns; the log tells of no pause, but each is without a sign of life then."""
    runs = [growing.trial(number, (0.5,), outcome=None) for number in range(6)]
    (growing.folder / runs[5] / ALIVE).touch()
    with locked(growing.folder):
        feed = Feed(growing.folder)
        assert at_work(feed) == [5]
        assert feed.search.most_running == 1
        assert all(row[4] == 1.0 for row in feed.whole()["rows"])
        (growing.folder / runs[5] / ALIVE).unlink()
        growing.emit(BeginEvent(run=runs[2], attempt=2))  # whose worker has not come to it yet
        assert at_work(feed) == [2]
        (growing.folder / runs[2] / ALIVE).touch()
        growing.report(runs[2], 2, 0.6, value=0.6, at=2, seconds=2.0)
        assert at_work(feed) == [2]
        (growing.folder / runs[2] / ALIVE).unlink()
        assert at_work(feed) == []
        (growing.folder / runs[2] / ALIVE).touch()  # seen late, as over a network
        assert at_work(feed) == [2]
        growing.end(runs[2], Outcome.COMPLETE, (0.5, 0.6))
        assert at_work(feed) == []
        assert feed.search.most_running == 1


def test_who_rests_as_a_person_has_paused_the_search_is_not_silent(growing: GrowingExperiment) -> None:
    """They rest at their next report or step, so that one may have reported nothing."""
    growing.ask(trial_run(0), 0, {})
    (growing.folder / trial_run(0) / ALIVE).touch()
    with locked(growing.folder):
        feed = Feed(growing.folder)
        growing.emit(PauseEvent(order="a"))
        assert at_work(feed) == [0]
        (growing.folder / trial_run(0) / ALIVE).unlink()
        assert at_work(feed) == []


def test_a_trial_whose_program_has_left_is_not_at_work(growing: GrowingExperiment) -> None:
    asker = Asker(growing.folder)
    (growing.folder / LOCK).touch()
    for number, name in enumerate((asker.name, "left")):
        growing.emit(AskEvent(run=trial_run(number), number=number, params={}, seed=1))
        growing.emit(BeginEvent(run=trial_run(number), attempt=1, asker=name))
    try:
        assert at_work(Feed(growing.folder)) == [0]
    finally:
        asker.close()


@pytest.mark.parametrize("settings", [{"engine": "ray"}, {"pack": "auto"}, {}])
def test_where_workers_give_no_signs_nobody_is_taken_to_rest(
    growing: GrowingExperiment, settings: dict[str, str]
) -> None:
    """Those of a cluster, of packs, and within the coordinator's own process."""
    resolved = read_json(growing.folder / RESOLVED)
    resolved["space"]["search"] |= settings
    write_json(growing.folder / RESOLVED, resolved)
    growing.trial(0, (0.5,), outcome=None)
    growing.trial(1, (0.5,), outcome=None)
    if settings:
        (growing.folder / trial_run(1) / ALIVE).touch()
    with locked(growing.folder):
        assert at_work(Feed(growing.folder)) == [0, 1]
