"""Population based bandits: Ray's step, on our ranges."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from hpsearch.errors import HpsearchError
from hpsearch.records import Outcome
from hpsearch.search.explore import ExploreContext, Observed, explorer
from tests.running.populations import Camp
from tests.space.toy import DATA, HEAD, read

PB2 = "{pb2: {interval: 2}}"
RATES = "{first: {float: [0, 1], mutable: true}, turns: {int: [1, 100], log: true, mutable: true}}"


@pytest.fixture
def camp(tmp_path: Path) -> Camp:
    return Camp(tmp_path, pruner=PB2, rates=RATES)


def observations() -> list[Observed]:
    """Members of which those gain most whose first rate is near 0.7."""
    seen = []
    for number in range(8):
        params = {"rates.first": number / 7, "rates.turns": 1 + 10 * number}
        gain = 1 - (number / 7 - 0.7) ** 2
        seen += [Observed(number, step, params, step * gain) for step in (2, 4)]
    return seen


def context(*, seed: int = 0, chosen: tuple[dict[str, float], ...] = ()) -> ExploreContext:
    seen = observations()
    return ExploreContext(donor=5, params=seen[10].params, seen=seen, chosen=chosen, seed=seed)


def test_values_come_from_the_model_and_stay_in_their_ranges(camp: Camp) -> None:
    found = explorer(camp.space)(context())
    assert camp.space.check_params(found) == []
    assert isinstance(found["rates.turns"], int)
    assert found["rates.first"] not in {5 / 7 * 0.8, 5 / 7 * 1.2}  # as pbt would have it
    assert found["rates.first"] > 0.4  # where the gains are


def test_it_draws_from_its_seed_alone_and_leaves_the_global_state_as_it_was(camp: Camp) -> None:
    np.random.seed(1)  # noqa: NPY002 -- the global state is what is tested
    found = [explorer(camp.space)(context(seed=4))]
    after = np.random.rand()  # noqa: NPY002
    found.append(explorer(camp.space)(context(seed=4)))
    np.random.seed(1)  # noqa: NPY002
    assert np.random.rand() == after  # noqa: NPY002
    assert found[0] == found[1]


def test_what_others_got_is_passed_over(camp: Camp) -> None:
    first = explorer(camp.space)(context())
    assert explorer(camp.space)(context(chosen=(first,))) != first


def test_without_data_values_are_perturbed(camp: Camp) -> None:
    params = {"rates.first": 0.5, "rates.turns": 10}
    found = [explorer(camp.space)(ExploreContext(0, params, (), (), seed)) for seed in range(10)]
    assert {each["rates.first"] for each in found} >= {0.4, 0.6}


def test_a_donor_without_the_option_on_which_a_range_hangs_is_copied_as_it_is(tmp_path: Path) -> None:
    rope = "model: {position: {choice: {learned: , rope: {partial: {float: [0.5, 1], mutable: true}}}}}"
    space = read(tmp_path, f"{HEAD}{DATA}search: {{pruner: pb2}}\n{rope}\n")
    params = {"model.position": "learned"}
    assert explorer(space)(ExploreContext(0, params, (), (), 0)) == params


@pytest.mark.slow
def test_a_search(camp: Camp, tmp_path: Path) -> None:
    state = random.getstate()
    record = camp.run()
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 4
    assert {event["step"] for event in camp.exploits()} == {2, 4}
    assert random.getstate() == state
    again = Camp(tmp_path / "again", pruner=PB2, rates=RATES)
    assert [trial.history for trial in again.run().trials] == [trial.history for trial in record.trials]


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(HpsearchError, match=r'the pruner pb2 needs the package ray.*pip install "hpsearch\[ray\]"'):
        Camp(tmp_path, pruner=PB2).run()
