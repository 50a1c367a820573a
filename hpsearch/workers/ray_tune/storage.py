"""Files of workers that do not share the experiment's folder: kept in a folder or at a URI that all of them reach.

Workers train in a folder of their own machine. Before each report they copy what has changed to the storage, and they
take up from there what another machine began. The coordinator copies between the storage and the experiment's folder.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.experiment.artifacts import artifact_files
from hpsearch.experiment.files import no_room
from hpsearch.experiment.layout import (
    ARTIFACTS,
    BEST,
    CHECKPOINT,
    LOG,
    OUTPUT,
    PREVIOUS,
    PREVIOUS_BEST,
    PRINTED,
    RATE_DECISIONS,
)
from hpsearch.extras import Extra, install
from hpsearch.workers.output import shorten_file

KEPT = (OUTPUT, PRINTED, RATE_DECISIONS, BEST, CHECKPOINT)
"""In this order: a reader that finds the checkpoint finds the weights that belong to it, too."""
_FORMER = {BEST: PREVIOUS_BEST, CHECKPOINT: PREVIOUS}
"""What was kept before of these is kept as these, until the run has ended: a file may be damaged there."""
_S3 = ("s3://", "s3a://")
_S3_OPTIONS = {
    "use_listings_cache": False,  # others write there
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 20,
        "retries": {"mode": "standard", "total_max_attempts": 6},  # half a minute of errors is waited for
    },
}


class Storage:
    """One experiment's files at `uri`, seen from a local folder; without a URI there is nothing to copy.

    `uri` is a path, or anything that pyarrow or fsspec can open: `s3://bucket/folder`, `gs://`, `hdfs://`, `file://`.

    Raises:
        HpsearchError: It cannot be opened.
        SearchFailedError: From every method, if the storage fails. Nothing is lost: who goes on later finds what was
            kept before.

    """

    def __init__(self, folder: Path, uri: str | None) -> None:
        self._folder = folder
        self._seen: dict[Path, int] = {}
        self._files: Any = None
        self._root = ""
        self._uri = uri
        if uri:
            self._files, self._root = _open(uri)

    def try_out(self) -> None:
        """Look into the storage, so that one that cannot be used is told before anything is trained."""
        if self._files is not None:
            with self._explained("used"):
                self._stored(LOG)  # nothing is there, but whoever may not look is told

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Turn whatever the storage's library raises into a sentence; a full disk of this machine has its own."""
        try:
            yield
        except SearchFailedError:
            raise
        except Exception as error:
            reason = no_room(error) or f"{type(error).__name__}: {error}".strip().splitlines()[0]
            raise SearchFailedError(
                f"the storage {self._uri} cannot be {done} ({reason}); nothing that is finished is lost, and the "
                "same command goes on when it answers"
            ) from error

    def keep(self, run: str, *, copied: bool = False) -> None:
        """Copy a run's files that have changed since the last time to the storage.

        `copied`: the run goes on as a copy of another, so that what was kept there before is of no use to it.
        """
        if self._files is None:
            return
        shorten_file(self._folder / run / OUTPUT)
        own = (*artifact_files(self._folder / run), *(self._folder / run / name for name in KEPT))
        changed = [path for path in own if path.exists() and self._seen.get(path) != path.stat().st_mtime_ns]
        with self._explained("written"):
            for folder in dict.fromkeys(path.parent for path in changed):
                self._make(f"{self._root}/{folder.relative_to(self._folder).as_posix()}")
            for path in changed:
                written = path.stat().st_mtime_ns
                place = f"{self._root}/{path.relative_to(self._folder).as_posix()}"
                keeps = path in self._seen and path.parent == self._folder / run and not copied
                former = _FORMER.get(path.name) if keeps else None
                self._upload(path, place, former=f"{self._root}/{run}/{former}" if former else None)
                self._seen[path] = written
            if copied and self._folder / run / CHECKPOINT in changed:
                for name in {*_FORMER.values()} & self._stored(run).keys():
                    self._files.delete_file(f"{self._root}/{run}/{name}")

    def leave(self, run: str) -> None:
        """Keep a run's files and remove them here: another machine may go on with it."""
        if self._files is not None:
            self.keep(run)
            shutil.rmtree(self._folder / run, ignore_errors=True)

    def fetch(self, run: str, *, kept: bool = False, former: bool = False, over: bool = False) -> None:
        """Copy a run's files from the storage into the folder, all of them or none.

        `kept`: there must be some. `former`: also the generation before of checkpoint and weights, for who trains on.
        If the run is `over`, that generation is removed there.
        """
        if self._files is None:
            return
        (self._folder / run).mkdir(parents=True, exist_ok=True)
        with self._explained("read"):
            stored = self._stored(run)
            if kept and not stored:
                raise FileNotFoundError(f"the files of {run} are gone")
            fetched = []
            wanted = [name for name in stored if former or name not in _FORMER.values()]
            for name in sorted(wanted, key=lambda name: KEPT.index(name) if name in KEPT else -1):
                path = self._folder / run / name
                path.parent.mkdir(exist_ok=True)
                fetched.append((self._download(f"{self._root}/{run}/{name}", path), path))
            for beside, path in fetched:
                beside.replace(path)
                self._seen[path] = path.stat().st_mtime_ns
            for name in {*_FORMER.values()} & stored.keys() if over else ():
                self._files.delete_file(f"{self._root}/{run}/{name}")

    def settle(self, run: str) -> None:
        """Bring both sides to the newer state of a run, as after a coordinator that died."""
        if self._files is None:
            return
        with self._explained("read"):
            stored = self._stored(run)
            changed = max((stored[name] for name in (CHECKPOINT, PREVIOUS) if name in stored), default=None)
        path = self._folder / run / CHECKPOINT
        if changed is not None and (not path.exists() or _changed_locally(path) < changed):
            self.fetch(run)
        else:
            self.keep(run)

    def _stored(self, run: str) -> dict[str, datetime]:
        """Return when each of a run's files that are kept was written, by its name in the run's folder."""
        from pyarrow.fs import FileSelector

        place = f"{self._root}/{run}".rstrip("/")
        if fsspec := _of_buckets(self._files):
            found = {path: info["LastModified"] for path, info in fsspec.find(place, detail=True).items()}
        else:
            infos = self._files.get_file_info(FileSelector(place, allow_not_found=True, recursive=True))
            found = {info.path: info.mtime for info in infos if info.is_file}
        names = {path.rpartition(f"/{run}/")[2]: changed for path, changed in found.items()}
        return {
            name: changed
            for name, changed in names.items()
            if name in (*KEPT, *_FORMER.values()) or (name.startswith(f"{ARTIFACTS}/") and not name.endswith(".part"))
        }

    def _make(self, folder: str) -> None:
        if not _of_buckets(self._files):  # there, a folder is a part of a name
            self._files.create_dir(folder, recursive=True)

    def _upload(self, path: Path, target: str, *, former: str | None = None) -> None:
        """Write a temporary file and rename it, so that a reader finds the old file or the new one.

        In a bucket a file comes into being when all of it is there. What was at the target is `former` afterwards.
        """
        if fsspec := _of_buckets(self._files):
            if former:
                with suppress(FileNotFoundError):  # somebody has removed it
                    fsspec.cp_file(target, former)
            fsspec.put_file(str(path), target)
            return
        beside = f"{target}.part"
        with path.open("rb") as source, self._files.open_output_stream(beside) as file:
            shutil.copyfileobj(source, file)
        if former:
            with suppress(FileNotFoundError):
                self._files.move(target, former)
        self._files.move(beside, target)

    def _download(self, source: str, path: Path) -> Path:
        beside = path.with_name(f".{path.name}.fetched.tmp")
        if fsspec := _of_buckets(self._files):
            fsspec.get_file(source, str(beside))
            return beside
        with self._files.open_input_stream(source) as file, beside.open("wb") as target:
            shutil.copyfileobj(file, target)
        return beside


def _changed_locally(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def _of_buckets(files: Any) -> Any:
    """Return fsspec's file system of buckets behind pyarrow's, or None."""
    fsspec = getattr(getattr(files, "handler", None), "fs", None)
    protocols = getattr(fsspec, "protocol", ())
    return fsspec if fsspec is not None and "s3" in protocols else None


def _open(uri: str) -> tuple[Any, str]:
    """Return a pyarrow file system and the path in it; fsspec opens buckets of S3, and what pyarrow does not know."""
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem, LocalFileSystem

    if "://" not in uri:
        return LocalFileSystem(), str(Path(uri).resolve())
    if uri.startswith(_S3):
        return _open_by_fsspec(uri, _S3_OPTIONS)
    try:
        files, root = FileSystem.from_uri(uri)
    except (ArrowException, OSError):
        return _open_by_fsspec(uri, {})
    return files, root.rstrip("/")


def _open_by_fsspec(uri: str, options: dict[str, Any]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    try:
        files, root = url_to_fs(uri, **options)
    except ImportError as error:
        wanted = install(Extra.S3) if uri.startswith(_S3) else str(error)
        raise HpsearchError(
            without_secrets(f"the storage {uri} cannot be opened: a package is missing: {wanted}")
        ) from error
    except (ValueError, OSError) as error:
        raise HpsearchError(without_secrets(f"the storage {uri} cannot be opened: {error}")) from error
    if uri.startswith(_S3):
        files.retries = 2  # of its own, each of which takes all of botocore's
    return PyFileSystem(FSSpecHandler(files)), root.rstrip("/")
