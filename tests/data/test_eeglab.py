"""EEGLAB's datasets: as MNE and eeglabio 0.1.4 wrote them (`eeglab/`), and with samples in a file of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from hpsearch.data.eeg_settings import EEGSettings, eeg_source, hashes_of
from hpsearch.data.electrodes import read_montage
from hpsearch.data.fingerprint import fingerprint_of
from hpsearch.data.recordings import read_recording
from hpsearch.errors import DataError
from tests.data.test_recordings import NAMES, RATE, signal
from tests.small_eeg import SMALL_EEG

HERE = Path(__file__).parent / "eeglab"
SAMPLES = 320


def expected() -> np.ndarray:
    """The samples at the electrodes of the small head, against their average, in V."""
    data = signal(17, SAMPLES)[:16]
    return data - data.mean(axis=0)


@pytest.mark.parametrize("file", ["rest.set", "rest-73.set"])
def test_a_dataset_is_read_by_name_and_cut_at_its_boundary(file: str) -> None:
    found = read_recording(HERE / file, channels=16).at(NAMES, where=file)
    assert (found.rate, found.dropped) == (RATE, ("ECG2",))
    np.testing.assert_allclose(found.segments[0], expected(), atol=1e-6 * np.abs(expected()).max())
    cut = read_recording(HERE / file, channels=16, skip_bad=True).at(NAMES, where=file)
    assert [piece.shape[1] for piece in cut.segments] == [160, 160]
    np.testing.assert_array_equal(np.concatenate(cut.segments, axis=1), found.segments[0])


def test_a_dataset_is_a_montage() -> None:
    found = read_montage(HERE / "rest.set")
    assert sorted(found.names) == sorted([*NAMES, "ECG2"])
    left, right = (found.positions[found.names.index(name)] for name in ("C3", "F8"))
    assert left[1] > 0 > right[1]  # EEGLAB's X points to the nose, its Y to the left ear


def dataset(folder: Path, *, trials: int = 1, flat: bool = False, **changes: Any) -> Path:
    """Write a dataset as EEGLAB does: the structure, or its fields by themselves, and the samples in a file."""
    data = signal(16, SAMPLES) * 1e6
    data.T.astype("<f4").tofile(folder / "rest.fdt")
    fields = {"data": "rest.fdt", "nbchan": 16.0, "pnts": SAMPLES / trials, "trials": float(trials), "srate": RATE}
    fields["chanlocs"] = np.array([(name, "EEG") for name in NAMES], dtype=[("labels", object), ("type", object)])
    fields |= changes
    fields = {name: value for name, value in fields.items() if value is not None}
    savemat(folder / "rest.set", fields if flat else {"EEG": fields}, appendmat=False)
    return folder / "rest.set"


@pytest.mark.parametrize(("flat", "trials"), [(False, 1), (True, 1), (True, 4)])
def test_samples_in_a_file_of_their_own(flat: bool, trials: int, tmp_path: Path) -> None:
    found = read_recording(dataset(tmp_path, flat=flat, trials=trials), channels=16)
    assert [piece.shape[1] for piece in found.segments] == [SAMPLES // trials] * trials
    together = np.concatenate(found.segments, axis=1)
    np.testing.assert_allclose(together, signal(16, SAMPLES), atol=1e-6 * np.abs(together).max())


def test_samples_are_found_by_either_name_and_are_part_of_the_data(tmp_path: Path) -> None:
    dataset(tmp_path).rename(tmp_path / "renamed.set")
    settings = EEGSettings.model_validate({**SMALL_EEG, "noise": {"path": str(tmp_path / "renamed.set")}})
    seen = []
    for number in range(2):
        assert len(read_recording(tmp_path / "renamed.set", channels=16).segments) == 1
        seen.append((fingerprint_of(eeg_source(settings), Path).digest, str(hashes_of(settings))))
        (np.full(16 * SAMPLES, number, dtype="<f4")).tofile(tmp_path / "rest.fdt")
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "rest.dat"}, "channel after channel"),
        ({"nbchan": 0.4}, "should have 0 channels"),
        ({"data": "gone.fdt"}, r"samples in gone\.fdt, which is not in its folder"),
        ({"pnts": 333.0}, "16 channels x 333 samples, and has 5120 numbers"),
        ({"srate": None}, "is no dataset of EEGLAB: it has no srate"),
        ({"srate": "fast"}, "srate is 'fast', not a positive number"),
        ({"nbchan": 20.0, "pnts": 256.0}, "20 channels, and 16 names"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    place = dataset(tmp_path, **changes)
    if isinstance(changes.get("data"), str):
        (tmp_path / "rest.fdt").rename(tmp_path / "rest.dat")
    with pytest.raises(DataError, match=message):
        read_recording(place, channels=16)


def test_a_dataset_that_is_cut_off_is_said(tmp_path: Path) -> None:
    for name in ("rest.set", "rest-73.set"):
        (tmp_path / name).write_bytes((HERE / name).read_bytes()[:9000])
        with pytest.raises(DataError, match="damaged, or not a file of EEGLAB"):
            read_recording(tmp_path / name, channels=16)
