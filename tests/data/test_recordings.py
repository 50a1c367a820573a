"""Recordings of every format, by name and in order; their share for each split; and the noise that they become."""

import re

import edfio
import mne
import numpy as np
import pytest
from scipy.io import savemat

from hpsearch.data.eeg_settings import EEGSettings, eeg_objections, recorded_noise
from hpsearch.data.eeg_simulation import add_recorded_noise, load_eeg, measure
from hpsearch.data.recordings import NoiseSettings, covariance, draw_stretch, read_noise, read_recording, stretch
from hpsearch.errors import DataError
from tests.own_heads import small_head, write_noise
from tests.small_eeg import SMALL_EEG

HEAD = small_head()
NAMES = HEAD.names.tolist()
RATE = 128.0


def signal(channels=16, samples=1280):
    """Smooth signals, so that resampling has something to keep; in V."""
    times = np.arange(samples) / RATE
    phases = np.linspace(0, 3, channels)[:, None]
    return 1e-5 * (np.sin(2 * np.pi * 7 * times + phases) + 0.3 * phases * np.cos(2 * np.pi * 3 * times))


def referenced(data):
    return data - data.mean(axis=0)


def write(place, data, names):
    """Write a recording with the tool that people write its format with."""
    if place.suffix == ".edf":
        signals = [
            edfio.EdfSignal(row * 1e6, RATE, label=f"EEG {name}-REF", physical_dimension="uV")
            for row, name in zip(data, names, strict=True)
        ]
        edfio.Edf(signals).write(place)
    elif place.suffix == ".fif":
        raw = mne.io.RawArray(data, mne.create_info(names, RATE, "eeg"), verbose=False)
        if place.stem.endswith("-epo"):
            epochs = mne.make_fixed_length_epochs(raw, 2.0, preload=True, verbose=False)
            epochs.save(place, verbose=False)
        elif place.stem.endswith("-ave"):
            mne.EvokedArray(data, raw.info).save(place, verbose=False)
        else:
            raw.save(place, verbose=False)
    elif place.suffix == ".mat":
        savemat(place, {"EEG": {"data": data, "srate": RATE, "chanlocs": [{"labels": name} for name in names]}})
    else:
        np.savez(place, data=data.T, rate=RATE, names=np.array(names))
    return place


@pytest.mark.parametrize("file", ["rest_raw.fif", "rest-epo.fif", "rest-ave.fif", "rest.edf", "rest.mat", "rest.npz"])
def test_channels_are_found_by_name_in_every_format(file, tmp_path):
    data, order = signal(17), np.random.default_rng(0).permutation(17)
    names = [*NAMES, "ECG2"]
    place = write(tmp_path / file, data[order], [names[index] for index in order])
    found = read_recording(place, channels=16)
    assert found.rate == RATE
    chosen = found.at(NAMES, where="rest")
    assert [name.removeprefix("EEG ") for name in chosen.dropped] in (["ECG2"], ["ECG2-REF"])
    together = np.concatenate(chosen.segments, axis=1)
    expected = referenced(data[:16])[:, : together.shape[1]]
    np.testing.assert_allclose(together, expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("rate", [64.0, 100.0, 256.0])
def test_a_recording_is_the_same_signal_at_another_rate(rate, tmp_path):
    found = read_recording(write(tmp_path / "rest.npz", signal(), NAMES), channels=16)
    again = found.resampled(rate).segments[0]
    assert again.shape[1] == round(10 * rate)
    times = np.arange(again.shape[1]) / rate
    phases = np.linspace(0, 3, 16)[:, None]
    expected = 1e-5 * (np.sin(2 * np.pi * 7 * times + phases) + 0.3 * phases * np.cos(2 * np.pi * 3 * times))
    inner = slice(round(rate), -round(rate))
    np.testing.assert_allclose(again[:, inner], expected[:, inner], atol=2e-7)


def test_old_names_and_cases_are_the_same_electrodes(tmp_path):
    written = [{"T7": "T3"}.get(name, name.upper()) for name in ["T7", "Fp1", "Oz"]]
    found = read_recording(write(tmp_path / "rest.npz", signal(3), written), channels=3)
    chosen = found.at(["Oz", "T7", "Fp1"], where="rest")
    np.testing.assert_allclose(chosen.segments[0], referenced(signal(3)[[2, 0, 1]]), atol=1e-15)


def test_splits_use_stretches_of_their_own(tmp_path):
    settings = NoiseSettings(path=write_noise(tmp_path, data=np.arange(1600.0)[:, None] * np.arange(16.0)))
    recording = read_noise(settings, NAMES, 100.0)
    seen = {split: np.concatenate(stretch(recording, split, 48), axis=1)[0] for split in ("train", "val", "test")}
    assert [len(values) for values in seen.values()] == [960, 320, 320]
    whole = np.concatenate(list(seen.values()))
    assert len(set(whole.tolist())) == 1600
    savemat(tmp_path / "noise.mat", {"data": np.random.default_rng(0).standard_normal((4, 100, 16)), "fs": 100.0})
    recording = read_noise(settings, NAMES, 100.0)
    parts = [stretch(recording, split, 48) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [2, 1, 1]


def test_stretches_marked_as_bad_are_left_out(tmp_path):
    raw = mne.io.RawArray(signal(), mne.create_info(NAMES, RATE, "eeg"), verbose=False)
    raw.set_annotations(mne.Annotations([2.0], [1.0], ["BAD_movement"]))
    raw.save(tmp_path / "rest_raw.fif", verbose=False)
    found = read_recording(tmp_path / "rest_raw.fif", channels=16, skip_bad=True)
    assert [piece.shape[1] for piece in found.segments] == [256, 896]
    assert len(read_recording(tmp_path / "rest_raw.fif", channels=16).segments) == 1


def test_every_place_is_drawn_as_often_as_any_other():
    pieces = [np.arange(5.0)[None], np.arange(10.0, 18.0)[None]]
    generator = np.random.default_rng(0)
    starts = [int(draw_stretch(pieces, 4, generator)[0, 0]) for _ in range(7000)]
    counts = np.bincount(starts)[[0, 1, 10, 11, 12, 13, 14]]
    assert counts.sum() == 7000
    assert counts.min() > 850


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_recorded_noise_has_the_stated_power_and_keeps_its_pattern(share):
    generator = np.random.default_rng(0)
    clean, noise = generator.standard_normal((3, 50_000)), generator.standard_normal((3, 50_000))
    noise[1] = 5 * noise[0]
    added = add_recorded_noise(clean, noise, decibels=10.0, share=share, generator=generator) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(added**2)) == pytest.approx(10.0, abs=0.1)
    recorded = np.sum(added * noise) / np.sum(noise**2) * noise
    assert np.mean(recorded**2) / np.mean(added**2) == pytest.approx(share, abs=0.01)


def settings(folder, **noise):
    return EEGSettings.model_validate({**SMALL_EEG, "noise": {"path": write_noise(folder), **noise}})


def test_simulated_eeg_has_the_recorded_noise(tmp_path):
    """With hardly any brain and source left, what remains is a stretch of the recording."""
    chosen = settings(tmp_path).model_copy(update={"snr": (-200.0,), "background_snr": (200.0, 200.0)})
    recorded = recorded_noise(chosen, HEAD, "val")
    generator = np.random.default_rng(0)
    sources = np.zeros((64, 48))
    sources[3] = generator.standard_normal(48)
    found = measure(chosen, HEAD, sources, generator.standard_normal((5, 200)), generator, recorded=recorded)
    pieces = np.lib.stride_tricks.sliding_window_view(recorded[0], 48, axis=1).transpose(1, 0, 2)
    pieces = pieces - pieces.mean(axis=2, keepdims=True)
    pieces = pieces / np.abs(pieces).max(axis=(1, 2), keepdims=True)
    assert np.abs(pieces - found).max(axis=(1, 2)).min() < 1e-9


def test_other_noise_gives_other_data_and_the_same_noise_elsewhere_the_same(tmp_path):
    (tmp_path / "there").mkdir()
    first = load_eeg(settings(tmp_path), "val", 0)["eeg"]
    np.testing.assert_array_equal(first, load_eeg(settings(tmp_path / "there"), "val", 0)["eeg"])
    write_noise(tmp_path, data=np.random.default_rng(9).standard_normal((2000, 16)))
    changed = EEGSettings.model_validate({**SMALL_EEG, "noise": {"path": str(tmp_path / "noise.mat")}})
    assert not np.array_equal(first, load_eeg(changed, "val", 0)["eeg"])


def test_the_covariance_is_that_of_numpy():
    pieces = [np.random.default_rng(0).standard_normal((3, 50)) + 7.0]
    np.testing.assert_allclose(covariance(pieces), np.cov(pieces[0], bias=True))


NAN = np.where(np.arange(16) == 4, np.nan, 1.0) * np.ones((2000, 1))


@pytest.mark.parametrize(
    ("changes", "noise", "message"),
    [
        ({"labels": [*NAMES[1:], "Xx"]}, {}, f"lacks 1 of 16 electrodes: {NAMES[0]}"),
        ({"fs": "fast"}, {}, r"does not tell its sampling rate: set data\.noise\.rate"),
        ({}, {"rate": 250}, "has 100 samples a second, and data.noise.rate is 250"),
        ({"data": np.ones((200, 16)) * np.arange(200)[:, None]}, {}, "constant"),
        (
            {"data": np.random.default_rng(0).standard_normal((200, 16))},
            {},
            "too short: what it has for val is 40 samples",
        ),
        ({"data": NAN}, {}, f"no numbers in the channels {NAMES[4]}"),
        ({"data": np.ones((2000, 15)), "labels": "none"}, {}, "none of its variables is a recording of 16 channels"),
        ({"data": np.ones((16, 16))}, {}, "square"),
        ({}, {"variable": "rest"}, "no variable 'rest'"),
    ],
)
def test_noise_that_does_not_fit_is_said_before_a_trial(changes, noise, message, tmp_path):
    chosen = settings(tmp_path, **noise)
    write_noise(tmp_path, **changes)
    assert re.search(message, eeg_objections(chosen)["data.noise"])


def test_files_that_hold_no_recording_are_said(tmp_path):
    whole = write(tmp_path / "rest.edf", signal(), NAMES).read_bytes()
    for name, content, message in [
        ("cut.edf", whole[:300], "damaged, or no recording"),
        ("cut.fif", b"\x00\x00\x00d" * 10, "damaged, or no recording"),
        ("rest.txt", whole, "no recording that is read: .fif, .edf"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_recording(tmp_path / name, channels=16)
    raw = mne.io.RawArray(signal(), mne.create_info(NAMES, RATE, "eeg"), verbose=False)
    raw.save(tmp_path / "whole_raw.fif", verbose=False)
    whole = (tmp_path / "whole_raw.fif").read_bytes()
    (tmp_path / "cut_raw.fif").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match=r"cut_raw\.fif is cut off or damaged"):
        read_recording(tmp_path / "cut_raw.fif", channels=16)
    np.savez(tmp_path / "few.npz", eeg=signal()[:15])
    with pytest.raises(DataError, match=r"few\.npz: none of its variables is a recording of 16 channels"):
        read_recording(tmp_path / "few.npz", channels=16)
    raw.info["bads"] = [NAMES[3]]
    raw.save(tmp_path / "bad_raw.fif", verbose=False)
    with pytest.raises(DataError, match=f"marks channels as bad: {NAMES[3]}"):
        read_recording(tmp_path / "bad_raw.fif", channels=16)
