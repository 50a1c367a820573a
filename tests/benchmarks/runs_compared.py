"""What comparing costs: 10,000 runs with 100 logged steps each, as two experiments of hpsearch and as an MLflow store.

Run by `make bench`. The same runs a tenth as many show that it grows no faster than linearly. Beside the MLflow store:
what MLflow's own `search_runs` takes for the same runs, without their histories.
"""

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = 100
METRIC = "val/loss"
COMPARE = """
import resource, sys, time
from hpsearch.api.compare import compare

begin = time.perf_counter()
compared = compare(sys.argv[1], metric=sys.argv[2])
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{len(compared.found.runs)} runs in {seconds:.2f} s and {peak:.0f} MB")
"""
SEARCH = """
import sys, time
from mlflow.tracking import MlflowClient

client = MlflowClient(tracking_uri=f"sqlite:///{sys.argv[1]}")
begin = time.perf_counter()
token, runs = None, 0
while True:
    page = client.search_runs(["1"], max_results=1000, page_token=token)
    runs, token = runs + len(page), page.token
    if not token:
        break
print(f"{runs} runs in {time.perf_counter() - begin:.2f} s")
"""


def write_experiments(root: Path, runs: int) -> None:
    """Write two experiments with half of the trials each, as a coordinator logs them."""
    for name in ("a", "b"):
        folder = root / name
        folder.mkdir(parents=True)
        objective = {"metric": METRIC, "goal": "minimize", "at": "best"}
        space = {"family": "toy", "objective": objective, "search": {"sampler": {"kind": "random"}}}
        (folder / "resolved.json").write_text(json.dumps({"version": 1, "space": space}))
        with (folder / "log.jsonl").open("w") as log:
            for number in range(runs // 2):
                log.writelines(json.dumps(event) + "\n" for event in trial_events(number))


def trial_events(number: int) -> list[dict[str, object]]:
    """Return the log of one trial."""
    run, level = f"trials/{number:04d}", random.Random(number).uniform(1, 2)
    events: list[dict[str, object]] = [
        {"event": "ask", "run": run, "number": number, "params": {"rate": level}, "seed": number, "rejected": 0},
        {"event": "begin", "run": run, "attempt": 1},
    ]
    for step in range(1, STEPS + 1):
        value = level + 1 / step
        events.append(
            {"event": "report", "run": run, "step": step, "metric": value, "value": value, "at": step, "seconds": step}
        )
    end = {"outcome": "complete", "value": level, "step": STEPS, "reason": None, "seconds": STEPS, "scores": {}}
    events.append({"event": "outcome", "run": run, **end})
    return [{**event, "time": 1.8e9 + number, "elapsed": float(number)} for event in events]


def write_store(path: Path, runs: int) -> None:
    """Let MLflow make its tables, and fill them as its clients would."""
    from mlflow.tracking import MlflowClient

    MlflowClient(tracking_uri=f"sqlite:///{path}").create_experiment("one")
    with sqlite3.connect(path) as store:
        for number in range(runs):
            run = f"{number:032x}"
            store.execute(
                "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage, "
                "experiment_id, artifact_uri, user_id) VALUES (?, ?, 'UNKNOWN', 'FINISHED', 1, 2, 'active', 1, '', '')",
                (run, f"run-{number}"),
            )
            store.execute("INSERT INTO params (key, value, run_uuid) VALUES ('seed', ?, ?)", (str(number), run))
            rows = [(METRIC, 1 + 1 / step, step, run, step) for step in range(1, STEPS + 1)]
            store.executemany(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)", rows
            )
            store.execute(
                "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, 1, 1, ?, 0, ?)",
                (METRIC, STEPS, run),
            )


def said(program: str, *arguments: str) -> str:
    """Run a program in a process of its own and return what it prints."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Print one line for each."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for runs in (1_000, 10_000):
            write_experiments(root / f"{runs}", runs)
            print(f"experiments of hpsearch: {said(COMPARE, str(root / f'{runs}'), METRIC)}")
            write_store(root / f"{runs}.db", runs)
            print(f"store of MLflow:         {said(COMPARE, str(root / f'{runs}.db'), METRIC)}")
            print(f"  MLflow's search_runs:  {said(SEARCH, str(root / f'{runs}.db'))}")


if __name__ == "__main__":
    main()
