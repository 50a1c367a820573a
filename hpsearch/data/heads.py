"""The head that EEG is simulated with: a sphere that is computed, or a lead field of the user's from files.

A lead field from files is held against its electrodes and positions before it is used: their counts and names, the unit
of the positions, missing values, and the order of the electrodes, which shows in where the sources are that each of
them sees best. It gets the average reference.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.data.disk_cache import cached_arrays
from hpsearch.data.electrodes import Electrodes, read_montage, standard_montage
from hpsearch.data.fingerprint import hash_file
from hpsearch.data.head_files import Sources, merge, read_forward, read_matrix
from hpsearch.data.lead_field import LeadField, average_reference, divide, load_lead_field
from hpsearch.data.parcellations import ANNOTATION, annotation_pair, parcellated
from hpsearch.errors import DataError
from hpsearch.settings import FILE, Settings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_REGIONS = 2000
_FEWEST_REGIONS = 32
_MOST_ELECTRODES = 256
_VERSION = 1
"""Raised when a change here or in the readers changes what a file gives."""
_MILLIMETRES: Mapping[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_EXTENT = (60.0, 300.0)
"""mm, between which the longest side of a box around a cortex lies."""
_FILES = ("path", "cortex", "parcellation", "electrodes")
_SAME_ORDER = 0.65
"""The least correlation of the electrodes' positions with those that the lead field tells. In the right order it is
above 0.85, for half a cap above 0.75; in a wrong one below 0.6 with 16 electrodes, and below 0.3 with 32 (seen with
MNE's sphere models of six montages)."""
_ENOUGH_ELECTRODES = 12
"""With fewer, a wrong order may look right."""
_NEAR = 0.75
"""The most that neighbours may be apart on average, over the mean distance of any two sources."""
_NAMED = 5


class LeadFieldSettings(Settings):
    """A lead field from files, with its electrodes and the geometry of its sources."""

    path: Annotated[str, FILE]
    """The lead field: a matrix in a `.mat` or `.npz` file (or alone in `.npy`, `.csv` or `.txt`), or MNE's forward
    solution (`-fwd.fif`), which brings its geometry and electrodes along."""
    variable: str | None = None
    """The name of the matrix in the file, if several may be meant: electrodes by sources, or by three times them."""
    cortex: Annotated[str | None, FILE] = None
    """A `.mat` or `.npz` file with the sources' positions `pos` (N, 3), and, if there are any, normals `ori` (N, 3) and
    triangles `tri` (F, 3); without it they are looked for beside the matrix."""
    parcellation: Annotated[str | None, FILE] = None
    """A file with the region of each position `rm` (N,), where the columns are those of regions or are to become so, or
    with the neighbours of each source or region `nbs`: lists, filled up or not, or a matrix. A `.txt`, `.csv` or `.npy`
    file has the regions alone. Of FreeSurfer's parcellations (`lh.aparc.annot`) the other hemisphere is found beside
    it; sources outside of all regions are left out."""
    unit: Literal["mm", "cm", "m"] = "mm"
    """Of the positions in a `.mat` or `.npz` file."""
    electrodes: Annotated[str | None, FILE] = None
    """A measured montage: `.elc`, `.sfp`, `.loc`, `.fif`, `.mat` or what else MNE's read_custom_montage reads. Where a
    matrix has no names of electrodes, its rows are taken in the order of this file."""
    montage: str | None = None
    """A standard montage of MNE, such as `spherical_1005`, in place of a measured one."""
    names: tuple[str, ...] | None = None
    """The electrode of each row of the matrix, where no file tells."""
    neighbours: Literal["auto", "nearest"] = "auto"
    """Which sources touch: `auto` takes the list of the files, else the triangles, else the nearest ones."""
    nearest: int = Field(default=6, ge=2, le=50)
    """How many nearest sources touch a source where nothing else tells."""
    padding: float | None = None
    """The number that fills up rows of a list of neighbours, if it may be taken for one of a source."""

    @model_validator(mode="after")
    def _one_montage(self) -> "LeadFieldSettings":
        if self.electrodes is not None and self.montage is not None:
            raise ValueError("give electrodes (a file) or montage (a standard one), not both")
        return self

    @property
    def files(self) -> dict[str, str]:
        """The files by the settings that name them."""
        return {name: value for name in _FILES if (value := getattr(self, name)) is not None}

    @property
    def annotation(self) -> str | None:
        """The parcellation, if it is one of FreeSurfer's."""
        path = self.parcellation
        return path if path is not None and Path(path).suffix.lower() == ANNOTATION else None

    @property
    def plain(self) -> dict[str, Any]:
        """All settings but the places of the files."""
        return self.model_dump(mode="json", exclude=set(_FILES))


def load_head(lead_field: LeadFieldSettings | None, *, electrodes: int | None, regions: int | None) -> LeadField:
    """Return the head, from the cache if possible: the computed one without `lead_field`, else that of the files.

    With files, `electrodes` must be their number if it is given; fewer `regions` than sources put neighbouring sources
    together.

    Raises:
        DataError: The files cannot be used; the message says which and why.
    """
    if lead_field is None:
        assert electrodes is not None and regions is not None  # noqa: S101, PT018 -- ours: the settings see to it
        return load_lead_field(electrodes, regions)
    key = {"version": _VERSION, "files": head_files(lead_field), "settings": lead_field.plain}
    arrays = cached_arrays(
        "lead_field",
        {**key, "electrodes": electrodes, "regions": regions},
        lambda: vars(read_head(lead_field, electrodes=electrodes, regions=regions)),
        libraries=("mne", "scipy"),
    )
    return LeadField(**arrays)


def head_files(lead_field: LeadFieldSettings) -> dict[str, str]:
    """Return the hash of each file of a lead field, by the setting that names it.

    Raises:
        DataError: One cannot be read.
    """
    try:
        found = {name: hash_file(Path(path))[1] for name, path in lead_field.files.items()}
        pair = () if lead_field.annotation is None else annotation_pair(lead_field.annotation)
        sides = {each.name[:2]: hash_file(each)[1] for each in pair}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror or error}") from None
    return found | sides


def read_head(settings: LeadFieldSettings, *, electrodes: int | None, regions: int | None) -> LeadField:
    """Read a lead field, see `load_head`.

    Raises:
        DataError: The files cannot be used.
    """
    measured = read_montage(settings.electrodes) if settings.electrodes else None
    sources = _read(settings, electrodes, measured)
    montage = standard_montage(settings.montage) if settings.montage else measured
    placed, notes = _electrodes(settings, sources, montage)
    _check_values(sources.gain, placed.names)
    _check_counts(len(placed.names), electrodes)
    _check_extent(sources.centres, settings)
    _check_order(sources, placed)
    if settings.annotation is not None:
        sources = parcellated(sources, settings.annotation)
    if sources.edges is None or settings.neighbours == "nearest":
        sources = replace(sources, edges=_nearest(sources.centres, settings.nearest))
    _check_neighbours(sources)
    sources = _divided(sources, regions)
    return LeadField(
        gain=average_reference(sources.gain),
        electrodes=placed.positions,
        centres=sources.centres,
        normals=np.zeros_like(sources.centres) if sources.normals is None else sources.normals,
        neighbours=_touching(sources),
        names=np.array(placed.names),
        surface=sources.surface,
        notes=np.array([*sources.notes, *notes], dtype=np.str_),
    )


def _read(settings: LeadFieldSettings, electrodes: int | None, measured: Electrodes | None) -> Sources:
    if Path(settings.path).suffix.lower() == ".fif":
        return read_forward(settings.path)
    counted = None if electrodes is None else (electrodes, "data.electrodes; null leaves it to the file")
    if settings.names is not None:
        counted = len(settings.names), "data.lead_field.names"
    beside = {name: path for name in ("cortex", "parcellation") if (path := getattr(settings, name)) is not None}
    if settings.annotation is not None:
        del beside["parcellation"]
    return read_matrix(
        settings.path,
        variable=settings.variable,
        geometry=beside,
        electrodes=counted,
        otherwise=len(measured.names) if measured else None,
        millimetres=_MILLIMETRES[settings.unit],
        padding=settings.padding,
    )


def _electrodes(
    settings: LeadFieldSettings, sources: Sources, montage: Electrodes | None
) -> tuple[Electrodes, tuple[str, ...]]:
    """Return the electrodes of the lead field's rows, and what was taken for granted."""
    rows, names = len(sources.gain), sources.names
    if settings.names is not None:
        if names is not None and (wrong := [a for a, b in zip(names, settings.names, strict=False) if a != b]):
            raise DataError(
                f"{settings.path} names its electrodes itself, otherwise than data.lead_field.names: {wrong[0]}"
            )
        names = list(settings.names)
    if names is not None:
        if len(names) != rows or len(set(names)) != rows:
            raise DataError(f"the lead field has {rows} rows, and there are {len(set(names))} names of electrodes")
        places = np.full((rows, 3), np.nan) if sources.places is None else sources.places
        where = settings.electrodes or f"the montage {settings.montage}"
        return (montage.choose(names, where=where) if montage else Electrodes(tuple(names), places)), ()
    if montage is None:
        numbered = tuple(f"E{row}" for row in range(1, rows + 1))
        note = f"the electrodes have no names and are called {numbered[0]} to {numbered[-1]}"
        return Electrodes(numbered, np.full((rows, 3), np.nan)), (note,)
    if settings.montage is not None:
        raise DataError(
            f"which of the {len(montage.names)} electrodes of {settings.montage} the {rows} rows of the lead field are "
            "is not known: name them in data.lead_field.names"
        )
    if len(montage.names) != rows:
        raise DataError(f"the lead field has {rows} rows, and {settings.electrodes} {len(montage.names)} electrodes")
    return montage, (f"the rows of the lead field are taken in the order of {Path(str(settings.electrodes)).name}",)


def _check_values(gain: Floats, names: tuple[str, ...]) -> None:
    bad = ~np.isfinite(gain)
    if (rows := np.flatnonzero(bad.all(axis=1))).size:
        raise DataError(f"the lead field has no values for the electrodes {_listed([names[row] for row in rows])}")
    if (columns := np.flatnonzero(bad.any(axis=0))).size:
        raise DataError(f"the lead field has values that are no numbers in the columns {_listed(columns + 1)}")
    if (columns := np.flatnonzero(np.ptp(gain, axis=0) == 0)).size:
        raise DataError(
            f"sources that no electrode sees: the columns {_listed(columns + 1)} of the lead field are constant"
        )


def _listed(values: Any) -> str:
    shown = ", ".join(str(value) for value in list(values)[:_NAMED])
    return shown + (f" and {len(values) - _NAMED} more" if len(values) > _NAMED else "")


def _check_counts(rows: int, electrodes: int | None) -> None:
    if electrodes is not None and rows != electrodes:
        raise DataError(
            f"the lead field has {rows} electrodes, and data.electrodes is {electrodes}; null leaves it to the file"
        )
    if rows > _MOST_ELECTRODES:
        raise DataError(f"the lead field has {rows} electrodes; at most {_MOST_ELECTRODES} are taken")


def _check_extent(centres: Floats, settings: LeadFieldSettings) -> None:
    """Refuse positions that no cortex has, as they are in another unit."""
    if not np.isfinite(centres).all():
        raise DataError("the positions of the sources have values that are no numbers")
    extent = float(np.ptp(centres, axis=0).max())
    low, high = _EXTENT
    if low <= extent <= high:
        return
    scale = _MILLIMETRES[settings.unit]
    fitting = [unit for unit, factor in _MILLIMETRES.items() if low <= extent / scale * factor <= high]
    advice = f"; they look like {fitting[0]}: set data.lead_field.unit to {fitting[0]}" if fitting else ""
    raise DataError(
        f"the positions of the sources extend over {extent:.3g} mm, and those of a cortex over {low:g} to {high:g}"
        f"{advice}"
    )


def _check_order(sources: Sources, placed: Electrodes) -> None:
    """Refuse electrodes in another order than the rows, by the sources that each sees best.

    The middles of the sources, weighted by what a row sees of them, lie as the electrodes do, up to a rotation and a
    scale; the coordinates of the two may differ.
    """
    if len(placed.names) < _ENOUGH_ELECTRODES or not np.isfinite(placed.positions).all():
        return
    weights = average_reference(sources.gain) ** 2
    told = weights @ sources.centres / weights.sum(axis=1, keepdims=True)
    agreement = rigid_correlation(told, placed.positions)
    if agreement < _SAME_ORDER:
        raise DataError(
            "the electrodes are not in the order of the lead field's rows: the positions that the rows tell correlate "
            f"by {agreement:.2f} with those of the montage, and should by {_SAME_ORDER} or more"
        )


def rigid_correlation(first: Floats, second: Floats) -> float:
    """Return the correlation of points (N, 3) with others after the best shift, rotation and scale (Kabsch 1976)."""
    one, other = first - first.mean(axis=0), second - second.mean(axis=0)
    left, values, right = np.linalg.svd(one.T @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    values[2] *= np.sign(np.linalg.det(left @ right))
    return float(values.sum())


def _nearest(centres: Floats, count: int) -> Integers:
    """Return the edges (E, 2) from each source to its `count` nearest ones."""
    from scipy.spatial import KDTree

    found = np.asarray(KDTree(centres).query(centres, k=min(count + 1, len(centres)))[1])[:, 1:]
    pairs = np.stack([np.repeat(np.arange(len(centres)), found.shape[1]), found.ravel()], axis=1)
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)


def _divided(sources: Sources, regions: int | None) -> Sources:
    """Return the sources, put together into `regions` where these are fewer."""
    count = sources.gain.shape[1]
    if regions is not None and regions > count:
        raise DataError(f"the lead field has {count} sources, and data.regions is {regions}; leave it out or lower it")
    if regions is None or regions == count:
        if not _FEWEST_REGIONS <= count <= MOST_REGIONS:
            advice = "; set data.regions to put neighbouring ones together" if count > MOST_REGIONS else ""
            raise DataError(
                f"the lead field has {count} sources; {_FEWEST_REGIONS} to {MOST_REGIONS} are taken{advice}"
            )
        return sources
    assert sources.edges is not None  # noqa: S101 -- ours: they are made before
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    joined = csr_array((np.ones(len(sources.edges)), tuple(sources.edges.T)), shape=(count, count))
    pieces = connected_components(joined, directed=False)[0]
    if pieces > regions:
        raise DataError(f"the sources lie in {pieces} pieces that do not touch; data.regions must be as many at least")
    return merge(sources, divide(sources.centres, sources.edges, regions)[1])


def _check_neighbours(sources: Sources) -> None:
    """Refuse neighbours that are as far apart as any two sources: a list of other sources, or counted otherwise."""
    from scipy.spatial.distance import pdist

    edges = sources.edges
    if edges is None or not len(edges):
        raise DataError("no two sources touch; set data.lead_field.neighbours to nearest")
    near = float(np.linalg.norm(sources.centres[edges[:, 0]] - sources.centres[edges[:, 1]], axis=1).mean())
    some = sources.centres[:: max(1, len(sources.centres) // MOST_REGIONS)]
    any_two = float(pdist(some).mean())
    if near > _NEAR * any_two:
        raise DataError(
            f"the neighbours do not fit the positions: they are {near:.0f} mm apart on average, any two sources "
            f"{any_two:.0f}; set data.lead_field.neighbours to nearest to go without the list"
        )


def _touching(sources: Sources) -> NDArray[np.bool_]:
    """Return which sources touch, as a matrix (S, S)."""
    count = sources.gain.shape[1]
    found = np.zeros((count, count), dtype=bool)
    if sources.edges is not None:
        found[sources.edges[:, 0], sources.edges[:, 1]] = True
    return found | found.T
