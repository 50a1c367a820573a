"""The ledger of a title: every contender, training, challenge and verdict, in the order in which they came.

    experiments/champion-NAME/
      ledger.jsonl      append-only; one writer, who holds `lock`; each line has its checksum (experiment/files.py)
      objects/, snapshots/    the code of the contenders, see snapshot.py
      contenders/0003/  an experiment for each contender: its trainings on the title's seeds

A reign begins when a champion takes the title. Each has seeds of its own: the new champion is measured on its first
ones, which nobody was ever chosen by, and challengers are trained on the same.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from hpsearch.errors import ExperimentError, suggestion
from hpsearch.experiment.files import LinesRead, json_line, read_lines
from hpsearch.experiment.layout import LEDGER, folder_called
from hpsearch.records import Goal, Outcome
from hpsearch.settings import Settings

CONTENDERS, PREFIX = "contenders", "champion-"
MOST = 1000
"""Seeds of a reign, or of an opening of the test split."""
VERSION = 1


class Decision(StrEnum):
    """How a challenge ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    """The most seeds were used, and the evidence says neither."""
    FAILED = "failed"
    """The machine or the program failed before anything was known: the same challenge may be tried again."""
    ABANDONED = "abandoned"
    """It was interrupted, and another challenge came."""


class Terms(Settings):
    """What a title is about; nothing of it changes."""

    event: Literal["title"] = "title"
    version: int = VERSION
    time: float = 0.0
    name: str
    metric: str
    goal: Goal
    at: Any = "best"
    margin: float = Field(ge=0)
    """A challenger has to be better by more than this, in the metric's unit."""
    rate: float = Field(gt=0, lt=1)
    """The error rate over all challenges; see online.py."""
    method: str
    """How it is spent."""
    expected: int = Field(ge=1)
    """How many challenges are expected."""
    most: int = Field(ge=2)
    """The most seeds of a challenge."""
    measured: int = Field(ge=2)
    """On how many fresh seeds a champion is measured."""
    seed: int
    protected: Mapping[str, str] = {}
    """Files that no challenge may change, such as the evaluation, with their hashes when the title was opened."""


class Contender(Settings):
    """A configuration and the code that it is trained with."""

    event: Literal["contender"] = "contender"
    time: float = 0.0
    number: int = Field(ge=0)
    identity: str
    """The hash of code, configuration and data."""
    snapshot: str
    home: str
    """The folder of the space file within the project."""
    file: str | None
    """The space file within the project; None if it was made for the title."""
    text: str
    """What it said."""
    quick: bool = False
    overrides: tuple[str, ...] = ()
    family: str
    config: Mapping[str, Any]
    data: str | None = None
    looks: Mapping[str, str] = {}
    """Of what is used where it is and belongs to no snapshot, such as what git ignores; see project_files.py."""
    revision: str | None = None
    by: str = ""

    def looks_changed(self, then: "Contender") -> list[str]:
        """Return the paths of what looked otherwise when another contender came."""
        return sorted(path for path, look in self.looks.items() if then.looks.get(path, look) != look)


class SeedNoise(Settings):
    """The standard deviation of one training's score over seeds, and the degrees of freedom of this estimate."""

    sd: float
    df: float


class Challenge(Settings):
    """A contender that wants the title, and the rules that were fixed before its first training."""

    event: Literal["challenge"] = "challenge"
    time: float = 0.0
    number: int = Field(ge=1)
    contender: int
    champion: int
    reign: int
    level: float
    """Its share of the error budget."""
    margin: float
    most: int
    worth: float | None = None
    noise: SeedNoise | None = None
    """As it was known then."""
    measured: int = 1
    """With how many scores of the champion the first of the challenger is compared, to be given up."""
    note: str = ""
    over: int | None = None
    """The champion whose configuration the challenger's was laid over, when it was asked for."""


class Trained(Settings):
    """A training of a contender on a seed of a reign."""

    event: Literal["trained"] = "trained"
    time: float = 0.0
    contender: int
    reign: int
    seed: int
    outcome: Outcome
    value: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    environment: str | None = None
    """The packages that were installed, see snapshot.py."""


class Verdict(Settings):
    """How a challenge ended, and on what evidence. Differences are improvements: above 0 the challenger is better."""

    event: Literal["verdict"] = "verdict"
    time: float = 0.0
    challenge: int
    decision: Decision
    reason: str
    outcome: Outcome | None = None
    """Of the training by which it was lost, if that came to no value."""
    evidence: float | None = None
    """The e-value against "no better than by the margin"; see sequential.py."""
    estimate: float | None = None
    """The mean improvement over the pairs."""
    interval: tuple[float | None, float | None] | None = None
    seeds: tuple[int, ...] = ()
    """On which the two were compared."""


class Opening(Settings):
    """The test split was opened; written before anybody sees it. `result` follows as an event of the same number."""

    event: Literal["opening"] = "opening"
    time: float = 0.0
    number: int = Field(ge=1)
    first: int
    present: int
    seeds: int
    result: Mapping[str, Any] | None = None


Event = Terms | Contender | Challenge | Trained | Verdict | Opening
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


@dataclass(frozen=True)
class Reign:
    """The time of a champion; `challenge` is the one that it won the title by, None for the first."""

    number: int
    champion: int
    since: float
    challenge: int | None = None


@dataclass
class Title:
    """A title as its ledger tells it; `follow` takes in the next event."""

    folder: Path
    terms: Terms
    contenders: dict[int, Contender] = field(default_factory=dict)
    challenges: dict[int, Challenge] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    trained: dict[tuple[int, int, int], Trained] = field(default_factory=dict)
    """By contender, reign and seed."""
    openings: dict[int, Opening] = field(default_factory=dict)
    reigns: list[Reign] = field(default_factory=list)

    def follow(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Contender):
            self.contenders[event.number] = event
            if not self.reigns:
                self.reigns.append(Reign(0, event.number, event.time))
        elif isinstance(event, Challenge):
            self.challenges[event.number] = event
        elif isinstance(event, Trained):
            if event.outcome is Outcome.LOST and self.reigns and event.contender == self.reign.champion:
                return  # of an older ledger: it says nothing about the champion, who is trained again
            self.trained.setdefault((event.contender, event.reign, event.seed), event)
        elif isinstance(event, Verdict):
            self._judged(event)
        elif isinstance(event, Opening):
            self.openings[event.number] = event

    def _judged(self, verdict: Verdict) -> None:
        challenge = self.challenges.get(verdict.challenge)
        if challenge is None or verdict.challenge in self.verdicts:
            return
        self.verdicts[verdict.challenge] = verdict
        if verdict.decision is Decision.ACCEPTED:
            self.reigns.append(Reign(len(self.reigns), challenge.contender, verdict.time, challenge.number))

    @property
    def reign(self) -> Reign:
        """The present reign."""
        return self.reigns[-1]

    @property
    def champion(self) -> Contender:
        """Who has the title."""
        return self.contenders[self.reign.champion]

    @property
    def open_challenge(self) -> Challenge | None:
        """The challenge that has no verdict yet."""
        return next((each for number, each in self.challenges.items() if number not in self.verdicts), None)

    def known(self, identity: str) -> Contender | None:
        """Return the contender with this code, configuration and data; not one that failed, which may try again."""
        failed = {
            self.challenges[number].contender
            for number, verdict in self.verdicts.items()
            if verdict.decision is Decision.FAILED or verdict.outcome is Outcome.FAILED
        }
        found = (each for each in self.contenders.values() if each.identity == identity and each.number not in failed)
        return next(found, None)

    def verdict_on(self, contender: int) -> Verdict | None:
        """Return the last verdict on a contender that settles anything."""
        own = (verdict for number, verdict in self.verdicts.items() if self.challenges[number].contender == contender)
        found = [verdict for verdict in own if verdict.decision is not Decision.ABANDONED]
        return found[-1] if found else None

    def values(self, contender: int, reign: int, seeds: Sequence[int]) -> list[float]:
        """Return what a contender came to on these seeds, without those on which it came to nothing."""
        found = [self.trained.get((contender, reign, seed)) for seed in seeds]
        return [each.value for each in found if each is not None and each.value is not None]

    def noise_sample(self, reign: Reign) -> list[float]:
        """Return the values of a reign's champion on the seeds on which something was measured or decided.

        Idle workers may have trained more, as many as the machine and the moment of a kill had it.
        """
        used = [each.seeds for number, each in self.verdicts.items() if self.challenges[number].reign == reign.number]
        most = max([self.terms.measured, *(seed + 1 for seeds in used for seed in seeds)])
        return self.values(reign.champion, reign.number, range(most))

    def measured(self, reign: Reign) -> list[float]:
        """Return the values of a reign's champion on the seeds that it was measured on: fresh ones when it won."""
        return self.values(reign.champion, reign.number, range(self.terms.measured))

    def is_measured(self, reign: Reign) -> bool:
        """Whether a reign's champion has been trained on all of them."""
        return all((reign.champion, reign.number, seed) in self.trained for seed in range(self.terms.measured))


class Ledger:
    """The ledger opened by its one writer, who holds the lock of its folder. Opening drops a torn last line."""

    def __init__(self, title: Title, end: int) -> None:
        self.title = title
        path = title.folder / LEDGER
        if path.stat().st_size > end:
            os.truncate(path, end)
        self._path = path

    def write(self, event: Event) -> None:
        """Write an event; it is on the disk then."""
        self.title.follow(append(self._path, event))


def append(path: Path, event: Event) -> Event:
    """Write an event at the end of a ledger, wait until it is on the disk, and return it with its time."""
    event = event.model_copy(update={"time": time.time()})
    with path.open("ab") as file:
        file.write(json_line(event.model_dump(mode="json")))
        file.flush()
        os.fsync(file.fileno())
    return event


def read_title(folder: Path) -> tuple[Title, int]:
    """Return a title as its ledger tells it, and the offset behind its last whole line.

    Raises:
        ExperimentError: There is no ledger, a newer hpsearch wrote it, or it is damaged: who decides on it must have
            all of it.
    """
    path, read = folder / LEDGER, LinesRead()
    events = list(_events(path, read))
    if read.damaged:
        first = read.damaged[0]
        raise ExperimentError(
            f"{path}:{first.number}: the line is damaged ({first.why}); put a copy of the ledger back"
        )
    if not events or not isinstance(events[0], Terms):
        raise ExperimentError(f"{path} does not begin with the terms of a title; `hpsearch champion init` makes one")
    title = Title(folder, events[0])
    for event in events[1:]:
        title.follow(event)
    return title, read.end


def _events(path: Path, read: LinesRead) -> Iterator[Event]:
    for content, _ in read_lines(path, read=read):
        version = content.get("version", VERSION)
        if isinstance(version, int) and version > VERSION:
            raise ExperimentError(f"{path} was written by a newer hpsearch (format {version})")
        try:
            yield _EVENT.validate_python(content)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise ExperimentError(f"{path}:{read.number}: {place}: {wrong['msg']}") from None


# Where titles are


def title_folder(name: str, root: Path) -> Path:
    """Return the folder of a title of this name.

    Raises:
        ExperimentError: The name cannot be that of a folder.
    """
    return folder_called(f"{PREFIX}{name.removeprefix(PREFIX)}", root)


def titles_in(root: Path) -> list[str]:
    """Return the names of the titles below a folder."""
    return sorted(path.parent.name.removeprefix(PREFIX) for path in root.glob(f"{PREFIX}*/{LEDGER}"))


def find_title(name: str | None, root: Path) -> Path:
    """Return the folder of a title: the one of this name, or the only one.

    Raises:
        ExperimentError: There is none, or there are several and none was named.
    """
    known = titles_in(root)
    if name is None and len(known) == 1:
        return root / f"{PREFIX}{known[0]}"
    if not known:
        begin = "`hpsearch champion init SPACE.yaml --margin M` makes one"
        raise ExperimentError(f"there is no champion in {root.absolute()}: {begin}")
    if name is None:
        raise ExperimentError(f"several titles are in {root}: name one with --title; known: {', '.join(known)}")
    short = name.removeprefix(PREFIX)
    if short not in known:
        raise ExperimentError(
            f"there is no title {short!r} in {root}{suggestion(short, known)}; known: {', '.join(known)}"
        )
    return root / f"{PREFIX}{short}"
