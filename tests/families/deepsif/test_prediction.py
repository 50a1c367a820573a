"""Sources of recordings: those that the network gives by hand, whatever the file, its channels' order and its rate."""

import json
from dataclasses import replace

import mne
import numpy as np
import pytest
import torch

from hpsearch.errors import DataError, HpsearchError
from hpsearch.families.deepsif.family import FAMILY
from hpsearch.families.deepsif.prediction import SourcePrediction, window_starts
from hpsearch.final.trained_model import TrainedModel
from tests.own_heads import small_head
from tests.small_eeg import SMALL_EEG

HEAD = small_head()
NAMES = HEAD.names.tolist()
CONFIG = {
    "data": SMALL_EEG,
    "model": {"spatial_width": 16, "temporal": {"transformer": {"layers": 1, "width": 16, "heads": 2}}},
    "train": {"device": "cpu", "batch_size": 2},
}


@pytest.fixture(scope="module")
def model():
    family, config = FAMILY(), FAMILY.Config.model_validate(CONFIG)
    facts = json.loads(json.dumps(family.facts(config, None)))
    torch.manual_seed(0)
    network = family.model(config, facts).eval()
    for parameter in network.output.parameters():
        torch.nn.init.normal_(parameter)
    return TrainedModel(network, family, config, facts, {"family": "deepsif"}, {})


def recording(samples, rate=100.0):
    """Smooth EEG (T, C), so that resampling has something to keep."""
    times = np.arange(samples) / rate
    phases = np.linspace(0, 4, 16)
    return 1e-5 * np.sin(2 * np.pi * 6 * times[:, None] + phases) * (1 + times[:, None])


def by_hand(model, clip):
    """The activity of one clip (T, C), normalised as the training's."""
    clip = clip - clip.mean(axis=1, keepdims=True)
    clip = clip - clip.mean(axis=0)
    scale = np.abs(clip).max()
    with torch.no_grad():
        return scale * model.model(torch.from_numpy(clip / scale).float()[None])[0].numpy()


def scaled(activity):
    return activity / np.abs(activity).max()


def write_raw(place, eeg, names, rate=100.0):
    raw = mne.io.RawArray(eeg.T, mne.create_info(names, rate, "eeg"), verbose=False)
    if place.suffix == ".edf":
        mne.export.export_raw(place, raw, verbose=False)
    else:
        raw.save(place, verbose=False)
    return place


def test_the_call_of_a_card_gives_sources(model):
    found = model.predict(eval(model.predictor.example, {"np": np}))  # noqa: S307 -- our own text
    assert found.activity.shape == (48, 64)


def test_one_window_is_what_the_network_says(model):
    found = model.predict(recording(48))
    np.testing.assert_allclose(found.activity, scaled(by_hand(model, recording(48))), atol=1e-5)
    assert np.abs(found.activity).max() == pytest.approx(1)
    np.testing.assert_allclose(found.times, np.arange(48) / 100)
    assert found.electrodes == tuple(NAMES)


def test_windows_are_joined_by_their_weights(model):
    eeg = recording(100)
    total, weights = np.zeros((100, 64)), np.zeros((100, 1))
    window = np.sin(np.pi * (np.arange(48) + 0.5) / 48)[:, None] ** 2
    for start in (0, 24, 48, 52):
        total[start : start + 48] += window * by_hand(model, eeg[start : start + 48])
        weights[start : start + 48] += window
    np.testing.assert_allclose(model.predict(eeg).activity, scaled(total / weights), atol=1e-5)
    apart = model.predict(eeg[:96], overlap=0).activity
    expected = scaled(np.concatenate([by_hand(model, eeg[:48]), by_hand(model, eeg[48:96])]))
    np.testing.assert_allclose(apart, expected, atol=1e-5)


@pytest.mark.parametrize("length", [48, 49, 71, 72, 73, 500])
def test_windows_cover_everything(length):
    starts = list(window_starts(length, 48, 24))
    covered = np.zeros(length, dtype=int)
    for start in starts:
        covered[start : start + 48] += 1
    assert covered.min() >= 1
    assert starts == sorted(set(starts))
    assert starts[-1] + 48 == length


def test_channels_of_other_order_and_extra_ones(model, tmp_path):
    eeg = recording(60)
    order = np.random.default_rng(0).permutation(16)
    names = [*(NAMES[index] for index in order), "ECG"]
    place = write_raw(tmp_path / "rest_raw.fif", np.column_stack([eeg[:, order], eeg[:, 0] ** 2]), names)
    found = model.predict(place)
    np.testing.assert_allclose(found.activity, model.predict(eeg).activity, atol=1e-4)
    assert "left out: ECG" in found.notes
    assert "left out: ECG" in found.summary()


def test_another_rate_is_resampled_and_said(model, tmp_path):
    place = write_raw(tmp_path / "rest_raw.fif", recording(400, 200.0), NAMES, 200.0)
    found = model.predict(place)
    assert found.activity.shape == (200, 64)
    assert "resampled from 200 to 100 Hz" in found.notes
    inner = slice(50, 150)
    expected = model.predict(recording(200)).activity[inner]
    np.testing.assert_allclose(found.activity[inner], expected, atol=0.02)


def test_epochs_stay_apart_and_parts_can_be_chosen(model, tmp_path):
    eeg = np.stack([recording(48), 2 * recording(48)[::-1]])
    found = model.predict(eeg)
    expected = scaled(np.stack([by_hand(model, clip) for clip in eeg]))
    np.testing.assert_allclose(found.activity, expected, atol=1e-5)
    info = mne.create_info(NAMES, 100.0, "eeg")
    mne.EpochsArray(eeg.transpose(0, 2, 1), info, verbose=False).save(tmp_path / "two-epo.fif", verbose=False)
    np.testing.assert_allclose(model.predict(tmp_path / "two-epo.fif").activity, expected, atol=1e-4)
    part = model.predict(recording(200), begin=0.5, end=1.0)
    assert part.times[0] == 0.5
    np.testing.assert_allclose(part.activity, model.predict(recording(200)[50:100]).activity, atol=1e-6)


def test_a_moved_reference_or_scale_changes_nothing(model):
    eeg = recording(60)
    moved = 7 * (eeg + np.random.default_rng(0).standard_normal((60, 1)))
    np.testing.assert_allclose(model.predict(moved).activity, model.predict(eeg).activity, atol=1e-4)


def test_files_say_what_was_predicted(model, tmp_path):
    found = model.predict(recording(100))
    with np.load(found.write(tmp_path / "sources.npz")) as arrays:
        np.testing.assert_array_equal(arrays["activity"], found.activity)
        np.testing.assert_allclose(arrays["times"], np.arange(100) / 100)
        np.testing.assert_allclose(arrays["centres"], HEAD.centres, atol=0.01)
    picture = found.write(tmp_path / "sources.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    sample, region = found.peak
    assert np.square(found.activity[sample]).sum() == np.square(found.activity).sum(axis=1).max()
    assert f"strongest at {sample / 100:.3f} s in the region {region}" in found.summary()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["sources.npz", "sources.png"]


@pytest.mark.parametrize("name", ["out.stc", "out-lh.stc"])
def test_an_estimate_of_mne_has_each_regions_activity_at_its_vertices(name, model, tmp_path):
    found = model.predict(recording(100), begin=0.2)
    written = found.write(tmp_path / name)
    assert written == tmp_path / "out-lh.stc"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out-lh.stc", "out-rh.stc"]
    estimate = mne.read_source_estimate(written)
    np.testing.assert_allclose(estimate.times, found.times, atol=1e-5)
    for vertex, row in ((0, 0), (1, -1)):
        vertices = estimate.vertices[vertex]
        region = {(side, number): part for side, number, part in HEAD.surface.tolist()}[vertex, int(vertices[row])]
        data = estimate.lh_data if vertex == 0 else estimate.rh_data
        np.testing.assert_allclose(data[row], found.activity[:, region], atol=1e-6)
    assert len(estimate.data) == len(HEAD.surface)


def test_a_head_without_vertices_has_no_such_estimate(model, tmp_path):
    found = model.predict(recording(48))
    assert isinstance(found, SourcePrediction)
    with pytest.raises(DataError, match=r"no vertices of a FreeSurfer surface: write \.npz"):
        replace(found, surface=np.empty((0, 3), dtype=np.int64)).write(tmp_path / "out.stc")
    with pytest.raises(HpsearchError, match=r"known are \.npz .*; \.stc .*; \.png"):
        found.write(tmp_path / "out.csv")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (recording(40), {}, r"has 40 samples at 100 Hz \(0\.4 s\), and the model reads windows of 48"),
        (recording(60)[:, :15], {}, r"is 60x15, and the model reads \(time, 16\)"),
        (np.where(np.arange(16) == 3, np.nan, recording(60)), {}, "no numbers"),
        ("missing_raw.fif", {}, "there is no recording .*missing_raw.fif"),
    ],
)
def test_inputs_that_do_not_fit_are_said(given, options, message, model, tmp_path):
    with pytest.raises(DataError, match=message):
        model.predict(tmp_path / given if isinstance(given, str) else given, **options)


def test_channels_and_rates_that_do_not_fit_are_said(model, tmp_path):
    other = [*NAMES[:-1], "Xx"]
    with pytest.raises(DataError, match=f"lacks 1 of 16 electrodes: {NAMES[-1]}"):
        model.predict(write_raw(tmp_path / "rest_raw.fif", recording(60), other))
    np.savez(tmp_path / "rest.npz", data=recording(60))
    with pytest.raises(DataError, match="does not tell its sampling rate: give the option rate"):
        model.predict(tmp_path / "rest.npz")
    found = model.predict(tmp_path / "rest.npz", rate=100)
    assert any("no names" in note for note in found.notes)
    np.testing.assert_allclose(found.activity, model.predict(recording(60)).activity, atol=1e-6)
