"""The classical methods of a family may be called anything, and keep their scores and names on the whole road."""

from pathlib import Path

import pytest

from hpsearch.errors import SpaceError
from hpsearch.readers.shelf import read_sources
from hpsearch.running.chosen import confirm
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.toy_spaces import write_space

NAMES = ("knn:3", "knn:5", "knn", "val/knn", "a/b", "..", "repeat-0-fold-1-of-2", "käse %41")
FAMILY = """
from tests.toy_family import Toy

class Named(Toy):
    '''A line, and classical ways to fit it.'''

    methods = {methods!r}

    def baselines(self, config, splits, split):
        [mean] = super().baselines(config, splits, split).values()
        return {{name: {{"loss": mean["loss"] + place}} for place, name in enumerate(self.methods)}}
"""


def named_space(folder: Path, methods: object) -> Path:
    path = write_space(folder, trials=1, epochs=1, more="confirm: {top: 1, seeds: 1}")
    (folder / "named.py").write_text(FAMILY.format(methods=methods), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(["family: ./named.py:Named", *lines[1:]]), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("in_process", [True, False])
def test_every_method_has_its_scores(in_process: bool, tmp_path: Path) -> None:
    folder, options = tmp_path / "named", RunOptions(in_process=in_process)
    record = run(load_space(named_space(tmp_path, NAMES)), folder=folder, options=options).record
    scores = {baseline.name: baseline.scores for baseline in record.baselines}
    assert set(scores) == set(NAMES)
    for place, name in enumerate(NAMES):
        for metric in ("val/loss", "test/loss"):
            assert scores[name][metric] == pytest.approx(scores[NAMES[0]][metric] + place)
        assert set(scores[name]) == {"val/loss", "test/loss"}
    compared = [found for found in read_sources([str(folder)]).runs if found.deterministic]
    assert sorted(found.metrics["test/loss"].value for found in compared) == [
        scores[name]["test/loss"] for name in NAMES
    ]
    again = confirm(folder, seeds=1, options=options).record
    assert again.baselines == record.baselines  # they have ended, and are not scored again


@pytest.mark.parametrize("methods", ["knn", ("knn", ""), (" ",), (3,)])
def test_what_is_no_name_is_refused_where_the_family_stands(methods: object, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"toy.yaml:1:9: ./named.py:Named: methods must list names"):
        load_space(named_space(tmp_path, methods))
