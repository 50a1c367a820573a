"""Two machines that share a folder without seeing each other's locks: one works on it, the other hears why not."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentBusyError
from hpsearch.experiment.activity import locked
from hpsearch.experiment.events import DropEvent
from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.lease import Lease, Machine, Timing, held_elsewhere, holder_of
from hpsearch.experiment.log import Log

A, B = Machine("node-a", "boot-a"), Machine("node-b", "boot-b")
QUICK = Timing(beat=0.05, silence=3.0)
DEAD = Timing(beat=3600.0, silence=1.0)
"""Of a machine that is not heard again."""


@contextmanager
def lease_of(folder: Path, machine: Machine, timing: Timing = QUICK, **told: object) -> Iterator[Lease]:
    lease = Lease(folder, machine=machine, timing=timing)
    try:
        take(lease, folder)
        yield lease
    finally:
        lease.close()


def take(lease: Lease, folder: Path, *, alone: bool = True, told: list[str] | None = None) -> str | None:
    with (folder / f"clock-{id(lease)}").open("w") as file:
        return lease.take(file.fileno(), alone=alone, tell=(told if told is not None else []).append)


def test_the_second_machine_is_refused_and_hears_who_and_since_when(tmp_path: Path) -> None:
    with lease_of(tmp_path, A):
        expected = r"is being run on node-a \(process id \d+, since \d{4}-\d\d-\d\d \d\d:\d\d UTC\), which is alive"
        with pytest.raises(ExperimentBusyError, match=expected):
            take(Lease(tmp_path, machine=B, timing=QUICK), tmp_path)


def test_a_machine_that_is_silent_is_waited_for_and_then_replaced(tmp_path: Path) -> None:
    told: list[str] = []
    with lease_of(tmp_path, A, DEAD):
        other = Lease(tmp_path, machine=B, timing=DEAD)
        assert "taken over from node-a" in str(take(other, tmp_path, told=told))
        assert [text.partition(" (")[0] for text in told] == [f"{tmp_path} was left by node-a"]
        assert held_elsewhere(tmp_path, machine=A) is not None
        other.close()


def test_what_was_ended_or_is_of_this_machine_is_free_at_once(tmp_path: Path) -> None:
    never = Timing(beat=3600.0, silence=1e9)
    with lease_of(tmp_path, A, never):
        pass
    with lease_of(tmp_path, B, never), lease_of(tmp_path, B, never):  # the first was killed: its file says nothing
        assert holder_of(tmp_path).number == 3  # type: ignore[union-attr]
    assert [path.name for path in tmp_path.glob("lease-*")] == ["lease-3"]


def test_without_the_kernels_lock_a_process_of_the_same_machine_is_waited_for_too(tmp_path: Path) -> None:
    with lease_of(tmp_path, A), pytest.raises(ExperimentBusyError, match="is being run on node-a"):
        take(Lease(tmp_path, machine=A, timing=QUICK), tmp_path, alone=False)


def test_only_one_of_many_takes_over(tmp_path: Path) -> None:
    winners: list[int] = []
    with lease_of(tmp_path, A, DEAD):
        time.sleep(1.1)
        machines = [Lease(tmp_path, machine=Machine(f"n{each}", f"b{each}"), timing=QUICK) for each in range(12)]
        barrier = threading.Barrier(len(machines))

        def start(number: int) -> None:
            barrier.wait()
            try:
                take(machines[number], tmp_path)
            except ExperimentBusyError:
                return
            winners.append(number)

        threads = [threading.Thread(target=start, args=(number,)) for number in range(len(machines))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for machine in machines:
            machine.close()
    assert len(winners) == 1


def test_what_a_crash_left_of_a_lease_is_removed(tmp_path: Path) -> None:
    (left := tmp_path / ".lease-1.0.tmp").touch()
    with lease_of(tmp_path, A):
        assert not left.exists()


def test_who_looked_long_ago_cannot_come_in(tmp_path: Path) -> None:
    """One machine sees number 1 and sleeps; meanwhile 2 ends and 3 works."""
    with lease_of(tmp_path, A):
        pass
    with lease_of(tmp_path, B):
        pass
    with lease_of(tmp_path, A):
        late = Lease(tmp_path, machine=B, timing=QUICK)
        assert not late._make(2)
        assert [path.name for path in tmp_path.glob("lease-*")] == ["lease-3"]


def test_who_comes_in_after_the_look_is_not_passed_over(tmp_path: Path) -> None:
    """Between the look at a free lease and the new one, another machine takes it."""
    with lease_of(tmp_path, A):
        pass
    other = Lease(tmp_path, machine=B, timing=QUICK)

    class SlowClock:
        """The descriptor of a file that takes long to be touched."""

        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor
            self._first = True

        def __index__(self) -> int:
            if self._first:
                self._first = False
                take(other, tmp_path)
            return self._descriptor

    with (tmp_path / "clock").open("w") as file:
        late = Lease(tmp_path, machine=A, timing=QUICK)
        with pytest.raises(ExperimentBusyError, match="node-b"):
            late.take(SlowClock(file.fileno()), alone=True, tell=[].append)  # type: ignore[arg-type] # as good as one
    other.close()


def test_a_machine_that_was_replaced_writes_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").touch()
    with lease_of(tmp_path, A, Timing(beat=3600.0, silence=0.5)) as frozen:
        log = Log(tmp_path / "log.jsonl", check=frozen.check)
        log.append(DropEvent(run="trials/0000", reason="before"))
        with lease_of(tmp_path, B):
            before = log.path.read_bytes()
            with pytest.raises(ExperimentBusyError, match=r"taken over by node-b .*nothing more is written here"):
                log.append(DropEvent(run="trials/0001", reason="after"))
            assert log.path.read_bytes() == before


def test_a_machine_that_slept_but_was_not_replaced_goes_on(tmp_path: Path) -> None:
    with lease_of(tmp_path, A, Timing(beat=3600.0, silence=0.5)) as lease:
        time.sleep(0.6)
        lease.check()


def test_a_damaged_lease_is_as_good_as_one_of_a_silent_machine(tmp_path: Path) -> None:
    write_atomically(tmp_path / "lease-4", "{")
    other = Lease(tmp_path, timing=DEAD)
    assert "taken over from an unknown machine" in str(take(other, tmp_path))
    other.close()
    assert holder_of(tmp_path).number == 5  # type: ignore[union-attr]


def test_the_folders_lock_asks_other_machines_too(tmp_path: Path) -> None:
    with (
        lease_of(tmp_path, A),
        pytest.raises(ExperimentBusyError, match="is being run on node-a"),
        locked(tmp_path, machine=B, timing=QUICK),
    ):
        pass
    with locked(tmp_path, machine=B, timing=QUICK) as hold:
        assert hold.taken_over is None


def test_a_last_sign_that_lies_in_the_future_is_not_waited_for_longer(tmp_path: Path) -> None:
    told: list[str] = []
    with lease_of(tmp_path, A, DEAD):
        os.utime(tmp_path / "lease-1", (time.time() + 86400,) * 2)
        other = Lease(tmp_path, machine=B, timing=DEAD)
        assert "taken over from node-a" in str(take(other, tmp_path, told=told))
        assert "waiting 1 s" in told[0]
        other.close()


@pytest.mark.parametrize("name", ["lease-007", "lease-\u0667", "lease-0"])
def test_what_is_called_nearly_like_a_lease_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert holder_of(tmp_path) is None


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_no_lease_and_its_number_is_left_out(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "lease-3")
    with lease_of(tmp_path, A):
        assert [*map(str, tmp_path.glob("lease-4"))]


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"number": 3}', "[1]", "\x00"])
def test_a_damaged_lease_is_that_of_an_unknown_machine(text: str, tmp_path: Path) -> None:
    (tmp_path / "lease-3").write_text(text, encoding="utf-8")
    found = holder_of(tmp_path)
    assert found is not None
    assert (found.number, found.boot) == (3, "")
