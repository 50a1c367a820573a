"""What a search promises with every sampler and pruner: it keeps to the space, and a resume changes nothing.

No training takes part: learning curves are made up, and some trials diverge, fail or run at the same time as others.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from hpsearch.experiment.codec import encode
from hpsearch.experiment.events import AskEvent, Event, OutcomeEvent, ReportEvent
from hpsearch.experiment.files import append_json_line
from hpsearch.experiment.layout import trial_run
from hpsearch.experiment.log import read_events
from hpsearch.records import Goal, Outcome
from hpsearch.running.loading import check_own_code
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.settings import UNFOLD, Option, Settings
from hpsearch.space import Space, read_space

EVALUATIONS = 9
_SPACE: Mapping[str, Any] = MappingProxyType(
    {
        "family": "made_up",
        "objective": {"metric": "val/loss"},
        "model": {"width": {"int": [1, 8]}, "start": {"float": [-1, 1]}, "kind": {"choice": ["a", "b"]}},
        "train": {
            "rate": {"log": [1e-3, 1]},
            "optimizer": {"choice": {"sgd": {"momentum": {"float": [0, 0.9]}}, "adamw": {}}},
        },
        "require": ["model.width * model.start < 7"],
    }
)


class _SGD(Option):
    kind: Literal["sgd"] = "sgd"
    momentum: float = 0.0


class _AdamW(Option):
    kind: Literal["adamw"] = "adamw"


class _Model(Settings):
    width: int = 1
    start: float = 0.0
    kind: str = "a"


class _Train(Settings):
    rate: float = 0.1
    optimizer: Annotated[_SGD | _AdamW, Field(discriminator="kind"), UNFOLD] = _AdamW()


class _Config(Settings):
    model: _Model = _Model()
    train: _Train = _Train()


class _Interface:
    Config = _Config
    metrics: ClassVar[Mapping[str, Goal]] = {"loss": Goal.MINIMIZE}

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        del configuration
        return {}


def made_up_space(folder: Path, **search: Any) -> Space:
    """Write a space with every kind of range into a folder and read it; `search` is its section of that name."""
    path = folder / "made_up.yaml"
    path.write_text(json.dumps({**_SPACE, "search": search}), encoding="utf-8")
    return read_space(path, lambda *_: _Interface(), own_code=check_own_code)


def drive(search: OptunaSearch, log: Path, first: int, last: int, *, at_once: int = 1) -> list[Any]:
    """Run the trials from `first` to before `last`, some at once, as the coordinator would.

    Returns:
        Every decision in its order: the parameters that were proposed and whether each evaluation was to be the last.

    """
    decisions: list[Any] = []
    for begin in range(first, last, at_once):
        open_trials = {}
        for number in range(begin, min(begin + at_once, last)):
            params = search.ask(number)
            decisions.append(params)
            if params is not None:
                asked = asdict(search.last_ask)
                _note(log, AskEvent(run=trial_run(number), number=number, params=params, seed=number, **asked))
                open_trials[number] = _training(search, log, number, params, decisions)
        for _ in range(EVALUATIONS + 1):
            for training in open_trials.values():
                next(training, None)
    return decisions


def resumed(search: OptunaSearch, log: Path, trials: int) -> OptunaSearch:
    """Bring a new search to the state that the first trials of a log left."""
    events = (event for event, _ in read_events(log))
    search.replay(events, runs={trial_run(number): number for number in range(trials)})
    return search


def _training(
    search: OptunaSearch, log: Path, number: int, params: Mapping[str, Any], decisions: list[Any]
) -> Iterator[None]:
    """Report one evaluation at each step; then tell how it ended: every fifth diverges, every seventh fails."""
    outcome, value = Outcome.COMPLETE, 0.0
    for step in range(1, EVALUATIONS + 1):
        value = abs(params["train.rate"] - 0.05) + abs(params["model.start"]) + 1 / step + 0.01 * params["model.width"]
        told = {"metric": value, "value": value, "at": step, "seconds": float(step)}
        _note(log, ReportEvent(run=trial_run(number), step=step, **told))
        decisions.append(search.report(number, step, value))
        if decisions[-1]:
            outcome = Outcome.PRUNED
            break
        yield
    if number % 5 == 4:
        outcome = Outcome.DIVERGED
    elif number % 7 == 6:
        outcome = Outcome.FAILED
    search.tell(number, outcome, value)
    _note(log, OutcomeEvent(run=trial_run(number), outcome=outcome, seconds=float(EVALUATIONS), value=value))


def _note(log: Path, event: Event) -> None:
    append_json_line(log, encode(event))


class _SearchSuite:
    """What samplers and pruners have in common."""

    options: ClassVar[Mapping[str, Any]] = {}

    def new(self, folder: Path, *, seed: int = 0) -> OptunaSearch:
        """Return a new search with what is tested."""
        raise NotImplementedError

    @pytest.mark.parametrize("at_once", [1, 3])
    def test_a_resumed_search_decides_as_an_unbroken_one(self, at_once: int, tmp_path: Path) -> None:
        whole = drive(self.new(tmp_path), tmp_path / "whole", 0, 24, at_once=at_once)
        begun = drive(self.new(tmp_path), tmp_path / "begun", 0, 15, at_once=at_once)
        again = resumed(self.new(tmp_path), tmp_path / "begun", 15)
        assert begun + drive(again, tmp_path / "begun", 15, 24, at_once=at_once) == whole


class SamplerSuite(_SearchSuite):
    """The promises of a search with a sampler: its values lie in the space, and all follows from the seed.

    Give `sampler`, a class or function of a module (or a name as in a space file), and its `options`.
    """

    sampler: ClassVar[Any]

    def new(self, folder: Path, *, seed: int = 0) -> OptunaSearch:
        """Return a new search with the sampler, and asha as its pruner."""
        named = _named(inspect.getattr_static(self, "sampler"))
        space = made_up_space(folder, sampler={named: dict(self.options)}, pruner="asha", seed=seed)
        return OptunaSearch(space, longest=EVALUATIONS)

    def test_every_configuration_lies_in_the_space(self, tmp_path: Path) -> None:
        space = made_up_space(tmp_path)
        proposed = [each for each in drive(self.new(tmp_path), tmp_path / "log", 0, 24) if isinstance(each, dict)]
        assert [space.check_params(params) for params in proposed] == [[]] * 24

    def test_the_seed_decides(self, tmp_path: Path) -> None:
        first, again, other = (
            drive(self.new(tmp_path, seed=seed), tmp_path / "log", 0, 12, at_once=3) for seed in (0, 0, 1)
        )
        assert first == again
        assert first != other

    def test_it_goes_on_when_nothing_has_come_to_a_result(self, tmp_path: Path) -> None:
        search = self.new(tmp_path)
        for number, outcome in enumerate([*[Outcome.DIVERGED, Outcome.FAILED] * 8, Outcome.COMPLETE]):
            assert search.ask(number) is not None
            search.tell(number, outcome, 1.0 if outcome is Outcome.COMPLETE else None)
        assert search.ask(17) is not None


class PrunerSuite(_SearchSuite):
    """The promises of a search with a pruner: equal reports get equal answers, whenever the search was resumed.

    Give `pruner`, a class or function of a module (or a name as in a space file), and its `options`.
    """

    pruner: ClassVar[Any]

    def new(self, folder: Path, *, seed: int = 0) -> OptunaSearch:
        """Return a new search with the pruner, and random configurations."""
        named = _named(inspect.getattr_static(self, "pruner"))
        space = made_up_space(folder, sampler="random", pruner={named: dict(self.options)}, seed=seed)
        return OptunaSearch(space, longest=EVALUATIONS)

    def test_equal_reports_get_equal_answers(self, tmp_path: Path) -> None:
        first, again = (drive(self.new(tmp_path), tmp_path / "log", 0, 24, at_once=3) for _ in range(2))
        assert first == again

    def test_some_trial_comes_to_its_end(self, tmp_path: Path) -> None:
        search, log = self.new(tmp_path), tmp_path / "log"
        drive(search, log, 0, 24)
        assert "complete" in {json.loads(line).get("outcome") for line in log.read_text(encoding="utf-8").splitlines()}


def _named(code: Any) -> str:
    """Return the name under which a space file knows a class or function."""
    return code if isinstance(code, str) else f"{inspect.getsourcefile(code)}:{code.__qualname__}"
