"""The referee in Python: opening a title, `hpsearch.champion` and `hpsearch.challenge`."""

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from hpsearch.api.arguments import Overrides, StrPath, find_experiment, settings_of
from hpsearch.cleaning import terminal
from hpsearch.comparing.statistics.online import Method
from hpsearch.console.display import ConsoleOptions, watched
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.records import Goal
from hpsearch.referee import contender, titles
from hpsearch.referee.answer import answer_of, history_of_title, opened_of, plan_answer
from hpsearch.referee.challenge import Request, decided_before, rules_for
from hpsearch.referee.challenge import challenge as let_challenge
from hpsearch.referee.contender import Source, enter
from hpsearch.referee.ledger import MOST, Terms, Title, find_title, read_title, title_folder
from hpsearch.referee.opening import confirm as open_test_split
from hpsearch.referee.opening import no_test_score
from hpsearch.referee.shapes import Answer, History, Opened, PlanAnswer
from hpsearch.running.runner import RunOptions
from hpsearch.space import Space
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.trust import trusting

Tell = Callable[[str], None]


class Champion:
    """A title: who has it, and how that came about.

    Attributes:
        folder: Where it is kept.
        history: Reigns, challenges and openings of the test split, as `hpsearch champion --json` prints them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._title = _begun(folder)
        self.history: History = history_of_title(self._title)

    def __repr__(self) -> str:
        return f"<title {self.history.title}: champion is contender {self.history.champion.contender}>"

    def confirm(
        self, *, seeds: int | None = None, in_process: bool = False, quiet: bool = False, tell: "Tell | None" = None
    ) -> Opened:
        """Open the test split: train the first champion and the present one on fresh seeds, and score both on it.

        Args:
            seeds: How many; by default as many as a champion is measured on.
            in_process: One training at a time in this process, for a debugger.
            quiet: Print nothing but problems.
            tell: Hears what there is to say meanwhile.

        Returns:
            The comparison, and what this opening is worth.

        Raises:
            HpsearchError: The first champion is the present one, or the data have no test split.
            SearchFailedError: Too few trainings came to a test score.
        """
        title, opening = open_test_split(
            self.folder, contender.project(), seeds=seeds, watch=_watch(in_process, quiet), tell=tell or say
        )
        self._title, self.history = title, history_of_title(title)
        return opened_of(title, opening)

    def restore(self, number: int, into: StrPath) -> titles.Restored:
        """Bring the code of a contender back into a new folder.

        Raises:
            HpsearchError: There is no such contender, or the folder exists.
        """
        return titles.restore(self._title, number, Path(into))


def say(text: str) -> None:
    """Print a sentence on standard error."""
    sys.stderr.write(f"{terminal(text)}\n")


def champion_init(
    what: StrPath | None = None,
    *,
    margin: float,
    name: str | None = None,
    command: str | None = None,
    pattern: str | None = None,
    metric: str | None = None,
    goal: str | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    seeds: int = 5,
    most: int = 12,
    rate: float = 0.05,
    budget: str = "e-lond",
    expected: int = 50,
    protect: Sequence[StrPath] | None = None,
    in_process: bool = False,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
    trust: bool | None = None,
) -> Champion:
    """Open a title: its first champion is a configuration and the code as it now stands; `hpsearch champion init`.

    Example:
        hpsearch.champion_init("spaces/mine.yaml", margin=0.002, set={"train.learning_rate": 1e-3})

    Args:
        what: A space file of single values, or a finished experiment, whose winner is taken.
        margin: A challenger has to be better by more than this, in the metric's unit.
        name: The title's name; by default that of the file.
        command: Instead, a program with {seed} in it, which is run where this is called.
        pattern: Of a program, a regular expression with a named group for each metric; else lines of JSON are read.
        metric: Of a program, which of its metrics counts.
        goal: Of a program, "minimize" or "maximize".
        quick: Lay the space's `quick` section over it.
        set: Values that replace those of the file.
        seeds: Fresh seeds on which each champion is measured.
        most: The most seeds of a challenge.
        rate: The error rate over all challenges.
        budget: How it is spent: "e-lond", "alpha spending", "lord++", "saffron" or "alpha investing".
        expected: How many challenges are expected.
        protect: Files that no challenge may change, such as the evaluation.
        in_process: One training at a time in this process, for a debugger.
        root: Where experiments and titles are kept.
        quiet: Print nothing but problems.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Returns:
        The title, whose champion has been measured.

    Raises:
        HpsearchError: The arguments contradict one another, the space leaves values open, or the title exists.
        SearchFailedError: The champion came to no result.
    """
    _require_in_range(margin=margin, rate=rate, seeds=seeds, most=most, expected=expected)
    project = contender.project()
    with trusting(trust):
        source = _first(what, project, command, pattern, metric, goal, quick=quick, overrides=settings_of(set))
        folder = title_folder(name or _called(what, source), Path(root))
        space = contender.checked(source, project)
        terms = Terms(
            name=folder.name.removeprefix("champion-"),
            metric=space.objective.metric,
            goal=space.objective.goal,
            at=space.objective.model_dump(mode="json")["at"],
            margin=margin,
            rate=rate,
            method=_method(budget),
            expected=expected,
            most=most,
            measured=seeds,
            seed=space.search.seed,
            protected=contender.hashes_of([Path(each) for each in protect or ()], project),
        )
        candidate = enter(source, folder, project)
        titles.open_title(folder, project, terms, candidate, watch=_watch(in_process, quiet), tell=say)
        if not quiet and (lacks := no_test_score(candidate.space)):
            say(f"this title's test split cannot be opened later: {lacks}")
    return Champion(folder)


def _require_in_range(*, margin: float, rate: float, seeds: int, most: int, expected: int) -> None:
    checks = {
        "margin": (margin, 0 <= margin < math.inf, "a finite number, at least 0"),
        "rate": (rate, 0 < rate < 1, "between 0 and 1"),
        "seeds": (seeds, 2 <= seeds <= MOST, f"from 2 to {MOST}"),
        "most": (most, 2 <= most <= MOST, f"from 2 to {MOST}"),
        "expected": (expected, expected >= 1, "at least 1"),
    }
    for name, (value, fits, wanted) in checks.items():
        if not fits:
            raise HpsearchError(f"--{name}={value:g}: it is {wanted}")


def _method(name: str) -> str:
    if name not in [*Method]:
        raise UnknownNameError("budget", name, Method)
    return name


def _first(
    what: StrPath | None,
    project: Path,
    command: str | None,
    pattern: str | None,
    metric: str | None,
    goal: str | None,
    *,
    quick: bool,
    overrides: Sequence[str],
) -> Source:
    if (what is None) == (command is None):
        raise HpsearchError("name a space file or an experiment, or give a program with --command; one of the two")
    if what is None:
        if command is None or metric is None or goal is None or goal not in [*Goal]:
            raise HpsearchError(
                f"--command needs --metric, the name of the number that counts, and --goal: one of {', '.join(Goal)}"
            )
        return contender.from_program(
            command, project, metric=metric, goal=Goal(goal), pattern=pattern, overrides=overrides
        )
    given = [name for name, value in (("metric", metric), ("goal", goal), ("pattern", pattern)) if value is not None]
    if given:
        raise HpsearchError(f"--{given[0]} belongs to --command: {what} says it itself, and --set replaces it")
    place = Path(what)
    if place.suffix in (".yaml", ".yml") or place.is_file() or _is_on_the_shelf(place):
        return contender.from_file(find_file(place, Shelf.SPACES), project, quick=quick, overrides=overrides)
    if quick:
        raise HpsearchError(f"--quick belongs to a space file: {what} is an experiment, whose winner is what it is")
    return contender.from_experiment(find_experiment(what), project, overrides)


def _is_on_the_shelf(place: Path) -> bool:
    here = Path("spaces", f"{place.name}.yaml")
    return len(place.parts) == 1 and (here.is_file() or place.name in Shelf.SPACES.names())


def _called(what: StrPath | None, source: Source) -> str:
    return Path(what).resolve().name.removesuffix(".yaml").removesuffix(".yml") if what else source.path.stem


def _watch(in_process: bool, quiet: bool) -> Callable[[Space, Path], AbstractContextManager[RunOptions]]:
    shown = ConsoleOptions(in_process, mlflow=False, quiet=quiet)
    return lambda space, folder: watched(space, folder, shown)


def challenge(
    file: StrPath | None = None,
    *,
    note: str = "",
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    worth: float | None = None,
    most: int | None = None,
    resume: bool = False,
    title: str | None = None,
    in_process: bool = False,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
    trust: bool | None = None,
    tell: Tell = say,
) -> Answer:
    """Let the code as it now stands, or another configuration, challenge the champion; `hpsearch challenge`.

    Called again after an interruption, with the same code and values, it goes on.

    Example:
        answer = hpsearch.challenge(note="halve the batch size", set={"train.batch_size": 16})
        answer.decision, answer.reason

    Args:
        file: Another space file; by default that of the champion, with what the champion has laid over it.
        note: What was changed, and why: it stands in the history.
        set: Values that replace those of the file.
        worth: An improvement that is worth finding: a challenger that will hardly reach it is rejected early.
        most: The most seeds; by default those of the title.
        resume: Go on with the challenge that was interrupted, whatever the code is now.
        title: Which title, where there are several.
        in_process: One training at a time in this process, for a debugger.
        root: Where titles are kept.
        quiet: Print nothing but problems.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).
        tell: Hears what there is to say meanwhile.

    Returns:
        The decision, and what it rests on.

    Raises:
        HpsearchError: Nothing differs from the champion, or the arguments contradict one another.
        InterruptedChallengeError: It was interrupted.
        SearchFailedError: The machine gave out.
    """
    folder, project = find_title(title, Path(root)), contender.project()
    with trusting(trust):
        if resume and (file is not None or set):
            raise HpsearchError("--resume goes on with what was challenged with: leave FILE and --set out")
        candidate, over = (None, None) if resume else _candidate(folder, project, file, settings_of(set))
        request = Request(candidate, note, worth, most, over)
        hear = (lambda _: None) if quiet and tell is say else tell
        ended = let_challenge(folder, project, request, watch=_watch(in_process, quiet), tell=hear)
    return answer_of(ended)


def plan_challenge(
    file: StrPath | None = None,
    *,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    worth: float | None = None,
    most: int | None = None,
    title: str | None = None,
    root: StrPath = EXPERIMENTS,
    trust: bool | None = None,
) -> PlanAnswer:
    """Say what a challenge would cost and what it could find, without training anything; `hpsearch challenge --plan`.

    Example:
        hpsearch.plan_challenge(set={"train.batch_size": 16}).trainings

    Args:
        file: As for `challenge`.
        set: As for `challenge`.
        worth: As for `challenge`.
        most: As for `challenge`.
        title: As for `challenge`.
        root: As for `challenge`.
        trust: As for `challenge`.

    Returns:
        The level, the most trainings, and the chances by the size of the improvement.

    Raises:
        HpsearchError: Nothing differs from the champion, or the space has mistakes.
    """
    folder, project = find_title(title, Path(root)), contender.project()
    with trusting(trust):
        candidate, _ = _candidate(folder, project, file, settings_of(set))
    known_title, _ = read_title(folder)
    request = Request(candidate, worth=worth, most=most)
    known = decided_before(known_title, request)
    return plan_answer(known_title, rules_for(known_title, request), known=None if known is None else answer_of(known))


def _begun(folder: Path) -> Title:
    title, _ = read_title(folder)
    if not title.contenders:
        raise HpsearchError(f"{folder} has no champion yet: its `hpsearch champion init`, once more, goes on")
    return title


def _candidate(
    folder: Path, project: Path, file: StrPath | None, overrides: Sequence[str]
) -> tuple[contender.Candidate, int | None]:
    """Return who would challenge, and the contender whose configuration it was laid over, if any."""
    title = _begun(folder)
    if file is None:
        source = contender.of_champion(title.champion, project, overrides)
    else:
        source = contender.from_file(find_file(Path(file), Shelf.SPACES), project, quick=title.champion.quick,
                                     overrides=overrides)  # fmt: skip
    over = title.champion.number if file is None else None
    return enter(source, folder, project, protected=title.terms), over


def champion(title: str | None = None, *, root: StrPath = EXPERIMENTS) -> Champion:
    """Return a title: its champion, its history, what its seeds can show; `hpsearch champion`.

    Example:
        hpsearch.champion().history.champion.quoted

    Args:
        title: Its name, where there are several.
        root: Where titles are kept.

    Returns:
        The title.

    Raises:
        HpsearchError: There is no such title, or its ledger is damaged.
    """
    return Champion(find_title(title, Path(root)))
