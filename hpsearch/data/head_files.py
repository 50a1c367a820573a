"""Lead fields from files: a matrix in a `.mat` or `.npz` file with the geometry beside it, or MNE's forward solution.

A matrix has a row for each electrode and a column for each source, or three (x, y, z) that normals reduce to one. The
geometry is read under the names that DeepSIF's, Brainstorm's and FieldTrip's files use; see `_POSITIONS` and below.
A map of regions (V,) makes regions of V vertices: their columns are summed, as of dipoles with the same activity (Sun
et al., PNAS 2022, `forward_prepare_lfd_matrix.m`), and a region lies at its vertex nearest to its middle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.array_files import as_numbers, describe, find_by_name, find_labels, pick_array, read_arrays
from hpsearch.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Pairs = NDArray[np.int64]
"""Edges (E, 2) between sources."""

_MATRICES = ("fwd", "Gain", "gain", "leadfield", "lead_field", "lf", "L", "G")
_POSITIONS = ("pos", "positions", "centres", "centre", "centers", "GridLoc", "Vertices", "vertices", "source_pos", "rr")
_NORMALS = ("ori", "normals", "orientations", "GridOrient", "VertNormals", "nn")
_TRIANGLES = ("tri", "triangles", "faces", "Faces", "tris")
_REGIONS = ("rm", "region_map", "region_mapping", "parcels", "regions")
_FEWEST = 8
"""The smallest dimension of a lead field."""
_NEIGHBOURS = ("nbs", "neighbours", "neighbors", "adjacency", "VertConn")


@dataclass(frozen=True)
class Sources:
    """A lead field as a file has it, before it is referenced.

    gain (C, S). centres (S, 3) in mm, normals (S, 3) or None. edges (E, 2): the sources that touch, or None where the
    file does not say. names (C,) and places (C, 3) in mm of the electrodes, or None. surface (V, 3): hemisphere, number
    and source of each vertex of a FreeSurfer surface, empty where that is not known; `vertices` says how many each
    hemisphere's surface has in all.
    """

    gain: Floats
    centres: Floats
    normals: Floats | None
    edges: Pairs | None
    names: list[str] | None
    surface: Integers
    notes: tuple[str, ...] = ()
    places: Floats | None = None
    vertices: tuple[int, ...] = ()


def read_matrix(
    path: str | Path,
    *,
    variable: str | None,
    geometry: Mapping[str, str],
    electrodes: tuple[int, str] | None,
    otherwise: int | None,
    millimetres: float,
    padding: float | None,
) -> Sources:
    """Return the lead field of a `.mat` or `.npz` file. `geometry` maps settings to the files that also belong to it.

    `electrodes` is their number and the setting that has it, `otherwise` theirs where there is none; `millimetres` is
    one unit of the positions; `padding` fills up rows of a list of neighbours.

    Raises:
        DataError: The files do not hold a lead field with its geometry, or do not fit each other.
    """
    own = read_arrays(path, alone=_MATRICES[0])
    beside: dict[str, Any] = {}
    for setting, file in geometry.items():
        beside |= read_arrays(file, alone=_POSITIONS[0] if setting == "cortex" else _REGIONS[0])
    names = find_labels(own)
    gain, notes = _matrix(own, variable, electrodes, otherwise, named=len(names) if names else None)
    names = names if names and len(names) == len(gain) else None
    known = {**_without_matrix(own, gain.shape), **beside}
    return _assemble(gain, known, names=names, notes=notes, millimetres=millimetres, padding=padding)


def _matrix(
    arrays: Mapping[str, Any],
    variable: str | None,
    given: tuple[int, str] | None,
    otherwise: int | None,
    *,
    named: int | None,
) -> tuple[Floats, tuple[str, ...]]:
    """Return the lead field with the electrodes as rows, and a note if they were columns.

    The `named` ones are the electrodes of the file unless there are more of them than in the other dimension, where
    they are taken for the sources.
    """
    shapes = [array.shape for value in arrays.values() if (array := as_numbers(value)) is not None]
    shapes = [shape for shape in shapes if _may_be(shape)]
    electrodes = given[0] if given is not None else None
    if electrodes is None and not any(otherwise in shape for shape in shapes):
        electrodes = named if any(named in (shape[0], min(shape)) for shape in shapes) else None
    electrodes = electrodes or otherwise

    def fits(shape: tuple[int, ...]) -> bool:
        return _may_be(shape) and (electrodes is None or electrodes in shape)

    what = "a lead field"
    if electrodes is not None:
        said = given[1] if given is not None else "its names or data.lead_field.electrodes"
        what += f" of {electrodes} electrodes (their number is from {said})"
    name, found = pick_array(
        arrays, variable=variable, usual=_MATRICES, fits=fits, what=what, setting="data.lead_field.variable"
    )
    rows, columns = found.shape
    if rows == columns:
        raise DataError(f"{name} is square ({rows}x{columns}): which dimension are the electrodes cannot be told")
    turned = columns == electrodes if electrodes else columns < rows
    notes = (f"{name} is {rows}x{columns}: its columns are taken as the electrodes",) if turned else ()
    gain = np.asarray(found.T if turned else found, dtype=np.float64)
    return gain, notes


def _may_be(shape: tuple[int, ...]) -> bool:
    """Return whether an array of this shape may be a lead field, and not positions or a list of numbers."""
    return len(shape) == 2 and min(shape) >= _FEWEST


def _without_matrix(arrays: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    return {name: value for name, value in arrays.items() if np.shape(value) not in (shape, shape[::-1])}


def _assemble(
    gain: Floats,
    known: Mapping[str, Any],
    *,
    names: list[str] | None,
    notes: tuple[str, ...],
    millimetres: float,
    padding: float | None,
) -> Sources:
    points = _positions(known, gain.shape[1])
    if points is None:
        raise DataError(
            f"the positions of the sources are missing: name a file with an array {_POSITIONS[0]} (N, 3) in "
            f"data.lead_field.cortex (other names: {', '.join(_POSITIONS[1:])}); found: {describe(known)}"
        )
    normals, triangles = _rows(known, _NORMALS, "normals"), _rows(known, _TRIANGLES, "triangles")
    regions = as_numbers(find_by_name(known, _REGIONS))
    region = None if regions is None or regions.size != len(points) else _numbered(regions.ravel())
    sources = len(points) if region is None else int(region.max()) + 1
    gain = _fixed(gain, points=len(points), sources=sources, normals=normals)
    edges = None if triangles is None else _edges(triangles, len(points))
    centres, normals = points * millimetres, None if normals is None else normals.astype(np.float64)
    if region is not None:
        gain = gain if gain.shape[1] == sources else _summed(gain, region, sources)
        centres, normals = _middles(centres, region, sources), _mean_normals(normals, region, sources)
        edges = None if edges is None else _between(region[edges])
    listed = find_by_name(known, _NEIGHBOURS)
    if listed is not None and np.shape(listed)[:1] == (sources,):
        edges = _listed_edges(listed, sources, padding)
    empty = np.empty((0, 3), dtype=np.int64)
    return Sources(gain, centres, normals, edges, names, empty, notes)


def _positions(known: Mapping[str, Any], columns: int) -> Floats | None:
    """Return the positions: of several, those that are as many as the columns of the lead field."""
    named = [name for name in _POSITIONS if name in known]
    fitting = [name for name in named if len({columns, columns // 3} & set(np.shape(known[name])))]
    return _rows(known, tuple(fitting or named), "positions")


def _rows(known: Mapping[str, Any], names: tuple[str, ...], what: str) -> Floats | None:
    """Return a variable of N rows of three numbers; one that is turned around is turned back."""
    found = as_numbers(find_by_name(known, names))
    if found is None:
        return None
    if found.ndim != 2 or 3 not in found.shape:
        raise DataError(f"the {what} are {'x'.join(map(str, found.shape))} instead of N x 3")
    return np.asarray(found if found.shape[1] == 3 else found.T, dtype=np.float64)


def _numbered(regions: NDArray[Any]) -> Integers:
    """Return the regions of vertices as numbers from 0, in the order of the file's own numbers."""
    return np.unique(regions, return_inverse=True)[1].ravel().astype(np.int64)


def _fixed(gain: Floats, *, points: int, sources: int, normals: Floats | None) -> Floats:
    """Return the lead field with one column for each point or source.

    Raises:
        DataError: The number of columns fits neither, or three columns a source cannot be reduced.
    """
    columns = gain.shape[1]
    if columns in (points, sources):
        return gain
    if columns == 3 * points:
        if normals is None or len(normals) != points:
            raise DataError(
                f"the lead field has three columns (x, y, z) for each of {points} sources, and there are no normals to "
                f"reduce them by: add an array {_NORMALS[0]} ({points}, 3) to the file of data.lead_field.cortex"
            )
        unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        fixed: Floats = np.einsum("csx,sx->cs", gain.reshape(len(gain), points, 3), unit)
        return fixed
    there = f"{points} positions" if sources == points else f"{points} positions in {sources} regions"
    raise DataError(f"the lead field has {columns} columns, one for each source, and the cortex has {there}")


def _summed(gain: Floats, region: Integers, sources: int) -> Floats:
    total = np.zeros((sources, len(gain)))
    np.add.at(total, region, gain.T)
    return total.T


def _middles(points: Floats, region: Integers, sources: int) -> Floats:
    """Return for each region its point nearest to its mean."""
    sizes = np.bincount(region, minlength=sources)
    means = np.stack([np.bincount(region, axis, sources) for axis in points.T], axis=1) / sizes[:, None]
    order = np.lexsort((np.linalg.norm(points - means[region], axis=1), region))
    first: Floats = points[order[np.searchsorted(region[order], np.arange(sources))]]
    return first


def _mean_normals(normals: Floats | None, region: Integers, sources: int) -> Floats | None:
    if normals is None or len(normals) != len(region):
        return None
    total = np.stack([np.bincount(region, axis, sources) for axis in normals.T], axis=1)
    unit: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return unit


def _edges(triangles: Floats, points: int) -> Pairs:
    """Return the edges of triangles whose corners are counted from 1, or from 0 if a 0 occurs."""
    faces = triangles.astype(np.int64) - (0 if triangles.min() == 0 else 1)
    if faces.min() < 0 or faces.max() >= points:
        raise DataError(f"the triangles name vertices up to {int(triangles.max())}, and there are {points} positions")
    return _between(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]))


def _between(pairs: Pairs) -> Pairs:
    """Return each pair of different sources once."""
    return np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)


def _listed_edges(listed: Any, sources: int, padding: float | None) -> Pairs:
    """Return the edges of neighbours: a matrix (S, S), or for each source a list of others, filled up or not.

    The numbers count from 1 if that of the last source occurs, as in MATLAB; else from 0 if a 0 does. What is no
    source's number is padding, as is the number `padding`.
    """
    full = as_numbers(listed)
    if full is not None and full.shape == (sources, sources):
        return _between(np.argwhere(full != 0))
    rows = [np.ravel(np.asarray(row, dtype=np.float64)) for row in listed]
    owner = np.repeat(np.arange(sources), [len(row) for row in rows])
    other = np.concatenate(rows)
    kept = np.isfinite(other) & (other != padding) if padding is not None else np.isfinite(other)
    owner, other = owner[kept], other[kept].astype(np.int64)
    first = 1 if (other == sources).any() or not (other == 0).any() else 0
    inside = (other >= first) & (other < sources + first)
    return _between(np.stack([owner[inside], other[inside] - first], axis=1))


def read_forward(path: str | Path) -> Sources:
    """Return the EEG part of MNE's forward solution, its dipoles at right angles to the cortex; in uV per nAm.

    Raises:
        DataError: It cannot be read, has no EEG, or its sources have no normals.
    """
    import mne

    try:
        forward = mne.read_forward_solution(path, verbose="error")
    except Exception as error:  # noqa: BLE001 -- MNE raises many kinds for a file that it cannot read
        raise DataError(f"{path} is damaged, or not a forward solution: {error or type(error).__name__}") from None
    kinds = mne.channel_indices_by_type(forward["info"])
    if not kinds["eeg"]:
        has = ", ".join(f"{len(found)} {kind}" for kind, found in kinds.items() if found)
        raise DataError(f"{path} has no EEG channels; it has {has or 'none at all'}")
    if any(part["type"] == "vol" for part in forward["src"]):
        raise DataError(f"{path} has sources in a volume, which have no normals: make it with a surface source space")
    names = [forward["info"]["ch_names"][index] for index in kinds["eeg"]]
    forward = mne.pick_channels_forward(forward, names, ordered=True, verbose="error")
    forward = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, use_cps=True, verbose="error")
    surface = [
        np.stack([np.full_like(part["vertno"], side), part["vertno"]], axis=1)
        for side, part in enumerate(forward["src"])
        if part["type"] == "surf"
    ]
    numbers = np.concatenate(surface) if surface else np.empty((0, 2), dtype=np.int64)
    return Sources(
        gain=np.asarray(forward["sol"]["data"], dtype=np.float64) * 1e6 / 1e9,
        centres=np.asarray(forward["source_rr"], dtype=np.float64) * 1000.0,
        normals=np.asarray(forward["source_nn"], dtype=np.float64),
        edges=_mesh_of(forward["src"]) if surface else None,
        names=names,
        surface=np.column_stack([numbers, np.arange(len(numbers))]).astype(np.int64),
        places=np.array([channel["loc"][:3] for channel in forward["info"]["chs"]], dtype=np.float64) * 1000.0,
        vertices=tuple(int(part["np"]) for part in forward["src"] if part["type"] == "surf"),
    )


def _mesh_of(spaces: Any) -> Pairs | None:
    """Return the edges of the triangles between the sources in use, or None where the file has none."""
    import mne

    if not all(part["nuse_tri"] for part in spaces):
        return None
    adjacency = mne.spatial_src_adjacency(spaces, verbose="error").tocoo()
    return _between(np.stack([adjacency.row, adjacency.col], axis=1).astype(np.int64))


def merge(sources: Sources, region: Integers) -> Sources:
    """Return the sources as regions (S,), numbered from 0: columns are summed, surfaces and edges follow."""
    count = int(region.max()) + 1
    surface = sources.surface.copy()
    surface[:, 2] = region[surface[:, 2]]
    return replace(
        sources,
        gain=_summed(sources.gain, region, count),
        centres=_middles(sources.centres, region, count),
        normals=_mean_normals(sources.normals, region, count),
        edges=None if sources.edges is None else _between(region[sources.edges]),
        surface=surface,
    )
