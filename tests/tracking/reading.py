"""What MLflow's own client reads back from a store."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType


class Reading:
    """The runs of one MLflow experiment, by name; `nested`: by their names from the top, `study/lstm/trial-0000`."""

    def __init__(self, uri: str, experiment: str, *, nested: bool = False) -> None:
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name(experiment)
        assert found is not None
        self.tags: dict[str, str] = found.tags
        """Of the experiment itself."""
        runs = self.client.search_runs([found.experiment_id], run_view_type=ViewType.ALL, max_results=1000)
        above = {run.info.run_id: run for run in runs} if nested else {}
        titles = [_title(run, above) for run in runs]
        self.names = sorted(titles)
        self.runs: dict[str, Run] = dict(zip(titles, runs, strict=True))
        self.parent = self.runs[experiment]

    @property
    def statuses(self) -> dict[str, str]:
        return {name: run.info.status for name, run in self.runs.items()}

    def history(self, run: str, metric: str) -> list[tuple[int, float]]:
        points = self.client.get_metric_history(self.runs[run].info.run_id, metric)
        return sorted((point.step, point.value) for point in points)

    def files(self, run: str) -> dict[str, str]:
        identity = self.runs[run].info
        folder = Path(unquote(urlparse(identity.artifact_uri).path))
        top = self.client.list_artifacts(identity.run_id)
        inner = [file for each in top if each.is_dir for file in self.client.list_artifacts(identity.run_id, each.path)]
        return {file.path: (folder / file.path).read_text() for file in [*top, *inner] if not file.is_dir}

    def everything(self) -> dict[str, object]:
        """All that two mirrors of one folder have in common: everything but the identities."""
        points = self._points()
        return {
            name: (
                run.info.status,
                run.info.start_time,
                run.info.end_time,
                run.data.params,
                {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"},
                points.get(run.info.run_id),
                self.files(name),
            )
            for name, run in self.runs.items()
        }

    def _points(self) -> dict[str, list[tuple[object, ...]]]:
        """Every point of every metric by run: one query instead of one for each metric."""
        with closing(sqlite3.connect(self.uri.removeprefix("sqlite:///"))) as database:
            rows = database.execute(
                "SELECT run_uuid, key, step, value, is_nan, timestamp FROM metrics ORDER BY 2, 3, 4, 6"
            )
            points: dict[str, list[tuple[object, ...]]] = {}
            for run, *point in rows:
                points.setdefault(run, []).append(tuple(point))
            return points


def _title(run: Run, above: dict[str, Run]) -> str:
    parent = above.get(run.data.tags.get("mlflow.parentRunId", ""))
    return "/".join([*([_title(parent, above)] if parent else []), run.info.run_name])
