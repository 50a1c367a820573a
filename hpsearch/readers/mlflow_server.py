"""An MLflow tracking server, over HTTP by MLflow's own client."""

from typing import Any

from hpsearch.errors import DataError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.mlflow_runs import MlflowRun, as_finished, as_kept
from hpsearch.records import Measurement

_PAGE = 1000


def read(uri: str, wanted: Wanted) -> Reading:
    """Return the runs of a server; a series costs a request, so they are read for the wanted metric only.

    Raises:
        DataError: the server does not answer.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri)
        experiments = {each.experiment_id: each.name for each in client.search_experiments()}
        runs = [_read_run(client, run, experiments, wanted) for run in _search(client, list(experiments))]
    except MlflowException as error:
        raise DataError(without_secrets(f"{uri} cannot be read: {str(error).splitlines()[0]}")) from error
    shown = without_secrets(uri)
    return as_finished(runs, source=shown, place=(shown.rstrip("/"),), wanted=wanted)


def _search(client: Any, experiments: list[str]) -> list[Any]:
    found, token = list[Any](), None
    while True:
        page = client.search_runs(experiments, max_results=_PAGE, page_token=token, order_by=["attributes.start_time"])
        found += page
        token = page.token
        if not token:
            return found


def _read_run(client: Any, run: Any, experiments: dict[str, str], wanted: Wanted) -> MlflowRun:
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
