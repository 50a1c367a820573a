"""What the page's scripts make of what they are told, without a browser."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.events import AddEvent
from hpsearch.records import Outcome
from hpsearch.space.search_settings import parse_duration
from hpsearch.web.details import Sparing
from hpsearch.web.feed import Feed
from tests.experiment_factory import GrowingExperiment, grow_confirmation
from tests.web.scripting import scripted


@pytest.fixture
def growing(tmp_path: Path) -> GrowingExperiment:
    return GrowingExperiment(tmp_path / "line")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    made = tmp_path / "scripts"
    made.mkdir()
    return made


def opened(folder: Path) -> dict[str, Any]:
    """An experiment as `Search.open` has it."""
    return Feed(folder).whole()


GLANCE = """
const { Glance } = await import("./glance.js");
const { Search } = await import("./search.js");
globalThis.fetch = async () => ({ ok: true, json: async () => told });
const search = await new Search("line").open();
const glance = new Glance(search, { others: () => [], control: false });
glance.showFacts();
tell(glance.facts.text);
"""


def test_each_ending_is_called_by_its_own_name(growing: GrowingExperiment, scripts: Path) -> None:
    """While the winner is confirmed, too."""
    endings = (Outcome.COMPLETE, Outcome.PRUNED, Outcome.STOPPED, Outcome.STOPPED, Outcome.DIVERGED, Outcome.TIMED_OUT)
    for number, outcome in enumerate(endings):
        growing.trial(number, (0.5,), outcome=outcome)
    grow_confirmation(growing)
    told = opened(growing.folder)
    assert told["head"]["confirming"]
    assert told["head"]["counts"] == {"stopped": 2, "complete": 1, "pruned": 1, "diverged": 1, "timed_out": 1}
    text = scripted(scripts, GLANCE, told=told)
    assert all(words in text for words in ("6 of", "1 complete", "1 pruned", "2 stopped", "1 diverged", "1 timed out"))
    assert "failed" not in text


BUDGET = """
const { Control } = await import("./control.js");
new Control("line", () => {}).budget({ head }).listeners.click();
tell(document.body.all("input").map((input) => input.attributes.placeholder));
"""


def test_the_budget_dialog_suggests_what_would_be_taken(growing: GrowingExperiment, scripts: Path) -> None:
    """The budget without what people have added, and not the number of replicates."""
    growing.emit(AddEvent(order="a", params={"train.learning_rate": 0.01}))
    growing.trial(0, (0.5,))
    grow_confirmation(growing)
    head = opened(growing.folder)["head"]
    assert (head["confirming"], head["budget"]) == (True, 60)
    trials, times = scripted(scripts, BUDGET, head=head)
    assert trials == "60"
    assert [parse_duration(each) for each in times.split(", ")] == [5400, 7200, 86400]


AGAIN = """
const waits = [];
globalThis.setTimeout = (call, pause) => waits.push([call, pause]);
globalThis.clearTimeout = () => {};
const { ExperimentPage } = await import("./experiment.js");
const asked = [];
let oldFor = 5;
globalThis.fetch = async (address) => {
  asked.push(address.split("?")[0]);
  const told = { importance: [], health: [], warnings: [], runs: [], groups: [], old_for: oldFor };
  return { ok: true, json: async () => told };
};
const page = new ExperimentPage("line", { others: () => [], link: () => {}, control: false });
page.health = document.createElement("section");
page.confirmation = document.createElement("div");
await page.readExamination();
await page.readConfirmation();
const pauses = waits.map(([, pause]) => pause);
oldFor = 0;
for (const [call] of waits.splice(0)) await call();
page.leave();
tell({ asked, pauses, left: waits.length });
"""


def test_what_was_told_as_it_was_before_is_read_again(scripts: Path) -> None:
    """The last replicate's end is the last event that asks for the confirmation."""
    told = scripted(scripts, AGAIN)
    assert told["asked"] == ["api/examination", "api/confirmation"] * 2
    assert told["pauses"] == [5200, 5200]
    assert told["left"] == 0


def test_an_answer_says_for_how_long_it_is_an_old_one() -> None:
    clock = [100.0]
    found = []

    def find() -> dict[str, Any]:
        clock[0] += 1.0
        found.append(clock[0])
        return {"found": len(found)}

    sparing = Sparing(find, now=lambda: clock[0])
    assert sparing() == {"found": 1, "old_for": 0}
    clock[0] += 4.0
    assert sparing() == {"found": 1, "old_for": 6.0}
    clock[0] += 6.0
    assert sparing() == {"found": 2, "old_for": 0}


RESTED = """
const { Search } = await import("./search.js");
const search = new Search("line");
Object.assign(search, { head: { live: true, running: [{ run: "trials/0000", number: 0 }] } });
const heard = [];
search.addEventListener("rows", () => heard.push("rows"));
const changes = { head: { live: true, running: [] }, offset: 1, rows: [], gone: [], points: [] };
search.apply(changes);
search.apply(changes);
tell(heard);
"""


def test_the_table_hears_when_a_trial_is_paused(scripts: Path) -> None:
    """Its row is the same, as the log tells nothing of it."""
    assert scripted(scripts, RESTED) == ["rows"]


LIVING = """
const waits = [];
globalThis.setTimeout = (call) => waits.push(call);
globalThis.clearTimeout = () => {};
globalThis.IntersectionObserver = class { observe() {} disconnect() {} };
document.addEventListener = () => {};
let answers = {};
globalThis.fetch = async (asked) => {
  const [path, query] = asked.split("?");
  const of = new URLSearchParams(query).get("of");
  const found = answers[of ? `${path} ${of}` : path];
  return { ok: Boolean(found), json: async () => found ?? { error: `no ${path} of ${of}` } };
};
const { HomePage, StudyPage } = await import("./several.js");
const { get } = await import("./tools.js");
const main = document.createElement("main");
"""

HOME = """
const head = (live) => ({ live, state: "finished", best: null, trials: 9 });
const glance = (live, ended) => ({ metric: "val/loss", ended, head: head(live) });
const renew = async () => (await get("api/experiments")).experiments;
const page = new HomePage({ renew, link: () => {} });
const one = { name: "one", kind: "experiment", live: true, small: true, changed: 1 };
answers = { "api/experiments": { experiments: [one] }, "api/glance one": glance(true, 3) };
await page.show(main);
const first = main.text;
const two = { ...one, name: "two" };
answers = {
  "api/experiments": { experiments: [two, { ...one, live: false, changed: 2 }] },
  "api/glance one": glance(false, 9),
  "api/glance two": glance(true, 1),
};
await waits.pop()();
await new Promise((done) => setImmediate(done));
await new Promise((done) => setImmediate(done));
const second = main.text;
answers = { "api/experiments": { experiments: [] } };
const empty = new HomePage({ renew, link: () => {} });
await empty.show(main);
tell([first, second, main.text]);
"""


def test_the_list_of_experiments_is_that_of_now(scripts: Path) -> None:
    """One has ended and another has begun since the page was opened."""
    first, second, empty = scripted(scripts, LIVING + HOME)
    assert "one running 3 of 9" in first
    assert "two running 1 of 9" in second
    assert "one finished 9 of 9" in second
    assert "hpsearch run" in empty


STUDY = """
const told = { trials: 0, best: null, replicates: 0, seconds: null };
const arm = (name, begun) => ({ ...told, name, begun, state: begun ? "running" : "not begun" });
const head = { live: true, state: "running", running: [], best: null, searched: 0 };
const search = { metric: "val/loss", goal: "minimize", rows: [], axes: [], head, generation: 0, offset: 0 };
const study = (...arms) => ({ question: "which?", metric: "test/loss", answer: null, arms });
const page = new StudyPage("s", { link: () => {} });
const drawn = () => {
  const keys = main.all("span").filter((each) => each.className === "key").map((each) => each.style.background);
  return { keys, searches: [...page.searches.keys()], inks: page.planned.map((each) => each.ink) };
};
answers = { "api/study s": study(arm("a", 0), arm("b", 1)), "api/experiment s/b": search };
await page.show(main);
const first = drawn();
answers = { "api/study s": study(arm("a", 1), arm("b", 1)), "api/experiment s/a": search };
await page.read();
tell([first, drawn()]);
"""


def test_an_arm_that_begins_later_is_drawn_and_changes_no_colour(scripts: Path) -> None:
    first, second = scripted(scripts, LIVING + STUDY)
    assert (first["searches"], sorted(second["searches"])) == (["b"], ["a", "b"])
    assert first["keys"] == ["transparent", second["keys"][1]]
    assert second["keys"] == second["inks"] == first["inks"]


LONG = """
const { curvesPlot, historyPlot, limits, seriesPlot } = await import("./charts.js");
const { Search } = await import("./search.js");
globalThis.getComputedStyle = () => ({ getPropertyValue: () => "#000" });
const steps = Array.from({ length: 300_000 }, (_, place) => place);
const search = new Search("line");
const row = { number: 0, outcome: "complete", value: 1, after: 1, curve: { steps, values: steps }, params: [1] };
search.rows = new Map([[0, row]]);
Object.assign(search, { metric: "m", goal: "minimize", unit: "step", axes: [] });
search.head = { running: [], best: { number: 0 }, searched: 1, elapsed: 1 };
const curves = curvesPlot(search);
for (const number of steps) search.rows.set(number, { ...row, number });
const history = historyPlot([{ search }], { over: "time" });
const series = seriesPlot({ steps, unit: "step" }, [["m", steps]], null);
const same = limits(Array(100).fill(0.59));
tell([curves.data[0].x.length, history.layout.xaxis.title.text, series.data[0].x.length, limits(steps, steps), same]);
"""


def test_lists_of_any_length_are_drawn(scripts: Path) -> None:
    """A trial may report at each of a million steps; the arguments of a call are about a hundred thousand."""
    assert scripted(scripts, LONG) == [300_001, "seconds of searching", 300_000, None, None]


EMPTY = """
const { curvesPlot, historyPlot } = await import("./charts.js");
const { slicesPlot } = await import("./slices.js");
const { Search } = await import("./search.js");
globalThis.fetch = async () => ({ ok: true, json: async () => told });
globalThis.getComputedStyle = () => ({ getPropertyValue: () => "#000" });
const search = await new Search("line").open();
tell([historyPlot([{ search }]), curvesPlot(search), slicesPlot(search, [])].map((made) => made.empty ?? ""));
"""


def test_where_there_is_nothing_to_draw_a_sentence_says_so(growing: GrowingExperiment, scripts: Path) -> None:
    growing.trial(0, (), outcome=Outcome.FAILED, params={"model.width": 128})
    sentences = scripted(scripts, EMPTY, told=opened(growing.folder))
    assert sentences == [
        "No trial is complete yet.",
        "No training has reported a value yet.",
        "No trial is complete yet.",
    ]
