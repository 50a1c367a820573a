"""Each check on a curve where it must speak, and on one where it must not."""

import math
from dataclasses import replace

import pytest

from hpsearch.health import Kind, Severity, Thresholds, digest, examine, examine_trial
from hpsearch.records import Evidence, Goal, Monitor, Outcome
from tests.health.curves import LOSS, decay, noisy, trial

HEALTHY = decay(30)


def kinds(evidence: Evidence, **limits: float) -> set[Kind]:
    return {finding.kind for finding in examine_trial(evidence, LOSS, thresholds=Thresholds(**limits))}  # type: ignore[arg-type]


def test_a_healthy_training_has_no_finding_but_its_plateau() -> None:
    healthy = trial(
        train=noisy(HEALTHY, 0.01), val=noisy([value + 0.1 for value in HEALTHY], 0.01), gradient_norm=HEALTHY
    )
    assert kinds(healthy) <= {Kind.PLATEAU}


SICK = {
    Kind.EXPLODING_GRADIENTS: trial(gradient_norm=[1.0, 1.2, 14.0, 1.0], gradient_norm_max=[2.0, 2.0, 80.0, 2.0]),
    Kind.VANISHING_GRADIENTS: trial(gradient_norm=[1.0, 1e-3, 1e-7, 1e-8]),
    Kind.UNUSUAL_GRADIENTS: trial(gradient_norm=[0.03, 0.02, 0.01]),
    Kind.OVER_FITTING: trial(train=decay(20, end=0.0), val=[*decay(10, end=1.0), *(1.1 + 0.1 * k for k in range(10))]),
    Kind.UNDER_FITTING: trial(train=decay(20, start=2.3, end=2.2), val=decay(20, start=2.32, end=2.25)),
    Kind.OSCILLATION: trial(train=[1.0, 3.0, 0.8, 2.9, 1.1, 2.6, 0.9, 3.1, 1.0, 2.8]),
    Kind.STAGNATION: trial(train=[4.25 + 0.005 * (-1) ** step for step in range(25)]),
    Kind.PLATEAU: trial(train=[*decay(20, rate=1.0), *[0.5] * 25]),
    Kind.SLOW_CONVERGENCE: trial(
        train=[4 - 0.1 * step for step in range(20)], val=[4.1 - 0.1 * step for step in range(20)]
    ),
    Kind.DIVERGENCE: trial(outcome=Outcome.DIVERGED, reason="the loss became nan at optimizer step 12"),
    Kind.OUT_OF_MEMORY: trial(outcome=Outcome.OUT_OF_MEMORY),
}
SOUND = {
    Kind.EXPLODING_GRADIENTS: trial(gradient_norm=[9.0, 8.0, 2.0], gradient_norm_max=[9.9, 9.0, 3.0]),
    Kind.VANISHING_GRADIENTS: trial(gradient_norm=[1.0, 1e-3, 2e-6]),
    Kind.UNUSUAL_GRADIENTS: trial(gradient_norm=[1.9, 0.5, 0.2]),
    Kind.OVER_FITTING: trial(train=decay(20), val=[value * 1.2 for value in decay(20)]),
    Kind.UNDER_FITTING: trial(train=decay(20, end=2.0), val=decay(20, end=2.1)),
    Kind.OSCILLATION: trial(train=noisy(decay(20, rate=0.2), 0.05)),
    Kind.STAGNATION: trial(train=[4.25 - 0.02 * step for step in range(25)]),
    Kind.PLATEAU: trial(train=decay(45, rate=0.03)),
    Kind.SLOW_CONVERGENCE: trial(train=decay(20), val=decay(20)),
    Kind.DIVERGENCE: trial(outcome=Outcome.COMPLETE, train=decay(10)),
    Kind.OUT_OF_MEMORY: trial(outcome=Outcome.FAILED, reason="ValueError: no"),
}


@pytest.mark.parametrize("kind", SICK)
def test_a_check_speaks_where_something_is_wrong(kind: Kind) -> None:
    assert kind in kinds(SICK[kind])


@pytest.mark.parametrize("kind", SOUND)
def test_and_is_silent_where_nothing_is(kind: Kind) -> None:
    assert kind not in kinds(SOUND[kind])


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (Kind.EXPLODING_GRADIENTS, {"exploding": 100.0}),
        (Kind.EXPLODING_GRADIENTS, {"growth": 50.0}),
        (Kind.VANISHING_GRADIENTS, {"vanishing": 1e-9}),
        (Kind.UNUSUAL_GRADIENTS, {"healthy_low": 0.01}),
        (Kind.OVER_FITTING, {"rise": 2.0, "gap": 2.0}),
        (Kind.UNDER_FITTING, {"little_fall": 0.01}),
        (Kind.OSCILLATION, {"swing": 5.0}),
        (Kind.STAGNATION, {"stall_variance": 1e-9}),
        (Kind.SLOW_CONVERGENCE, {"still_falling": 0.5}),
    ],
)
def test_the_thresholds_decide(kind: Kind, limit: dict[str, float]) -> None:
    assert kind not in kinds(SICK[kind], **limit)


def test_large_norms_that_stay_are_no_explosion() -> None:
    """Norms of the decode family, whose loss is a sum over pixels: training goes well, most of all the first epochs."""
    norms = [79.85, 46.35, 64.78, 68.3, 67.69, 58.29]
    largest = [742.8, 162.7, 193.4, 200.9, 159.5, 114.3]
    steady = trial(train=decay(6), val=decay(6), gradient_norm=norms, gradient_norm_max=largest)
    assert Kind.EXPLODING_GRADIENTS not in kinds(steady)
    grown = trial(train=decay(6), val=decay(6), gradient_norm=[*norms, 900.0], gradient_norm_max=[*largest, 5000.0])
    (found,) = [each for each in examine_trial(grown, LOSS) if each.kind is Kind.EXPLODING_GRADIENTS]
    assert found.severity is Severity.WARNING
    assert (found.step, found.sentence) == (
        7,
        "the gradient norm rose above 1.93e+03 at 1 of 7 evaluations, to 5e+03 at epoch 7; at first it was 193",
    )
    assert Kind.EXPLODING_GRADIENTS not in kinds(trial(gradient_norm=[1e-4, 1e-4, 5.0]))  # grown, but not large


def test_a_stall_is_that_of_the_guide_whatever_the_scale_of_the_loss() -> None:
    """Seed 003: 4.25 to 4.26. A loss a thousand times smaller stalls, and falls, just the same."""
    for scale in (1.0, 1e-3, 1e3):
        assert Kind.STAGNATION in kinds(trial(train=[scale * (4.25 + 0.01 * (step % 2)) for step in range(25)]))
        assert Kind.STAGNATION not in kinds(trial(train=[scale * (4.25 - 0.03 * step) for step in range(25)]))


@pytest.mark.parametrize("kind", [Kind.OVER_FITTING, Kind.UNDER_FITTING, Kind.OSCILLATION, Kind.SLOW_CONVERGENCE])
def test_the_scale_of_a_loss_does_not_matter(kind: Kind) -> None:
    for scale in (1e-3, 1e3):
        for expected, given in ((True, SICK[kind]), (False, SOUND[kind])):
            rows = tuple(
                {name: value * scale if "/" in name else value for name, value in row.items()} for row in given.rows
            )
            assert (kind in kinds(replace(given, rows=rows))) is expected


def test_losses_below_zero_are_judged_alike() -> None:
    """The decode family's mixture loss is a log likelihood and goes below zero."""
    shift = 10.0
    for kind in (Kind.OVER_FITTING, Kind.SLOW_CONVERGENCE):
        for expected, given in ((True, SICK[kind]), (False, SOUND[kind])):
            rows = tuple(
                {name: value - shift if "/" in name else value for name, value in row.items()} for row in given.rows
            )
            assert (kind in kinds(replace(given, rows=rows))) is expected


def test_a_metric_that_grows_is_turned_round_and_shown_as_it_is() -> None:
    accuracy = {
        "train/accuracy": [0.5 + 0.025 * k for k in range(20)],
        "val/accuracy": [*[0.5, 0.6, 0.7], *[0.55] * 17],
    }
    found = examine_trial(trial(**accuracy), Monitor("val/accuracy", Goal.MAXIMIZE))
    (finding,) = [each for each in found if each.kind is Kind.OVER_FITTING]
    assert "val/accuracy was best (0.7) at epoch 3 and ended at 0.55" in finding.sentence


def test_the_range_of_a_metric_that_grows_is_shown_as_it_is() -> None:
    swinging = [0.5, 0.7] * 10
    found = examine_trial(trial(**{"val/accuracy": swinging}), Monitor("val/accuracy", Goal.MAXIMIZE))
    (finding,) = [each for each in found if each.kind is Kind.OSCILLATION]
    assert "between 0.5 and 0.7" in finding.sentence


def test_a_divergence_names_the_step_the_parameter_and_the_last_norm() -> None:
    reason = "the gradient norm became inf at optimizer step 12 (loss 3); the first parameter ... is 'head.weight'"
    diverged = trial(outcome=Outcome.DIVERGED, reason=reason, gradient_norm_max=[2.0, 250.0, math.inf])
    finding = examine_trial(diverged, LOSS)[0]
    assert (finding.kind, finding.severity, finding.step) == (Kind.DIVERGENCE, Severity.SERIOUS, 12)
    assert finding.sentence.startswith(reason)
    assert "250, at epoch 2" in finding.sentence


@pytest.mark.parametrize("known", ["nothing", "rows", "history"])
def test_only_a_divergence_before_any_evaluation_is_said_to_be_that(known: str) -> None:
    """While a trial runs its rows are known; of folders with no rows, such as a worker's that was lost, the history."""
    diverged = trial(outcome=Outcome.DIVERGED, reason="val_loss became nan", val=[0.5] if known == "rows" else [])
    history = ((1, 0.5),) if known == "history" else ()
    diverged = replace(diverged, run=replace(diverged.run, history=history))
    assert ("before the first evaluation" in examine_trial(diverged, LOSS)[0].sentence) == (known == "nothing")


RISING = {
    "from its start": [0.41, 0.52, 0.53, 0.64, 0.65, 0.76],
    "by orders of magnitude": [2.95e14 * 1e15**step for step in range(6)],
    "after it had fallen": [1.0, 0.5, 0.3, 0.3, 2.0, 9.0, 30.0],
    "at the last evaluation": [1.0, 0.5, 0.3, 0.3, 0.3, 0.3, 40.0],
    "slowly": [1.0 + 0.01 * step for step in range(40)],
    "to a level where it stays": [0.5] * 10 + [0.9] * 30,
}


@pytest.mark.parametrize("shape", RISING)
@pytest.mark.parametrize("name", ["train/loss", "val/loss", "val_loss", "loss"])
def test_a_loss_that_rises_diverges_and_no_advice_raises_the_rate(name: str, shape: str) -> None:
    objective = Monitor(name if name != "train/loss" else "val/loss", Goal.MINIMIZE)
    risen = trial(gradient_norm=[1e-9] * len(RISING[shape]), **{name: RISING[shape]})
    found = examine_trial(risen, objective)
    assert Kind.DIVERGENCE in {finding.kind for finding in found}
    (finding,) = [each for each in found if each.kind is Kind.DIVERGENCE]
    assert finding.sentence.count(name) == 1
    assert "train.learning_rate 0.0003 -> 0.0001" in finding.advice
    rates = [line for each in found for line in each.advice if "learning_rate" in line]
    assert set(rates) == {"train.learning_rate 0.0003 -> 0.0001"}


def test_an_accuracy_that_falls_diverges_and_is_shown_as_it_is() -> None:
    found = examine_trial(trial(acc=[0.9, 0.88, 0.8, 0.6, 0.5, 0.4]), Monitor("acc", Goal.MAXIMIZE))
    assert found[0].kind is Kind.DIVERGENCE
    assert found[0].sentence == "acc got worse, from 0.9 to 0.4; it was best (0.9) at epoch 1"


def test_noise_warm_up_and_over_fitting_are_no_divergence() -> None:
    for seed in range(50):
        assert Kind.DIVERGENCE not in kinds(trial(train=noisy([1.0] * 40, 0.05, seed)))
        assert Kind.DIVERGENCE not in kinds(trial(train=noisy([0.0] * 40, 1.0, seed)))
    assert Kind.DIVERGENCE not in kinds(trial(train=[1.0, 1.5, 1.2, 0.9, 0.7, 0.5]))
    over_fitted = trial(train=decay(20, end=0.0), val=[1.0 + 0.2 * step for step in range(20)])
    assert kinds(over_fitted) & {Kind.DIVERGENCE, Kind.OVER_FITTING} == {Kind.OVER_FITTING}


def test_a_metric_without_a_split_is_told_of_once() -> None:
    found = examine_trial(trial(loss=decay(20, start=2.3, end=2.2)), Monitor("loss", Goal.MINIMIZE))
    (finding,) = [each for each in found if each.kind is Kind.UNDER_FITTING]
    assert finding.sentence == "loss went from 2.3 to 2.2 only"


def test_short_unfinished_and_empty_trials_are_left_alone() -> None:
    assert kinds(trial(outcome=None)) == set()
    assert kinds(trial(train=[1.0, 5.0, 1.0], val=[1.0, 5.0, 9.0])) == set()
    assert kinds(trial(train=[math.nan] * 30, val=[math.inf] * 30, gradient_norm=[math.nan] * 30)) == set()
    pruned = trial(outcome=Outcome.PRUNED, train=[4 - 0.1 * k for k in range(9)], val=[4 - 0.1 * k for k in range(9)])
    assert kinds(pruned) == set()


def test_a_setting_that_no_training_read() -> None:
    params = {"model.width": 8, "model.depth": 2}
    trials = [trial(number, params=params, unread=("model.depth",)) for number in range(3)]
    (finding,) = examine(trials, LOSS)
    assert (finding.kind, finding.severity) == (Kind.UNREAD_SETTING, Severity.SERIOUS)
    assert "model.depth" in finding.sentence
    trials.append(trial(3, params=params))
    assert examine(trials, LOSS) == []


def test_equal_curves_of_different_settings() -> None:
    same = [trial(number, params={"train.learning_rate": 10.0**-number}, train=[2.0, 1.0]) for number in range(2)]
    other = trial(2, params={"train.learning_rate": 1.0}, train=[2.0, 1.0 + 1e-9])
    (finding,) = examine([*same, other], LOSS)
    assert finding.kind is Kind.IDENTICAL_CURVES
    assert (
        "trials 0 and 1 have the same learning curves, although they differ in train.learning_rate" in finding.sentence
    )
    twice = [trial(number, params={"train.learning_rate": 0.1}, train=[2.0, 1.0]) for number in range(2)]
    assert examine(twice, LOSS) == []


def test_the_digest_prefers_the_best_trial_and_counts_the_others() -> None:
    sick = SICK[Kind.OVER_FITTING]
    trials = [replace(sick, run=replace(sick.run, number=number)) for number in range(3)]
    diverged = SICK[Kind.DIVERGENCE]
    found = digest(examine([*trials, replace(diverged, run=replace(diverged.run, number=7))], LOSS), best=2)
    assert [each.finding.kind for each in found][:2] == [Kind.DIVERGENCE, Kind.OVER_FITTING]
    (over,) = [each for each in found if each.finding.kind is Kind.OVER_FITTING]
    assert (over.finding.trial, over.trials) == (2, (0, 1, 2))


def test_gradients_of_single_parameters() -> None:
    fine = replace(trial(), gradients=((1, "head.weight", 99.0), (1, "body.weight", 0.0)))
    assert kinds(fine) == set()
    large = replace(trial(), gradients=((1, "head.weight", 1.0), (2, "head.weight", 101.0), (2, "body.weight", 500.0)))
    (finding,) = examine_trial(large, LOSS)
    assert (finding.kind, finding.severity, finding.step) == (Kind.BAD_PARAMETER_GRADIENTS, Severity.WARNING, 2)
    assert "'head.weight' had a norm of 101 at epoch 2; 1 other" in finding.sentence
    assert kinds(large, parameter_norm=1000.0) == set()
    for bad in (math.nan, math.inf):
        (finding,) = examine_trial(replace(trial(), gradients=((3, "head.weight", bad),)), LOSS)
        assert finding.severity is Severity.SERIOUS


def flow(step: int, *norms: float) -> tuple[tuple[int, str, float], ...]:
    """The norms of the weights of a model, and of biases that have none."""
    return tuple(
        (step, f"{layer}.{name}", norm if name == "weight" else 0.0)
        for layer, norm in enumerate(norms)
        for name in ("weight", "bias")
    )


def test_gradients_that_fade_on_their_way_to_the_first_layers() -> None:
    faded = flow(4, 1e-7, 1e-6, 1e-4, 1e-2, 0.1, 0.5)
    (finding,) = examine_trial(replace(trial(), gradients=(*flow(2, *[1.0] * 6), *faded)), LOSS)
    assert (finding.kind, finding.severity, finding.step) == (Kind.VANISHING_GRADIENTS, Severity.NOTE, 4)
    assert "at epoch 4 their norms are about 5.5e-07 from '0.weight' on and 0.3 up to '5.weight'" in finding.sentence
    assert kinds(replace(trial(), gradients=(*faded, *flow(6, *[1.0] * 6)))) == set()  # it had only just begun
    assert kinds(replace(trial(), gradients=faded), fading=1e-7) == set()
    assert kinds(replace(trial(), gradients=faded[:10])) == set()  # too few layers
    assert kinds(replace(trial(), gradients=flow(4, 0.5, 0.1, 1e-2, 1e-4, 1e-6, 1e-7))) == set()
