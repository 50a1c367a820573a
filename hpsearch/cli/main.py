"""The program: its commands, and what becomes of the user's mistakes."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

import typer

from hpsearch.cleaning import to_any_terminal
from hpsearch.cli.agents import mcp
from hpsearch.cli.comparing import compare, study
from hpsearch.cli.complaints import complain
from hpsearch.cli.data import data
from hpsearch.cli.experiments import doctor, export, show, sync, ui, watch
from hpsearch.cli.options import FAILED, MISTAKE
from hpsearch.cli.preparing import check, cluster, families, init, schema, texts
from hpsearch.cli.probing import batch_size, lr_find, overfit
from hpsearch.cli.refereeing import challenge, champion
from hpsearch.cli.running import confirm, run, train
from hpsearch.cli.starting import interruptible
from hpsearch.cli.steering import add, budget, note, pause, resume, stop
from hpsearch.cli.using import evaluate, predict
from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.experiment.files import fault_of_the_machine, no_room
from hpsearch.extras import explained
from hpsearch.trust import trusting

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def hpsearch(context: typer.Context) -> None:
    """Hyperparameter search with evidence: search a space, then confirm the winner on fresh seeds and test data."""
    context.with_resource(trusting(False, ask=_ask))  # a command asks before it runs strangers' code


_REFEREE, _DATA = "Referee: is a change really better?", "Data"
_GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Search and confirm": (run, train, confirm),
    "Prepare": (init, check, families, schema, lr_find, overfit, batch_size, cluster),
    "Look": (show, watch, ui, export, sync, doctor),
    "Steer a search that runs": (add, stop, pause, resume, budget, note),
    "Compare": (compare, study),
    "Use the winner": (predict, evaluate),
    _REFEREE: (challenge,),
    "For agents": (mcp,),
}
for panel, commands in _GROUPS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(champion, name="champion", rich_help_panel=_REFEREE)
app.add_typer(data, name="data", rich_help_panel=_DATA)
app.add_typer(texts, name="text", rich_help_panel=_DATA)


def main() -> None:
    """Run the program; turn the user's mistakes and the machine's faults into a message and an exit status."""
    try:
        with interruptible():  # before the command itself has begun, which knows what to say
            app()
    except SearchFailedError as error:
        complain(error)
        sys.exit(FAILED)
    except HpsearchError as error:
        complain(error)
        sys.exit(MISTAKE)
    except ImportError as error:
        if (lacking := explained(error, "this command")) is None:
            raise
        complain(lacking)
        sys.exit(MISTAKE)
    except BrokenPipeError:  # the reader of our output went away (`hpsearch show x | head`): not an error
        sys.stderr.close()
    except OSError as error:
        if not (fault := fault_of_the_machine(error)):
            raise
        complain(HpsearchError(fault))
        sys.exit(FAILED if no_room(error) else MISTAKE)


def program() -> None:
    """Be the process of the command: run it, and end quickly where much would have to be taken apart."""
    to_any_terminal(sys.stdout, sys.stderr)
    warnings.showwarning = partial(say_warning, other=warnings.showwarning)
    try:
        main()
    except SystemExit as end:
        if {"torch", "ray"} & sys.modules.keys() and (end.code is None or isinstance(end.code, int)):
            from hpsearch.workers.local.worker import leave

            leave(end.code or 0)
        raise


def _ask(question: str) -> bool:
    """Ask whether strangers' code may run; without a terminal nobody can answer, so that it may not."""
    return sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm(question, default=False, err=True)


def say_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
    *,
    other: Callable[..., None],
) -> None:
    """Print a warning of ours as a sentence, without the line of code that it comes from; `other` prints others."""
    if file is None and Path(filename).is_relative_to(_PACKAGE):
        complain(HpsearchError(str(message)))
    else:
        other(message, category, filename, lineno, file, line)


_PACKAGE = Path(__file__).parents[1]
