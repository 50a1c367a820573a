"""Steps a second of trainings in packs of 1 to 16 lanes beside one training after another, for every family.

Run by `make bench`; `python tests/benchmarks/packs.py --device cuda` on a GPU. The families are those of the quick
spaces, on small data, with one feasible configuration each; `digits` are MLPs of two hidden layers on scikit-learn's
digits. On a CPU one thread computes, and times are of the processor, so that other loads count little; on a GPU they
are on the wall.
"""

import argparse
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.records import Decision, Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.packs.candidate import Candidate
from hpsearch.training.packs.probe import LANES, Probe, probe_lanes
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Batch, Forward, Split, Splits, Task, TensorData
from hpsearch.training.weights import count_parameters
from tests.contracts.family_shelf import FAMILIES, shelf_case

WIDTHS = (16, 32, 64, 128)
_BOUNDS = {"train": (0, 1078), "val": (1078, 1438), "test": (1438, 1797)}


class Digits(Task):
    """An MLP with two hidden layers."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        self.width = width
        self.dropout = dropout

    def build_model(self) -> nn.Module:
        """Return a new network."""
        width = self.width
        return nn.Sequential(
            nn.Linear(64, width),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(width, 10),
        )

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the mean cross-entropy in nats."""
        del scalars
        return {"loss": functional.cross_entropy(forward(batch["x"]), batch["y"])}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the mean cross-entropy in nats."""
        nats, count = 0.0, 0
        for batch in batches:
            nats += float(functional.cross_entropy(forward(batch["x"]), batch["y"], reduction="sum"))
            count += len(batch["y"])
        return {"loss": nats / count}


def digits() -> Splits:
    """Return scikit-learn's digits, between 0 and 1."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)

    def load(split: Split) -> TensorData:
        begin, end = _BOUNDS[split]
        return TensorData(x=x[begin:end], y=y[begin:end])

    return Splits(load, sealed=True)


@dataclass(frozen=True)
class Case:
    """A training by name."""

    name: str
    candidate: Candidate


def cases(families: Sequence[str] = FAMILIES, widths: Sequence[int] = WIDTHS) -> Iterator[Case]:
    """Yield the digits' MLPs and a training of each family, with its dropout and without."""
    settings = TrainSettings(epochs=10, batch_size=32, weight_decay=0.01)
    splits, monitor = digits(), Monitor("val/loss", Goal.MINIMIZE)
    for width in widths:
        yield Case(f"digits, width {width}", _candidate(Digits(width), splits, settings, monitor))
    if widths:
        dropping = Digits(widths[0], dropout=0.1)
        yield Case(f"digits, width {widths[0]}, dropout", _candidate(dropping, splits, settings, monitor))
    for name in families:
        case = shelf_case(name)
        task = case.family.task(case.config, case.splits())
        yield Case(name, _candidate(task, case.splits(), case.config.train, case.monitor))


def _candidate(task: Task, splits: Splits, settings: TrainSettings, monitor: Monitor) -> Candidate:
    return Candidate(task, splits, settings, Seeds.for_trial(0, 0), monitor, lambda _: Decision.CONTINUE)


def row(case: Case, probe: Probe) -> str:
    """Return a line of the table: steps a second alone, then of all lanes together and their factor."""
    size = count_parameters(case.candidate.task.build_model())
    cells = [f"{case.name:26}", f"{size:>9,}", f"{1 / probe.alone:>9,.0f}"]
    cells += [
        f"{each.lanes:>4}: {each.steps_per_second:>7,.0f} ({each.steps_per_second * probe.alone:.1f}x)"
        + (f" {each.memory / 2**20:.0f} MB" if each.memory is not None else "")
        for each in probe.packs
    ]
    return " ".join(cells) + (f"  alone: {probe.reason}" if probe.reason else "")


def main(device: str, found: Iterable[Case], lanes: Sequence[int] = LANES) -> None:
    """Print the table."""
    place = torch.device(device)
    processor = torch.cuda.get_device_name() if place.type == "cuda" else platform.processor() or platform.machine()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, python {platform.python_version()}, {device}: {processor}")
    print(f"{'':26} {'weights':>9} {'steps/s':>9}  lanes: steps/s of all")
    clock = time.process_time if place.type == "cpu" else time.perf_counter
    for case in found:
        print(row(case, probe_lanes(case.candidate, device=place, lanes=lanes, clock=clock)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    main(parser.parse_args().device, cases())
