"""Samplers and pruners as a user would write them, good ones and bad ones."""

from typing import Any

import numpy as np
import optuna


class Walk(optuna.samplers.BaseSampler):
    """Chance; after `warm` trials the best width so far. It keeps state of its own, in a generator and a count."""

    def __init__(self, warm: int = 3, *, seed: int | None = None) -> None:
        if warm < 1:
            raise ValueError("warm must be at least 1")
        self._warm, self._random, self._seen = warm, np.random.default_rng(seed), 0

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        drawn = self._drawn(param_distribution)
        if self._seen < self._warm or param_name != "model.width":
            return drawn
        done = [each for each in study.get_trials(deepcopy=False) if each.values and each.constraints["trainable"] <= 0]
        return min(done, key=lambda each: each.value).params[param_name] if done else drawn

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        self._seen += 1

    def _drawn(self, values: Any) -> Any:
        if isinstance(values, optuna.distributions.CategoricalDistribution):
            return values.choices[int(self._random.integers(len(values.choices)))]
        if isinstance(values, optuna.distributions.IntDistribution):
            return int(self._random.integers(values.low, values.high + 1))
        return float(self._random.uniform(values.low, values.high))


class Outside(Walk):
    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return 99 if param_name == "model.width" else self._drawn(param_distribution)


class Stumbling(Walk):
    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        raise KeyError("lost")


class EverySecond(optuna.pruners.BasePruner):
    """Stops every second trial that it has seen `after` evaluations of; which are second, it counts itself."""

    def __init__(self, after: int) -> None:
        self._after, self._numbers = after, list[int]()

    def prune(self, study: Any, trial: Any) -> bool:
        if trial.number not in self._numbers:
            self._numbers.append(trial.number)
        return len(trial.intermediate_values) >= self._after and self._numbers.index(trial.number) % 2 == 1


class Never(optuna.pruners.BasePruner):
    """Lets no trial come to its end."""

    def prune(self, study: Any, trial: Any) -> bool:
        return True


class Dividing(optuna.pruners.BasePruner):
    def prune(self, study: Any, trial: Any) -> bool:
        return 1 / (trial.last_step - 2) > 1


def genetic(population: int, seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=population, seed=seed)


def anything(**options: Any) -> Any:
    return options


NUMBER = 3
