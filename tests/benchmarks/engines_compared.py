"""The wall time of short trials: hpsearch on its local engine, hpsearch on Ray, and plain Ray Tune as it comes.

Run by `make bench` with 6 trials (about two minutes), by `make bench BENCH=full` with 64 (a quarter of an hour), or
alone with a number of trials: `python tests/benchmarks/engines_compared.py 64`. Every trial
trains the toy family for three epochs, which takes milliseconds, at two workers; every side proposes at random and
prunes nothing. Each side is a fresh process, so its imports, and Ray's start, count. hpsearch also writes its log, its
metrics and its checkpoints, as ever; plain Tune keeps the results that it keeps by default.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.jobs import Job, Report
from hpsearch.records import Decision
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.seeds import Seeds
from hpsearch.space import Space
from tests.toy_spaces import write_space

REPOSITORY = Path(__file__).parents[2]
TRIALS = 64 if os.environ.get("BENCH") == "full" else 6
WORKERS = 2


def toy_search(folder: Path, *overrides: str, trials: int) -> Space:
    path = write_space(folder, trials=trials, workers=WORKERS, rate="{log: [1e-3, 0.03]}")
    return load_space(path, overrides=overrides)


def local(folder: Path, trials: int) -> int:
    """Search on worker processes of this machine."""
    space = toy_search(folder, trials=trials)
    return len(run(space, folder=folder / "toy", options=RunOptions()).record.ranked)


def on_ray(folder: Path, trials: int) -> int:
    """Search on a Ray cluster of this machine."""
    space = toy_search(folder, "search.engine=ray", trials=trials)
    return len(run(space, folder=folder / "toy", options=RunOptions()).record.ranked)


def plain_tune(folder: Path, trials: int) -> int:
    """Search with Ray Tune's defaults: a function, random configurations."""
    import ray
    from ray import tune

    space, drawn = toy_search(folder, trials=trials), random.Random(0)
    jobs = [made_job(space, number, space.sample(drawn)) for number in range(trials)]
    ray.init(num_cpus=WORKERS)
    results = tune.Tuner(
        tune.with_parameters(train_plainly, folder=str(folder)),
        param_space={"job": tune.grid_search(jobs)},
        run_config=tune.RunConfig(storage_path=str(folder / "tune")),
    ).fit()
    return len(results) - results.num_errors


def made_job(space: Space, number: int, params: Mapping[str, Any]) -> dict[str, Any]:
    config = space.config(params).model_dump(mode="json")
    seeds = Seeds.for_trial(0, number).model_dump()
    return Job(f"trials/{number:04d}", number, params, config, seeds).to_json()


def train_plainly(config: dict[str, Any], folder: str) -> None:
    """Train one job as hpsearch does, reporting to Tune."""
    from ray import tune

    from hpsearch.running.objective import FamilyObjective

    def report(told: Report) -> Decision:
        tune.report(dict(told.metrics))
        return Decision.CONTINUE

    family = {"family": f"{REPOSITORY / 'tests' / 'toy_family.py'}:Toy", "family_folder": folder}
    rule = {"metric": "val/loss", "goal": "minimize", "at_best": True}
    objective = FamilyObjective(folder=folder, threads=1, share=None, **family, **rule)
    objective(Job.from_json(config["job"]), report, lambda: None)


SIDES: dict[str, Callable[[Path, int], int]] = {
    "hpsearch, local": local,
    "hpsearch, ray": on_ray,
    "plain Ray Tune": plain_tune,
}


def measured(side: str, trials: int) -> float:
    """Return the seconds of one side's search in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, __file__, str(trials), side], env=environment, check=True, stdout=sys.stderr, stderr=None
    )
    return time.perf_counter() - begun


def search_as(side: str, trials: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        complete = SIDES[side](Path(folder), trials)
    if complete != trials:
        raise SystemExit(f"{side}: only {complete} of {trials} trials are complete")


def main(trials: int) -> None:
    """Print the seconds of every side, twice, one after the other."""
    print(f"{trials} trials on {WORKERS} workers, seconds")
    for side in [*SIDES, *SIDES]:
        print(f"{side:16} {measured(side, trials):7.1f}", flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    if len(sys.argv) > 2:
        search_as(sys.argv[2], count)
    else:
        main(count)
