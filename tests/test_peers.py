"""The comparison with peers: all programs get the same work, and the tables say what the runs say."""

import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import torch

from hpsearch.running.loading import load_space
from hpsearch.space import suggest
from tests.benchmarks.peer_programs import optuna_space
from tests.benchmarks.peer_programs.searching import Ended
from tests.benchmarks.peer_programs.trainings import PROBLEMS, scores
from tests.benchmarks.peers import OURS, Measured, Part, ProgramError, Run, _check_work, interval, table

PROGRAMS = Path(__file__).parent / "benchmarks" / "peer_programs"
QUICK, SOON = Part("digits", 2, 3), Part("digits", 2, 3, target=0.5)


def run(wall: float, *trials: tuple[float, float]) -> Run:
    """A run that begins at 100 and trains for three epochs; trials have a value and the seconds to their end."""
    return Run(wall, 2 * wall, [Ended(value, 3, 100 + seconds) for value, seconds in trials], begun=100.0)


def cells(found: Measured) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in table(found).splitlines() if line.startswith("| ")]
    return {name: rest for name, *rest in lines[2:]}


def test_the_time_to_a_target_ends_with_the_first_good_trial() -> None:
    found = run(9.0, (0.4, 7.0), (0.6, 2.0), (0.5, 5.0))
    assert (found.until(0.5), found.until(0.39)) == (5.0, float("inf"))


def test_ratios_are_those_of_the_same_round() -> None:
    ours, theirs = [run(seconds, (0.4, 1), (0.2, 1)) for seconds in (1, 10, 100)], [run(300, (1, 1), (2, 1))] * 3
    rows = cells(Measured(QUICK, {OURS: ours, "peer": theirs}))
    assert rows[OURS] == ["10.0 [1.0, 100.0]", "20.0", "-", "720", "0.2", "0.3", "6"]
    assert rows["peer"][2] == "30.00 [3.00, 300.00]"


def test_a_target_that_is_not_reached_is_counted_and_stays_infinite() -> None:
    ours = [run(9, (0.4, 2)), run(9, (0.4, 4)), run(9, (0.4, 2))]
    theirs = [run(9, (0.4, 6)), run(9, (0.9, 1)), run(9, (0.9, 1))]
    rows = cells(Measured(SOON, {OURS: ours, "peer": theirs}))
    assert (rows[OURS][0], rows[OURS][3]) == ("2.0 [2.0, 4.0]", "3 of 3")
    assert rows["peer"][:4] == ["inf [6.0, inf]", "18.0", "inf [3.00, inf]", "1 of 3"]


def test_what_failed_is_said_and_has_no_row() -> None:
    found = Measured(QUICK, {OURS: [run(9, (0.4, 2))], "peer": []}, {"peer": "exit status 1: no such option"})
    assert list(cells(found)) == [OURS]
    assert "Not measured: peer: exit status 1: no such option" in table(found)


@pytest.mark.parametrize(("trials", "epochs", "said"), [(3, 3, "3 trials, not 2"), (2, 2, "epochs, not 3")])
def test_other_work_is_no_measurement(trials: int, epochs: int, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        _check_work(QUICK, [Ended(1.0, epochs, 1.0)] * trials)
    _check_work(SOON, [Ended(1.0, 1, 1.0)] * 2)  # a pruned trial trains less


def test_the_interval_of_one_round_is_that_round() -> None:
    assert interval([3.0]) == (3.0, 3.0)
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0]) == (1.0, 5.0)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_hpsearch_searches_the_space_of_the_others(problem: str) -> None:
    space = load_space(PROGRAMS / f"{problem}.yaml")
    ours: dict[str, object] = {}
    theirs: dict[str, object] = {}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):  # until each branch was seen
        suggest(space, trial := study.ask())
        ours |= {name.rpartition(".")[2]: range_ for name, range_ in trial.distributions.items()}
        optuna_space.suggest(problem, trial := study.ask())
        theirs |= trial.distributions
    assert ours == theirs
    assert set(ours) == set(PROBLEMS[problem].space)


def test_the_scores_are_those_of_the_family() -> None:
    from tests.benchmarks.peer_programs.digits_family import Config, Digits, DigitsFamily

    family, config = DigitsFamily(), Config()
    data, task = family.load(config.data, "val", 0), Digits(config)
    torch.manual_seed(0)
    model = task.build_model()
    with torch.no_grad():
        theirs = task.evaluate(model, [data.batch(part.tolist()) for part in torch.arange(len(data)).split(32)])
    ours = scores(model, *PROBLEMS["digits"].load()["val"])
    assert theirs == pytest.approx({name: ours[name] for name in theirs}, rel=1e-5)


TINY = """
from tests.benchmarks.peers import TINY, compare
print(compare(TINY, ["hpsearch", "Optuna, tuned", "Syne Tune", "no tool"], rounds=1))
"""


@pytest.mark.slow
def test_whole_commands_of_a_tiny_size() -> None:
    """In a process of its own: it waits for whatever processes are left to it."""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", TINY], cwd=root, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\| (hpsearch|Optuna, tuned|no tool) \|.* (\d+) \|$", done.stdout, flags=re.MULTILINE)
    assert rows == [
        ("hpsearch", "2"),
        ("Optuna, tuned", "2"),
        ("no tool", "2"),
        ("hpsearch", "2"),
        ("Optuna, tuned", "2"),
    ]
    assert "Syne Tune, for which no interpreter was named" in done.stdout
