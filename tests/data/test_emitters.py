import numpy as np
import pytest
from pydantic import ValidationError

from hpsearch.data.microscopy import EmitterSettings, draw_emitters, split_over_frames


def draw(frames=4000, size=20, seed=0, **changes):
    settings = EmitterSettings.model_validate({"per_frame": 6, "lifetime": 2, **changes})
    return draw_emitters(settings, frames=frames, size=size, generator=np.random.default_rng(seed))


def test_the_light_of_a_molecule_is_divided_by_time():
    molecule, frame, share = split_over_frames(np.array([0.25, -2.0, 1.5, 2.5]), np.array([2.5, 0.5, 1.75, 9.0]), 4)
    found = {(int(one), int(at)): float(part) for one, at, part in zip(molecule, frame, share, strict=True)}
    assert found == {(0, 0): 0.75, (0, 1): 1.0, (0, 2): 0.5, (1, 0): 0.5, (2, 1): 0.25, (3, 2): 0.5, (3, 3): 1.0}
    assert list(frame) == sorted(frame)


def test_molecules_outside_the_movie_give_nothing():
    assert [len(part) for part in split_over_frames(np.array([-3.0, 7.0]), np.array([-1.0, 8.0]), 5)] == [0, 0, 0]


@pytest.mark.parametrize("lifetime", [0.5, 2.0, 6.0])
def test_as_many_molecules_shine_in_a_frame_as_the_settings_say(lifetime):
    per_frame = np.bincount(draw(lifetime=lifetime).frame, minlength=4000)
    assert per_frame.mean() == pytest.approx(6.0, rel=0.05)


def test_the_first_frame_has_as_many_as_the_others():
    first = [len(draw(frames=1, seed=seed).frame) for seed in range(2000)]
    assert np.mean(first) == pytest.approx(6.0, rel=0.03)
    assert np.var(first) == pytest.approx(6.0, rel=0.1)  # a Poisson number


def test_molecules_are_on_for_their_lifetime_and_as_bright_as_they_should():
    """Light falls for the mean on-time, in one more frame than that; so the mean share of a frame is L / (L + 1)."""
    emitters = draw(lifetime=3.0, photons=1000, photons_sd=0)
    assert emitters.photons.max() == pytest.approx(1000)
    assert emitters.photons.mean() == pytest.approx(750, rel=0.03)
    molecules, frames = np.unique(emitters.x, return_counts=True)
    assert frames.mean() == pytest.approx(4.0, rel=0.05)
    light = np.array([emitters.photons[emitters.x == x].sum() for x in molecules[:1500]])
    assert light.mean() == pytest.approx(3000, rel=0.1)
    assert light.std() == pytest.approx(3000, rel=0.1)  # of an exponential distribution


def test_places_are_uniform_and_intensities_normal():
    emitters = draw(lifetime=200.0, frames=20_000, photons=1000, photons_sd=200, depth=[-600, 300])
    _, once = np.unique(emitters.x, return_index=True)
    for values, low, high in ((emitters.x, -0.5, 19.5), (emitters.y, -0.5, 19.5), (emitters.z, -600, 300)):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
        assert values[once].std() == pytest.approx((high - low) / np.sqrt(12), rel=0.1)
    full = np.array([emitters.photons[emitters.x == x].max() for x in emitters.x[once]])
    assert np.median(full) == pytest.approx(1000, rel=0.03)
    assert full.std() == pytest.approx(200, rel=0.15)


def test_no_molecule_gives_less_than_no_light():
    assert draw(photons=10, photons_sd=50).photons.min() == 0


def test_a_range_is_given_from_low_to_high():
    with pytest.raises(ValidationError, match=r"\[lowest, highest\]"):
        EmitterSettings(depth=(10, -10))
