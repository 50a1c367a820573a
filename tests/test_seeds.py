"""Every seed follows from (experiment seed, trial, replicate), and trials are paired (design.md 6.4)."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.reading import read_metrics
from hpsearch.records import ExperimentRecord
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.seeds import Seeds, derive_seed
from tests.toy_spaces import write_space

WITNESS = """
import hashlib
from pathlib import Path
from tests.toy_family import Toy, ToyTask

class WitnessTask(ToyTask):
    def loss(self, forward, batch, scalars):
        self.note("batch", batch["x"])
        return super().loss(forward, batch, scalars)

    def build_model(self):
        model = super().build_model()
        self.note("model", next(model.parameters()))
        return model

    def note(self, what, tensor):
        digest = hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest()[:12]
        with Path(self.config.data.marker).open("a") as file:
            file.write(f"{what} {digest}\\n")

class Witness(Toy):
    '''Writes down what it sees.'''

    def load(self, data, split, seed):
        with Path(data.marker).open("a") as file:
            file.write(f"load {split}\\n")
        return super().load(data, split, seed)

    def task(self, config, splits):
        with Path(config.data.marker).open("a") as file:
            file.write("task -\\n")
        return WitnessTask(config)
"""
Witnessed = list[tuple[str, str]]


def witnessed(folder: Path, **settings: Any) -> tuple[ExperimentRecord, Witnessed]:
    """Run a search in this process; return its record and what its family saw, in order."""
    folder.mkdir(exist_ok=True)
    (folder / "witness.py").write_text(WITNESS, encoding="utf-8")
    data = settings.pop("data", f"data: {{marker: {folder / 'seen'}}}")
    path = write_space(folder, data=data, **{"epochs": 2, "trials": 3, "width": "2", **settings})
    path.write_text("family: ./witness.py:Witness\n" + path.read_text(encoding="utf-8").partition("\n")[2])
    record = run(load_space(path), folder=folder / "experiment", options=RunOptions(in_process=True)).record
    seen = [line.split() for line in (folder / "seen").read_text(encoding="utf-8").splitlines()]
    return record, [(what, detail) for what, detail in seen]


def trainings(seen: Witnessed) -> list[Witnessed]:
    """Split what was seen into one list for each training."""
    starts = [index for index, (what, _) in enumerate(seen) if what == "task"]
    return [seen[start:end] for start, end in zip(starts, [*starts[1:], len(seen)], strict=True)]


def details(training: Witnessed, kind: str) -> list[str]:
    return [detail for what, detail in training if what == kind]


def results(record: ExperimentRecord) -> list[Any]:
    rows = [read_metrics(Path(record.folder), trial.run) for trial in record.trials]
    for row in [row for run_rows in rows for row in run_rows]:
        del row["seconds"], row["examples_per_second"]
    return [(trial.params, trial.seed, trial.history) for trial in record.trials] + rows


def test_the_same_seed_is_the_same_search_and_another_is_another(tmp_path: Path) -> None:
    first, _ = witnessed(tmp_path / "first", seed=3)
    again, _ = witnessed(tmp_path / "again", seed=3)
    other, _ = witnessed(tmp_path / "other", seed=4)
    assert results(first) == results(again)
    for one, another in zip(first.trials, other.trials, strict=True):
        assert one.params != another.params
        assert one.seed != another.seed


def test_trials_see_the_same_data_in_the_same_order_from_different_starts(tmp_path: Path) -> None:
    record, seen = witnessed(tmp_path)
    searched = trainings(seen)
    assert len(searched) == len(record.trials) == 3
    orders = [details(training, "batch") for training in searched]
    assert len(orders[0]) == len(set(orders[0])) == 4  # 2 batches in each of 2 epochs, in another order each
    assert orders[0] == orders[1] == orders[2]
    assert len({detail for training in searched for detail in details(training, "model")}) == 3
    assert len({trial.seed for trial in record.trials}) == 3


def test_replicates_have_fresh_seeds_that_are_the_same_for_every_winner(tmp_path: Path) -> None:
    record, seen = witnessed(tmp_path, more="confirm: {top: 2, seeds: 2}")
    parts = trainings(seen)
    searched, confirmed = parts[:3], parts[3:]
    assert len(confirmed) == len(record.replicates) == 4
    orders = {replicate.run: details(training, "batch") for replicate, training in _in_order(record, confirmed)}
    by_seed = [[order for run, order in orders.items() if run.endswith(f"seed-{seed:03d}")] for seed in (0, 1)]
    assert by_seed[0][0] == by_seed[0][1]
    assert by_seed[1][0] == by_seed[1][1]
    assert len({str(order) for order in (details(searched[0], "batch"), by_seed[0][0], by_seed[1][0])}) == 3
    searched_batches = set(details(searched[0], "batch"))
    assert not searched_batches & {batch for order in orders.values() for batch in order}  # other batches of ...
    seeds = {replicate.replicate: replicate.seed for replicate in record.replicates}
    assert len(set(seeds.values())) == 2
    assert not set(seeds.values()) & {trial.seed for trial in record.trials}


def _in_order(record: ExperimentRecord, confirmed: list[Witnessed]) -> list[tuple[Any, Witnessed]]:
    """Pair replicates with their trainings: winners are trained best first, each on every seed."""
    winners = [trial.number for trial in record.ranked[:2]]
    ordered = sorted(record.replicates, key=lambda run: (winners.index(run.number), run.replicate))
    return list(zip(ordered, confirmed, strict=True))


def test_each_split_is_loaded_once_for_all_trials_and_the_test_split_only_to_confirm(tmp_path: Path) -> None:
    _, seen = witnessed(tmp_path, more="confirm: {top: 1, seeds: 2}")
    assert [detail for what, detail in seen if what == "load"] == ["train", "val", "test"]
    before_test = seen[: seen.index(("load", "test"))]
    assert len(trainings(before_test)) == 4  # three trials and the first replicate


def test_data_are_loaded_again_when_their_settings_change(tmp_path: Path) -> None:
    data = f"data: {{marker: {tmp_path / 'seen'}, size: {{choice: [16, 24]}}}}"
    start = "start: [{data.size: 16}, {data.size: 24}, {data.size: 24}]"
    _, seen = witnessed(tmp_path, data=data, more=start)
    assert [detail for what, detail in seen if what == "load"] == ["train", "val"] * 2


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derive_seed(0, "trial", 7) == derive_seed(0, "trial", 7)
    assert (derive_seed(0, "trial", 0), derive_seed(1, "ask", 2, 3)) == PINNED
    assert derive_seed(1, 23) != derive_seed(12, 3)


PINNED = (1725501518, 46175333)
"""Changing them changes every search that anybody ran before."""


@pytest.mark.parametrize("name", ["initialisation", "order", "augmentation"])
def test_no_replicate_has_a_seed_of_the_search(name: str) -> None:
    searched = {getattr(Seeds.for_trial(0, number), name) for number in range(300)}
    confirmed = [getattr(Seeds.for_replicate(0, replicate), name) for replicate in range(300)]
    assert len(set(confirmed)) == 300
    assert not searched & set(confirmed)
    assert Seeds.for_trial(0, 0).split == Seeds.for_replicate(0, 5).split != Seeds.for_trial(1, 0).split
