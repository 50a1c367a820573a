"""When trackers are woken: not while the first workers start, whose cores their imports would take."""

from hpsearch.experiment.events import AskEvent, BeginEvent, Event, OutcomeEvent, PauseNotice, ReportEvent
from hpsearch.records import Outcome
from hpsearch.running.mirroring import Notifier

RUN = "trials/0000"
ASK = AskEvent(run=RUN, number=0, params={}, seed=0)
BEGIN = BeginEvent(run=RUN, attempt=1)
REPORT = ReportEvent(run=RUN, step=1, metric=1.0, value=1.0, at=1, seconds=1.0)
OUTCOME = OutcomeEvent(run=RUN, outcome=Outcome.FAILED, seconds=1.0, value=None, step=None, reason="no data")


class Bell:
    """A tracker that counts how often it is woken."""

    def __init__(self) -> None:
        self.rung = 0

    def notify(self) -> None:
        self.rung += 1

    def close(self, timeout: float) -> bool:
        return True


def rung_after(*events: Event) -> int:
    bell = Bell()
    notifier = Notifier(bell)
    for event in events:
        notifier.observe(event)
    notifier.observe(PauseNotice(RUN))
    return bell.rung


def test_a_tracker_hears_of_everything_from_the_first_news_of_a_training_on() -> None:
    assert rung_after(ASK, BEGIN, ASK, BEGIN) == 0
    assert rung_after(ASK, BEGIN, REPORT, ASK, BEGIN, REPORT) == 4
    assert rung_after(ASK, BEGIN, OUTCOME, ASK) == 2
