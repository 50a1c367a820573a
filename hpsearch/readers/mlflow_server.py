"""An MLflow tracking server, or the database behind one, by MLflow's own client."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from hpsearch.errors import DataError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.extras import Extra, require
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.mlflow_runs import MlflowRun, as_finished, as_kept
from hpsearch.records import Measurement

_PAGE = 1000
_AT_ONCE = 4
"""Series that are asked for at the same time: as many as a server has workers, unless told otherwise."""
_HTTP = ("http://", "https://")


def read(uri: str, wanted: Wanted) -> Reading:
    """Return the runs of a server; a series costs a request, so they are read for the wanted metric only.

    Raises:
        DataError: the server does not answer.
    """
    require(f"reading {without_secrets(uri)}", Extra.MLFLOW, kind=DataError)
    from mlflow.tracking import MlflowClient

    with _explained(uri), ThreadPoolExecutor(_AT_ONCE) as threads:
        if not uri.startswith(_HTTP):
            _require_store(uri)
        client = MlflowClient(tracking_uri=uri)
        experiments = {each.experiment_id: each.name for each in client.search_experiments()}
        found = _search(client, list(experiments))
        runs = list(threads.map(partial(_read_run, client, experiments=experiments, wanted=wanted), found))
    shown = without_secrets(uri)
    return as_finished(runs, source=shown, place=(shown.rstrip("/"),), wanted=wanted)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        raise DataError(without_secrets(f"{uri} cannot be read: {str(error).splitlines()[0]}")) from error
    except ImportError as error:
        raise DataError(
            f"{without_secrets(uri)} cannot be read: the driver {error.name} is missing; pip install {error.name}"
        ) from error


def _require_store(uri: str) -> None:
    """MLflow would make its tables in an empty database: a reader changes nothing.

    Raises:
        DataError: The database has no runs of MLflow's.
    """
    from sqlalchemy import create_engine, inspect

    engine = create_engine(uri)
    try:
        if not inspect(engine).has_table("runs"):
            raise DataError(f"{uri} is no store of MLflow's: it has no table of runs")
    finally:
        engine.dispose()


def _search(client: Any, experiments: list[str]) -> list[Any]:
    found, token = list[Any](), None
    while True:
        page = client.search_runs(experiments, max_results=_PAGE, page_token=token, order_by=["attributes.start_time"])
        found += page
        token = page.token
        if not token:
            return found


def _read_run(client: Any, run: Any, *, experiments: dict[str, str], wanted: Wanted) -> MlflowRun:
    info, logged = run.info, Logged()
    keys = [key for key in run.data.metrics if wanted.metric is not None and key in wanted]
    for key in keys:
        history = client.get_metric_history(info.run_id, key)
        for metric in sorted(history, key=lambda each: (each.step, each.timestamp, each.value)):
            logged.add(key, metric.step, as_kept(metric.value))
    finals = {key: Measurement(as_kept(value)) for key, value in run.data.metrics.items()}
    return MlflowRun(
        identity=info.run_id,
        name=info.run_name or info.run_id,
        experiment=experiments[info.experiment_id],
        status=info.status,
        seconds=(info.end_time - info.start_time) / 1000 if info.end_time and info.start_time else None,
        params=run.data.params,
        tags=run.data.tags,
        metrics={**finals, **logged.metrics()},
        histories=logged.histories(wanted),
    )
