"""Which step a program's lines belong to, which step counts, and which test score it has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.families.command.heard import Heard
from hpsearch.families.command.printed import Measured
from hpsearch.records import Goal, Monitor

VALUES = [0.5, 0.9, 0.7, 0.6]
TESTS = [0.11, 0.22, 0.33, 0.44]


def listening(*, epochs=None, at_best=True):
    heard = Heard(Monitor("acc", Goal.MAXIMIZE), epochs=epochs, at_best=at_best)
    heard.begin(resuming=False)
    return heard


def value(step, acc, **others):
    return Measured(step, {**({} if step is None else {"epoch": step}), "acc": acc, **others})


def on_test(score, step=None):
    return Measured(step, {"test/acc": score})


def told(heard, *lines):
    return [found for line in lines if (found := heard.add(line)) is not None]


def steps(heard, *lines):
    return [found.step for found in told(heard, *lines)]


ORDERS = {
    "beside": lambda e: [value(e + 1, VALUES[e], **{"test/acc": TESTS[e]})],
    "after": lambda e: [value(e + 1, VALUES[e]), on_test(TESTS[e])],
    "before": lambda e: [on_test(TESTS[e]), value(e + 1, VALUES[e])],
    "after, and named": lambda e: [value(e + 1, VALUES[e]), on_test(TESTS[e], e + 1)],
    "before, and named": lambda e: [on_test(TESTS[e], e + 1), value(e + 1, VALUES[e])],
    "after, without steps": lambda e: [value(None, VALUES[e]), on_test(TESTS[e])],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
@pytest.mark.parametrize("broken_after", [None, 1, 2, 3])
def test_a_test_score_belongs_to_the_step_beside_which_it_was_printed(order, broken_after):
    heard = listening()
    for epoch in range(4):
        told(heard, *order(epoch))
        if epoch + 1 == broken_after:
            heard.begin(resuming=True)
    assert (heard.step, heard.scores, heard.untold) == (2, {"test/acc": 0.22}, [])


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_at_the_last_step_its_own_test_score_counts(order):
    heard = listening(at_best=False)
    for epoch in range(4):
        told(heard, *order(epoch))
    assert (heard.step, heard.scores) == (4, {"test/acc": 0.44})


def test_a_score_that_is_told_only_at_the_end_is_that_of_the_chosen_model():
    heard = listening()
    told(heard, *(value(epoch + 1, VALUES[epoch]) for epoch in range(4)), on_test(0.25))
    assert heard.scores == {"test/acc": 0.25}


def test_scores_of_several_steps_that_are_told_at_the_end_are_those_of_their_steps():
    heard = listening()
    told(heard, *(value(epoch + 1, VALUES[epoch]) for epoch in range(4)))
    told(heard, *(on_test(TESTS[epoch], epoch + 1) for epoch in range(4)))
    assert heard.scores == {"test/acc": 0.22}


def test_late_scores_of_other_steps_are_not_those_of_the_chosen_model():
    heard = listening()
    told(heard, value(1, 0.5), value(2, 0.9), value(3, 0.7), on_test(0.11, 1), on_test(0.33, 3))
    assert (heard.scores, heard.untold) == ({}, ["test/acc"])


BESIDE_STEPS = {
    "after": lambda acc, test: [acc, test],
    "before": lambda acc, test: [test, acc],
}


@pytest.mark.parametrize("order", BESIDE_STEPS.values(), ids=BESIDE_STEPS.keys())
@pytest.mark.parametrize("by", ["acc", "test"])
def test_a_step_that_has_a_number_and_an_epoch_is_named_by_either(order, by):
    heard = listening()
    for epoch, (acc, test) in enumerate(zip(VALUES, TESTS, strict=True), start=1):
        metrics = {"acc": {"acc": acc}, "test": {"test/acc": test}}
        numbers = dict.fromkeys(metrics, float(epoch)) | {by: 2.0 * epoch}
        lines = [Measured(numbers[name], {"epoch": epoch, **found}) for name, found in metrics.items()]
        told(heard, *order(*lines))
    assert (heard.scores, heard.untold) == ({"test/acc": 0.22}, [])


def test_a_step_without_a_test_score_gets_none_of_another():
    heard = listening()
    told(heard, value(1, 0.5), on_test(0.11), value(2, 0.9), value(3, 0.7), on_test(0.33))
    assert (heard.scores, heard.untold) == ({}, ["test/acc"])


def test_fractional_epochs_are_counted_and_kept_beside():
    heard = listening(epochs=2)
    found = told(heard, *(value(epoch, acc) for epoch, acc in zip((0.5, 1.0, 1.5, 2.0), VALUES, strict=True)))
    assert [(each.step, each.metrics["epoch"], each.final) for each in found] == [
        (1, 0.5, False),
        (2, 1.0, False),
        (3, 1.5, False),
        (4, 2.0, True),
    ]
    heard.begin(resuming=True)
    assert steps(heard, value(1.5, 0.1), value(2.5, 0.1)) == [3, 5]


def test_a_fraction_that_comes_later_takes_no_step_of_another():
    assert steps(listening(), value(1.0, 0.1), value(1.5, 0.2), value(2.0, 0.3)) == [1, 2, 3]


@given(st.lists(st.integers(0, 40).map(lambda number: number / 4), unique=True, min_size=1, max_size=12))
def test_different_numbers_are_different_steps(numbers):
    found = steps(listening(), *(value(number, 0.5) for number in sorted(numbers)))
    assert len(set(found)) == len(numbers)
    assert found == sorted(found)


@pytest.mark.parametrize("number", [-1, -0.5, 2.0**60])
def test_a_step_that_is_none_is_refused(number):
    heard = listening()
    assert told(heard, value(number, 0.5)) == []
    assert heard.refused == {number: 1}
    assert steps(heard, value(0, 0.5)) == [0]


def test_of_a_step_told_twice_the_last_counts():
    heard = listening()
    found = told(heard, value(1, 0.9), value(1, 0.3), value(2, 0.5))
    assert [(each.step, each.value, each.again) for each in found] == [(1, 0.9, False), (1, 0.3, True), (2, 0.5, False)]
    assert heard.step == 2
    assert told(heard, value(2, 0.5)) == []


def test_of_a_step_that_an_earlier_attempt_told_the_first_counts():
    heard = listening()
    told(heard, value(1, 0.9), value(2, 0.5))
    heard.begin(resuming=False)
    [again] = told(heard, value(1, 0.1))
    assert (again.step, again.again, heard.values) == (1, False, {1: 0.9, 2: 0.5})


@pytest.mark.parametrize(("resuming", "expected"), [(True, [3, 4]), (False, [1, 2])])
def test_steps_without_numbers_go_on_from_a_checkpoint(resuming, expected):
    heard = listening()
    assert steps(heard, value(None, 0.1), value(None, 0.2)) == [1, 2]
    heard.begin(resuming=resuming)
    assert steps(heard, value(None, 0.3), value(None, 0.4)) == expected


@pytest.mark.parametrize(
    ("line", "final"),
    [
        (Measured(100, {"epoch": 1, "acc": 0.5}), False),
        (Measured(100, {"epoch": 6, "acc": 0.5}), True),
        (Measured(6, {"epoch": 6, "acc": 0.5}), True),
        (Measured(6, {"acc": 0.5}), True),
        (Measured(100, {"acc": 0.5}), False),
        (Measured(5.9, {"epoch": 5.9, "acc": 0.5}), False),
    ],
)
def test_the_last_epoch_is_told_by_what_counts_epochs(line, final):
    [found] = told(listening(epochs=6), line)
    assert found.final is final


def test_metrics_of_other_steps_do_not_join_a_report():
    heard = listening()
    lines = (
        Measured(1, {"loss": 3.0}),
        value(1, 0.5),
        Measured(1, {"late": 1.0}),
        Measured(None, {"any": 2.0}),
        value(2, 0.6),
    )
    first, second = told(heard, *lines)
    assert first.metrics == {"loss": 3.0, "epoch": 1, "acc": 0.5}
    assert second.metrics == {"any": 2.0, "epoch": 2, "acc": 0.6}


def test_what_waits_for_its_step_is_bounded():
    heard = listening()
    told(heard, *(Measured(number, {f"loss {number}": 1.0}) for number in range(100_000)))
    [found] = told(heard, value(None, 0.5))
    assert len(found.metrics) == 1001
    assert "loss 99999" in found.metrics


@given(st.lists(st.tuples(st.integers(1, 6), st.floats(0, 1)), min_size=1, max_size=10), st.booleans())
def test_the_step_that_counts_is_the_objectives(lines, at_best):
    heard = listening(at_best=at_best)
    for step, acc in lines:
        heard.add(Measured(step, {"acc": acc}))
    last = dict(lines)
    order = list(dict.fromkeys(step for step, _ in lines))
    best = max(last.values())
    assert heard.values == last
    assert heard.step == (next(step for step in order if last[step] == best) if at_best else order[-1])
    assert not any(map(math.isnan, heard.values.values()))
