import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from hpsearch.data.eeg_simulation import HALF_WIDTH, draw_patches, fade, grow_patch, scale_to_ratio

SIDE = 9


@pytest.fixture
def grid():
    """A square grid, 10 mm apart, in which each region touches those above, below and beside it."""
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    centres = 10.0 * np.stack([column, row, np.zeros_like(row)], axis=1)
    neighbours = np.isclose(np.linalg.norm(centres[:, None] - centres[None], axis=-1), 10.0)
    return centres, neighbours


def at(row, column):
    return row * SIDE + column


def test_the_first_ring_comes_first(grid):
    patch = grow_patch(*grid, centre=at(4, 4), size=5, direction=np.array([1.0, 0, 0]))
    assert patch[0] == at(4, 4)
    assert sorted(patch) == sorted([at(4, 4), at(3, 4), at(5, 4), at(4, 3), at(4, 5)])


@pytest.mark.parametrize(("direction", "expected"), [((1.0, 0, 0), (4, 6)), ((0, -1.0, 0), (2, 4))])
def test_a_partial_ring_lies_along_the_direction(grid, direction, expected):
    patch = grow_patch(*grid, centre=at(4, 4), size=6, direction=np.array(direction))
    assert patch[-1] == at(*expected)


def test_holes_are_filled():
    """The second ring of a wheel is closed around a region that no ring of its own would reach: it is added."""
    neighbours = np.zeros((6, 6), dtype=bool)
    for a, b in [(0, 1), (0, 2), (1, 3), (2, 3), (0, 4), (4, 5)]:
        neighbours[a, b] = neighbours[b, a] = True
    centres = np.array([[0, 0, 0], [1, 1, 0], [1, -1, 0], [0.5, 0, 0], [2, 0, 0], [3, 0, 0]], dtype=float)
    patch = grow_patch(centres, neighbours, centre=0, size=3, direction=np.array([0.0, 0, 1]))
    assert set(patch) == {0, 1, 2, 3}


def test_patches_are_connected_disjoint_and_apart(grid):
    centres, neighbours = grid
    generator = np.random.default_rng(0)
    for _ in range(50):
        patches = draw_patches(centres, neighbours, count=2, sizes=(3, 12), generator=generator)
        assert len(patches) == 2
        for patch in patches:
            assert 3 <= len(patch.regions) <= 12 + 3  # holes come on top
            assert len(set(patch.regions.tolist())) == len(patch.regions)
            assert connected_components(neighbours[np.ix_(patch.regions, patch.regions)])[0] == 1
            assert patch.magnitudes[0] == 1
            assert np.all((patch.magnitudes > 0) & (patch.magnitudes <= 1))
        assert not neighbours[np.ix_(patches[0].regions, patches[1].regions)].any()
        assert not set(patches[0].regions) & set(patches[1].regions)


def test_no_room_for_a_second_patch_gives_one(grid):
    assert len(draw_patches(*grid, count=2, sizes=(81, 81), generator=np.random.default_rng(0))) == 1


def test_the_magnitude_is_one_half_at_the_half_distance():
    assert pytest.approx(1 / np.sqrt(2 * np.log(2)), abs=1e-4) == HALF_WIDTH
    np.testing.assert_allclose(fade(np.array([0.0, 50.0, 100.0]), half=50.0), [1, 1 / 2, 1 / 16], rtol=1e-3)


@pytest.mark.parametrize("decibels", [-3.0, 0.0, 15.0])
def test_the_background_is_scaled_to_the_ratio(decibels):
    generator = np.random.default_rng(1)
    signal, background = generator.standard_normal((4, 100)), 7 * generator.standard_normal((4, 100))
    scaled = scale_to_ratio(signal, background, decibels=decibels) * background
    assert 10 * np.log10(np.sum(signal**2) / np.sum(scaled**2)) == pytest.approx(decibels)
