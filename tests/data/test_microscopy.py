import numpy as np
import pytest
from pydantic import ValidationError

from hpsearch.data.microscopy import (
    EmitterSettings,
    MicroscopySettings,
    draw_emitters,
    load_frames,
    simulate_frames,
)
from tests.small_movies import SMALL_MOVIES


def settings(**changes):
    return MicroscopySettings.model_validate({**SMALL_MOVIES, **changes})


@pytest.fixture(scope="module")
def splits():
    return {split: load_frames(settings(), split, 0) for split in ("train", "val", "test")}


def test_a_movie_has_a_frame_more_at_each_end(splits):
    assert splits["train"]["frames"].shape == (26, 8, 8)
    assert splits["val"]["background"].shape == (12,)
    assert splits["train"]["frames"].dtype == np.float32
    assert np.all(np.diff(splits["train"]["emitter_frame"]) >= 0)


def test_the_same_seed_gives_the_same_data_and_the_cache_gives_them_back(splits):
    fresh = simulate_frames(settings(), "val", 0)
    again = load_frames(settings(), "val", 0)
    assert fresh.keys() == again.keys() == splits["val"].keys()
    for name, array in fresh.items():
        np.testing.assert_array_equal(array, again[name])


def test_splits_and_seeds_share_no_molecule_and_no_frame(splits):
    pools = [*splits.values(), simulate_frames(settings(), "val", 1)]
    for name in ("frames", "emitters"):
        rows = [{row.tobytes() for row in data[name].reshape(len(data[name]), -1)} for data in pools]
        assert all(rows)
        for index, first in enumerate(rows):
            for second in rows[index + 1 :]:
                assert not first & second, name


def test_other_splits_sizes_do_not_matter(splits):
    other = load_frames(settings(frames={"train": 99, "val": 10, "test": 1}), "val", 0)
    np.testing.assert_array_equal(other["frames"], splits["val"]["frames"])


def test_frames_are_the_light_of_the_molecules_on_the_background():
    """With an ideal camera (nothing but photon noise) the mean squared residual is the mean of the light itself."""
    ideal = {"scmos": {"read_noise": 0, "spurious": 0, "quantum_efficiency": 1, "electrons_per_count": 1}}
    chosen = settings(camera=ideal, frames={"train": 400, "val": 1, "test": 1}, labelled_photons=0)
    data = simulate_frames(chosen, "train", 0)
    photons, x, y, z = data["emitters"].T.astype(float)
    light = np.empty_like(data["frames"], dtype=float)
    for frame in range(402):
        here = data["emitter_frame"] == frame
        light[frame] = chosen.point_spread.image(x[here], y[here], z[here], photons[here], size=8)
    light += data["background"][:, None, None]
    assert np.mean(data["frames"] - light) == pytest.approx(0, abs=0.4)
    assert np.mean((data["frames"] - light) ** 2) == pytest.approx(light.mean(), rel=0.02)
    assert data["background"].min() >= 90
    assert data["background"].max() <= 150
    assert np.mean(data["background"]) == pytest.approx(120, abs=3)


def test_dim_molecules_are_left_out_of_the_truth_only():
    every, bright = (simulate_frames(settings(labelled_photons=limit), "train", 0) for limit in (0, 3000))
    np.testing.assert_array_equal(every["frames"], bright["frames"])
    kept = every["emitters"][:, 0] >= 3000
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(every["emitters"][kept], bright["emitters"])
    np.testing.assert_array_equal(every["emitter_frame"][kept], bright["emitter_frame"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"background": [20, 10]}, r"\[lowest, highest\]"),
        ({"background": [-1, 10]}, "not below 0"),
        ({"camera": "ccd"}, "ccd"),
        ({"camera": {"emccd": {"gain": 0}}}, "greater than or equal"),
        ({"point_spread": {"astigmatic": {"width": 0}}}, "greater than 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


@pytest.mark.parametrize("lifetime", [0.5, 1.0, 3.0])
def test_molecules_of_whole_frames_shine_through_each_of_them(lifetime):
    chosen = {"per_frame": 4, "photons": 1000, "photons_sd": 0, "lifetime": lifetime, "whole_frames": True}
    drawn = draw_emitters(
        EmitterSettings.model_validate(chosen), frames=2000, size=8, generator=np.random.default_rng(0)
    )
    assert set(drawn.photons.tolist()) == {1000.0}
    assert len(drawn.frame) / 2000 == pytest.approx(4, rel=0.06)
    _, frames = np.unique(drawn.x, return_counts=True)
    assert frames.mean() == pytest.approx(max(lifetime, 1), rel=0.06)


def test_earlier_simulations_keep_their_name():
    assert "whole_frames" not in settings().model_dump(mode="json")["emitters"]
    assert settings(emitters={"whole_frames": True}).model_dump()["emitters"]["whole_frames"]
