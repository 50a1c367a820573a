"""The codec between the log's JSON and typed events: nothing is lost, and what is wrong is named with its place."""

import json
import math
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.experiment.codec import MalformedEventError, decode, encode
from hpsearch.experiment.events import (
    UNTOLD,
    AddEvent,
    AdoptEvent,
    AskEvent,
    BeginEvent,
    BudgetEvent,
    DataEvent,
    DropEvent,
    EndEvent,
    Event,
    ExploitEvent,
    LostEvent,
    NoteEvent,
    OutcomeEvent,
    PauseEvent,
    RefuseEvent,
    ReportEvent,
    ResumeEvent,
    SessionEvent,
    StopEvent,
    UnknownEvent,
)
from hpsearch.experiment.files import DamagedLine, LinesRead, json_line
from hpsearch.experiment.log import read_events
from hpsearch.records import Fold, Outcome

_SEAL = re.compile(rb',"crc":"[0-9a-f]{8}"\}$', re.MULTILINE)
KEPT = sorted((Path(__file__).parents[1] / "kept").rglob("log.jsonl"))

texts, wholes = st.text('a/"\n\u00e9\u20ac', max_size=4), st.integers(-(2**53), 2**53)
numbers = st.floats(allow_nan=False)
leaves = st.none() | st.booleans() | wholes | texts | st.floats(allow_nan=False, allow_infinity=False)
objects = st.dictionaries(texts, leaves, max_size=2)
stamps = {"time": st.floats(0, 2e9), "elapsed": st.floats(0, 1e9)}
sizes = st.none() | st.integers(0, 10**9)
folds = st.none() | st.builds(Fold, st.integers(2, 9), st.integers(0, 9), st.integers(0, 8))
of_run = stamps | {"run": texts}
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(SessionEvent, **stamps, version=st.none() | texts, host=texts),
    st.builds(DataEvent, **stamps, source=texts),
    st.builds(
        AskEvent,
        **of_run,
        number=wholes,
        params=objects,
        seed=wholes,
        rejected=wholes,
        replicate=sizes,
        fold=folds,
        start=st.none() | objects | st.just(UNTOLD),
    ),
    st.builds(BeginEvent, **of_run, attempt=wholes),
    st.builds(
        ReportEvent,
        **of_run,
        step=wholes,
        metric=numbers,
        value=numbers,
        at=wholes,
        seconds=st.floats(0, 1e9),
        final=st.booleans(),
    ),
    st.builds(ExploitEvent, **of_run, number=wholes, step=wholes, donor=texts, params=objects),
    st.builds(LostEvent, **of_run, attempt=wholes, reason=texts),
    st.builds(
        OutcomeEvent,
        **of_run,
        outcome=st.sampled_from(Outcome),
        seconds=st.floats(0, 1e9),
        value=st.none() | numbers,
        step=sizes,
        reason=st.none() | texts,
        scores=st.dictionaries(texts, numbers, max_size=2),
        train_size=sizes,
        test_size=sizes,
        data=objects,
        mistake=st.none() | texts,
    ),
    st.builds(DropEvent, **of_run, reason=texts),
    st.builds(AdoptEvent, **of_run, params=objects),
    st.builds(EndEvent, **stamps, why=texts),
    st.builds(AddEvent, **stamps, order=texts, params=objects),
    st.builds(StopEvent, **stamps, order=texts, run=st.none() | texts),
    st.builds(PauseEvent, **stamps, order=texts),
    st.builds(ResumeEvent, **stamps, order=texts),
    st.builds(BudgetEvent, **stamps, order=texts, trials=sizes, seconds=st.none() | numbers, instead=objects),
    st.builds(NoteEvent, **stamps, order=texts, run=st.none() | texts, text=texts),
    st.builds(RefuseEvent, **stamps, order=texts, kind=texts, reason=texts),
)


@pytest.mark.parametrize("log", KEPT, ids=lambda path: path.parent.name)
def test_a_log_that_was_kept_comes_back_byte_for_byte(log: Path) -> None:
    found = [event for event, _ in read_events(log)]
    assert b"".join(_SEAL.sub(b"}", json_line(encode(event))) for event in found) == log.read_bytes()
    assert not [event for event in found if isinstance(event, UnknownEvent)]


@given(event=events)
def test_an_event_comes_back_from_its_line(event: Event) -> None:
    assert decode(orjson.loads(json_line(encode(event)))) == event


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_come_back(number: float) -> None:
    report = ReportEvent(run="trials/0000", step=1, metric=number, value=number, at=1, seconds=0.5)
    end = OutcomeEvent(run="trials/0000", outcome=Outcome.DIVERGED, seconds=0.5, value=number, scores={"a": number})
    told, ended = (decode(json.loads(json_line(encode(event)))) for event in (report, end))
    assert isinstance(told, ReportEvent)
    assert isinstance(ended, OutcomeEvent)
    assert [repr(each) for each in (told.metric, told.value, ended.value, ended.scores["a"])] == [repr(number)] * 4


def test_what_an_older_log_does_not_tell_has_its_default() -> None:
    stamps = {"time": 1.0, "elapsed": 2.0}
    ask = decode({"event": "ask", "run": "r", "number": 1, "params": {}, "seed": 3, "rejected": 0, **stamps})
    assert ask == AskEvent(run="r", number=1, params={}, seed=3, start=UNTOLD, time=1.0, elapsed=2.0)
    begun = {"event": "session", "version": "1", "pid": 7, "host": "here", **stamps}  # pid: only the first logs
    assert decode(begun) == SessionEvent(version="1", host="here", time=1.0, elapsed=2.0)


def test_what_a_newer_version_has_added_is_passed_over() -> None:
    content = {"event": "merge", "runs": ["a", "b"], "time": 1.0, "elapsed": 2.0}
    assert decode(content) == UnknownEvent(content=content, time=1.0, elapsed=2.0)
    assert encode(decode(content)) == content
    more = {"event": "begin", "run": "r", "attempt": 1, "node": "far", "time": 1.0, "elapsed": 2.0}
    assert decode(more) == BeginEvent(run="r", attempt=1, time=1.0, elapsed=2.0)


REPORT = {"event": "report", "run": "r", "step": 1, "metric": 0.5, "value": 0.5, "at": 1, "seconds": 1, "time": 1}
ASK = {"event": "ask", "run": "r", "number": 1, "params": {}, "seed": 3, "rejected": 0, "time": 1, "elapsed": 2}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "it does not say which event it is"),
        ({"event": 3}, "it does not say which event it is"),
        (REPORT, "report: elapsed is missing"),
        ({**REPORT, "elapsed": 2, "step": "1"}, "report: step is '1', not a whole number"),
        ({**REPORT, "elapsed": 2, "step": True}, "report: step is True, not a whole number"),
        ({**REPORT, "elapsed": 2, "metric": None}, "report: metric is None, not a number"),
        ({**REPORT, "elapsed": 2, "metric": "much"}, "report: metric is 'much', not a number"),
        ({**ASK, "params": []}, "ask: params is [], not an object"),
        ({**ASK, "fold": 1, "folds": 5}, "ask: repeat is missing"),
        (
            {"event": "outcome", "outcome": "won", "run": "r"},
            "outcome: outcome is 'won', not one of complete",
        ),
    ],
)
def test_what_is_wrong_with_an_event_is_said(content: dict[str, Any], why: str) -> None:
    with pytest.raises(MalformedEventError) as caught:
        decode(content)
    assert str(caught.value).startswith(why)


def test_a_malformed_event_is_named_with_its_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    whole = KEPT[0].read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*whole[:4], b'{"event":"begin","attempt":1}\n', *whole[4:]]))
    offset = len(b"".join(whole[:2]))
    for start, line in ((0, 5), (offset, 3)):
        read = LinesRead()
        assert len(list(read_events(log, offset=start, read=read))) == len(whole) - (0 if start == 0 else 2)
        assert read.damaged == [DamagedLine(line, "it is no event of a log: begin: run is missing")]


def test_a_field_that_says_nothing_may_be_missing() -> None:
    asked = {"event": "ask", "run": "trials/0000", "number": 0, "params": {}, "seed": 1, "time": 2.0, "elapsed": 1.0}
    assert decode(asked) == AskEvent(run="trials/0000", number=0, params={}, seed=1, time=2.0, elapsed=1.0)
    with pytest.raises(MalformedEventError, match="elapsed is missing"):
        decode({name: value for name, value in asked.items() if name != "elapsed"})
