"""The lead field: what every electrode measures of one unit of activity in every region of the cortex.

A three-shell sphere model of the head (mne), electrodes of the 10-05 system, and one dipole at the centre of each
cortical region, at right angles to the cortex. Everything follows from the two counts; nothing is downloaded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.disk_cache import cached_arrays
from hpsearch.errors import DataError

Floats = NDArray[np.float64]

_MONTAGE = "fsaverage_1005"
_NOT_ON_THE_CAP = ("T3", "T4", "T5", "T6", "M1", "M2", "A1", "A2")
"""Old names of other positions, mastoids and ears."""
_VERSION = 1
"""Raised when a change here changes the lead field, so that no old file is taken from the cache."""


@dataclass(frozen=True)
class LeadField:
    """C electrodes and R regions; coordinates are fsaverage's surface coordinates.

    gain (C, R): microvolts per nanoampere metre, against the average reference. electrodes (C, 3), centres (R, 3): mm.
    normals (R, 3): unit vectors out of the cortex. neighbours (R, R): whether two regions touch.
    """

    gain: Floats
    electrodes: Floats
    centres: Floats
    normals: Floats
    neighbours: NDArray[np.bool_]

    def distances(self) -> Floats:
        """Return the Euclidean distances (R, R) between the centres in mm."""
        between: Floats = np.linalg.norm(self.centres[:, None] - self.centres[None], axis=-1)
        return between


def load_lead_field(electrodes: int, regions: int) -> LeadField:
    """Return the lead field of so many electrodes and regions, from the cache when it is there. Errors: DataError."""
    key = {"version": _VERSION, "electrodes": electrodes, "regions": regions}
    arrays = cached_arrays(
        "lead_field", key, lambda: vars(make_lead_field(electrodes, regions)), libraries=("mne", "nilearn", "scipy")
    )
    return LeadField(**arrays)


def make_lead_field(electrodes: int, regions: int) -> LeadField:
    """Compute the lead field. Errors: DataError when there are not so many electrodes or regions."""
    import mne

    from hpsearch.data.cortical_regions import parcel_cortex

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
    )


def average_reference(values: Floats) -> Floats:
    """Subtract the mean over the electrodes, which stand in the first dimension."""
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
