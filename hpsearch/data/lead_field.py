"""The lead field: what every electrode measures of one unit of activity in every region of the cortex.

A three-shell sphere model of the head (mne), electrodes of the 10-05 system, and one dipole at the centre of each
cortical region, at right angles to the cortex. The regions divide fsaverage5's white-matter surface into parts of about
equal area. Everything follows from the two counts; nothing is downloaded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.disk_cache import cached_arrays
from hpsearch.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_THINNEST_CORTEX = 1.0
"""mm; FreeSurfer's mean thickness is below this only on the medial wall, which holds no cortex."""
_ROUNDS = 4
"""How often the centres are moved to the middle of their regions."""
_MONTAGE = "fsaverage_1005"
_NOT_ON_THE_CAP = ("T3", "T4", "T5", "T6", "M1", "M2", "A1", "A2")
"""Old names of other positions, mastoids and ears."""
_VERSION = 2
"""Raised when a change here changes the lead field, so that no old file is taken from the cache."""


@dataclass(frozen=True)
class CorticalRegions:
    """R regions: centres (R, 3) in mm, in fsaverage's surface coordinates, unit normals (R, 3), neighbours (R, R).

    surface (V, 3): the hemisphere (0 left, 1 right), number in fsaverage and region of each vertex of the cortex.
    """

    centres: Floats
    normals: Floats
    neighbours: NDArray[np.bool_]
    surface: Integers


def parcel_cortex(count: int) -> CorticalRegions:
    """Return `count` regions, half of them on each hemisphere (an odd one on the left); always the same ones.

    Centres spread by farthest-point sampling along the surface. A region is the part of the surface nearest to its
    centre; centres then move to the middle of their regions. Normals point out of the cortex.

    Raises:
        DataError: the surface is too coarse for that many regions.
    """
    left = _parcel_hemisphere("left", (count + 1) // 2)
    right = _parcel_hemisphere("right", count // 2)
    neighbours = np.zeros((count, count), dtype=bool)
    split = len(left.centres)
    neighbours[:split, :split] = left.neighbours
    neighbours[split:, split:] = right.neighbours
    return CorticalRegions(
        np.concatenate([left.centres, right.centres]),
        np.concatenate([left.normals, right.normals]),
        neighbours,
        np.concatenate([left.surface, right.surface + np.array([1, 0, split])]),
    )


def _parcel_hemisphere(side: str, count: int) -> CorticalRegions:
    points, faces, numbers = _load_cortex(side)
    if count > len(points) // 4:
        raise DataError(
            f"{count} regions on one hemisphere are too many: fsaverage5 has {len(points)} cortical vertices"
        )
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    centres, regions = divide(points, edges, count)
    neighbours = np.zeros((count, count), dtype=bool)
    neighbours[regions[edges[:, 0]], regions[edges[:, 1]]] = True
    neighbours |= neighbours.T
    np.fill_diagonal(neighbours, val=False)
    surface = np.stack([np.zeros_like(numbers), numbers, regions], axis=1)
    return CorticalRegions(points[centres], _vertex_normals(points, faces)[centres], neighbours, surface)


def divide(points: Floats, edges: Integers, count: int) -> tuple[Integers, Integers]:
    """Divide points (V, 3) that edges (E, 2) join into `count` parts: return the middle one of each and the parts (V,).

    Every piece of the graph must get a part.
    """
    from scipy.sparse import csr_array

    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    mesh = csr_array((lengths, (edges[:, 0], edges[:, 1])), shape=(len(points), len(points)))
    centres = _spread(mesh, points, count)
    for _ in range(_ROUNDS):
        centres = _recentre(points, _nearest_centre(mesh, centres), centres)
    return centres, _nearest_centre(mesh, centres)


def _load_cortex(side: str) -> tuple[Floats, Integers, Integers]:
    """Return the vertices (V, 3) in mm, triangles (F, 3) and vertex numbers (V,) of one hemisphere's cortex.

    The medial wall is left out.
    """
    from nilearn.datasets import load_fsaverage, load_fsaverage_data
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    part = load_fsaverage("fsaverage5")["white_matter"].parts[side]
    data = load_fsaverage_data(mesh="fsaverage5", mesh_type="white_matter", data_type="thickness")
    faces = np.asarray(part.faces, dtype=np.int64)
    faces = faces[np.all(data.data.parts[side][faces] >= _THINNEST_CORTEX, axis=1)]
    size = len(part.coordinates)
    joined = csr_array(
        (np.ones(len(faces) * 2), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())), shape=(size, size)
    )
    _, piece = connected_components(joined, directed=False)
    largest = np.bincount(piece).argmax()
    faces = faces[piece[faces[:, 0]] == largest]
    used, compact = np.unique(faces, return_inverse=True)
    compact = compact.reshape(faces.shape).astype(np.int64)
    return np.asarray(part.coordinates, dtype=np.float64)[used], compact, used.astype(np.int64)


def _spread(mesh: "csr_array", points: Floats, count: int) -> Integers:
    """Return `count` vertices, each the one farthest along the surface from those before; the first is the topmost."""
    from scipy.sparse.csgraph import dijkstra

    chosen = np.array([points[:, 2].argmax()], dtype=np.int64)
    distance = dijkstra(mesh, directed=False, indices=chosen)[0]
    while len(chosen) < count:
        farthest = distance.argmax()
        chosen = np.append(chosen, farthest)
        nearer = dijkstra(mesh, directed=False, indices=chosen[-1:], limit=float(distance[farthest]))[0]
        distance = np.minimum(distance, nearer)
    return chosen


def _nearest_centre(mesh: "csr_array", centres: Integers) -> Integers:
    """Return for each vertex the position in `centres` of the centre that is nearest along the surface."""
    from scipy.sparse.csgraph import dijkstra

    _, _, sources = dijkstra(mesh, directed=False, indices=centres, min_only=True, return_predecessors=True)
    position = np.full(len(sources), -1)
    position[centres] = np.arange(len(centres))
    return np.asarray(position[sources], dtype=np.int64)


def _recentre(points: Floats, regions: Integers, centres: Integers) -> Integers:
    """Return for each region its vertex nearest to the region's mean point."""
    sizes = np.bincount(regions, minlength=len(centres))
    means = (
        np.stack([np.bincount(regions, points[:, axis], len(centres)) for axis in range(3)], axis=1) / sizes[:, None]
    )
    offset = np.linalg.norm(points - means[regions], axis=1)
    order = np.lexsort((offset, regions))
    first = np.searchsorted(regions[order], np.arange(len(centres)))
    return np.asarray(order[first], dtype=np.int64)


def _vertex_normals(points: Floats, faces: Integers) -> Floats:
    """Return unit normals (V, 3): the sum of the neighbouring triangles' normals, weighted by their areas."""
    corners = points[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(points)
    for corner in range(3):
        np.add.at(total, faces[:, corner], flat)
    unit: Floats = total / np.linalg.norm(total, axis=1, keepdims=True)
    return unit


@dataclass(frozen=True)
class LeadField:
    """C electrodes and R regions; coordinates are fsaverage's surface coordinates, or those of the file it is from.

    gain (C, R): microvolts per nanoampere metre (a matrix from a file: its own unit), against the average reference.
    electrodes (C, 3), centres (R, 3): mm, NaN where they are not known. normals (R, 3): unit vectors out of the cortex,
    0 where they are not known. neighbours (R, R): whether two regions touch. names (C,): of the electrodes. surface
    (V, 3): the hemisphere (0 left, 1 right), number and region of each vertex of a FreeSurfer surface, empty where that
    is not known. notes: what was taken for granted or changed, in words.
    """

    gain: Floats
    electrodes: Floats
    centres: Floats
    normals: Floats
    neighbours: NDArray[np.bool_]
    names: NDArray[np.str_]
    surface: Integers
    notes: NDArray[np.str_]

    def distances(self) -> Floats:
        """Return the Euclidean distances (R, R) between the centres in mm."""
        between: Floats = np.linalg.norm(self.centres[:, None] - self.centres[None], axis=-1)
        return between


def load_lead_field(electrodes: int, regions: int) -> LeadField:
    """Return the lead field for these numbers of electrodes and regions, from the cache if possible.

    Raises:
        DataError: there are not that many electrodes or regions.
    """
    key = {"version": _VERSION, "electrodes": electrodes, "regions": regions}
    arrays = cached_arrays(
        "lead_field", key, lambda: vars(make_lead_field(electrodes, regions)), libraries=("mne", "nilearn", "scipy")
    )
    return LeadField(**arrays)


def make_lead_field(electrodes: int, regions: int) -> LeadField:
    """Compute the lead field.

    Raises:
        DataError: there are not that many electrodes or regions.
    """
    import mne

    montage = mne.channels.make_standard_montage(_MONTAGE)
    positions = choose_electrodes(montage.get_positions()["ch_pos"], electrodes)
    head = mne.channels.compute_native_head_t(montage)
    cortex = parcel_cortex(regions)
    info = mne.create_info(list(positions), sfreq=1000.0, ch_types="eeg", verbose=False)
    info.set_montage(montage)
    gain = _solve(
        info,
        points=mne.transforms.apply_trans(head, cortex.centres / 1000.0),
        normals=mne.transforms.apply_trans(head, cortex.normals, move=False),
    )
    return LeadField(
        gain=average_reference(gain) * 1e6 / 1e9,
        electrodes=np.array(list(positions.values())) * 1000.0,
        centres=cortex.centres,
        normals=cortex.normals,
        neighbours=cortex.neighbours,
        names=np.array(list(positions)),
        surface=cortex.surface,
        notes=np.array([], dtype=np.str_),
    )


def average_reference(values: Floats) -> Floats:
    """Subtract the mean over the electrodes, the first dimension."""
    centred: Floats = values - values.mean(axis=0, keepdims=True)
    return centred


def choose_electrodes(positions: dict[str, Floats], count: int) -> dict[str, Floats]:
    """Return `count` positions that cover the cap: from Cz on, always the one farthest from those chosen.

    The two lowest rows (names that end in 9 or 10) and the ears are left out. The order is that of the montage.
    """
    names = [name for name in positions if not name.rstrip("h").endswith(("9", "10")) and name not in _NOT_ON_THE_CAP]
    if not 2 <= count <= len(names):
        raise DataError(f"{count} electrodes are asked for; between 2 and {len(names)} can be placed")
    points = np.array([positions[name] for name in names])
    chosen = [names.index("Cz")]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return {names[index]: positions[names[index]] for index in sorted(chosen)}


def _solve(info: Any, *, points: Floats, normals: Floats) -> Floats:
    """Return the potentials (C, R) in V per Am of dipoles at points in m, in head coordinates."""
    import mne

    sphere = mne.make_sphere_model(r0="auto", head_radius="auto", info=info, verbose=False)
    sources = mne.setup_volume_source_space(pos={"rr": points, "nn": normals}, verbose=False)
    forward = mne.make_forward_solution(info, trans=None, src=sources, bem=sphere, meg=False, verbose=False)
    forward = mne.convert_forward_solution(forward, force_fixed=True, verbose=False)
    gain = np.asarray(forward["sol"]["data"], dtype=np.float64)
    if gain.shape != (len(info["ch_names"]), len(points)):
        raise DataError(f"mne dropped sources: {gain.shape[1]} of {len(points)} regions are left")
    return gain
