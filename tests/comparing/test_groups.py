"""Which experiments are compared with which, and what is said of the others; the rules as such, without any folder."""

import random
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.comparing.candidates import Candidate, CandidateKind, other_data
from hpsearch.comparing.comparison import Verdict
from hpsearch.comparing.groups import SortedOut, sort_out
from hpsearch.records import Goal
from tests.comparing.arms import compare, run, seeds


def searched(name: str, **known: Any) -> Candidate:
    """Return an experiment with a search that has ended, and with `tested` a confirmed one."""
    usual = {"metric": "val/loss", "goal": Goal.MINIMIZE, "family": "line", "complete": 4, "length": 3}
    return Candidate(name, **{"arms": 1 if "tested" in known else 0, **usual, **known})


def confirmed(name: str, **known: Any) -> Candidate:
    return searched(name, tested="test/loss", **known)


def groups_of(*candidates: Candidate) -> list[tuple[str, ...]]:
    return [tuple(each.name for each in group.members) for group in sort_out(candidates).groups]


def why(found: SortedOut, a: str, b: str) -> str:
    (said,) = (each.why for each in found.not_compared if {each.a, each.b} == {a, b})
    return said


@pytest.mark.parametrize(
    ("differs", "says"),
    [
        ({"family": "tree"}, "other families: line and tree; --metric test/loss compares them all the same"),
        ({"metric": "val/error", "tested": "test/error"}, "other metrics: test/error and test/loss"),
        ({"goal": Goal.MAXIMIZE}, "test/loss is to maximize in the one and to minimize in the other"),
        ({"settings": {"data.size": 32}}, "other settings of the data: data.size is 16 and 32; --metric test/loss"),
        ({"data": frozenset("b")}, "other data: their fingerprints are a and b"),
        ({"data": frozenset("b"), "described": {"corpus": "b.txt"}}, "other data: corpus is not set and b.txt"),
    ],
)
def test_what_differs_keeps_two_confirmed_experiments_apart(differs: dict[str, Any], says: str) -> None:
    known: dict[str, Any] = {"settings": {"data.size": 16}, "tested": "test/loss"}
    if "data" in differs:
        known["data"] = frozenset("a")
    a, b, other = searched("a", **known), searched("b", **known), searched("c", **known | differs)
    found = sort_out([a, other, b])
    assert groups_of(a, other, b) == [("a", "b")]
    assert [each.member.name for each in found.alone] == ["c"]
    assert says in why(found, "a", "c")
    assert says in why(found, "c", "b")


def test_equal_fingerprints_outweigh_settings_that_differ() -> None:
    a = confirmed("a", data=frozenset("x"), settings={"data.cache": True})
    b = confirmed("b", data=frozenset("x"), settings={"data.cache": False})
    assert groups_of(a, b) == [("a", "b")]
    assert sort_out([a, b]).groups[0].why.endswith("the same data, by their fingerprints")
    assert other_data(a, searched("c", settings={"data.cache": False}))


def test_a_confirmed_experiment_is_compared_with_its_own_methods() -> None:
    assert groups_of(confirmed("a", arms=2)) == [("a",)]
    assert groups_of(confirmed("a", arms=1)) == []


def test_searches_are_compared_with_searches_at_equal_length() -> None:
    found = sort_out([confirmed("a"), searched("b"), searched("long", length=20), searched("runs", running=True)])
    (group,) = found.groups
    assert [each.name for each in group.members] == ["a", "b"]
    assert group.searches
    assert group.metric == "val/loss"
    assert "`hpsearch confirm` gives b replicates" in group.why
    assert "other budget: their trials were trained for 3 and 20 epochs" in why(found, "b", "long")
    assert "runs: still running, without a replicate that has ended" in why(found, "a", "runs")
    assert "still running" in next(each.why for each in found.alone if each.member.name == "runs")


def test_a_running_confirmation_is_compared_by_what_has_ended() -> None:
    (group,) = sort_out([confirmed("a"), confirmed("b", running=True)]).groups
    assert "of b, still running, the replicates that have ended" in group.why


def test_lengths_do_not_keep_tested_replicates_apart() -> None:
    assert groups_of(confirmed("a", length=2), confirmed("b", length=20)) == [("a", "b")]


def test_a_study_is_a_group_of_its_own() -> None:
    study = Candidate("s", CandidateKind.STUDY, "test/loss", Goal.MINIMIZE, tested="test/loss", arms=2, family="line")
    found = sort_out([confirmed("a"), study, confirmed("b")])
    assert [[each.name for each in group.members] for group in found.groups] == [["a", "b"], ["s"]]
    assert "s answers its own question, by a plan" in why(found, "a", "s")
    again = sort_out(
        [study, Candidate("t", CandidateKind.STUDY, "test/loss", Goal.MINIMIZE, tested="test/loss", arms=2)]
    )
    assert [group.name for group in again.groups] == ["study s: test/loss", "study t: test/loss"]


def strange(name: str, metric: str | None, *, known: str = "", **more: Any) -> Candidate:
    names = frozenset(known.split() or [metric or ""])
    return Candidate(name, CandidateKind.RUNS, metric, Goal.MINIMIZE, told=False, known=names, **{"arms": 1} | more)


def test_runs_of_other_tools_join_the_one_group_that_has_their_metric() -> None:
    table = strange("t.csv", None, known="test/loss test/error", lacks="several metrics")
    assert groups_of(confirmed("a"), table) == [("a", "t.csv")]
    assert sort_out([confirmed("a"), table]).is_one
    two = sort_out([confirmed("a"), confirmed("b", family="tree"), table])
    assert two.groups == ()
    assert [each.why for each in two.alone if each.member.name == "t.csv"] == ["several metrics"]
    known = sort_out([confirmed("a"), confirmed("b", settings={"data.n": 1}), strange("u.csv", "test/loss", arms=2)])
    assert [group.name for group in known.groups] == ["u.csv: test/loss"]
    assert "nobody noted which of the data" in why(known, "b", "u.csv")


def test_runs_of_other_tools_are_grouped_by_metric() -> None:
    assert groups_of(strange("a", "x"), strange("b", "y", arms=2), strange("c", "x")) == [("a", "c"), ("b",)]


def test_what_has_nothing_yet_is_said_to_lack_it() -> None:
    found = sort_out([confirmed("a"), searched("b", complete=0, lacks="no trial of it has begun"), confirmed("c")])
    assert [(each.member.name, each.why) for each in found.alone] == [("b", "no trial of it has begun")]
    assert why(found, "a", "b") == "b: no trial of it has begun"


def test_groups_of_one_family_and_metric_have_names_of_their_own() -> None:
    many = [confirmed(f"{data}{place}", data=frozenset(data)) for data in "xy" for place in range(5)]
    names = [group.name for group in sort_out(many).groups]
    assert names == ["line: test/loss (x0, x1, x2 and 2 more)", "line: test/loss (y0, y1, y2 and 2 more)"]


CANDIDATES = st.lists(
    st.builds(
        searched,
        st.just(""),
        family=st.sampled_from(["line", "tree"]),
        metric=st.sampled_from(["val/loss", "val/error"]),
        goal=st.sampled_from(Goal),
        data=st.sampled_from([frozenset[str](), frozenset("x"), frozenset("y"), frozenset("xy")]),
        settings=st.sampled_from([{}, {"data.n": 1}]),
        length=st.sampled_from([None, 3, 20]),
        complete=st.integers(0, 1),
        running=st.booleans(),
        tested=st.sampled_from([None, "test/loss"]),
        arms=st.integers(1, 2),
    ),
    max_size=7,
)


@given(candidates=CANDIDATES, seed=st.integers(0, 99))
def test_everyone_is_somewhere_and_every_two_are_compared_or_told_why(candidates: list[Candidate], seed: int) -> None:
    """In any order the same are together; each pair is in a group or has a reason; nobody is lost."""
    named = [Candidate(**{**vars(each), "name": f"e{place}"}) for place, each in enumerate(candidates)]
    found = sort_out(named)
    grouped = {each.name for group in found.groups for each in group.members}
    assert grouped | {each.member.name for each in found.alone} == {each.name for each in named}
    assert grouped.isdisjoint(each.member.name for each in found.alone)
    together = {frozenset((a.name, b.name)) for group in found.groups for a, b in combinations(group.members, 2)}
    apart = {frozenset((each.a, each.b)) for each in found.not_compared}
    assert together.isdisjoint(apart)
    assert together | apart == {frozenset((a.name, b.name)) for a, b in combinations(named, 2)}
    assert all(each.why for each in found.not_compared)
    assert len({group.name for group in found.groups}) == len(found.groups)
    for group in found.groups:
        assert len({(each.family, each.goal) for each in group.members}) == 1
    shuffled = random.Random(seed).sample(named, len(named))
    assert sets_of(sort_out(shuffled)) == sets_of(found)


def sets_of(found: SortedOut) -> set[tuple[str, bool, frozenset[str]]]:
    return {(group.metric, group.searches, frozenset(each.name for each in group.members)) for group in found.groups}


@pytest.mark.parametrize(("left", "right", "tested"), [("x", "y", False), ("x", "x", True), ("x", None, True)])
def test_runs_on_data_that_are_known_to_differ_are_never_tested(left: str, right: str | None, *, tested: bool) -> None:
    found = compare([*seeds("a", [0.1, 0.2, 0.4], data=left), *seeds("b", [0.3, 0.5, 0.4], data=right)])
    (pair,) = found.pairs
    assert (pair.p is not None) is tested
    assert found.family_size == tested
    assert tested or (pair.verdict is Verdict.NOT_TESTABLE and "scored on other data" in pair.notes[0])


def test_methods_over_data_sets_are_scored_on_other_data_by_design() -> None:
    found = [
        run(name, value + number / 10, dataset=f"d{number}", data=f"{name} {number}")
        for name, value in (("a", 0.1), ("b", 0.2))
        for number in range(6)
    ]
    (pair,) = compare(found).pairs
    assert pair.test is not None or pair.n == 6
