"""What every family promises to the loop and to the search, and what tests of trainings share."""

import hashlib
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.families import Family
from hpsearch.records import Decision, Monitor
from hpsearch.running.loading import load_space
from hpsearch.seeds import Seeds
from hpsearch.space import Choice, Parameter, Space
from hpsearch.training.by_example import ByExample, MethodScores
from hpsearch.training.checkpoint import load
from hpsearch.training.loop import FitResult, fit
from hpsearch.training.packs.together import Candidate, Ended, fit_together
from hpsearch.training.progress import Evaluation
from hpsearch.training.settings import Evaluate, TrainSettings
from hpsearch.training.task import Batch, Dataset, Split, Splits

UNTIMED = ("examples_per_second",)
TIMES = ("seconds", "examples_per_second")


class KilledError(RuntimeError):
    """Raised by a report, as if the process had been killed there."""


class Recorder:
    """A report that keeps what it gets, and answers at some of its calls (counted from 1) otherwise than CONTINUE."""

    def __init__(self, answers: Mapping[int, Decision | Exception] | None = None) -> None:
        self.answers = dict(answers or {})
        self.seen: list[Evaluation] = []

    def __call__(self, evaluation: Evaluation) -> Decision:
        """Keep an evaluation and answer."""
        self.seen.append(evaluation)
        answer = self.answers.get(len(self.seen), Decision.CONTINUE)
        if isinstance(answer, Exception):
            raise answer
        return answer


def numbers(evaluations: Iterable[Evaluation]) -> list[tuple[int, dict[str, Any]]]:
    """Return the part that must repeat bit for bit: everything but the time."""
    return [
        (item.step, {name: value for name, value in item.metrics.items() if name not in UNTIMED})
        for item in evaluations
    ]


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the places at which two nested structures of plain values and tensors differ."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [place for key in first for place in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [place for number, (a, b) in pairs for place in differences(a, b, f"{path}/{number}")]
    same = torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    return [] if same else [path]


def assert_same_ending(unbroken: Path, resumed: Path) -> None:
    """Hold the checkpoints of two trainings against each other: weights, optimizer, generators, all but times."""
    for name in (CHECKPOINT, BEST):
        places = differences(load(unbroken / name), load(resumed / name))
        assert [place for place in places if not place.endswith(TIMES)] == []


SPLITS: tuple[Split, ...] = ("train", "val", "test")
SEEDS = Seeds.for_trial(0, 0)


class Few:
    """The first examples of a dataset."""

    def __init__(self, data: Dataset, size: int) -> None:
        self._data = data
        self._size = min(size, len(data))

    def __len__(self) -> int:
        return self._size

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return examples; those beyond the first few do not exist."""
        assert max(indices) < self._size
        return self._data.batch(indices)


class FamilyCase:
    """A family with one configuration and its data, which are loaded once."""

    def __init__(self, family: Family[Any], config: Any) -> None:
        self.family = family
        self.config = config
        self._opened = Splits(self.load, sealed=True)

    @property
    def monitor(self) -> Monitor:
        """The score by which the best step is chosen: the loss, or the family's first metric."""
        name = "loss" if "loss" in self.family.metrics else next(iter(self.family.metrics))
        return Monitor(f"val/{name}", self.family.metrics[name])

    def load(self, split: Split, *, seed: int = 0) -> Dataset:
        """Load a split again."""
        return self.family.load(self.config.data, split, seed)

    def splits(self, *, sealed: bool = True) -> Splits:
        """Return the data; sealed as in a search, where the test split may not be read."""
        return self._opened.view(sealed=sealed)

    def few(self, train: int, val: int) -> Splits:
        """Return training and validation data of a few examples; the test split is sealed."""
        sizes = {"train": train, "val": val}
        return Splits(lambda split: Few(self.splits()[split], sizes[split]), sealed=True)

    def first(self, split: Split, count: int) -> Batch:
        """Return the first examples of a split, as many as there are."""
        data = self.splits()[split]
        return data.batch(range(min(count, len(data))))

    def train(self, folder: Path | None = None, *, seeds: Seeds = SEEDS, report: Any = None) -> FitResult:
        """Train for six optimizer steps on twelve examples with everything that the configuration asks of the loop."""
        torch.rand(())  # what was drawn before does not matter
        return fit(
            self.family.task(self.config, self.splits()),
            self.few(train=12, val=8),
            self.short,
            seeds=seeds,
            monitor=self.monitor,
            report=report or Recorder(),
            folder=folder,
        )

    @property
    def short(self) -> TrainSettings:
        """The configuration's settings for a training of six steps on twelve examples."""
        changes = {"epochs": 2, "batch_size": 4, "accumulate": 1, "evaluate": Evaluate(steps=2), "device": "cpu"}
        changes["checkpoint_seconds"] = 0.0  # so that one which is killed goes on from its last evaluation
        settings: TrainSettings = self.config.train.model_copy(update=changes)
        return settings

    def train_together(self, seeds: Sequence[Seeds]) -> list[Ended]:
        """Train as `train` does, once for each of the seeds, in a pack; return how each ended."""
        candidates = [
            Candidate(
                self.family.task(self.config, self.splits()),
                self.few(train=12, val=8),
                self.short,
                each,
                self.monitor,
                Recorder(),
            )
            for each in seeds
        ]
        ended = {each.candidate: each for each in fit_together(candidates, lanes=len(candidates), device="cpu")}
        return [ended[candidate] for candidate in candidates]


def _of_all(found: ByExample, *, examples: int, scores: Mapping[str, float]) -> bool:
    """Check whether scores by example are those of all examples together."""
    together = found.scores(torch.ones(found.examples, dtype=torch.float64).numpy())
    own = {name: value for name, value in scores.items() if math.isfinite(value)}
    return found.examples == examples and {name: together[name] for name in own} == pytest.approx(own, rel=1e-5)


class FamilySuite:
    """The promises of a family, tested with one configuration on its data; choose small ones.

    Give `family`, the class, and in `config` whatever its default configuration lacks or has too large. The data
    need at least two examples in each split.
    """

    family: ClassVar[type[Family[Any]]]
    config: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> FamilyCase:
        """Return the family with its configuration."""
        return FamilyCase(cls.family(), cls.family.Config.model_validate(dict(cls.config)))

    def test_the_search_never_needs_the_test_split(self, case: FamilyCase) -> None:
        splits = case.splits()
        task = case.family.task(case.config, splits)
        model, batch = task.build_model(), case.first("train", 2)
        task.loss(model, task.augment(batch, torch.Generator().manual_seed(0)), task.scalars)
        with torch.no_grad():
            task.evaluate(model.eval(), [case.first("val", 2)])
        case.family.baselines(case.config, splits, "val")

    def test_no_example_of_one_split_stands_in_another(self, case: FamilyCase) -> None:
        splits = case.splits(sealed=False)
        train, val, test = (_examples(splits, split) for split in SPLITS)
        assert not test & train
        assert not test & val
        assert not train & val

    def test_equal_seeds_give_equal_data(self, case: FamilyCase) -> None:
        for split in SPLITS:
            again = case.load(split).batch([0, 1])
            for name, tensor in case.splits(sealed=False)[split].batch([0, 1]).items():
                assert torch.equal(tensor, again[name])

    def test_scores_are_the_metrics_that_the_family_names(self, case: FamilyCase) -> None:
        task = case.family.task(case.config, case.splits())
        with torch.no_grad():
            scores = task.evaluate(task.build_model().eval(), [case.first("val", 3)])
        optional = case.family.optional_metrics
        assert optional <= set(case.family.metrics)
        assert set(scores) - optional == set(case.family.metrics) - optional

    def test_baselines_are_scored_by_the_same_metrics(self, case: FamilyCase) -> None:
        baselines = case.family.baselines(case.config, case.splits(), "val")
        assert tuple(baselines) == tuple(case.family.methods)
        assert all(set(scores) <= set(case.family.metrics) for scores in baselines.values())
        for method, scores in baselines.items():
            if isinstance(scores, MethodScores):
                assert _of_all(scores.by_example(), examples=len(case.splits()["val"]), scores=scores), method

    def test_scores_by_example_of_all_examples_are_the_scores(self, case: FamilyCase) -> None:
        task = case.family.task(case.config, case.splits())
        model, batches = task.build_model().eval(), [case.load("val").batch(some) for some in ([0, 1], [2])]
        with torch.no_grad():
            scores, found = task.evaluate(model, batches), task.by_example(model, batches)
        assert found is None or _of_all(found, examples=3, scores=scores)

    def test_two_steps_lower_the_loss_of_one_batch(self, case: FamilyCase) -> None:
        task = case.family.task(case.config, case.splits())
        torch.manual_seed(0)
        model = task.build_model().eval()  # without dropout the loss is a function of the weights alone
        batch = case.first("train", 4)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        losses = []
        for _ in range(3):
            loss = task.loss(model, batch, task.scalars)["loss"]
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch has no annotation
            optimizer.step()
        assert losses[2] < losses[1] < losses[0]

    def test_the_loss_is_a_pure_function_of_parameters_batch_and_scalars(self, case: FamilyCase) -> None:
        task = case.family.task(case.config, case.splits())
        torch.manual_seed(0)
        model, batch = task.build_model().eval(), case.first("train", 2)
        parameters = {name: value.detach() for name, value in model.named_parameters()}

        def called(*inputs: Any) -> torch.Tensor:
            answer: torch.Tensor = torch.func.functional_call(model, parameters, inputs)
            return answer

        direct, through = task.loss(model, batch, task.scalars)["loss"], task.loss(called, batch, task.scalars)["loss"]
        assert torch.allclose(direct, through)

    def test_the_same_seeds_give_the_same_numbers_and_others_do_not(self, case: FamilyCase, tmp_path: Path) -> None:
        first, again = case.train(), case.train(tmp_path)
        other = case.train(seeds=Seeds.for_replicate(0, 0))
        assert numbers(first.evaluations) == numbers(again.evaluations)
        assert numbers(first.evaluations) != numbers(other.evaluations)
        assert len(first.evaluations) == 3

    def test_a_training_that_was_killed_goes_on_bit_for_bit(self, case: FamilyCase, tmp_path: Path) -> None:
        unbroken = case.train(tmp_path / "unbroken")
        with pytest.raises(KilledError):
            case.train(tmp_path / "resumed", report=Recorder({1: KilledError()}))
        resumed = case.train(tmp_path / "resumed")
        assert numbers(resumed.evaluations) == numbers(unbroken.evaluations)
        assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")

    def test_a_training_in_a_pack_is_what_it_is_alone(self, case: FamilyCase) -> None:
        apart = [Seeds.for_trial(0, number) for number in range(3)]
        for number, ended in enumerate(case.train_together(apart)):
            assert not isinstance(ended.result, BaseException)
            alone = case.train(seeds=apart[number])
            if ended.alone:  # it says why it was not packed
                assert numbers(ended.result.evaluations) == numbers(alone.evaluations)
            for (step, found), (same, wanted) in zip(
                numbers(ended.result.evaluations), numbers(alone.evaluations), strict=True
            ):
                assert step == same
                assert found == pytest.approx(wanted, rel=1e-3, abs=1e-5)

    def test_the_default_configuration_builds(self, case: FamilyCase) -> None:
        defaults: dict[str, Any] = {"data": case.config.data.model_dump()}
        config = case.family.Config.model_validate(defaults)
        with torch.device("meta"):  # at full size it may have millions of weights; without numbers it has only shapes
            model = case.family.task(config, case.splits()).build_model()
        assert sum(weights.numel() for weights in model.parameters()) > 0


class SpaceCase(FamilyCase):
    """A space with the family, a configuration of it and its data."""

    def __init__(self, space: Space) -> None:
        assert isinstance(space.interface, Family)
        params = space.sample_feasible(random.Random(0))  # noqa: S311 -- any configuration will do
        assert params is not None
        super().__init__(space.interface, space.config(params))
        self.space = space


class SpaceSuite(FamilySuite):
    """The promises of the family that a space file names, and of the file's ranges.

    Give `space`, the file; `overrides` such as `data.size=16` make its data small.
    """

    space: ClassVar[str | Path]
    quick: ClassVar[bool] = False
    overrides: ClassVar[Sequence[str]] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> FamilyCase:
        """Return the space with a configuration."""
        return SpaceCase(load_space(Path(cls.space), quick=cls.quick, overrides=cls.overrides))

    def test_the_objective_is_among_the_scores(self, case: SpaceCase) -> None:
        task = case.family.task(case.config, case.splits())
        with torch.no_grad():
            scores = task.evaluate(task.build_model().eval(), [case.first("val", 3)])
        assert case.space.objective.metric.removeprefix("val/") in scores

    def test_every_end_of_every_range_builds(self, case: SpaceCase) -> None:
        for params in ends_of_ranges(case.space):
            config: Any = case.space.config(params)
            case.family.task(config, case.splits()).build_model()


def ends_of_ranges(space: Space) -> Iterator[Mapping[str, Any]]:
    """Yield a feasible configuration for each bound and option of each range."""
    generator = random.Random(1)  # noqa: S311 -- no secret
    for parameter in space.parameters:
        values = parameter.range
        for end in values.options if isinstance(values, Choice) else (values.low, values.high):
            yield _feasible(space, parameter, end, generator)


def _feasible(space: Space, parameter: Parameter, value: Any, generator: random.Random) -> Mapping[str, Any]:
    path = parameter.path
    for _ in range(5000):
        params = space.sample(generator)
        if path not in params or (parameter.branch and params[path] != value):
            continue  # what lies below an option comes with the option
        params[path] = value
        if space.violation(params) is None:
            return params
    raise AssertionError(f"{path} = {value} is never feasible")


def _examples(splits: Splits, split: Split) -> set[str]:
    """Return a fingerprint of each example of a split."""
    data = splits[split]
    whole = data.batch(range(len(data)))
    rows = zip(*(whole[name].numpy() for name in sorted(whole)), strict=True)
    return {hashlib.sha256(b"".join(part.tobytes() for part in row)).hexdigest() for row in rows}
