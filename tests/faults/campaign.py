"""`make faults`: seeded episodes of faults against real searches: what was hit, what was broken, how to see it again.

    make faults SEED=3 EPISODES=50 MINUTES=30 FAULTS=kill,torn SEARCHES=program
    make faults SEED=3 EPISODE=17

An episode is a search over several sessions, struck at seeded moments; then it runs to its end in peace and is checked
(checker.py). A moment is a number of events that the session has written, and a delay: so it comes again.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.episode import Injection, Plan, Result, Unbroken, run_episode
from tests.faults.fault import Fault, When
from tests.faults.faults import FAULTS
from tests.faults.searches import SEARCHES, Search

WEIGHTS = {
    "program": 6,
    "function": 5,
    "program-tpe": 3,
    "program-halving": 3,
    "family": 3,
    "study": 2,
    "family-packs": 1,
    "program-server": 0.3,
    "program-ray": 0.15,
    "function-ray": 0.15,
}
"""How often each search is struck: those that start quickly more often."""
_PLAIN_ENDS = ("kill group", "interrupt")
"""What ends a session where the chosen faults do not."""
_DELAYS = (0.0, 0.02, 0.1, 0.3)
"""The largest delay behind the event that a moment names, in seconds."""
_STEPS = (0, 0, 1, 2, 4, 8)
"""Events from one moment to the next."""
_TRIES = 2
"""How often a smaller episode is tried before it counts as whole: what depends on time may fail now and then."""


def fits(fault: Fault, search: Search) -> bool:
    """Check whether a fault can hit a search."""
    if fault.engine and fault.engine != search.engine:
        return False
    if (fault.needs == "server") != search.server and fault.needs in ("server", "mlflow"):
        return False
    if fault.needs in ("disk", "clock") and search.engine != "local":
        return False
    if fault.outcomes is not None and search.interface not in fault.outcomes:
        return False
    if "study" in fault.name and not search.study:
        return False
    if search.interface != "program" and fault.name.split()[-1] in ("program", "guard", "settings", "printed", "part"):
        return False
    if search.engine == "ray" and fault.name.split()[-1] == "server":
        return False
    if search.interface == "program" and fault.name.split()[-1] == "checkpoint":
        return False  # the program's own, of a format of its own
    return search.interface == "family" or fault.name.split()[-1] != "best"


def plan(seed: int, number: int, chosen: Sequence[str], searches: Sequence[str]) -> Plan:
    """Draw an episode."""
    draw = random.Random(f"{seed}/{number}")
    name = draw.choices(searches, [WEIGHTS[each] for each in searches])[0]
    search = SEARCHES[name]
    possible = [FAULTS[each] for each in chosen if fits(FAULTS[each], search)]
    sessions = draw.randint(2, 5)
    injections: list[Injection] = []
    for session in range(sessions):
        injections += _of_session(draw, session, possible, last=session == sessions - 1)
    numbered = tuple(replace(each, number=index) for index, each in enumerate(injections))
    return Plan(seed, number, name, numbered)


def _of_session(draw: random.Random, session: int, possible: Sequence[Fault], *, last: bool) -> list[Injection]:
    """Draw what happens before, at the start of and during a session; what ends it comes last.

    Where there is another session to come, something ends this one before the search is at its end.
    """
    before = [each for each in possible if each.when is When.BETWEEN]
    at_start = [each for each in possible if each.when is When.AT_START]
    during = [each for each in possible if each.when is When.DURING and not each.fatal]
    fatal = [each for each in possible if each.fatal] or [FAULTS[each] for each in _PLAIN_ENDS]
    chosen: list[Injection] = []
    if before and session and draw.random() < (0.5 if during else 1.0):
        chosen.append(Injection(draw.choice(before).name, session))
    if at_start and draw.random() < (0.15 if during else 1.0):
        chosen.append(Injection(draw.choice(at_start).name, session))
    events = draw.randint(0, 10)  # the first five are of the session and of its first two trials
    for fault in [*(draw.choice(during) for _ in range(draw.randint(2, 5)) if during), draw.choice(fatal)]:
        events += draw.choice(_STEPS)
        if not fault.fatal or not last:
            chosen.append(Injection(fault.name, session, events, round(draw.choice(_DELAYS) * draw.random(), 3)))
    return chosen


@dataclass
class Report:
    """What a campaign came to: of each fault how often it was planned and how often it hit, and what was broken."""

    planned: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    episodes: int = 0
    lost: int = 0
    broken: list[Result] = field(default_factory=list)

    def take(self, result: Result) -> None:
        """Take in an episode."""
        self.episodes += 1
        self.planned.update(each.fault for each in result.plan.injections)
        self.hit.update(each.fault for each, _ in result.landed)
        self.lost += sum(finding.startswith("kept") for finding in result.findings)
        if result.findings:
            self.broken.append(result)

    def lines(self) -> Iterator[str]:
        """Yield the report."""
        yield f"{'fault':40} planned  hit"
        for name in sorted(self.planned):
            yield f"{name:40} {self.planned[name]:7} {self.hit[name]:4}"
        yield (
            f"{self.hit.total()} faults in {self.episodes} episodes ({self.planned.total()} planned), of "
            f"{sum(map(bool, self.hit.values()))} kinds; {len(self.broken)} episodes broke a promise; "
            f"{self.lost} finished trials lost"
        )


def shrink(result: Result, folder: Path, unbroken: Unbroken) -> Result:
    """Drop injections one by one as long as the episode still breaks a promise; return the smallest that does."""
    smallest = result
    for injection in result.plan.injections:
        rest = tuple(each for each in smallest.plan.injections if each != injection)
        if not rest:
            break
        for _ in range(_TRIES):
            found = run_episode(replace(smallest.plan, injections=rest), folder, unbroken)
            if found.findings:
                smallest = found
                break
    return smallest


def describe(result: Result) -> Iterator[str]:
    """Yield what an episode was, what it broke, and how to see it again."""
    yield f"episode {result.plan.number}, {result.plan.search}"
    for injection in result.plan.injections:
        told = next((text for each, text in result.landed if each == injection), "it hit nothing")
        moment = f"session {injection.session}, after {injection.events} events and {injection.delay} s"
        yield f"  {moment}: {injection.fault} ({told})"
    for finding in result.findings:
        yield f"  ! {finding}"
    only = ",".join(str(each.number) for each in result.plan.injections)
    chosen = "".join(f' {name}="{words}"' for name, words in result.plan.drawn_from.items() if words)
    yield f"  again: make faults SEED={result.plan.seed} EPISODE={result.plan.number} ONLY={only}{chosen}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign; return 1 if a promise was broken."""
    options = _options().parse_args(arguments)
    chosen = _named(FAULTS, options.faults)
    searches = _named(SEARCHES, options.searches)
    report = Report()
    end = time.monotonic() + 60 * options.minutes if options.minutes else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what an episode has begun is ended then, too
    several = range(options.first, options.first + options.episodes)
    numbers = several if options.episode is None else [options.episode]
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        folder, unbroken = Path(place), Unbroken(Path(place) / "unbroken")
        for number in numbers:
            if end is not None and time.monotonic() > end:
                break
            drawn = plan(options.seed, number, chosen, searches)
            drawn = replace(drawn, drawn_from={"FAULTS": options.faults, "SEARCHES": options.searches})
            if options.only:
                kept = set(map(int, options.only.split(",")))
                drawn = replace(drawn, injections=tuple(each for each in drawn.injections if each.number in kept))
            result = run_episode(drawn, folder / str(number), unbroken)
            report.take(result)
            hit = ", ".join(each.fault for each, _ in result.landed)
            print(f"{number} {result.plan.search}, {result.seconds:.0f} s: {hit}", flush=True)
            if result.findings:
                if options.shrink and len(result.plan.injections) > 1:
                    print(*describe(result), sep="\n", flush=True)
                    result = shrink(result, folder / f"{number}-again", unbroken)
                print(*describe(result), sep="\n", flush=True)
                if options.keep:
                    shutil.copytree(folder / str(number), options.keep / f"{options.seed}-{number}", dirs_exist_ok=True)
            for used in (folder / str(number), folder / f"{number}-again"):
                shutil.rmtree(used, ignore_errors=True)
    print(*report.lines(), sep="\n")
    if options.out:
        with options.out.open("a", encoding="utf-8") as file:
            told = {"seed": options.seed, "hit": dict(report.hit), "episodes": report.episodes, "lost": report.lost}
            file.write(json.dumps({**told, "broken": [each.plan.number for each in report.broken]}) + "\n")
    return int(bool(report.broken))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the number of the first episode")
    parser.add_argument("--episode", type=int, help="this one only")
    parser.add_argument("--only", default="", help="of its injections only these numbers: 0,3")
    parser.add_argument("--faults", default="", help="only these faults, or those that contain a word: kill,stop")
    parser.add_argument("--searches", default="", help="only these searches, or those that contain a word")
    parser.add_argument("--minutes", type=float, help="begin no episode after so many minutes")
    parser.add_argument("--shrink", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--keep", type=Path, help="where the folders of broken episodes are kept")
    parser.add_argument("--out", type=Path, help="a file to which a line of JSON with the counts is added")
    return parser


def _named(known: dict[str, object] | dict[str, Fault] | dict[str, Search], words: str) -> list[str]:
    """Return the names that are one of the words, or contain one that is no name itself; all without any word."""
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    parts = [word for word in wanted if word not in known]
    found = [name for name in known if not wanted or name in wanted or any(part in name for part in parts)]
    if not found:
        raise SystemExit(f"{words}: known are {', '.join(known)}")
    return found


if __name__ == "__main__":
    sys.exit(main())
