"""Commands to a search that runs: add, stop, pause, resume, budget, note."""

from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.options import ExperimentArgument, TrustOption

if TYPE_CHECKING:
    from hpsearch.api.steer import Placed

ANSWER_SECONDS = 3.0
"""How long a command waits to hear that its order is obeyed."""


def add(
    experiment: ExperimentArgument,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A value of the configuration: train.learning_rate=0.01.")
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Have a configuration tried next, on top of the budget; what is left open, the sampler fills in."""
    from hpsearch.api import steer

    placed = steer.add(experiment, set=set_ or [], trust=trust)
    confirming = "the winner is being confirmed: it is tried when the search is run again"
    _tell(placed, "it is tried next", "it is tried when the search goes on", confirming)


def stop(
    experiment: ExperimentArgument,
    trial: Annotated[int | None, typer.Option(min=0, help="Which trial; without it the whole search.")] = None,
) -> None:
    """Stop a trial, which keeps its value so far; or the whole search, as Ctrl-C does. It goes on when run again."""
    from hpsearch.api import steer

    _tell(steer.stop(experiment, trial=trial), "it ends at the next report or step")


def pause(experiment: ExperimentArgument) -> None:
    """Let a search rest: running trials save checkpoints and pause, no other begins; `hpsearch resume` goes on."""
    from hpsearch.api import steer

    _tell(steer.pause(experiment), "running trials pause at their next report or step")


def resume(experiment: ExperimentArgument) -> None:
    """Go on with a search that `hpsearch pause` has paused."""
    from hpsearch.api import steer

    _tell(steer.resume(experiment), "the search goes on")


def budget(
    experiment: ExperimentArgument,
    trials: Annotated[int | None, typer.Option(help="Trials of the whole experiment.")] = None,
    time: Annotated[str | None, typer.Option(help="Time of the whole search, such as 2h.")] = None,
) -> None:
    """Change how many trials a search may have, or how long it may take, while it runs or until it is run again."""
    from hpsearch.api import steer

    placed = steer.budget(experiment, trials=trials, time=time)
    confirming = "the winner is being confirmed: the budget holds when the search is run again"
    _tell(placed, "the budget is changed", "it holds when the search goes on", confirming)


def note(
    experiment: ExperimentArgument,
    text: Annotated[str, typer.Argument(help="What is to be remembered.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Which trial; without it the experiment.")] = None,
) -> None:
    """Pin a note to an experiment, or to one of its trials; `show` and MLflow have it."""
    from hpsearch.api import steer

    _tell(steer.note(experiment, text, trial=trial), "noted", "noted")


def _tell(placed: "Placed", running: str, at_rest: str = "", confirming: str = "") -> None:
    """Print what happens to an order: when the search runs, when it confirms its winner, and when nobody runs it.

    Raises:
        HpsearchError: The search has refused it.
    """
    from hpsearch.api.steer import answered, confirms
    from hpsearch.errors import HpsearchError
    from hpsearch.experiment.events import RefuseEvent

    if placed.obeyed:
        typer.echo(f"{placed.folder.name}: {at_rest}")
        return
    answer = answered(placed, seconds=ANSWER_SECONDS)
    if isinstance(answer, RefuseEvent):
        raise HpsearchError(f"{placed.folder}: {answer.reason}")
    running = confirming if confirming and confirms(placed) else running
    typer.echo(f"{placed.folder.name}: {running if answer else 'placed; the search has not looked yet'}")
