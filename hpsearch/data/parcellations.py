"""FreeSurfer's parcellations of the cortex (`lh.aparc.annot`, `rh.aparc.annot`), which make regions of sources."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.head_files import Sources, merge
from hpsearch.errors import DataError

Integers = NDArray[np.int64]

ANNOTATION = ".annot"
_OUTSIDE = frozenset({"unknown", "???", "corpuscallosum", "medial_wall", "freesurfer_defined_medial_wall"})
"""What the atlases call that which is no region of the cortex."""


def annotation_pair(path: str | Path) -> tuple[Path, Path]:
    """Return the files of the left and of the right hemisphere, of which one is named.

    Raises:
        DataError: The name tells no hemisphere, or one of the two is missing.
    """
    place = Path(path)
    side, rest = place.name[:3], place.name[3:]
    if side not in ("lh.", "rh."):
        raise DataError(f"{place}: the name of a parcellation begins with lh. or rh., so that the other is found")
    pair = place.with_name(f"lh.{rest}"), place.with_name(f"rh.{rest}")
    if missing := [each for each in pair if not each.is_file()]:
        raise DataError(f"there is no parcellation {missing[0]}: both hemispheres are needed, in one folder")
    return pair


def _read(path: Path) -> tuple[Integers, list[str]]:
    """Return the region of each vertex, -1 for none, and the names of the regions."""
    from nibabel.freesurfer.io import read_annot

    read: Any = read_annot  # it has no types
    try:
        labels, _, names = read(path)
    except Exception as error:  # noqa: BLE001 -- nibabel raises many kinds for a file that is cut short
        raise DataError(
            f"{path} is damaged, or no parcellation of FreeSurfer: {error or type(error).__name__}"
        ) from None
    told = [name.decode("utf-8", "replace") for name in names]
    outside = [number for number, name in enumerate(told) if name.casefold().split("+")[-1] in _OUTSIDE]
    region = np.asarray(labels, dtype=np.int64)
    return np.where(np.isin(region, outside), -1, region), told


def parcellated(sources: Sources, path: str | Path) -> Sources:
    """Return the sources as the regions of a parcellation, left ones first; those outside of all are left out.

    Raises:
        DataError: The parcellation cannot be read, or is that of another surface.
    """
    pair = annotation_pair(path)
    (left, _), (right, _) = (_read(each) for each in pair)
    counts = len(left), len(right)
    region = np.concatenate([left, np.where(right < 0, -1, right + left.max() + 1)])
    has = sources.vertices if len(sources.surface) else (len(sources.centres),)
    if has != (counts if len(sources.surface) else (sum(counts),)):
        raise DataError(
            f"{path} is of another surface: its hemispheres have {counts[0]} and {counts[1]} vertices, and the lead "
            f"field's have {' and '.join(map(str, has))}{'' if len(sources.surface) else ' together'}"
        )
    if len(sources.surface):
        region = region[sources.surface[:, 1] + counts[0] * sources.surface[:, 0]]
    if not (inside := region >= 0).any():
        raise DataError(f"{path}: no source lies in one of its regions")
    found = merge(_chosen(sources, inside), np.unique(region[inside], return_inverse=True)[1].astype(np.int64))
    without = int((~inside).sum())
    note = f"{found.gain.shape[1]} regions of {pair[0].name} and {pair[1].name}"
    left_out = f"; {without} of {len(inside)} sources lie in none of them and are left out" if without else ""
    return replace(found, notes=(*found.notes, note + left_out))


def _chosen(sources: Sources, kept: NDArray[np.bool_]) -> Sources:
    """Return these sources (S,) alone."""
    number = np.cumsum(kept) - 1
    edges = sources.edges
    if edges is not None:
        edges = number[edges[kept[edges].all(axis=1)]]
    surface = sources.surface[kept[sources.surface[:, 2]]] if len(sources.surface) else sources.surface.copy()
    surface[:, 2] = number[surface[:, 2]]
    return replace(
        sources,
        gain=sources.gain[:, kept],
        centres=sources.centres[kept],
        normals=None if sources.normals is None else sources.normals[kept],
        edges=edges,
        surface=surface,
    )
