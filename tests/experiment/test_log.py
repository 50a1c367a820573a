"""The log: one writer, a torn end that is repaired, a clock that stands still between sessions (design.md 5, 6.3)."""

import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch.experiment import log as log_module
from hpsearch.experiment.events import (
    AskEvent,
    EndEvent,
    Event,
    ExploitEvent,
    NoteEvent,
    OutcomeEvent,
    PauseEvent,
    ReportEvent,
    ResumeEvent,
    SessionEvent,
)
from hpsearch.experiment.log import Log, read_events, read_past, read_state
from hpsearch.records import Outcome
from hpsearch.workers.ledger import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def report(step: int, run: str = "trials/0000") -> ReportEvent:
    return ReportEvent(run=run, step=step, metric=1 / (step + 1), value=1 / (step + 1), at=step, seconds=1.0)


def steps_of(events: Iterable[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, ReportEvent)]


def steps_in(path: Path) -> list[int]:
    return steps_of(event for event, _ in read_events(path))


def asked(number: int = 0) -> AskEvent:
    return AskEvent(run=f"trials/{number:04d}", number=number, params={}, seed=1)


def written(path: Path, events: int = 3) -> bytes:
    log = Log(path)
    log.append(asked())
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


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (b"\0" * 30 + b"\n", "it is not JSON"),
        (b'{"event": "rep\n', "it is not JSON"),
        (b"\xff\xfe\n", "it is not JSON"),
        (b"7\n", "it is no JSON object"),
        (b'{"event":"begin","attempt":1}\n', "it is no event of a log: begin: run is missing"),
        (
            b'{"event":"lost","run":"trials/0001","attempt":1,"reason":"","time":0,"elapsed":1}\n',
            "no line before it asks",
        ),
    ],
)
def test_a_damaged_line_costs_that_line_and_hides_nothing_behind_it(damage: bytes, why: str, path: Path) -> None:
    ask, first, second, third = written(path).splitlines(keepends=True)
    path.write_bytes(ask + first + damage + second + third)
    log = Log(path)
    assert (log.torn, log.damage) == (False, [log.damage[0]])
    assert log.damage[0].startswith(f"{path}: line 3 was left out: {why}")
    assert list(log.state.runs["trials/0000"].history) == [0, 1, 2]
    log.append(report(3))
    log.close()
    assert path.read_bytes().startswith(ask + first + damage + second + third)
    assert list(read_state(path).runs["trials/0000"].history) == [0, 1, 2, 3]


def asks_and_reports(path: Path) -> tuple[bytes, bytes, bytes, bytes]:
    ask, first, second, third = written(path).splitlines(keepends=True)
    return ask, first, second, third


@pytest.mark.parametrize(
    ("change", "steps", "damaged"),
    [
        (lambda lines: [*lines[:2], lines[2][:-1] + lines[3]], [0, 1, 2], []),  # two lines in one
        (lambda lines: [lines[0], lines[1][:30] + lines[2], lines[3]], [1, 2], [2]),  # half a line before a whole one
        (lambda lines: [*lines[:3], lines[2], lines[3]], [0, 1, 2], [4]),  # a line twice
        (lambda lines: [line[:-1] + b"\r\n" for line in lines], [0, 1, 2], []),
        (lambda lines: [b"\xef\xbb\xbf", *lines], [0, 1, 2], []),
        (lambda lines: [lines[0], b"\0" * 5000 + b"\n", *lines[1:]], [0, 1, 2], [2]),
        (lambda lines: [lines[0], b"\0" * 5000 + lines[1], *lines[2:]], [0, 1, 2], [2]),
        (lambda lines: [lines[0], "é".encode()[:1] + b"\n", *lines[1:]], [0, 1, 2], [2]),
        (lambda lines: [lines[0], b'{"' * 25_000_000 + b"\n", *lines[1:]], [0, 1, 2], [2]),
        (lambda lines: [lines[0], b"x" * 1000 + lines[1][:-1] * 2000 + b"\n", *lines[2:]], [0, 1, 2], [2]),
        (lambda lines: [*lines, *lines], [0, 1, 2], [5]),
        (lambda lines: [*lines[:2], *lines[:2], *lines[2:]], [0, 1, 2], [3]),
    ],
)
def test_other_damage_costs_nothing_that_can_be_read(
    change: Callable[[list[bytes]], list[bytes]], steps: list[int], damaged: list[int], path: Path
) -> None:
    path.write_bytes(b"".join(change([*asks_and_reports(path)])))
    past = read_past(path)
    assert list(past.state.runs["trials/0000"].history) == steps
    assert sorted({each.number for each in past.damaged}) == damaged


def test_what_another_search_tells_of_a_run_of_the_same_name_is_not_taken(path: Path) -> None:
    content = written(path)
    other = Log(path.with_name("other.jsonl"))
    other.append(replace(asked(), seed=2))
    other.append(replace(report(1), metric=7.0))
    other.append(OutcomeEvent(run="trials/0000", outcome=Outcome.COMPLETE, seconds=1.0, value=7.0))
    other.close()
    path.write_bytes(content + other.path.read_bytes())
    past = read_past(path)
    run = past.state.runs["trials/0000"]
    assert (run.seed, run.outcome, max(run.history.values())) == (1, None, 1.0)
    assert [each.number for each in past.damaged] == [5, 6, 7]


def test_each_flipped_bit_is_found(path: Path) -> None:
    """Except where it makes the line an older one, which has no checksum: then nothing else of it has changed."""
    written(path)
    whole = path.read_bytes()
    unharmed, start = read_past(path).events, whole.index(b'{"event":"report"')
    length = whole.index(b"\n", start) - start
    for place in range(start, start + length):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            past = read_past(path)
            assert past.events == unharmed or (past.damaged and past.events == [unharmed[0], *unharmed[-2:]])


def test_lines_without_checksums_are_those_of_earlier_versions(path: Path) -> None:
    whole = written(path)
    path.write_bytes(re.sub(rb',"crc":"[0-9a-f]{8}"\}', b"}", whole))
    assert b"crc" not in path.read_bytes()
    assert steps_in(path) == [0, 1, 2]


@pytest.mark.parametrize(
    "event",
    [
        AskEvent(run="../x", number=0, params={}, seed=1),
        AskEvent(run="trials/0001", number=2, params={}, seed=1),
        AskEvent(run="trials/-001", number=-1, params={}, seed=1),
        AskEvent(run="confirm/0000/seed-000", number=0, params={}, seed=1),
        AskEvent(run="confirm/0000/seed-001", number=0, replicate=0, params={}, seed=1),
        ExploitEvent(run="trials/0000", number=0, step=1, donor="trials/0007", params={}),
    ],
)
def test_an_event_that_does_not_fit_to_those_before_it_is_left_out(event: Event, path: Path) -> None:
    log = Log(path)
    log.append(asked())
    log.append(event)
    log.append(EndEvent(why="finished"))
    log.close()
    past = read_past(path)
    assert [type(each) for each in past.events] == [AskEvent, EndEvent]
    assert [each.number for each in past.damaged] == [2]


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


@pytest.mark.parametrize("resumed_by", [0, 1])
def test_a_pause_takes_no_time_whoever_of_several_processes_obeys_its_end(
    resumed_by: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(log_module, "time", SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.now))
    logs = [Log(path), Log(path)]
    ledgers = [Ledger(path.parent, log, metric="val/loss", value_of=lambda _: (0.0, 0)) for log in logs]
    clock.now += 5
    ledgers[0].order(PauseEvent(order="a"))
    for _ in range(3):
        clock.now += 20
        assert [len(log.rejoin()) for log in (logs[1], logs[0])] == [1 if clock.now == 1025 else 0, 0]
        assert [log.elapsed for log in logs] == [5, 5]
    logs[1].append(NoteEvent(order="b", text="it rests"))
    clock.now += 20
    logs[0].rejoin()
    ledgers[resumed_by].order(ResumeEvent(order="c"))
    clock.now += 3
    logs[1 - resumed_by].rejoin()
    clock.now += 4
    assert [log.elapsed for log in logs] == [12, 12]
    for log in logs:
        log.close()
    assert [event.elapsed for event, _ in read_events(path)] == [5, 5, 5]


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
