import numpy as np
import pytest
from pydantic import ValidationError

from hpsearch.data.disk_cache import cache_folder
from hpsearch.data.eeg_simulation import (
    EEGSettings,
    add_sensor_noise,
    cut_clips,
    load_eeg,
    measure,
    simulate_eeg,
    simulate_spikes,
)
from hpsearch.data.lead_field import load_lead_field
from tests.small_eeg import SMALL_EEG


def settings(**changes):
    return EEGSettings.model_validate({**SMALL_EEG, **changes})


@pytest.fixture(scope="module")
def field():
    return load_lead_field(16, 64)


@pytest.fixture(scope="module")
def splits():
    return {split: load_eeg(settings(), split, 0) for split in ("train", "val", "test")}


def test_the_eeg_is_normalised(splits):
    eeg = splits["train"]["eeg"]
    assert eeg.shape == (24, 48, 16)
    assert eeg.dtype == np.float32
    np.testing.assert_allclose(eeg.mean(axis=2), 0, atol=1e-6)
    np.testing.assert_allclose(eeg.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(eeg).max(axis=(1, 2)), 1, rtol=1e-6)


def test_sources_are_patches_with_a_largest_magnitude_of_one(splits):
    for data in splits.values():
        sources = np.einsum("nst,nsr->ntr", data["waveforms"], data["magnitudes"])
        np.testing.assert_allclose(np.abs(sources).max(axis=(1, 2)), 1, rtol=1e-6)
        active = (data["magnitudes"] > 0).sum(axis=2)
        assert np.all(active[:, 0] >= 2)
        assert np.all(active <= 5 + 3)
        assert np.all((active[:, 1] == 0) == ~data["waveforms"][:, 1].any(axis=1))
    assert 0 < sum((data["magnitudes"][:, 1].any(axis=1)).sum() for data in splits.values()) < 44


def test_the_same_seed_gives_the_same_data_and_the_cache_gives_them_back(splits, field):
    fresh = simulate_eeg(settings(), field, "val", 0)
    again = load_eeg(settings(), "val", 0)
    assert fresh.keys() == again.keys() == splits["val"].keys()
    for name, array in fresh.items():
        np.testing.assert_array_equal(array, splits["val"][name])
        np.testing.assert_array_equal(array, again[name])


def test_splits_and_seeds_share_nothing(splits, field):
    other = simulate_eeg(settings(), field, "val", 1)
    pools = [*splits.values(), other]
    for name in ("eeg", "waveforms", "magnitudes"):
        rows = [{row.tobytes() for row in data[name].reshape(-1, data[name].shape[-1]) if row.any()} for data in pools]
        for index, first in enumerate(rows):
            for second in rows[index + 1 :]:
                assert not first & second, name


def test_loading_one_split_makes_no_other_and_does_not_depend_on_their_sizes(field, monkeypatch, tmp_path):
    (tmp_path / "lead_field").symlink_to(cache_folder() / "lead_field")
    monkeypatch.setenv("HPSEARCH_CACHE", str(tmp_path))
    alone = load_eeg(settings(), "val", 5)
    [made] = (tmp_path / "eeg").iterdir()
    beside_larger_ones = load_eeg(settings(examples={"train": 999, "val": 10, "test": 999}), "val", 5)
    np.testing.assert_array_equal(beside_larger_ones["eeg"], alone["eeg"])
    assert [*(tmp_path / "eeg").iterdir()] == [made]  # nothing was simulated anew


def test_a_smaller_split_is_the_beginning_of_a_larger_one(splits, field):
    fewer = simulate_eeg(settings(examples={"train": 5, "val": 1, "test": 1}), field, "train", 0)
    np.testing.assert_array_equal(fewer["eeg"], splits["train"]["eeg"][:5])


def test_without_noise_the_eeg_is_the_lead_field_times_the_sources(field):
    quiet = settings(snr=[300.0], background_snr=[300.0, 300.0])
    generator = np.random.default_rng(0)
    sources = np.zeros((64, 48))
    sources[[3, 40]] = generator.standard_normal((2, 48))
    measured = measure(quiet, field, sources, generator.standard_normal((5, 200)), generator)
    expected = field.gain @ (sources - sources.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(measured, expected / np.abs(expected).max(), atol=1e-9)


def test_the_background_has_its_share_and_comes_from_silent_regions_only(field):
    loud = settings(snr=[300.0], background_snr=[10.0, 10.0])
    generator = np.random.default_rng(0)
    sources = np.zeros((64, 48))
    sources[7] = 5 + generator.standard_normal(48)  # what is constant in time is no signal
    measured = measure(loud, field, sources, generator.standard_normal((50, 500)), generator)
    spike = field.gain @ (sources - sources.mean(axis=1, keepdims=True))
    share = (measured * spike).sum() / (spike**2).sum()
    rest = measured - share * spike
    assert 10 * np.log10(np.mean((share * spike) ** 2) / np.mean(rest**2)) == pytest.approx(10.0, abs=1.0)


@pytest.mark.parametrize("decibels", [5.0, 20.0])
def test_sensor_noise_has_the_stated_power_in_each_channel(decibels):
    generator = np.random.default_rng(0)
    clean = np.array([[1.0], [20.0]]) * np.sin(np.arange(50_000) / 7.0)
    noise = add_sensor_noise(clean, decibels=decibels, generator=generator) - clean
    ratio = 10 * np.log10(np.mean(clean**2, axis=1) / np.mean(noise**2, axis=1))
    np.testing.assert_allclose(ratio, decibels, atol=0.1)


def test_spikes_stand_in_the_middle_of_their_clips_above_a_level_of_zero():
    clips = simulate_spikes(settings(), np.random.default_rng(0))
    assert len(clips) >= 12
    assert clips.shape[1] == 48
    np.testing.assert_allclose(np.median(clips, axis=1), 0, atol=1e-12)
    middle = clips[:, 24]
    assert np.all((middle > clips[:, 23]) & (middle >= clips[:, 25]))
    assert np.median(middle) > 6


def test_clips_are_pieces_of_their_signals():
    signals = np.arange(12.0).reshape(2, 6)
    clips = cut_clips(signals, 200, 4, np.random.default_rng(0))
    assert {tuple(clip) for clip in clips} == {tuple(signals[row, at : at + 4]) for row in (0, 1) for at in (0, 1, 2)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patches": {"smallest": 6, "largest": 5}}, "smallest source"),
        ({"patches": {"largest": 40}}, "at most half"),
        ({"background_snr": [20, 10]}, r"\[lowest, highest\]"),
        ({"snr": []}, "at least 1"),
        ({"rate": 0}, "greater than or equal"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)
