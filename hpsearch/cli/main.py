"""The program: its commands, and what becomes of the user's mistakes."""

import sys

import typer

from hpsearch.cleaning import terminal
from hpsearch.cli.comparing import compare, study
from hpsearch.cli.data import data
from hpsearch.cli.experiments import export, show, sync, ui, watch
from hpsearch.cli.options import FAILED, MISTAKE
from hpsearch.cli.preparing import check, cluster, families, init, schema, texts
from hpsearch.cli.probing import batch_size, lr_find, overfit
from hpsearch.cli.running import confirm, run, train
from hpsearch.cli.starting import interruptible
from hpsearch.cli.using import evaluate, predict
from hpsearch.errors import HpsearchError, SearchFailedError, SpaceError
from hpsearch.experiment.files import fault_of_the_machine, no_room
from hpsearch.trust import trusting

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hyperparameter search with evidence: search a space, then confirm the winner on fresh seeds and test data.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(run, train, confirm),
    *(init, check, families, schema),
    *(lr_find, overfit, batch_size),
    *(show, watch, export, sync, ui),
    *(compare, study),
    *(predict, evaluate),
    cluster,
):
    app.command()(command)
app.add_typer(texts, name="text")
app.add_typer(data, name="data")


def main() -> None:
    """Run the program; turn the user's mistakes and the machine's faults into a message and an exit status."""
    try:
        # interrupted before the command itself has begun, which knows what to say
        with interruptible(), trusting(False, ask=_ask):
            app()
    except SearchFailedError as error:
        sys.exit(_complain(error, FAILED))
    except HpsearchError as error:
        sys.exit(_complain(error, MISTAKE))
    except BrokenPipeError:  # the reader of our output went away (`hpsearch show x | head`): not an error
        sys.stderr.close()
    except OSError as error:
        if not (fault := fault_of_the_machine(error)):
            raise
        sys.exit(_complain(HpsearchError(fault), FAILED if no_room(error) else MISTAKE))


def program() -> None:
    """Be the process of the command: run it, and end quickly where much would have to be taken apart."""
    try:
        main()
    except SystemExit as end:
        if "torch" in sys.modules and (end.code is None or isinstance(end.code, int)):
            from hpsearch.workers.local.worker import leave

            leave(end.code or 0)
        raise


def _ask(question: str) -> bool:
    """Ask whether strangers' code may run; without a terminal nobody can answer, so that it may not."""
    return sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm(question, default=False, err=True)


def _complain(error: HpsearchError, status: int) -> int:
    typer.echo(terminal(str(error) if isinstance(error, SpaceError) else f"hpsearch: {error}"), err=True)
    return status
