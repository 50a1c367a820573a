"""The log: one writer, a torn end that is repaired, a clock that stands still between sessions (design.md 5, 6.3)."""

import math
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import EndEvent, Event, OutcomeEvent, ReportEvent, SessionEvent
from hpsearch.experiment.log import Log, read_events, read_state
from hpsearch.records import Outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def report(step: int, run: str = "trials/0000") -> ReportEvent:
    return ReportEvent(run=run, step=step, metric=1 / (step + 1), value=1 / (step + 1), at=step, seconds=1.0)


def steps_of(events: Iterable[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, ReportEvent)]


def steps_in(path: Path) -> list[int]:
    return steps_of(event for event, _ in read_events(path))


def written(path: Path, events: int = 3) -> bytes:
    log = Log(path)
    for number in range(events):
        log.append(report(number))
    log.close()
    return path.read_bytes()


def test_events_come_back_with_their_numbers(path: Path) -> None:
    log = Log(path)
    scores = {"test/loss": math.inf, "test/auc": 0.1}
    given = log.append(OutcomeEvent(run="a", outcome=Outcome.DIVERGED, seconds=1.0, value=math.nan, scores=scores))
    [(event, end)] = read_events(path)
    assert end == path.stat().st_size
    assert isinstance(event, OutcomeEvent)
    assert math.isnan(event.value or 0.0)
    assert replace(event, value=0.0) == replace(given, value=0.0)
    assert event.time > 0
    log.close()
    log.close()


def test_the_log_can_be_read_while_it_is_written(path: Path) -> None:
    log = Log(path)
    for number in range(5):
        log.append(report(number))
        assert steps_in(path) == list(range(number + 1))
    log.close()


def test_a_reader_never_sees_half_an_event(path: Path) -> None:
    log = Log(path)
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            steps = steps_in(path)
            assert steps == list(range(len(steps)))
            seen.append(len(steps))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(500):
        log.append(report(number, run="x" * 3000))
    stop.set()
    reader.join()
    log.close()
    assert seen == sorted(seen)


def test_a_last_line_torn_at_any_byte_is_dropped_and_written_over(path: Path) -> None:
    whole = written(path)
    kept = whole[: whole.rstrip(b"\n").rfind(b"\n") + 1]
    for size in range(len(kept), len(whole)):
        path.write_bytes(whole[:size])
        assert steps_in(path) == [0, 1]
        log = Log(path)
        assert log.torn == (size > len(kept))
        assert steps_of(log.take_events()) == [0, 1]
        log.append(report(2))
        log.close()
        assert steps_in(path) == [0, 1, 2]


def test_a_tail_of_zeros_is_a_torn_line(path: Path) -> None:
    """What some file systems leave after a power failure."""
    whole = written(path)
    path.write_bytes(whole + b"\0" * 4096)
    log = Log(path)
    assert log.torn
    log.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"\0" * 30 + b"\n", b'{"event": "rep\n', b"\xff\xfe\n"])
def test_a_damaged_line_with_others_behind_it_is_not_ours_to_drop(damage: bytes, path: Path) -> None:
    first, second, third = written(path).splitlines(keepends=True)
    path.write_bytes(first + damage + second + third)
    with pytest.raises(ExperimentError, match=r"log.jsonl, line 2 is damaged"):
        Log(path)
    assert path.read_bytes() == first + damage + second + third


@pytest.mark.parametrize("line", [b"[]\n", b"3\n", b"null\n"])
def test_a_last_line_that_is_no_event_is_a_torn_one(line: bytes, path: Path) -> None:
    whole = written(path)
    path.write_bytes(whole + line)
    log = Log(path)
    assert log.torn
    log.close()
    assert path.read_bytes() == whole


def test_the_pause_between_two_sessions_does_not_count(path: Path) -> None:
    log = Log(path)
    time.sleep(0.2)
    last = log.append(EndEvent(why="interrupted"))
    log.close()
    assert last.elapsed >= 0.2
    time.sleep(0.5)
    begun = time.monotonic()
    log = Log(path)
    first = log.append(SessionEvent())
    assert first.elapsed - last.elapsed <= time.monotonic() - begun
    assert first.elapsed >= last.elapsed
    log.close()


def test_the_clock_of_the_wall_may_jump(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert 0 <= log.append(EndEvent(why="failed")).elapsed < 60
    log.close()


def test_a_durable_event_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(path.stat().st_size), fsync(number)))
    log = Log(path)
    log.append(report(1))
    assert synced == []
    log.append(EndEvent(why="failed"), durable=True)
    assert synced == [path.stat().st_size]
    log.close()


def test_the_state_of_an_open_log_is_that_of_its_file(path: Path) -> None:
    written(path)
    log = Log(path)
    assert log.state.runs == read_state(path).runs
    log.append(report(7))
    assert list(log.state.runs["trials/0000"].history) == [0, 1, 2, 7]
    assert vars(log.state) == vars(read_state(path))
    log.close()
