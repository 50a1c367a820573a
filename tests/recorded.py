"""Small recorded movies: TIFF stacks as tools write them, and tables of molecules as ThunderSTORM and others do."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

THUNDERSTORM = '"id","frame","x [nm]","y [nm]","z [nm]","sigma [nm]","intensity [photon]","offset [photon]"'
CHALLENGE = "Ground-truth,frame,xnano,ynano,znano,intensity "


def counts(frames: int = 12, height: int = 16, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(90, 4000, (frames, height, width)).astype(np.uint16)


def _page_by_page(path: Path, movie: np.ndarray, **options: Any) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in movie:
            writer.write(frame, contiguous=False, metadata=None, photometric="minisblack", **options)


WRITERS: dict[str, Any] = {
    "imagej": lambda path, movie: tifffile.imwrite(path, movie, imagej=True),
    "imagej with axes": lambda path, movie: tifffile.imwrite(path, movie, imagej=True, metadata={"axes": "TYX"}),
    "ome": lambda path, movie: tifffile.imwrite(path, movie, ome=True, metadata={"axes": "TYX"}),
    "bigtiff": lambda path, movie: tifffile.imwrite(path, movie, bigtiff=True, photometric="minisblack"),
    "big-endian": lambda path, movie: tifffile.imwrite(path, movie, byteorder=">", photometric="minisblack"),
    "zlib": lambda path, movie: tifffile.imwrite(path, movie, compression="zlib", photometric="minisblack"),
    "page by page": _page_by_page,
    "lzw page by page": lambda path, movie: _page_by_page(path, movie, compression="lzw"),
}


def write_table(path: Path, rows: Any, header: str = CHALLENGE) -> Path:
    """Write rows of numbers, each with its number in front."""
    lines = [", ".join(f"{value:.10g}" for value in (number, *row)) for number, row in enumerate(rows, 1)]
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return path
