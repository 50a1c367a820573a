"""The live mirror in MLflow."""

from collections.abc import Callable
from pathlib import Path

from hpsearch.tracking.live import PAUSE, LiveTracker
from hpsearch.tracking.mlflow_mirror import MlflowMirror


class MlflowTracker(LiveTracker):
    """Mirrors `folder` in the store at `tracking_uri`."""

    def __init__(
        self, folder: Path, tracking_uri: str | None, *, warn: Callable[[str], None], pause: float = PAUSE
    ) -> None:
        super().__init__(MlflowMirror(folder, tracking_uri), warn=warn, pause=pause)
