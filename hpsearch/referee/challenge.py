"""A challenge: the challenger is trained on the champion's seeds, one after another, until the evidence suffices.

Whatever was trained is in the ledger before anybody looks at it, and each decision is a function of the ledger's values
in the order of the seeds: killed at any point and run again, a challenge ends as it would have.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpsearch.comparing.statistics.sequential import Decision as Judged
from hpsearch.comparing.statistics.sequential import Judgement
from hpsearch.errors import HpsearchError
from hpsearch.experiment.activity import in_use, locked
from hpsearch.records import Outcome
from hpsearch.referee.contender import Candidate
from hpsearch.referee.ledger import (
    Challenge,
    Contender,
    Decision,
    Ledger,
    Title,
    Trained,
    Verdict,
    read_title,
)
from hpsearch.referee.rules import judged, planned, require_same, sees_more, told
from hpsearch.referee.snapshot import remove_tree
from hpsearch.referee.trainings import Trainings, Watch

_QUEUE_SECONDS = 30 * 86400.0
_CHAMPION_FAILURES = 3
"""On so many seeds the champion may come to nothing before there is no sense in going on."""
_DECISIONS = {
    Judged.ACCEPT: Decision.ACCEPTED,
    Judged.REJECT: Decision.REJECTED,
    Judged.UNDECIDED: Decision.UNDECIDED,
}
_FAULTS = {
    Outcome.DIVERGED: "diverged",
    Outcome.OUT_OF_MEMORY: "ran out of memory",
    Outcome.TIMED_OUT: "ran out of time",
    Outcome.FAILED: "failed",
    Outcome.PRUNED: "was stopped",
    Outcome.STOPPED: "was stopped",
}


@dataclass(frozen=True)
class Request:
    """A challenge as it was asked for; without a candidate the open one goes on.

    `worth` is an improvement that should be found, `most` the most seeds, by default those of the title. `over` is the
    champion whose configuration the candidate's was laid over.
    """

    candidate: Candidate | None
    note: str = ""
    worth: float | None = None
    most: int | None = None
    over: int | None = None


@dataclass(frozen=True)
class Ended:
    """A challenge that has a verdict. `again` says that it had one before: nothing was trained."""

    title: Title
    challenge: Challenge
    verdict: Verdict
    again: bool = False


@contextmanager
def holding(folder: Path, tell: Callable[[str], None]) -> Iterator[Ledger]:
    """Hold a title; who comes second waits until the first is done."""
    if in_use(folder):
        tell(f"{folder.name} is in use by another process: this one waits until that is done")
    with locked(folder, patience=_QUEUE_SECONDS, tell=tell):
        title, end = read_title(folder)
        yield Ledger(title, end)


def challenge(folder: Path, project: Path, request: Request, *, watch: Watch, tell: Callable[[str], None]) -> Ended:
    """Let a contender challenge the champion, or go on with that; answer from the ledger what was decided before.

    Raises:
        HpsearchError: The challenger is the champion, or there is nothing to go on with.
        InterruptedChallengeError: It was interrupted; the same call goes on.
        SearchFailedError: The machine gave out.
    """
    with holding(folder, tell) as ledger:
        title = ledger.title
        contender = _entered(ledger, request)
        if answer := _from_the_ledger(title, contender, request):
            if request.candidate and (changed := request.candidate.contender.looks_changed(contender)):
                tell(f"{', '.join(changed)} has changed since this was decided, and is no part of the code")
            measure(ledger, project, watch)  # what was interrupted after the verdict
            return answer
        trusted = contender.number if request.candidate else None
        with Trainings(ledger, project, watch, trusted=trusted) as trainings:
            _measure(ledger, trainings)
            opened = _opened(ledger, contender, request, tell)
            verdict = _decided(ledger, trainings, opened, tell)
            ledger.write(verdict)
            _measure(ledger, trainings)
        for number in {opened.contender, opened.champion} - {title.champion.number}:
            if title.contenders[number].snapshot != title.champion.snapshot:
                remove_tree(folder, title.contenders[number].snapshot)
        return Ended(title, opened, title.verdicts[opened.number])


def measure(ledger: Ledger, project: Path, watch: Watch, *, trusted: int | None = None) -> None:
    """Train the champion on the seeds that its score is quoted from, as far as that has not been done.

    `trusted` is the contender whose code has been asked about just now.
    """
    if not ledger.title.is_measured(ledger.title.reign):
        with Trainings(ledger, project, watch, trusted=trusted) as trainings:
            _measure(ledger, trainings)


def _measure(ledger: Ledger, trainings: Trainings) -> None:
    title = ledger.title
    for seed in range(title.terms.measured):
        found = trainings.trained(title.champion, title.reign.number, seed, most=title.terms.measured)
        if found.outcome is Outcome.FAILED and title.reign.number == 0 and not title.noise_sample(title.reign):
            return  # the first champion does not train at all


# Who challenges


def _entered(ledger: Ledger, request: Request) -> Contender:
    """Return the contender, with its number; the ledger has it from now on."""
    title = ledger.title
    if request.candidate is None:
        opened = title.open_challenge
        if opened is None:
            raise HpsearchError(f"no challenge of {title.terms.name} is open: there is nothing to go on with")
        return title.contenders[opened.contender]
    new = request.candidate.contender
    known = title.known(new.identity)
    if known is None:
        _require_comparable(title, request.candidate)
        known = new.model_copy(update={"number": len(title.contenders)})
        ledger.write(known)
    return known


def _require_comparable(title: Title, candidate: Candidate) -> None:
    """Refuse a challenger that is scored by something else.

    Raises:
        HpsearchError: Its objective is another.
    """
    terms, own = title.terms, candidate.space.objective.model_dump(mode="json")
    asked = {"metric": terms.metric, "goal": terms.goal.value, "at": terms.at}
    if wrong := [name for name in asked if own[name] != asked[name]]:
        name = wrong[0]
        raise HpsearchError(
            f"objective.{name} is {own[name]}, and the title {terms.name} is about {asked[name]}: its challengers are "
            "scored as its champion is; `hpsearch champion init` opens another title"
        )


def _from_the_ledger(title: Title, contender: Contender, request: Request) -> Ended | None:
    """Return what was decided of a contender before; None if nothing was, or nothing that settles what is asked now.

    A challenge that was given up, or came to no decision, may be asked again by a plan that sees more.

    Raises:
        HpsearchError: It is the first champion, and still has the title.
    """
    verdict = title.verdict_on(contender.number)
    if verdict is None or verdict.decision is Decision.FAILED:
        if title.reign.champion == contender.number:
            changed = request.candidate.contender.looks_changed(contender) if request.candidate else []
            beyond = f" ({', '.join(changed)} has changed, and is no part of the code)" if changed else ""
            raise HpsearchError(
                f"nothing differs from the champion: code, configuration and data are the same{beyond}; change "
                "something, or give another value with --set"
            )
        return None
    opened = title.challenges[verdict.challenge]
    if (
        verdict.decision is not Decision.ACCEPTED
        and verdict.outcome is None
        and sees_more(title, opened, worth=request.worth, most=request.most)
    ):
        return None
    return Ended(title, opened, verdict, again=True)


def rules_for(title: Title, request: Request) -> Challenge:
    """Return the challenge that a request with a candidate would be, or the one that it would go on with.

    Raises:
        HpsearchError: Nothing could be accepted by these rules.
    """
    assert request.candidate is not None  # noqa: S101 -- ours: what goes on is not planned
    known, opened = title.known(request.candidate.contender.identity), title.open_challenge
    if known is not None and opened is not None and opened.contender == known.number:
        require_same(opened, worth=request.worth, most=request.most)
        return opened
    number = len(title.contenders) if known is None else known.number
    return planned(title, number, worth=request.worth, most=request.most)


def decided_before(title: Title, request: Request) -> Ended | None:
    """Return what the ledger answers to a request with a candidate; None where it would be trained.

    Raises:
        HpsearchError: It is the champion, or is scored by something else.
    """
    candidate = request.candidate
    assert candidate is not None  # noqa: S101 -- ours: what goes on is not planned
    known = title.known(candidate.contender.identity)
    if known is None:
        _require_comparable(title, candidate)
        return None
    return _from_the_ledger(title, known, request)


def _opened(ledger: Ledger, contender: Contender, request: Request, tell: Callable[[str], None]) -> Challenge:
    """Return the challenge, whose rules stand in the ledger before its first training."""
    title = ledger.title
    opened = title.open_challenge
    if opened is not None and opened.contender == contender.number:
        require_same(opened, worth=request.worth, most=request.most)
        tell(f"challenge {opened.number} goes on{told(opened)}")
        if request.note and request.note != opened.note:
            tell(f"it keeps the note that it began with: {opened.note}")
        return opened
    if opened is not None:
        tell(f"challenge {opened.number} was interrupted, and is given up for this one")
        reason = "It was interrupted, and another challenge came."
        ledger.write(Verdict(challenge=opened.number, decision=Decision.ABANDONED, reason=reason))
    new = planned(title, contender.number, note=request.note, worth=request.worth, most=request.most)
    ledger.write(new.model_copy(update={"over": request.over}))
    new = title.challenges[new.number]
    each = seconds_each(title)
    cost = "" if each is None else f", of about {each:.3g} s each"
    tell(f"challenge {new.number}: at most {new.most} trainings{cost}")
    return new


def seconds_each(title: Title) -> float | None:
    """Return the mean seconds of the present champion's trainings; None before there is one."""
    own = (each for each in title.trained.values() if each.contender == title.reign.champion)
    found = [each.seconds for each in own if each.value is not None]
    return sum(found) / len(found) if found else None


# The decision


Train = Callable[[Contender, int], Trained]
"""Returns the training of a contender on a seed of the challenge's reign."""


def _decided(ledger: Ledger, trainings: Trainings, opened: Challenge, tell: Callable[[str], None]) -> Verdict:
    def train(contender: Contender, seed: int) -> Trained:
        return trainings.trained(contender, opened.reign, seed, most=opened.most)

    return decide(ledger.title, opened, train, tell)


def decide(title: Title, opened: Challenge, train: Train, tell: Callable[[str], None]) -> Verdict:
    """Return the verdict of a challenge; `train` is asked for one training after another, in the order of the seeds.

    `tell` hears what each pair has changed.
    """
    champion, challenger = title.contenders[opened.champion], title.contenders[opened.contender]
    seeds: list[int] = []
    values: tuple[list[float], list[float]] = ([], [])
    lost: list[Trained] = []
    seed = 0
    while True:
        theirs = train(champion, seed)
        if theirs.value is None:
            lost.append(theirs)
            if len(lost) == _CHAMPION_FAILURES:
                return _champion_fails(opened, lost)
        else:
            ours = train(challenger, seed)
            if ours.value is None:
                return _without_value(opened, ours, seeds)
            seeds.append(seed)
            values[0].append(theirs.value)
            values[1].append(ours.value)
            found = judged(title, opened, *values)
            if found.decision is not Judged.GO_ON:
                return _verdict(opened, found, seeds, lost)
            tell(f"seed {seed}: champion {theirs.value:.5g}, challenger {ours.value:.5g}. {found.reason}")
        seed += 1


def _verdict(opened: Challenge, found: Judgement, seeds: Sequence[int], lost: Sequence[Trained]) -> Verdict:
    without = f" Without seed {', '.join(str(each.seed) for each in lost)}, on which the champion came to nothing."
    return Verdict(
        challenge=opened.number,
        decision=_DECISIONS[found.decision],
        reason=found.reason + (without if lost else ""),
        evidence=found.evidence,
        estimate=found.estimate,
        interval=found.interval,
        seeds=tuple(seeds),
    )


def _without_value(opened: Challenge, ours: Trained, seeds: Sequence[int]) -> Verdict:
    """Return the verdict on a challenger whose training came to nothing."""
    why = f": {ours.reason.removesuffix('.')}" if ours.reason else ""
    fault = _FAULTS.get(ours.outcome)
    again = "; the same challenge may be tried again"
    said = f"could not be done{why}{again}" if fault is None else f"{fault}{why}"
    return Verdict(
        challenge=opened.number,
        decision=Decision.FAILED if fault is None else Decision.REJECTED,
        reason=f"The training on seed {ours.seed} {said}.",
        outcome=ours.outcome,
        seeds=tuple(seeds),
    )


def _champion_fails(opened: Challenge, lost: Sequence[Trained]) -> Verdict:
    first = lost[0]
    why = f" ({first.outcome}: {first.reason})" if first.reason else f" ({first.outcome})"
    reason = (
        f"The champion itself came to nothing on {len(lost)} seeds{why}: there is nothing to compare with. If that "
        "remains so, `hpsearch champion init` opens a title with another champion."
    )
    return Verdict(challenge=opened.number, decision=Decision.FAILED, reason=reason, outcome=first.outcome)
