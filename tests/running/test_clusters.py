"""What a family's data say of examples that are alike is kept with the scores, and drawn as a whole."""

from pathlib import Path

import hpsearch
from hpsearch.experiment.by_example import read_by_example
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.toy_spaces import write_space

FAMILY = Path(__file__).with_name("grouped_family.py")


def test_clusters_of_the_test_data_are_kept_by_replicates_and_methods_and_compared(tmp_path: Path) -> None:
    path = write_space(tmp_path, trials=1, more="confirm: {top: 1, seeds: 2}")
    _, _, rest = path.read_text().partition("\n")
    path.write_text(f"family: {FAMILY}:Grouped\n{rest}")
    run(load_space(path), folder=tmp_path / "x", options=RunOptions(in_process=True))
    for folder in ("confirm/0000/seed-000", "confirm/0000/seed-001", "confirm/baselines/mean"):
        found = read_by_example(tmp_path / "x" / folder)
        assert found is not None
        assert found.clusters == tuple(str(number // 4) for number in range(16))
    (pair,) = hpsearch.compare(tmp_path / "x").pairs
    assert pair.over_examples is not None
    assert (pair.over_examples.examples, pair.over_examples.clusters) == (16, 4)
    assert pair.over_examples.seeds == (2, 1)
