"""hpsearch, by its command: the space file of the problem, what the comparison fixes laid over it, MLflow as always.

Run alone: `python -m tests.benchmarks.peer_programs.hpsearch_itself digits --trials 8 --epochs 10 --folder /tmp/x`;
the command is printed.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from hpsearch.experiment.layout import LOG
from hpsearch.records import Outcome
from tests.benchmarks.peer_programs.searching import Ended, Search, asked_for, leave
from tests.logs import read_log

PLACES = {"digits": {"first": "model.first", "second": "model.second", "learning_rate": "train.learning_rate"}}
PLACES["char_lm"] = {name: f"model.{name}" for name in ("layers", "width", "heads", "position")}
PLACES["char_lm"]["learning_rate"] = "train.learning_rate"
"""By problem: where the parameters stand in the space file."""


def command(search: Search) -> list[str]:
    """Return the command line; without `prune` there is no pruner, else what hpsearch does by itself."""
    space = Path(__file__).with_name(f"{search.problem}.yaml")
    overrides = {"search.trials": search.trials, "search.seed": search.seed, "search.workers": search.workers}
    overrides["train.epochs"] = search.epochs
    if not search.prune:
        overrides["search.pruner"] = "none"
    if search.fixed and (fixed := fixed_configurations(search)):
        overrides["start"] = json.dumps(fixed[: search.trials])
    told = [word for name, value in overrides.items() for word in ("--set", f"{name}={value}")]
    place = ["--root", str(search.folder), "--name", "search", "--no-confirm"]
    return [sys.executable, "-m", "hpsearch", "run", str(space), *place, *told]


def fixed_configurations(search: Search) -> list[dict[str, object]]:
    """Return the fixed configurations by the names of the space file."""
    from tests.benchmarks.peer_programs.trainings import PROBLEMS

    places = PLACES[search.problem]
    return [{places[name]: value for name, value in config.items()} for config in PROBLEMS[search.problem].fixed]


def trials_in(folder: Path) -> list[Ended]:
    """Return what each trial came to, from the log."""
    epochs: dict[str, int] = {}
    found = []
    for line in read_log(folder / "search" / LOG):
        if line["event"] == "report":
            epochs[line["run"]] = line["step"]
        if line["event"] == "outcome":
            assert line["outcome"] in (Outcome.COMPLETE, Outcome.PRUNED), line
            found.append(Ended(line["value"], epochs[line["run"]], line["time"]))
    return found


def main(search: Search) -> None:
    """Run the command in this program's place, and say what came out."""
    words = command(search)
    print(shlex.join(words), flush=True)
    subprocess.run(words, check=True)
    leave(search.folder, trials_in(search.folder))


if __name__ == "__main__":
    main(asked_for(__doc__))
