"""How the machine is divided."""

import os

import pytest

from hpsearch.workers.machine import core_count, parts, shares


def test_parts_have_nothing_in_common_and_leave_nothing_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 8, 9, 10, 11})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    found = parts(3)
    assert [sorted(part.cores) for part in found] == [[0, 1], [2, 3, 8], [9, 10, 11]]
    assert [part.gpus for part in found] == [("4",), ("5",), ("6",)]
    assert [sorted(part.cores) for part in parts(1)] == [[0, 1, 2, 3, 8, 9, 10, 11]]


def test_more_parts_than_cores_and_gpus_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert {part.gpus for part in parts(3)} == {("0",)}
    assert set.union(*(set(part.cores) for part in parts(3))) == {0, 1}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert {part.gpus for part in parts(3)} == {None}


def test_a_part_is_what_workers_divide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may use a part only finds the part's cores, and so as many workers."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    own = os.sched_getaffinity(0)
    part = parts(len(own))[0]
    os.sched_setaffinity(0, part.cores)
    try:
        assert core_count() == 1
        assert len(shares("auto", jobs=10)) == 1
    finally:
        os.sched_setaffinity(0, own)
