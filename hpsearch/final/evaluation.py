"""How a trained model scores on new labelled data, with intervals over their examples. It never trains."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hpsearch.comparing.statistics.intervals import resampled_intervals, wilson_interval
from hpsearch.errors import DataError, HpsearchError
from hpsearch.families.prediction import Examination, Recognising
from hpsearch.final.trained_model import TrainedModel
from hpsearch.report.evaluation import Evaluation, Score
from hpsearch.training.by_example import ByExample, means_of
from hpsearch.training.devices import is_out_of_memory, resolve_device
from hpsearch.training.scoring import examine_split
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits

_PACKAGE = Path(__file__).parents[1]
_SEED = 0
"""Of the bootstrap: the same data have the same intervals."""
_DIVISION = frozenset({"val_fraction", "test_fraction", "folds"})
"""Settings of data that say which of the examples are for the test."""
_SAME = 1e-6
"""Relative difference up to which a score is the mean of those of its examples."""


def evaluate_model(
    model: TrainedModel,
    *,
    name: str,
    paths: Sequence[Path] = (),
    config: Any = None,
    baselines: bool = True,
    batch_size: int | None = None,
    device: str | None = None,
) -> Evaluation:
    """Return the scores of a model on the labelled files `paths`, or on the test split of a `config` with other data.

    Raises:
        HpsearchError: The family takes no files, or the data do not fit the model.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = _evaluated(model, name, paths, config, baselines=baselines, batch_size=batch_size, device=device)
    ours = [each for each in heard if Path(each.filename).is_relative_to(_PACKAGE)]
    for other in (each for each in heard if each not in ours):
        warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    said = dict.fromkeys(str(each.message) for each in ours)
    return replace(found, notes=[*found.notes, *(each for each in said if each not in found.notes)])


def _evaluated(
    model: TrainedModel,
    name: str,
    paths: Sequence[Path],
    config: Any,
    *,
    baselines: bool,
    batch_size: int | None,
    device: str | None,
) -> Evaluation:
    config = model.config if config is None else config
    found = _of_paths(model, config, paths) if paths else _of_settings(model, config)
    if not len(found.data):
        raise DataError("the data hold no examples")
    train, place = config.train, resolve_device(device or config.train.device)
    size = batch_size or train.batch_size

    def examined(function: Callable[[Forward, Iterator[Batch]], Any], per: int) -> Any:
        return examine_split(function, found.data, model.model, batch_size=per, device=place, precision=train.precision)

    with _on(model, place):
        scores, size = _in_memory(lambda per: dict(examined(found.task.evaluate, per)), size)
        by_example = examined(found.task.by_example, size) or _means(found, examined, scores)
    beside, notes = _baselines(model, config, found.data) if baselines else ({}, [])
    return Evaluation(
        model=name,
        family=model.description["family"],
        data=[str(path) for path in paths] or [f"data: {config.data.model_dump(mode='json')}"],
        examples=len(found.data),
        scores=_with_intervals(scores, by_example, len(found.data)),
        goals=dict(model.family.metrics),
        baselines=beside,
        notes=[*found.notes, *notes],
    )


@contextmanager
def _on(model: TrainedModel, device: torch.device) -> Iterator[None]:
    try:
        model.model.to(device)
        yield
    finally:
        model.model.cpu()


def _of_paths(model: TrainedModel, config: Any, paths: Sequence[Path]) -> Examination:
    found = model.family.examination(config, model.facts, paths, model.model)
    if found is None:
        raise HpsearchError(
            f"the family {model.description['family']} takes no files of labelled data: say which data they are with "
            "the settings of its section data, such as --set data.NAME=VALUE"
        )
    return found


def _of_settings(model: TrainedModel, config: Any) -> Examination:
    """Return the test split of other data.

    Raises:
        HpsearchError: The family would code them in another way than the model has learned.
    """
    _refuse_other_division(model.config.data, config.data)
    seed = model.description["seeds"]["split"]
    splits = Splits(lambda split: model.family.load(config.data, split, seed), sealed=False)
    facts, known = dict(model.family.facts(config, splits)), dict(model.facts)
    if facts != known:
        other = next(name for name in {**facts, **known} if facts.get(name) != known.get(name))
        raise HpsearchError(
            f"with these settings the model's {other} would be others than those that it has learned; give the new "
            "data as files with --data, or change only settings of what is tested"
        )
    return Examination(model.family.task(config, splits), splits["test"])


def _refuse_other_division(own: Any, other: Any) -> None:
    """Refuse to divide the same data in another way: what the model has learned from would be in their test split."""
    names = (*type(own).model_fields, *type(other).model_fields)
    changed = {name for name in names if getattr(own, name, None) != getattr(other, name, None)}
    if changed and changed <= _DIVISION:
        raise HpsearchError(
            f"data.{min(changed)}: divided in another way, the test split of the same data would hold examples that "
            "the model has learned from, or was chosen by; give new data as files with --data, or by settings of data"
        )


def _in_memory(compute: Callable[[int], Any], size: int) -> tuple[Any, int]:
    """Return a result and the batch size with which the memory sufficed for it: half of `size` as often as needed."""
    while True:
        try:
            return compute(size), size
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or size == 1:
                raise
        size = max(1, size // 2)


def _means(found: Examination, examined: Callable[..., Any], scores: Mapping[str, float]) -> ByExample | None:
    """Return the scores by example of a task that gives none: those that are means of single examples' scores."""
    each = examined(lambda forward, batches: [dict(found.task.evaluate(forward, [batch])) for batch in batches], 1)
    rows = {
        name: torch.tensor([own[name] for own in each], dtype=torch.float64).numpy()
        for name in scores
        if all(name in own and math.isfinite(own[name]) for own in each)
    }
    means = {name: values for name, values in rows.items() if math.isclose(values.mean(), scores[name], rel_tol=_SAME)}
    return ByExample(len(each), means_of(means)) if means else None


def _with_intervals(scores: Mapping[str, float], by_example: ByExample | None, examples: int) -> dict[str, Score]:
    intervals = {}
    if by_example is not None and examples > 1:
        intervals = resampled_intervals(by_example.scores, by_example.examples, seed=_SEED)
    proportions = by_example.proportions if by_example else {}
    found = {}
    for name, value in scores.items():
        if name in proportions:
            found[name] = Score(value, wilson_interval(value, proportions[name]), "wilson")
        elif name in intervals and math.isfinite(value) and intervals[name][0] < intervals[name][1]:
            found[name] = Score(value, intervals[name], "bootstrap")
        else:
            found[name] = Score(value)
    return found


def _baselines(model: TrainedModel, config: Any, data: Dataset) -> tuple[Mapping[str, Mapping[str, float]], list[str]]:
    """Return the scores of the classical methods, fitted on the model's own training data; or why there are none.

    Also what of the new data the model has learned from.
    """
    if not model.family.methods:
        return {}, []
    own = model.splits()

    def load(split: Split) -> Dataset:
        if split == "test":
            return data
        model.check_data(own, split)
        return own[split]

    splits = Splits(load, sealed=False)
    try:
        found = model.family.baselines(config, splits, "test")
        shared = data.shared_with(splits["train"]) if isinstance(data, Recognising) else None
    except HpsearchError as error:
        return {}, [f"The classical methods are not beside it, as their training data cannot be used: {error}"]
    numbers = {name: dict(scores) for name, scores in found.items()}  # without their way to the examples
    return numbers, [] if shared is None else [shared]
