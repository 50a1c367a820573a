"""Commands of the referee: a champion and its challengers."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cleaning import terminal
from hpsearch.cli.options import ROOT, SetOption, TrustOption
from hpsearch.cli.starting import INTERRUPTED
from hpsearch.errors import HpsearchError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hpsearch.referee.shapes import Answer, Crowned, History, NoiseFloor, Opened, PlanAnswer

champion = typer.Typer(
    invoke_without_command=True, help="Show a title's history: who won it, when, by how much, on what evidence."
)
TitleOption = Annotated[str | None, typer.Option(help="Which title, where there are several.")]
RootOption = Annotated[Path, typer.Option(help="Where experiments and titles are kept.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option(help="Print nothing but problems and the result.")]
InProcessOption = Annotated[bool, typer.Option(help="One training at a time in this process, for a debugger.")]


@champion.callback()
def show(context: typer.Context, title: TitleOption = None, root: RootOption = ROOT, json: JsonOption = False) -> None:
    """Show a title's history: who won it, when, by how much, on what evidence."""
    if context.invoked_subcommand is None:
        from hpsearch.api import champion as api

        _print_history(api.champion(title, root=root).history, as_json=json)
    else:
        context.obj = (title, root)


@champion.command()
def init(
    what: Annotated[
        Path | None, typer.Argument(help="A space file of single values, or an experiment, whose winner is taken.")
    ] = None,
    *,
    margin: Annotated[float, typer.Option(min=0, help="By how much a challenger has to be better, at least.")],
    name: Annotated[str | None, typer.Option(help="The title's name; by default that of the file.")] = None,
    command: Annotated[
        str | None, typer.Option(help="Instead, a program: 'python train.py --seed {seed}', run in this folder.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="What a program prints: 'loss (?P<loss>\\S+)'; without it, lines of JSON.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Of a program: the name of the number that counts.")] = None,
    goal: Annotated[str | None, typer.Option(help="Of a program: minimize or maximize.")] = None,
    quick: Annotated[bool, typer.Option(help="Lay the space's `quick` section over it.")] = False,
    set_: SetOption = None,
    seeds: Annotated[int, typer.Option(min=2, help="Fresh seeds on which each champion is measured.")] = 5,
    most: Annotated[int, typer.Option(min=2, max=1000, help="The most seeds of a challenge.")] = 12,
    rate: Annotated[float, typer.Option(min=1e-6, max=0.5, help="The error rate over all challenges.")] = 0.05,
    budget: Annotated[
        str, typer.Option(help="How it is spent: e-lond, alpha spending, lord++, saffron or alpha investing.")
    ] = "e-lond",
    expected: Annotated[int, typer.Option(min=1, help="How many challenges are expected.")] = 50,
    protect: Annotated[
        list[Path] | None, typer.Option(help="A file that no challenge may change, such as the evaluation.")
    ] = None,
    in_process: InProcessOption = False,
    root: RootOption = ROOT,
    quiet: QuietOption = False,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Open a title: the first champion is a configuration and the code as it now stands, measured on fresh seeds."""
    from hpsearch.api import champion as api
    from hpsearch.referee.project_files import RULE
    from hpsearch.referee.trainings import InterruptedChallengeError

    try:
        opened = api.champion_init(
            what,
            margin=margin,
            name=name,
            command=command,
            pattern=pattern,
            metric=metric,
            goal=goal,
            quick=quick,
            set=set_,
            seeds=seeds,
            most=most,
            rate=rate,
            budget=budget,
            expected=expected,
            protect=protect,
            in_process=in_process,
            root=root,
            quiet=quiet,
            trust=trust,
        )
    except InterruptedChallengeError:
        _interrupted()
    if not quiet:
        typer.echo(RULE, err=True)
    _print_history(opened.history, as_json=json)


@champion.command()
def restore(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The number of a contender, as the history has it.")],
    into: Annotated[Path, typer.Option(help="The folder to make.")],
    title: TitleOption = None,
    root: Annotated[Path | None, typer.Option(help="Where titles are kept.")] = None,
) -> None:
    """Bring the code of a contender back, as it was trained, into a new folder."""
    from hpsearch.api import champion as api
    from hpsearch.referee.titles import restored_space

    restored = api.champion(title or context.obj[0], root=root or context.obj[1]).restore(number, into)
    typer.echo(terminal(f"{into}: {len(restored.snapshot.files)} files of contender {number}"))
    own = restored.contender
    words = [restored_space(own), *(["--quick"] if own.quick else [])]
    words += [word for each in own.overrides for word in ("--set", each)]
    typer.echo(terminal(f"its configuration: {shlex.join(words)}"))
    for path, why in restored.snapshot.left_out:
        typer.echo(terminal(f"not in it: {path} ({why})"))


@champion.command()
def confirm(
    context: typer.Context,
    seeds: Annotated[int | None, typer.Option(min=2, help="Fresh seeds; by default those of a measurement.")] = None,
    title: TitleOption = None,
    root: Annotated[Path | None, typer.Option(help="Where titles are kept.")] = None,
    in_process: InProcessOption = False,
    quiet: QuietOption = False,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Open the test split: score the first champion and the present one on it, each trained on fresh seeds."""
    from hpsearch.api import champion as api
    from hpsearch.referee.trainings import InterruptedChallengeError
    from hpsearch.trust import trusting

    found = api.champion(title or context.obj[0], root=root or context.obj[1])
    try:
        with trusting(trust):
            opened = found.confirm(seeds=seeds, in_process=in_process, quiet=quiet)
    except InterruptedChallengeError:
        _interrupted()
    _print(opened, _opening_lines(opened), as_json=json)


def challenge(
    file: Annotated[Path | None, typer.Argument(help="Another space file; by default the champion's.")] = None,
    note: Annotated[str, typer.Option(help="What was changed, and why: it stands in the history.")] = "",
    set_: SetOption = None,
    worth: Annotated[
        float | None, typer.Option(help="An improvement worth finding: what will hardly reach it is rejected early.")
    ] = None,
    most: Annotated[
        int | None, typer.Option(min=2, max=1000, help="The most seeds; by default those of the title.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would cost and find; train nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the challenge that was interrupted.")] = False,
    title: TitleOption = None,
    in_process: InProcessOption = False,
    root: RootOption = ROOT,
    quiet: QuietOption = False,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Let the code as it now stands challenge the champion, and say whether it is really better.

    Exit statuses: 0 accepted, 10 rejected, 11 undecided, 12 failed (try again), 1 the machine gave out, 2 a mistake in
    the command or a file, 130 interrupted (the same command goes on).
    """
    from hpsearch.api import champion as api
    from hpsearch.referee.shapes import STATUSES
    from hpsearch.referee.trainings import InterruptedChallengeError

    if plan and (resume or note):
        raise HpsearchError(f"--plan says what a challenge would cost: leave {'--resume' if resume else '--note'} out")
    if plan:
        found = api.plan_challenge(file, set=set_, worth=worth, most=most, title=title, root=root, trust=trust)
        _print(found, _plan_lines(found), as_json=json)
        return
    try:
        answer = api.challenge(
            file,
            note=note,
            set=set_,
            worth=worth,
            most=most,
            resume=resume,
            title=title,
            in_process=in_process,
            root=root,
            quiet=quiet,
            trust=trust,
        )
    except InterruptedChallengeError:
        _interrupted()
    _print(answer, _answer_lines(answer), as_json=json)
    if status := STATUSES[answer.decision]:
        raise typer.Exit(status)


def _interrupted() -> None:
    typer.echo("Interrupted; nothing that was finished is lost. The same command goes on from here.", err=True)
    raise typer.Exit(INTERRUPTED)


def _print(shape: "BaseModel", lines: Iterator[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(shape.model_dump_json(indent=2))
        return
    for line in lines:
        typer.echo(terminal(line))


def _print_history(history: "History", *, as_json: bool) -> None:
    _print(history, _history_lines(history), as_json=as_json)


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _answer_lines(answer: "Answer") -> Iterator[str]:
    before = " (decided before, nothing was trained)" if answer.from_ledger else ""
    yield f"challenge {answer.challenge}: {answer.decision}{before}. {answer.reason}"
    if answer.estimate is not None:
        yield (
            f"improvement {answer.estimate:+.4g}{_interval(answer.interval)} in {answer.metric} on "
            f"{_seeds(answer.seeds_used)} (margin {answer.margin:g}); evidence {answer.evidence or 0:.3g} of "
            f"{answer.needed:.3g}"
        )
    yield _noise_line(answer.noise)
    yield from answer.warnings
    if answer.advice:
        yield answer.advice
    yield _champion_line(answer.champion, answer.metric)


def _interval(interval: tuple[float | None, float | None] | None) -> str:
    if interval is None or interval == (None, None):
        return ""
    low, high = ("..." if end is None else f"{end:+.4g}" for end in interval)
    return f" [{low}, {high}]"


def _champion_line(crowned: "Crowned", metric: str) -> str:
    quoted = crowned.quoted
    score = "not measured yet" if quoted.mean is None else f"{metric} {quoted.mean:.5g}"
    interval = "" if quoted.interval is None else f" [{quoted.interval[0]:.5g}, {quoted.interval[1]:.5g}]"
    failed = f", and no result on {quoted.failed}" if quoted.failed else ""
    return f"champion: contender {crowned.contender}, {score}{interval} on {quoted.seeds} fresh seeds{failed}"


def _noise_line(noise: "NoiseFloor") -> str:
    if noise.sd is None:
        seen = "none was seen; does the training use its seed?" if noise.df else "not known yet"
        return f"noise over seeds: {seen}"
    shown = ", ".join(f"{size:.2g} with {k}" for k, size in noise.smallest.items())
    return f"noise over seeds: sd {noise.sd:.3g}; the smallest difference that seeds show: {shown}"


def _history_lines(history: "History") -> Iterator[str]:
    from datetime import datetime

    yield f"title {history.title}: {history.goal} {history.metric}, margin {history.margin:g}"
    yield _champion_line(history.champion, history.metric)
    yield _noise_line(history.noise)
    budget = history.budget
    yield (
        f"error budget: {budget.rate:g} ({budget.method}: {budget.promise}); {budget.challenges} challenges so far, "
        f"the next at level {budget.next_level:.2g}"
    )
    for reign in history.reigns:
        when = datetime.fromtimestamp(reign.since).astimezone().strftime("%Y-%m-%d %H:%M")
        how = "the first" if reign.challenge is None else f"won challenge {reign.challenge} by {reign.won_by:+.4g}"
        note = f" -- {reign.note}" if reign.note else ""
        yield f"reign {reign.reign}, {when}, {reign.by}: {how}{note}"
        yield f"  {_champion_line(reign, history.metric).removeprefix('champion: ')}"
    for told in history.challenges:
        gain = "" if told.estimate is None else f" {told.estimate:+.4g}{_interval(told.interval)}"
        note = f" -- {told.note}" if told.note else ""
        yield f"challenge {told.number}: {told.decision or 'open'}{gain} on {_seeds(told.seeds_used)}{note}"
        yield f"  contender {told.contender} against {told.against}: {told.reason}"
    for opened in history.openings:
        yield from _opening_lines(opened)


def _opening_lines(opened: "Opened") -> Iterator[str]:
    if opened.result is not None:
        found = opened.result
        means = [sum(values) / len(values) for values in (found.first, found.present)]
        p = "" if found.p is None else f", p {found.p:.2g} (paired t)"
        yield (
            f"opening {opened.number}: {found.metric} {means[0]:.5g} of contender {opened.first}, {means[1]:.5g} of "
            f"contender {opened.present}; improvement {found.improvement:+.4g}{_interval(found.interval)} on "
            f"{len(found.first)} seeds{p}"
        )
    yield opened.worth


def _plan_lines(plan: "PlanAnswer") -> Iterator[str]:
    if plan.known is not None:
        yield from _answer_lines(plan.known)
        return
    each = "" if plan.seconds_each is None else f", of {plan.seconds_each:.3g} s each"
    yield (
        f"at most {plan.trainings} trainings of the challenger{each}, and {plan.trainings_of_the_champion} of the "
        f"champion; level {plan.level:.2g}, margin {plan.margin:g}"
    )
    if plan.smallest_found is not None:
        yield f"the smallest improvement that it would find with a power of 80 %: {plan.smallest_found:.3g}"
    for chance in plan.power:
        yield (
            f"better by {chance.effect:.3g}: accepted {chance.accepted:.0%}, rejected {chance.rejected:.0%}, undecided "
            f"{chance.undecided:.0%}; {chance.pairs:.1f} seeds on average"
        )
