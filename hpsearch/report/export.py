"""The table of trials as a file for other programs."""

from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import ExperimentRecord
from hpsearch.report.frames import trials_frame
from hpsearch.report.wording import plain

FORMATS = ("csv", "parquet")


def export_table(record: ExperimentRecord, path: str | Path, to: str | None = None) -> None:
    """Write a row for each trial `to` csv or parquet, by default as the file's ending says; an existing file is kept.

    In Parquet a parameter whose values are of several kinds, or lists, becomes text.
    Errors: UnknownNameError for another format; HpsearchError when the file exists or its folder does not.
    """
    path = Path(path)
    to = path.suffix.removeprefix(".") if to is None else to
    if to not in FORMATS:
        raise UnknownNameError("table format", to, FORMATS)
    if path.exists():
        raise HpsearchError(f"{path} exists; hpsearch does not write over files")
    if not path.parent.is_dir():
        raise HpsearchError(f"the folder {path.parent} does not exist")
    frame = trials_frame(record)
    if to == "csv":
        frame.to_csv(path, index=False)
        return
    mixed: list[str] = list(frame.select_dtypes("object", exclude="str").columns)
    for name in mixed:
        frame[name] = frame[name].map(_text, na_action="ignore")
    frame.to_parquet(path, index=False)


def _text(value: Any) -> str:
    return plain(value)
