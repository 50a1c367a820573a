"""TensorBoard's event files of an experiment, in its folder `tensorboard/`, which `tensorboard --logdir` takes.

Metrics keep their names; parameters and outcome are on the HPARAMS page, histograms below `gradients/` and
`weights/`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.records import Outcome
from hpsearch.tracking.entries import MirroredRun, Row
from hpsearch.tracking.mirror import ExperimentMirror, RunNews, Sink

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

FOLDER = "tensorboard"


def tensorboard_mirror(folder: Path) -> ExperimentMirror:
    """Return the mirror of an experiment in event files below it."""
    return ExperimentMirror(folder, TensorBoardSink(folder.resolve() / FOLDER))


class TensorBoardSink(Sink):
    """One folder with event files for each run below `root`."""

    name = title = "tensorboard"
    state_file = "tracking-tensorboard.json"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writers: dict[str, EventFileWriter] = {}

    def write(self, run: MirroredRun, news: RunNews) -> None:
        """Write parameters, scalars and histograms, and how a run ended."""
        if news.config is not None:
            self._add_params(news.path, news.changes.params | news.config, run.start)
        self._add_rows(news.path, news.rows)
        for look in news.looks:
            self._add_histograms(news.path, look, news.rows[-1][0].time if news.rows else run.start)
        if news.outcome:
            self._add_end(news.path, news.outcome, news.changes.end)

    def _add_params(self, path: str, params: dict[str, Any], start: int) -> None:
        from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        info = SessionStartInfo(group_name=path, start_time_secs=start / 1000)
        for name, value in params.items():
            if isinstance(value, bool):
                info.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                info.hparams[name].number_value = value
            else:
                info.hparams[name].string_value = str(value)
        self._add(path, _hparams(SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info)), start)

    def _add_rows(self, path: str, rows: list[Row]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        for row in rows:
            values = [Summary.Value(tag=point.key, simple_value=point.value) for point in row]
            self._add(path, Summary(value=values), row[0].time, row[0].step)

    def _add_histograms(self, path: str, look: dict[str, Any], time: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=f"{folder}/{parameter}", histo=_histogram(numbers[kind]))
            for parameter, numbers in look["parameters"].items()
            for kind, folder in (("gradient", "gradients"), ("weight", "weights"))
            if kind in numbers
        ]
        self._add(path, Summary(value=values), time, look["step"])

    def _add_end(self, path: str, outcome: str, end: int) -> None:
        """Write how a run ended; TensorBoard knows success and failure only."""
        from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
        from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        good = outcome in (Outcome.COMPLETE, Outcome.PRUNED)
        info = SessionEndInfo(status=STATUS_SUCCESS if good else STATUS_FAILURE, end_time_secs=end / 1000)
        self._add(path, _hparams(SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info)), end)
        self._writers.pop(path).close()

    def flush(self) -> None:
        """Write everything to the files."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        while self._writers:
            self._writers.popitem()[1].close()

    def _add(self, path: str, summary: Any, time: int, step: int = 0) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if path not in self._writers:
            self._writers[path] = EventFileWriter(str(self._root / path))
        self._writers[path].add_event(Event(wall_time=time / 1000, step=step, summary=summary))


def _hparams(tag: str, content: Any) -> Any:
    """Return a summary for the HPARAMS page; TensorBoard's own function for it needs TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams.metadata import PLUGIN_NAME

    plugin = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME, content=content.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))])


def _histogram(numbers: dict[str, Any]) -> Any:
    """Return the spread of a tensor as TensorBoard's histogram; sums are those of the bins' centres."""
    from tensorboard.compat.proto.histogram_pb2 import HistogramProto

    low, high, counts = numbers["low"], numbers["high"], numbers["counts"]
    width = (high - low) / len(counts)
    centres = [low + (place + 0.5) * width for place in range(len(counts))]
    return HistogramProto(
        min=low,
        max=high,
        num=sum(counts),
        sum=sum(count * centre for count, centre in zip(counts, centres, strict=True)),
        sum_squares=sum(count * centre**2 for count, centre in zip(counts, centres, strict=True)),
        bucket_limit=[low + (place + 1) * width for place in range(len(counts))],
        bucket=counts,
    )
