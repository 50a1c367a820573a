"""Titles tell experiments apart by as little of their places as does it, in whatever order they come."""

from hypothesis import given
from hypothesis import strategies as st

from hpsearch.titles import Identity, titles_of


def test_a_name_that_is_unique_stands_alone() -> None:
    assert titles_of([("a", ("here",)), ("b", ("there",))]) == {("a", ("here",)): "a", ("b", ("there",)): "b"}


def test_equal_names_get_the_innermost_part_that_differs() -> None:
    first, second = ("logs", ("run", "projA", "work")), ("logs", ("run", "projB", "work"))
    assert titles_of([first, second]) == {first: "projA/logs", second: "projB/logs"}


def test_as_many_parts_as_are_needed_and_no_more() -> None:
    places = [("x", "1"), ("x", "2"), ("y", "1")]
    assert sorted(titles_of(("a", place) for place in places).values()) == ["1/x/a", "1/y/a", "2/x/a"]


def test_a_longer_place_is_told_from_a_shorter_one() -> None:
    assert sorted(titles_of([("a", ("x",)), ("a", ("x", "y"))]).values()) == ["a", "y/a"]


def test_a_title_is_not_another_experiments_name() -> None:
    found = titles_of([("a", ("x", "k")), ("a", ("y", "k")), ("x/a", ("k",))])
    assert len(set(found.values())) == 3
    assert found["a", ("y", "k")] == "y/a"


names = st.sampled_from(["a", "b", "x/a", "x/b", "y/x/a"])
places = st.lists(st.sampled_from(["x", "y", "a"]), max_size=3).map(tuple)


@given(st.lists(st.tuples(names, places), max_size=8), st.randoms(use_true_random=False))
def test_titles_are_distinct_and_do_not_depend_on_the_order(found: list[Identity], random: object) -> None:
    titles = titles_of(found)
    assert len(set(titles.values())) == len(set(found)) == len(titles)
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert titles_of(shuffled) == titles
