"""Writing a figure into a file of the user's."""

from pathlib import Path

from matplotlib.figure import Figure

from hpsearch.errors import HpsearchError, UnknownNameError

FORMATS = ("pdf", "png", "svg")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the file's name ends in.

    Errors: UnknownNameError for another format; HpsearchError when the file cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UnknownNameError("picture format", kind or path.name, FORMATS)
    try:
        figure.savefig(path, format=kind, dpi=150)
    except OSError as error:
        raise HpsearchError(f"{path} cannot be written: {error.strerror or error}") from error
