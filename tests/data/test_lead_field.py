import numpy as np
import pytest

from hpsearch.data.lead_field import choose_electrodes, load_lead_field, make_lead_field, parcel_cortex
from hpsearch.errors import DataError


@pytest.fixture(scope="module")
def field():
    return load_lead_field(32, 101)


def fitted_sphere(points):
    """The centre and radius of the sphere nearest to points, by linear least squares."""
    unknowns = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(axis=1), rcond=None)[0]
    return unknowns[:3], np.sqrt(unknowns[3] + unknowns[:3] @ unknowns[:3])


def test_the_lead_field_has_the_average_reference(field):
    assert field.gain.shape == (32, 101)
    np.testing.assert_allclose(field.gain.sum(axis=0), 0, atol=1e-12)
    assert np.linalg.matrix_rank(field.gain) == 31


def test_it_agrees_with_the_series_of_a_homogeneous_sphere(field):
    """A dipole m at p in a sphere of radius R: m . grad_p sum (2n+1)/n (|p|/R)^n P_n(cos angle). Shells blur it."""
    centre, radius = fitted_sphere(field.electrodes)
    directions = (field.electrodes - centre) / np.linalg.norm(field.electrodes - centre, axis=1)[:, None]

    def series(points):
        depth = np.linalg.norm(points, axis=1)[:, None]
        order = np.arange(1, 60)
        coefficients = np.r_[np.zeros((1, len(points))), ((2 * order + 1) / order * (depth / radius) ** order).T]
        cosines = points @ directions.T / depth
        return np.polynomial.legendre.legval(cosines, coefficients[:, :, None], tensor=False)

    step = 1e-3 * field.normals
    points = field.centres - centre
    expected = series(points + step) - series(points - step)
    correlations = [np.corrcoef(one, other)[0, 1] for one, other in zip(expected, field.gain.T, strict=True)]
    assert np.median(correlations) > 0.95
    assert np.min(correlations) > 0.6


def test_its_size_is_that_of_scalp_potentials(field):
    """A dipole of 10 nAm gives about a microvolt on the scalp (Hamalainen et al. 1993)."""
    largest = 10 * np.abs(field.gain).max(axis=0)
    assert 0.1 < np.median(largest) < 5


def test_regions_cover_the_cortex(field):
    np.testing.assert_allclose(np.linalg.norm(field.normals, axis=1), 1, rtol=1e-9)
    assert np.array_equal(field.neighbours, field.neighbours.T)
    assert not field.neighbours.diagonal().any()
    assert field.neighbours.any(axis=1).all()
    assert 4.5 < field.neighbours.sum(axis=1).mean() < 6  # a triangulated surface with a border has a mean below 6
    left = field.centres[:, 0] < 2
    assert left.sum() == 51
    assert not field.neighbours[left][:, ~left].any()
    distances = field.distances()
    assert distances[field.neighbours].mean() < 0.5 * distances.mean()
    np.testing.assert_allclose(distances[3, 70], np.linalg.norm(field.centres[3] - field.centres[70]))


def test_normals_point_out_of_the_cortex():
    """Outward lies the pial surface: from white matter along the normal one comes nearer to it."""
    from nilearn.datasets import load_fsaverage

    cortex = parcel_cortex(64)
    pial = load_fsaverage("fsaverage5")["pial"].parts["left"].coordinates
    left = cortex.centres[:32]

    def nearest(points):
        return np.linalg.norm(points[:, None] - pial[None], axis=-1).min(axis=1)

    nearer = nearest(left + cortex.normals[:32]) < nearest(left - cortex.normals[:32])
    assert nearer.mean() > 0.9


def test_the_cached_lead_field_is_the_computed_one(field):
    again, fresh = load_lead_field(32, 101), make_lead_field(32, 101)
    for name, array in vars(fresh).items():
        np.testing.assert_array_equal(array, getattr(again, name))


def test_electrodes_spread_over_the_cap():
    generator = np.random.default_rng(0)
    cap = generator.standard_normal((200, 3))
    cap /= np.linalg.norm(cap, axis=1)[:, None]
    positions = {f"E{index}x": point for index, point in enumerate(cap)} | {"Cz": np.array([0.0, 0.0, 1.0])}
    chosen = choose_electrodes(positions, 20)

    def nearest(points):
        distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
        return distances[~np.eye(len(points), dtype=bool)].min()

    assert "Cz" in chosen
    assert len(chosen) == 20
    assert nearest(np.array(list(chosen.values()))) > 3 * nearest(cap[:20])
    assert list(chosen) == [name for name in positions if name in chosen]


@pytest.mark.parametrize("count", [1, 500])
def test_electrodes_that_do_not_exist_are_refused(count):
    with pytest.raises(DataError, match="can be placed"):
        make_lead_field(count, 64)


def test_more_regions_than_the_surface_can_hold_are_refused():
    with pytest.raises(DataError, match="too many"):
        parcel_cortex(20_000)
