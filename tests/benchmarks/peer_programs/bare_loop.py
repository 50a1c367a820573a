"""No tool at all: processes that train random configurations one after the other and keep nothing. The floor.

Run alone: `python -m tests.benchmarks.peer_programs.bare_loop digits --trials 8 --epochs 10 --folder /tmp/x`.
"""

import math
import multiprocessing
import random
from typing import Any

import torch

from tests.benchmarks.peer_programs.searching import Ended, Search, asked_for, leave, now
from tests.benchmarks.peer_programs.trainings import PROBLEMS, train


def draw(problem: str, generator: random.Random) -> dict[str, Any]:
    """Return a random configuration."""
    config: dict[str, Any] = {}
    for name, (kind, *given) in PROBLEMS[problem].space.items():
        if kind == "int":
            config[name] = generator.randrange(given[0], given[1] + 1, given[2])
        elif kind == "log":
            config[name] = math.exp(generator.uniform(math.log(given[0]), math.log(given[1])))
        else:
            config[name] = generator.choice(given)
    return config


def train_all(search: Search, configs: list[tuple[int, dict[str, Any]]]) -> list[Ended]:
    """Train configurations one after the other."""
    torch.set_num_threads(1)
    metric, found = PROBLEMS[search.problem].metric, []
    for number, config in configs:
        seed = 1000 * search.seed + number
        values = [
            scores[metric] for _, scores in train(search.problem, config, epochs=search.epochs, seed=seed, fused=True)
        ]
        found.append(Ended(min(values), len(values), now()))
    return found


def main(search: Search) -> None:
    """Divide the trials among forked processes."""
    PROBLEMS[search.problem].load()
    generator = random.Random(search.seed)
    configs = [dict(config) for config in PROBLEMS[search.problem].fixed] if search.fixed else []
    configs += [draw(search.problem, generator) for _ in range(len(configs), search.trials)]
    numbered = list(enumerate(configs[: search.trials]))
    with multiprocessing.get_context("fork").Pool(search.workers) as pool:
        shares = [(search, numbered[place :: search.workers]) for place in range(search.workers)]
        leave(search.folder, [ended for share in pool.starmap(train_all, shares) for ended in share])


if __name__ == "__main__":
    main(asked_for(__doc__))
