"""Each pruner stops what its text in space/pruner_options.py says, and nothing else; all of them count evaluations."""

import cProfile
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hpsearch.errors import SpaceError
from hpsearch.records import Goal, Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.running.session import longest_training
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.pruners import PRUNERS, BracketedHalving, make_pruner, percentile
from hpsearch.space import Space
from hpsearch.space.pruner_options import ASHA, Hyperband, Median, NamedPruner, Patient, Threshold
from tests.toy_spaces import toy_space


class Race:
    """Trials that report by hand, one after another or side by side, `stride` steps from report to report."""

    def __init__(self, folder: Path, pruner: str, *, stride: int = 1, goal: str = "minimize", **space: object) -> None:
        self.space = toy_space(folder, pruner=pruner, **space)
        if goal == "maximize":
            self.space = _maximized(self.space)
        self.search = OptunaSearch(self.space, longest=9)
        self.stride = stride
        self._reports: dict[int, int] = {}

    def begin(self) -> int:
        number = len(self._reports)
        self.search.ask(number)
        self._reports[number] = 0
        return number

    def report(self, number: int, metric: float, *, final: bool = False) -> bool:
        self._reports[number] += 1
        return self.search.report(number, self.stride * self._reports[number], metric, final=final)

    def run(self, *curve: float) -> int | None:
        """Let a trial report a curve; return at which evaluation it was pruned, counted from 1."""
        number = self.begin()
        for evaluation, metric in enumerate(curve, start=1):
            if self.report(number, metric):
                self.search.tell(number, Outcome.PRUNED, metric)
                return evaluation
        self.search.tell(number, Outcome.COMPLETE, curve[-1])
        return None


def _maximized(space: Space) -> Space:
    return replace(space, objective=space.objective.model_copy(update={"goal": Goal.MAXIMIZE}))


STRIDES = pytest.mark.parametrize("stride", [1, 7, 100])
"""A report each epoch, every 7 epochs, every 100 optimizer steps."""


@STRIDES
@pytest.mark.parametrize("pruner", ["{asha: {minimum: 1}}", "hyperband", "median", "{percentile: {percent: 10}}"])
def test_a_pruner_decides_the_same_whatever_the_steps_count(pruner: str, stride: int, tmp_path: Path) -> None:
    curves = [[math.sin(7 * number + evaluation) + 2 for evaluation in range(9)] for number in range(30)]
    counted = Race(tmp_path, pruner)
    strided = Race(tmp_path, pruner, stride=stride)
    ends = [counted.run(*curve) for curve in curves]
    assert ends == [strided.run(*curve) for curve in curves]
    assert len(set(ends)) > 2  # some at this rung, some at that, some at none


@STRIDES
def test_asha_keeps_one_in_three_at_evaluations_1_3_and_9(stride: int, tmp_path: Path) -> None:
    race = Race(tmp_path, "{asha: {minimum: 1}}", stride=stride)
    ends = [race.run(*[float(level)] * 9) for level in range(60)]  # each is worse than all before
    assert ends[0] is None
    assert set(ends[1:]) == {1}
    race = Race(tmp_path, "{asha: {minimum: 2, reduction: 2}}", stride=stride)
    ends = [race.run(*[-float(level)] * 9) for level in range(20)]  # each is better than all before
    assert set(ends) == {None}
    assert race.run(-100.0, -100.0, 5.0, 5.0, 5.0) == 4  # rungs at 2 and 4, none at 3
    assert race.run(5.0, -100.0, 5.0, -100.0, 5.0, 5.0, 5.0, 5.0) == 8


def test_asha_promotes_as_many_as_the_paper_says(tmp_path: Path) -> None:
    race = Race(tmp_path, "{asha: {minimum: 1, reduction: 3}}")
    levels = [(37 * number) % 101 for number in range(90)]
    kept = [race.run(*[float(level)] * 2) is None for level in levels]
    for place, level in enumerate(levels):
        so_far = sorted(levels[: place + 1])
        best = so_far[: max(len(so_far) // 3, 1)]
        assert kept[place] == (level in best)


def test_hyperband_has_the_rungs_of_its_brackets(tmp_path: Path) -> None:
    race = Race(tmp_path, "{hyperband: {minimum: 1, reduction: 3}}")
    ends = [race.run(*[float(level)] * 9) for level in range(200)]  # whoever can be stopped is
    assert set(ends) == {1, 3, None}  # nobody at the ninth of nine evaluations, where nothing is left to save
    assert ends.count(1) > ends.count(3) > ends.count(None)


@pytest.mark.parametrize(
    ("minimum", "reduction", "longest", "brackets"),
    [
        *((1, 3, 1, 1), (1, 3, 8, 2), (1, 3, 9, 3), (1, 3, 242, 5), (1, 3, 243, 6), (1, 10, 1000, 4), (1, 10, 999, 3)),
        *((2, 2, 15, 3), (2, 2, 16, 4), (1, 2, 2, 2), (1, 2, 3, 2), (5, 3, 4, 1), (1, 5, 125, 4), (7, 4, 28, 2)),
    ],
)
def test_hyperband_has_as_many_brackets_as_the_paper_says(
    minimum: int, reduction: int, longest: int, brackets: int
) -> None:
    assert len(_hyperband(minimum, reduction, longest).brackets) == brackets


def _hyperband(minimum: int, reduction: int, longest: int) -> BracketedHalving:
    return BracketedHalving(Hyperband(minimum=minimum, reduction=reduction), goal=Goal.MINIMIZE, longest=longest)


@given(minimum=st.integers(1, 50), reduction=st.integers(2, 12), longest=st.integers(1, 5000))
def test_brackets_follow_from_whole_numbers_alone(minimum: int, reduction: int, longest: int) -> None:
    rungs = 1
    while minimum * reduction**rungs <= longest:
        rungs += 1
    assert len(_hyperband(minimum, reduction, longest).brackets) == rungs


def test_hyperband_learns_its_length_from_the_first_complete_trial(tmp_path: Path) -> None:
    race = Race(tmp_path, "hyperband")
    race.search = OptunaSearch(race.space)
    assert [race.run(*[float(level)] * 3) for level in range(2)] == [None, None]  # nobody knows yet
    race = Race(tmp_path, "hyperband", stride=50)
    race.search = OptunaSearch(race.space)
    race.run(*[0.0] * 8)
    ends = [race.run(*[float(level)] * 8) for level in range(1, 100)]
    assert set(ends) == {1, 3, None}
    assert ends.count(None) == 2  # the first of each bracket; with a budget of 9 a third bracket would stop nobody
    race = Race(tmp_path, "hyperband", stride=50)
    race.search = OptunaSearch(race.space)
    assert [race.run(float(level)) for level in range(30)] == [None] * 30  # one evaluation is all that there is


@pytest.mark.parametrize(
    ("epochs", "evaluate", "longest"),
    [
        ("20", "{epochs: 1}", 20),
        ("20", "{epochs: 3}", 7),
        ("20", "{steps: 50}", None),
        ("{int: [4, 30]}", "{epochs: 1}", 30),
        ("{choice: [9, 27, 3]}", "{epochs: 2}", 14),
        ("12", "{epochs: {choice: [2, 4]}}", 6),
        ("12", "{choice: [{epochs: 1}, {steps: 5}]}", None),
        ("null\n  steps: 20", "{steps: 3}", 7),
        ("null\n  steps: {int: [20, 40]}", "{steps: {int: [5, 10]}}", 8),
        ("null\n  steps: 20", "{epochs: 1}", None),
    ],
)
def test_the_longest_training_is_counted_in_evaluations(
    epochs: str, evaluate: str, longest: int | None, tmp_path: Path
) -> None:
    space = toy_space(tmp_path, epochs=f"{epochs}\n  evaluate: {evaluate}")
    assert longest_training(space) == longest


@STRIDES
def test_the_median_compares_from_its_warmup_on(stride: int, tmp_path: Path) -> None:
    race = Race(tmp_path, "{median: {startup: 3, warmup: 4, every: 2}}", stride=stride)
    for level in (1.0, 2.0, 3.0):
        assert race.run(*[level] * 9) is None
    assert race.run(*[2.0] * 9) is None  # the median itself
    assert race.run(*[2.1] * 9) == 4
    assert race.run(1.0, 1.0, 1.0, 1.0, 9.0, 9.0) == 6  # 5 is passed over


def test_a_median_needs_enough_others_at_the_evaluation(tmp_path: Path) -> None:
    race = Race(tmp_path, "{median: {startup: 3}}")
    assert [race.run(*[float(level)] * 2) for level in range(3)] == [None] * 3
    assert race.run(50.0) == 1
    assert race.run(0.0, 0.0, 9.0) is None  # nobody else has come so far


@pytest.mark.parametrize(("percent", "worst_kept"), [(0, 0), (10, 1), (25, 2), (50, 5), (100, 10)])
def test_a_percentile_keeps_what_is_as_good_as_the_best_of_the_others(
    percent: float, worst_kept: int, tmp_path: Path
) -> None:
    for goal, sign in (("minimize", 1.0), ("maximize", -1.0)):
        for level in range(12):
            race = Race(tmp_path, f"{{percentile: {{percent: {percent}}}}}", goal=goal)
            for number in [race.begin() for _ in range(11)]:
                race.report(number, sign * number)  # 0 to 10
            assert race.report(race.begin(), sign * level) == (level > worst_kept)


CURVES: Sequence[tuple[str, list[float], int | None]] = [
    ("flat", [0.5] * 10, 4),
    ("worse at every step", [0.5 + 0.05 * step for step in range(10)], 4),
    ("gains too little", [0.5 - 0.01 * step for step in range(10)], 4),
    ("gains enough each time", [0.5 - 0.05 * step for step in range(10)], None),
    ("gains enough every third time", [0.5, 0.5, 0.5, 0.44, 0.44, 0.44, 0.38, 0.38, 0.38, 0.32], None),
    ("gains enough, then no more", [0.5, 0.4, 0.3, 0.2, 0.19, 0.18, 0.17], 7),
    ("was good once", [0.1, 0.5, 0.4, 0.3, 0.2], 4),
    ("is too short", [0.5, 0.5, 0.5], None),
]


@pytest.mark.parametrize("stride", [1, 100])
@pytest.mark.parametrize(("curve", "end"), [each[1:] for each in CURVES], ids=[each[0] for each in CURVES])
def test_patience_is_for_trials_that_gain(curve: list[float], end: int | None, stride: int, tmp_path: Path) -> None:
    pruner = "{patient: {patience: 2, minimum_gain: 0.05}}"
    assert Race(tmp_path, pruner, stride=stride).run(*curve) == end
    assert Race(tmp_path, pruner, stride=stride, goal="maximize").run(*[-value for value in curve]) == end


def test_any_gain_is_one_without_a_minimum(tmp_path: Path) -> None:
    pruner = "{patient: {patience: 0}}"
    assert Race(tmp_path, pruner).run(3.0, 2.0, 2.0 - 1e-9, 1.0) is None
    assert Race(tmp_path, pruner).run(3.0, 2.0, 2.0, 1.0) == 3
    assert Race(tmp_path, pruner).run(3.0, 3.5) == 2


@given(
    curve=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12),
    patience=st.integers(0, 4),
    gain=st.floats(0, 10),
)
def test_patience_by_its_definition(curve: list[float], patience: int, gain: float) -> None:
    pruner = make_pruner(
        "patient", Patient(patience=patience, minimum_gain=gain), goal=Goal.MINIMIZE, longest=len(curve)
    )
    pruned = [pruner.judge(0, evaluation, metric) for evaluation, metric in enumerate(curve, start=1)][-1]
    if len(curve) < patience + 2:
        assert not pruned
        return
    gained = min(curve[: -patience - 1]) - min(curve[-patience - 1 :])
    if not math.isclose(gained, gain, rel_tol=1e-6, abs_tol=1e-300):
        assert pruned == (gained < gain or gained <= 0)


@pytest.mark.parametrize("stride", [1, 100])
def test_a_threshold_is_left_by_the_metric_of_now(stride: int, tmp_path: Path) -> None:
    pruner = "{threshold: {lower: -1, upper: 2}}"
    assert Race(tmp_path, pruner, stride=stride).run(0.1, 2.0, -1.0, 2.5) == 4  # its best so far is still -1
    assert Race(tmp_path, pruner, stride=stride).run(0.1, -1.5) == 2
    assert Race(tmp_path, pruner, goal="maximize").run(1.9, -1.1) == 2
    assert Race(tmp_path, "{threshold: {upper: 2}}").run(-1e9, 0.0) is None


@pytest.mark.parametrize("pruner", ["none", "{pbt: {interval: 1}}"])
def test_some_prune_nothing(pruner: str, tmp_path: Path) -> None:
    race = Race(tmp_path, pruner, rate="{log: [1e-3, 1], mutable: true}")
    assert {race.run(*[float(level)] * 5) for level in range(20)} == {None}


def test_a_resumed_trial_goes_on_counting(tmp_path: Path) -> None:
    race = Race(tmp_path, "{median: {startup: 1, warmup: 3}}", stride=10)
    assert race.run(1.0, 1.0, 1.0, 1.0) is None
    number = race.begin()
    steps = [race.search.report(number, step, 9.0) for step in (10, 20, 10, 20, 10, 20)]
    assert steps == [False] * 6  # a training that was taken up again reports what is known once more
    assert race.search.report(number, 30, 9.0)
    assert race.search.report(number, 30, 9.0)  # answered as it was


def test_a_shorter_last_evaluation_is_compared_with_nobody(tmp_path: Path) -> None:
    """With 250 optimizer steps and an evaluation every 100 the third one has seen 250 steps, not 300."""
    race = Race(tmp_path, "{median: {startup: 1, warmup: 3}}", stride=100)
    number = race.begin()
    for step, final in ((100, False), (200, False), (250, True)):
        assert not race.search.report(number, step, 0.0, final=final)
    race.search.tell(number, Outcome.COMPLETE, 0.0)
    assert race.run(5.0, 5.0, 5.0, 5.0) is None
    assert race.run(6.0, 6.0, 6.0) == 3  # what was in time is


@pytest.mark.parametrize("value", [0, -1, 0.5])
@pytest.mark.parametrize("kind", ["asha", "hyperband"])
def test_a_first_rung_before_the_first_evaluation_is_a_mistake(kind: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=rf"toy.yaml:3:\d+: search.pruner.{kind}.minimum"):
        toy_space(tmp_path, pruner=f"{{{kind}: {{minimum: {value}}}}}")
    assert ASHA(minimum=1).earliest == 1


class Theirs:
    """A pruner of Optuna's, asked in a study of its own, which keeps every trial that ever reported."""

    def __init__(self, pruner: optuna.pruners.BasePruner, goal: Goal) -> None:
        self._study = optuna.create_study(study_name="hpsearch", direction=goal.value, pruner=pruner)
        self._trials: list[optuna.trial.Trial] = []

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        while trial >= len(self._trials):
            self._trials.append(self._study.ask())
        self._trials[trial].report(metric, evaluation)
        return self._trials[trial].should_prune()


LONGEST = 9
METRICS = st.integers(-3, 3).map(float) | st.floats(-10, 10) | st.sampled_from([math.nan, math.inf, -math.inf])
HISTORIES = st.lists(st.tuples(st.integers(0, 7), METRICS), max_size=60)
"""Which trial reports next, and what; with ties, and with what is no number."""


def _play(judge: Callable[[int, int, float], bool], history: list[tuple[int, float]]) -> list[bool]:
    """Let the trials report in turn, each until it is stopped or at its end; return the answers."""
    evaluations, answers, stopped = [0] * 8, [], set[int]()
    for trial, metric in history:
        if trial in stopped or evaluations[trial] == LONGEST:
            continue
        evaluations[trial] += 1
        answers.append(judge(trial, evaluations[trial], metric))
        if answers[-1]:
            stopped.add(trial)
    return answers


@given(history=HISTORIES, goal=st.sampled_from(Goal), minimum=st.integers(1, 3), reduction=st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_halving_answers_as_optuna_does(
    history: list[tuple[int, float]], goal: Goal, minimum: int, reduction: int
) -> None:
    ours = make_pruner("asha", ASHA(minimum=minimum, reduction=reduction), goal=goal, longest=None)
    theirs = optuna.pruners.SuccessiveHalvingPruner(min_resource=minimum, reduction_factor=reduction)
    assert _play(ours.judge, history) == _play(Theirs(theirs, goal).judge, history)
    bracketed = make_pruner("hyperband", Hyperband(minimum=minimum, reduction=reduction), goal=goal, longest=LONGEST)
    full = LONGEST if reduction != 3 else LONGEST + 1  # its logarithm of 9 to the base 3 is a little less than 2
    hyperband = Theirs(optuna.pruners.HyperbandPruner(minimum, full, reduction), goal)

    def before_the_end(trial: int, evaluation: int, metric: float) -> bool:
        return hyperband.judge(trial, evaluation, metric) and evaluation < LONGEST

    assert _play(bracketed.judge, history) == _play(before_the_end, history)


@given(history=HISTORIES, lower=st.floats(-10, 0), upper=st.floats(1, 10))
@settings(max_examples=30, deadline=None)
def test_bounds_answer_as_optuna_does(history: list[tuple[int, float]], lower: float, upper: float) -> None:
    ours = make_pruner("threshold", Threshold(lower=lower, upper=upper), goal=Goal.MINIMIZE, longest=None)
    theirs = Theirs(optuna.pruners.ThresholdPruner(lower=lower, upper=upper), Goal.MINIMIZE)
    assert _play(ours.judge, history) == _play(theirs.judge, history)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), percent=st.floats(0, 100))
def test_a_percentile_is_that_of_numpy(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) == np.percentile(values, percent)


@given(
    history=HISTORIES,
    goal=st.sampled_from(Goal),
    startup=st.integers(0, 3),
    warmup=st.integers(0, 4),
    every=st.integers(1, 3),
)
def test_a_median_by_its_definition(
    history: list[tuple[int, float]], goal: Goal, startup: int, warmup: int, every: int
) -> None:
    option = Median(startup=startup, warmup=warmup, every=every)
    seen: list[tuple[int, float]] = []

    def by_definition(trial: int, evaluation: int, metric: float) -> bool:
        others = [value for at, value in seen if at == evaluation and math.isfinite(value)]
        seen.append((evaluation, metric))
        if evaluation < warmup or (evaluation - warmup) % every or len(others) < startup:
            return False
        if not math.isfinite(metric) or not others:
            return not math.isfinite(metric)
        return goal.sign * metric < goal.sign * float(np.median(others))

    ours = make_pruner("median", option, goal=goal, longest=None)
    assert _play(ours.judge, history) == _play(by_definition, history)


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_an_answer_costs_as_much_among_many_as_among_few(name: str) -> None:
    options = {"threshold": Threshold(upper=1e9), "patient": Patient(patience=99)}
    option = options.get(name) or TypeAdapter(NamedPruner).validate_python({"kind": name})
    costs = []
    for trials in (50, 2000):
        pruner = make_pruner(name, option, goal=Goal.MINIMIZE, longest=LONGEST)
        calls = [_calls(pruner.judge, trial, float(-trial)) for trial in range(trials)]
        costs.append(max(calls[-20:]))
    assert costs[0] == costs[1] < 100


def _calls(judge: Callable[[int, int, float], bool], trial: int, metric: float) -> int:
    """Return the function calls, Python's and C's, that the three reports of a trial take."""
    profile = cProfile.Profile()
    profile.enable()
    for evaluation in (1, 2, 3):
        judge(trial, evaluation, metric)
    profile.disable()
    return sum(int(each.callcount) for each in profile.getstats())


PROGRAM = """
import json, sys
for number, loss in enumerate(json.loads(sys.argv[1]), 1):
    print(json.dumps({"step": number * 50, "loss": loss}))
"""


@pytest.mark.parametrize("at", ["best", "last", "{mean_of_last: 3}"])
@pytest.mark.parametrize(
    ("pruner", "ends"),
    [
        ("{threshold: {upper: 0.65}}", [None, 3]),
        ("{patient: {patience: 1}}", [3, None]),
        ("{asha: {minimum: 5}}", [None, None]),
    ],
)
def test_the_search_is_told_the_metric_of_now(pruner: str, ends: list[int | None], at: str, tmp_path: Path) -> None:
    """Whatever the objective takes of a trial's metrics, here [0.1, 0.6, 0.5, 0.4] and [0.4, 0.3, 0.7, 0.2]."""
    path = tmp_path / "curves.yaml"
    path.write_text(
        f"""\
family: command
objective: {{metric: loss, goal: minimize, at: {at}}}
search: {{sampler: grid, pruner: {pruner}, trials: 2, workers: 1}}
command: [{sys.executable}, -c, {json.dumps(PROGRAM)}, "{{curve}}"]
model: {{curve: {{choice: ["[0.1, 0.6, 0.5, 0.4]", "[0.4, 0.3, 0.7, 0.2]"]}}}}
""",
        encoding="utf-8",
    )
    record = run(
        load_space(path), folder=tmp_path / "curves", options=RunOptions(in_process=True, confirm=False)
    ).record
    found = {trial.params["model.curve"]: trial for trial in record.trials}
    reached = [found["[0.1, 0.6, 0.5, 0.4]"], found["[0.4, 0.3, 0.7, 0.2]"]]
    assert [len(trial.history) if trial.outcome is Outcome.PRUNED else None for trial in reached] == (
        ends or [None, None]
    )
