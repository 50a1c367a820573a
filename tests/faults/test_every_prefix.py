"""Crash consistency by enumeration, as SQLite tests it: a session may end behind any of its writes, or within one.

The writes of one session are recorded. Every beginning of them is laid out in an empty folder, with the last write
whole and torn, and as a machine that lost its power leaves it; the next session has to come to the unbroken result,
bit for bit.

    python -m tests.faults.test_every_prefix [--session NAME] [--every N]      all of them, or each N-th

The tests here take a sample.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.layout import OUTPUT
from hpsearch.experiment.reading import read_experiment
from hpsearch.running.chosen import train
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.faults.recording import Disk, Operation, Recorder
from tests.running.sessions import check_files, essence
from tests.toy_spaces import write_space

OFTEN = "\n  checkpoint_seconds: 0"
HERE = RunOptions(in_process=True)


def _search(folder: Path, **settings: Any) -> None:
    run(load_space(write_space(folder.parent, **settings)), folder=folder, options=HERE)


def _train(folder: Path) -> None:
    space = load_space(write_space(folder.parent, epochs=f"3{OFTEN}"))
    train(space, read_params(space), folder=folder, test=True, origin={"from": "a file"}, options=HERE)


def read_params(space: Any) -> dict[str, Any]:
    return dict(space.example)


SESSIONS: dict[str, Callable[[Path], None]] = {
    "search": lambda folder: _search(
        folder,
        sampler="tpe",
        pruner="{asha: {minimum: 1}}",
        trials=4,
        epochs=f"3{OFTEN}\n  keep: {{last: 1}}\n  histograms: {{}}",
        more="confirm: {top: 1, seeds: 1}",
    ),
    "halving": lambda folder: _search(
        folder, pruner="{halving: {minimum: 1, reduction: 2}}", trials=4, epochs=f"4{OFTEN}"
    ),
    "race": lambda folder: _search(
        folder, sampler="tpe", trials=7, epochs="1", search="seeds: {race: {most: 3}}", more="confirm: {seeds: 1}"
    ),
    "population": lambda folder: _search(
        folder,
        pruner="{pbt: {interval: 1, quantile: 0.4}}",
        trials=4,
        epochs=f"3{OFTEN}",
        rate="{log: [1e-3, 1], mutable: true}",
    ),
    "train": _train,
}


@dataclass(frozen=True)
class Moment:
    """A moment at which the session ended: behind so many operations, the last of which may be torn."""

    behind: int
    share: float
    power: bool

    def __str__(self) -> str:
        torn = "" if self.share == 1 else ", the last one torn"
        return f"behind {self.behind} operations{torn}{'' if self.power else ', without power'}"


class Enumeration:
    """One session's operations, its result, and what the next session makes of any beginning of them."""

    def __init__(self, name: str, root: Path) -> None:
        self._session, self._folder = SESSIONS[name], root / "disk" / "toy"
        recorder = Recorder(root / "disk")
        (root / "disk").mkdir(parents=True)
        with recorder.watching():
            self._session(self._folder)
        self.operations: Sequence[Operation] = recorder.operations
        self.whole = self._result()

    def _result(self) -> dict[str, Any]:
        check_files(self._folder)
        assert not [*self._folder.rglob("*.tmp")]
        assert not [*self._folder.rglob("previous*.pt")]
        return {**essence(self._folder), "closing": read_experiment(self._folder).closing}

    def moments(self) -> list[Moment]:
        """List all moments at which the disk differs."""
        found = []
        for behind, operation in enumerate(self.operations, start=1):
            shares = (0.5, 1.0) if len(operation.data) > 1 else (1.0,)
            found += [Moment(behind, share, power=True) for share in shares]
            found += [Moment(behind, 1.0, power=False)] if operation.kind != "write" else []
        return found

    def differences(self, moments: Sequence[Moment]) -> Iterator[str]:
        """Yield what went wrong at which of these moments, which are in their order."""
        disk, done = Disk(), 0
        for moment in moments:
            for operation in self.operations[done : moment.behind - 1]:
                disk.apply(operation)
            done = moment.behind - 1
            last = self.operations[done]
            if moment.share == 1:
                disk.apply(last)
                done += 1
                disk.lay_out(self._folder.parent, power=moment.power)
            else:
                torn = Disk()
                for operation in self.operations[:done]:
                    torn.apply(operation)
                torn.apply(last, share=moment.share)
                torn.lay_out(self._folder.parent)
            if wrong := self._wrong():
                yield f"{moment} ({last}): {wrong}"

    def _wrong(self) -> str | None:
        try:
            self._session(self._folder)
            result = self._result()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the finding
            return f"{type(error).__name__}: {error}"
        return None if result == self.whole else _first_difference(self.whole, result)


def _first_difference(whole: Any, other: Any, place: str = "") -> str:
    if isinstance(whole, dict) and isinstance(other, dict) and whole.keys() == other.keys():
        parts = [(f"{place}.{name}", whole[name], other[name]) for name in whole]
    elif isinstance(whole, list) and isinstance(other, list) and len(whole) == len(other):
        parts = [(f"{place}[{index}]", *pair) for index, pair in enumerate(zip(whole, other, strict=True))]
    else:
        return f"{place} is {str(other)[:200]}, not {str(whole)[:200]}"
    return next(_first_difference(a, b, name) for name, a, b in parts if a != b)


@pytest.mark.slow
@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_that_ends_behind_any_write_comes_to_the_unbroken_result(name: str, tmp_path: Path) -> None:
    enumeration = Enumeration(name, tmp_path)
    moments = enumeration.moments()
    assert [*enumeration.differences(moments[:: max(len(moments) // 20, 1)])] == []


def test_all_that_a_session_leaves_was_recorded(tmp_path: Path) -> None:
    """Or a beginning of it would not be what the session had really written by then.

    Except for what the lease and the capturing of output do by descriptors of their own.
    """
    enumeration = Enumeration("train", tmp_path)
    root = tmp_path / "disk"
    left = _recorded(root)
    disk = Disk()
    for operation in enumeration.operations:
        disk.apply(operation)
    disk.lay_out(root)
    assert _recorded(root) == left


def _recorded(root: Path) -> dict[Path, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if path.name != OUTPUT and not path.name.startswith("lease")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", choices=[*SESSIONS], action="append")
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    found = 0
    for name in given.session or SESSIONS:
        with tempfile.TemporaryDirectory() as folder:
            enumeration = Enumeration(name, Path(folder))
            moments = enumeration.moments()[:: given.every]
            print(f"{name}: {len(enumeration.operations)} operations, {len(moments)} moments", flush=True)
            for each in enumeration.differences(moments):
                found += 1
                print(f"  {each}", flush=True)
    print(f"{found} findings")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
