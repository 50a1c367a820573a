"""What `hpsearch.ask_tell` costs for each trial, beside the training: ask, three reports and tell, as the search grows.

Run by `make bench`; `python tests/benchmarks/ask_tell.py 100 1000` for other sizes. CPU milliseconds of this process,
the median of the last 20 trials at each size. With two programs on the folder each takes in what the other has written.
"""

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import hpsearch

SPACE = {f"x{number}": {"float": [0, 1]} for number in range(8)}
MEASURED = 20
OPERATIONS = ("ask", "report", "tell")


def costs(sizes: Sequence[int], *, sampler: str, programs: int) -> dict[str, list[float]]:
    """Return the milliseconds of each operation when there are as many trials."""
    found: dict[str, list[float]] = {name: [] for name in OPERATIONS}
    with tempfile.TemporaryDirectory() as root:
        searches = [
            hpsearch.ask_tell(
                SPACE,
                metric="loss",
                goal="minimize",
                sampler=sampler,
                pruner="asha",
                trials=max(sizes),
                root=Path(root),
                quiet=True,
            )
            for _ in range(programs)
        ]
        spent: dict[str, list[float]] = {name: [] for name in OPERATIONS}
        for number in range(max(sizes)):
            for name, seconds in _trial(searches[number % programs]).items():
                spent[name].append(seconds)
            if number + 1 in sizes:
                for name in OPERATIONS:
                    found[name].append(1000 * statistics.median(spent[name][-MEASURED:]))
        for search in searches:
            search.close()
    return found


def _trial(search: hpsearch.AskTell) -> dict[str, float]:
    begun = time.process_time()
    trial = search.ask()
    asked = time.process_time()
    assert trial is not None
    loss = sum((each - 0.3) ** 2 for each in trial.params.values())
    steps = 3
    for step in range(1, steps + 1):
        if not trial.report(step, loss + 1 / step):
            steps = step
            break
    reported = time.process_time()
    trial.tell()
    return {"ask": asked - begun, "report": (reported - asked) / steps, "tell": time.process_time() - reported}


def main(sizes: Sequence[int]) -> None:
    """Print the table."""
    print(f"{platform.machine()}, Python {platform.python_version()}; CPU ms, at {', '.join(map(str, sizes))} trials")
    for sampler in ("random", "tpe"):
        for programs in (1, 2):
            found = costs(sizes, sampler=sampler, programs=programs)
            told = "; ".join(f"{name} {' '.join(f'{each:.1f}' for each in found[name])}" for name in OPERATIONS)
            print(f"{sampler}, {programs} program{'s' if programs > 1 else ''}: {told}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [100, 300])
