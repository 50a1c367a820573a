"""Files of workers that do not share the experiment's folder: kept in a folder or at a URI that all of them reach.

Workers train in a folder of their own machine. Before each report they copy what has changed to the storage, and they
take up from there what another machine began. The coordinator copies between the storage and the experiment's folder.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.experiment.artifacts import artifact_files
from hpsearch.experiment.layout import ARTIFACTS, BEST, CHECKPOINT, OUTPUT, PRINTED, RATE_DECISIONS
from hpsearch.workers.output import shorten_file

KEPT = (OUTPUT, PRINTED, RATE_DECISIONS, BEST, CHECKPOINT)
"""In this order: a reader that finds the checkpoint finds the weights that belong to it, too."""


class Storage:
    """One experiment's files at `uri`, seen from a local folder; without a URI there is nothing to copy.

    `uri` is a path, or anything that pyarrow or fsspec can open: `s3://bucket/folder`, `gs://`, `hdfs://`, `file://`.

    Raises:
        HpsearchError: It cannot be opened.

    """

    def __init__(self, folder: Path, uri: str | None) -> None:
        self._folder = folder
        self._seen: dict[Path, int] = {}
        self._files: Any = None
        self._root = ""
        if uri:
            self._files, self._root = _open(uri)

    def keep(self, run: str) -> None:
        """Copy a run's files that have changed since the last time to the storage."""
        if self._files is None:
            return
        self._files.create_dir(f"{self._root}/{run}", recursive=True)
        shorten_file(self._folder / run / OUTPUT)
        artifacts = artifact_files(self._folder / run)
        if artifacts:
            self._files.create_dir(f"{self._root}/{run}/{ARTIFACTS}", recursive=True)
        for path in (*artifacts, *(self._folder / run / name for name in KEPT)):
            if not path.exists() or self._seen.get(path) == path.stat().st_mtime_ns:
                continue
            self._seen[path] = path.stat().st_mtime_ns
            self._upload(path, f"{self._root}/{path.relative_to(self._folder).as_posix()}")

    def leave(self, run: str) -> None:
        """Keep a run's files and remove them here: another machine may go on with it."""
        if self._files is not None:
            self.keep(run)
            shutil.rmtree(self._folder / run, ignore_errors=True)

    def fetch(self, run: str) -> None:
        """Copy a run's files from the storage into the folder."""
        if self._files is None:
            return
        (self._folder / run).mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            if self._changed(run, name) is not None:
                self._download(f"{self._root}/{run}/{name}", self._folder / run / name)
        for name in self._stored_artifacts(run):
            (self._folder / run / ARTIFACTS).mkdir(exist_ok=True)
            self._download(f"{self._root}/{run}/{ARTIFACTS}/{name}", self._folder / run / ARTIFACTS / name)

    def settle(self, run: str) -> None:
        """Bring both sides to the newer state of a run, as after a coordinator that died."""
        changed = self._changed(run, CHECKPOINT)
        path = self._folder / run / CHECKPOINT
        if changed is not None and (not path.exists() or _changed_locally(path) < changed):
            self.fetch(run)
        else:
            self.keep(run)

    def _stored_artifacts(self, run: str) -> list[str]:
        from pyarrow.fs import FileSelector

        found = self._files.get_file_info(FileSelector(f"{self._root}/{run}/{ARTIFACTS}", allow_not_found=True))
        return [info.base_name for info in found if info.is_file and info.extension != "part"]

    def _changed(self, run: str, name: str) -> datetime | None:
        """Return when a stored file was written, None when there is none."""
        if self._files is None:
            return None
        (info,) = self._files.get_file_info([f"{self._root}/{run}/{name}"])
        return info.mtime if info.is_file else None

    def _upload(self, path: Path, target: str) -> None:
        """Write a temporary file and rename it, so that a reader finds the old file or the new one."""
        beside = f"{target}.part"
        with path.open("rb") as source, self._files.open_output_stream(beside) as file:
            shutil.copyfileobj(source, file)
        self._files.move(beside, target)

    def _download(self, source: str, path: Path) -> None:
        beside = path.with_name(f".{path.name}.fetched.tmp")
        with self._files.open_input_stream(source) as file, beside.open("wb") as target:
            shutil.copyfileobj(file, target)
        beside.replace(path)


def _changed_locally(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def _open(uri: str) -> tuple[Any, str]:
    """Return a pyarrow file system and the path in it; fsspec opens what pyarrow does not know."""
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem, FSSpecHandler, LocalFileSystem, PyFileSystem

    if "://" not in uri:
        return LocalFileSystem(), str(Path(uri).resolve())
    try:
        files, root = FileSystem.from_uri(uri)
    except (ArrowException, OSError):
        from fsspec.core import url_to_fs

        try:
            files, root = url_to_fs(uri)
        except (ImportError, ValueError, OSError) as error:
            raise HpsearchError(without_secrets(f"the storage {uri} cannot be opened: {error}")) from error
        files = PyFileSystem(FSSpecHandler(files))
    return files, root.rstrip("/")
