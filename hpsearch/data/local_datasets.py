"""Local folders of Hugging Face's `datasets`: what `save_to_disk` writes, and the parquet files of the Hub.

Nothing is downloaded. The package is imported when such a folder is read.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.data.folds import Part, part_called
from hpsearch.errors import DataError
from hpsearch.extras import Extra, require

_SAVED = ("dataset_dict.json", "dataset_info.json")


def is_dataset(folder: Path) -> bool:
    """Check whether `datasets` can read a folder, or a file: one of parquet."""
    if folder.is_file():
        return folder.suffix.lower() == ".parquet"
    return any((folder / name).is_file() for name in _SAVED) or bool(_parquet_files(folder))


def dataset_files(folder: Path) -> list[Path]:
    """Return the files that such a folder's data are in, without what `datasets` has cached beside them."""
    kinds = (".arrow", ".parquet", ".json")
    files = (path for path in sorted(folder.rglob("[!.]*")) if path.is_file() and path.suffix in kinds)
    return [path for path in files if not path.name.startswith("cache-")]


def dataset_splits(folder: Path) -> dict[Part, Callable[[], Any]]:
    """Return what reads each of the splits that a folder or file holds; one that is not divided is `train`.

    Raises:
        DataError: the folder holds none of them, or some twice, or the package is missing.
    """
    if folder.is_file():
        return {"train": _parquet_reader([folder])}
    if (folder / "dataset_dict.json").is_file():
        names = [each.name for each in sorted(folder.iterdir()) if (each / "dataset_info.json").is_file()]
        return {part: _reader(folder / name) for part, name in _by_part(names, folder).items()}
    if (folder / "dataset_info.json").is_file():
        return {"train": _reader(folder)}
    files: dict[str, list[Path]] = {}
    for path in _parquet_files(folder):
        files.setdefault(_split_of(path), []).append(path)
    for name, own in files.items():
        if len({path.parent for path in own}) > 1:
            places = " and ".join(sorted({path.parent.name for path in own}))
            raise DataError(f"{folder} holds several datasets: {name} is in {places}; name one of the folders")
    if not any(map(part_called, files)):
        return {"train": _parquet_reader(_parquet_files(folder))}
    return {part: _parquet_reader(files[name]) for part, name in _by_part(list(files), folder).items()}


def names_of(rows: Any, column: str) -> tuple[str, ...]:
    """Return the names of the classes of a column of `datasets`' ClassLabel; none for other columns.

    Raises:
        DataError: there is no such column.
    """
    if column not in rows.features:
        raise DataError(f"the dataset has no '{column}'; it has: {', '.join(rows.features)}")
    return tuple(getattr(rows.features[column], "names", None) or ())


def _by_part(names: Sequence[str], folder: Path) -> dict[Part, str]:
    found: dict[Part, str] = {}
    for name in names:
        part = part_called(name)
        if part in found:
            raise DataError(f"{folder} has {found[part]} and {name}, which are the same split; leave one of them")
        if part is not None:
            found[part] = name
    if "train" not in found:
        raise DataError(f"{folder} has no split train; it has: {', '.join(names)}")
    return found


def _parquet_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("[!.]*.parquet") if path.is_file())


def _split_of(path: Path) -> str:
    """Return the split that a file's name begins with, or its folder is called after: train-00000-of-00001.parquet."""
    name = path.stem.partition("-")[0]
    return name if part_called(name) or not part_called(path.parent.name) else path.parent.name


def _reader(folder: Path) -> Callable[[], Any]:
    def read() -> Any:
        datasets = _package(folder)
        try:
            return datasets.load_from_disk(str(folder))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise DataError(f"{folder} cannot be read by datasets: {error}") from None

    return read


def _parquet_reader(files: Sequence[Path]) -> Callable[[], Any]:
    def read() -> Any:
        datasets = _package(files[0].parent)
        try:
            with tempfile.TemporaryDirectory() as cache:
                return datasets.Dataset.from_parquet(list(map(str, files)), keep_in_memory=True, cache_dir=cache)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            raise DataError(f"{files[0]} cannot be read by datasets: {error.__cause__ or error}") from None

    return read


def _package(folder: Path) -> Any:
    require(f"reading {folder}", Extra.DATASETS, kind=DataError)
    import datasets

    datasets.disable_progress_bars()
    return datasets


def rows_of(rows: Any, columns: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Return the values of some columns.

    Raises:
        DataError: there is no such column.
    """
    for column in columns:
        names_of(rows, column)
    return {column: rows.with_format(None)[column][:] for column in columns}
