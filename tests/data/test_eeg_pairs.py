"""The user's own examples: read with their head, divided without overlap, and refused where something does not fit."""

import re
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.io import savemat

from hpsearch.data.eeg_settings import EEGSettings, eeg_objections, eeg_source
from hpsearch.data.eeg_simulation import load_eeg
from hpsearch.data.fingerprint import fingerprint_of
from tests.own_heads import small_head
from tests.small_eeg import SMALL_EEG

HEAD = small_head()
COUNT = 40


def examples(count=COUNT):
    generator = np.random.default_rng(0)
    sources = np.zeros((count, 48, 64))
    for index in range(count):
        sources[index, :, generator.integers(64)] = generator.standard_normal(48)
    return {"eeg": sources @ HEAD.gain.T * 3 + 5, "sources": sources}


def settings(folder, *, pairs=None, **arrays):
    np.savez(folder / "pairs.npz", **{**examples(), **arrays})
    return EEGSettings.model_validate({**SMALL_EEG, "pairs": {"path": str(folder / "pairs.npz"), **(pairs or {})}})


def test_examples_are_divided_once_and_normalised(tmp_path):
    chosen = settings(tmp_path)
    parts = {split: load_eeg(chosen, split, 0) for split in ("train", "val", "test")}
    assert [len(part["eeg"]) for part in parts.values()] == [32, 4, 4]
    everything = np.concatenate([part["sources"] for part in parts.values()])
    assert len({row.tobytes() for row in everything}) == COUNT
    for part in parts.values():
        eeg, sources = part["eeg"], part["sources"]
        np.testing.assert_allclose(np.abs(eeg).max(axis=(1, 2)), 1, rtol=1e-6)
        np.testing.assert_allclose(np.abs(sources).max(axis=(1, 2)), 1, rtol=1e-6)
        expected = (sources - sources.mean(axis=1, keepdims=True)) @ HEAD.gain.T
        expected /= np.abs(expected).max(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(eeg, expected, atol=1e-5)
    other = load_eeg(chosen, "val", 1)["sources"]
    assert not np.array_equal(other, parts["val"]["sources"])


def test_channels_of_other_order_and_turned_arrays_of_matlab(tmp_path):
    given = examples()
    order = np.random.default_rng(1).permutation(16)
    names = HEAD.names[order].astype(object)
    savemat(
        tmp_path / "own.mat",
        {"x": given["eeg"][:, :, order].transpose(0, 2, 1), "nmm": given["sources"], "names": names},
    )
    own = {"path": str(tmp_path / "own.mat"), "eeg": "x"}
    turned = EEGSettings.model_validate({**SMALL_EEG, "pairs": own})
    for name, array in load_eeg(settings(tmp_path), "val", 0).items():
        np.testing.assert_array_equal(array, load_eeg(turned, "val", 0)[name])


def test_files_of_their_own_for_validation_and_test(tmp_path):
    np.savez(tmp_path / "val.npz", **examples(5))
    chosen = settings(tmp_path, pairs={"val_path": str(tmp_path / "val.npz"), "test": 0.25})
    assert [len(load_eeg(chosen, split, 0)["eeg"]) for split in ("train", "val", "test")] == [30, 5, 10]


def test_the_fingerprint_is_that_of_the_files(tmp_path):
    before = fingerprint_of(eeg_source(settings(tmp_path)), Path)
    again = fingerprint_of(eeg_source(settings(tmp_path, pairs={"val": 0.2})), Path)
    changed = fingerprint_of(eeg_source(settings(tmp_path, eeg=examples()["eeg"] + 1)), Path)
    assert before.digest == again.digest != changed.digest


def broken(array, at, value):
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sources": examples()["sources"][:, :40]}, r"eeg is 40x48x16, and sources are 40x40x64"),
        (
            {"sources": examples()["sources"][:, :, :60]},
            "none of its variables is an array of the activity of the sources",
        ),
        (
            {"eeg": examples()["eeg"][:, :40], "sources": examples()["sources"][:, :40]},
            "40 samples long, and data.samples",
        ),
        ({"rate": 250.0}, "the rate is 250 Hz, and data.rate is 100"),
        ({"sources": broken(examples()["sources"], 7, 0.0)}, "the example 7, counted from 0, is silent"),
        ({"eeg": broken(examples()["eeg"], (3, 2), np.nan)}, "the example 3, counted from 0, has values that are no"),
        ({"names": np.array([*HEAD.names[:-1], "Zz"])}, "lacks 1 of 16 electrodes"),
        (examples(2), "2 examples, too few"),
    ],
)
def test_examples_that_do_not_fit_are_said_before_a_trial(arrays, message, tmp_path):
    chosen = settings(tmp_path, **arrays)
    assert re.search(message, eeg_objections(chosen)["data.pairs"])


def test_settings_that_do_not_go_together_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="leave nothing to learn from"):
        settings(tmp_path, pairs={"val": 0.5, "test": 0.5})
    with pytest.raises(ValidationError, match="noise is for simulated EEG"):
        EEGSettings.model_validate({**SMALL_EEG, "pairs": {"path": "a.npz"}, "noise": {"path": "b.npz"}})
    with pytest.raises(ValidationError, match="must be numbers where there is no lead_field"):
        EEGSettings.model_validate({**SMALL_EEG, "electrodes": None})
