"""A lead field, noise and examples of the user's own, through the settings alone, as a space file names them."""

import json
import re

import mne
import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.families.deepsif.baselines import METHODS, noise_covariance
from hpsearch.families.deepsif.family import FAMILY
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.running.loading import load_space
from hpsearch.training.task import Splits
from tests.own_heads import small_head, write_head, write_noise

MY_HEAD = """\
family: deepsif
objective: {metric: val/dice, goal: maximize, at: best}
search: {trials: 2, workers: 1}
data:
  lead_field:
    path: head/lead_field.mat
    cortex: head/cortex.mat
    parcellation: head/regions.mat
    electrodes: head/electrodes.mat
  noise: {path: head/noise.mat, share: 0.8}
  samples: 48
  rate: 100
  clips: 12
  examples: {train: 24, val: 10, test: 10}
  patches: {smallest: 2, largest: 5}
model: {temporal: {transformer: {layers: 1, width: 16, heads: 2}}, spatial_width: 16}
train: {epochs: 1, batch_size: 8, learning_rate: {log: [1e-3, 1e-2]}}
"""
"""A space for a head of one's own; files lie beside it."""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "head").mkdir()
    write_head(tmp_path / "head")
    write_noise(tmp_path / "head")
    (tmp_path / "my_head.yaml").write_text(MY_HEAD)
    return tmp_path / "my_head.yaml"


def located_config(space):
    from hpsearch.places import located

    loaded = load_space(space)
    params = {parameter.path: 1e-3 for parameter in loaded.parameters}
    return located(loaded.config(params), space.parent)


def test_an_experiment_on_a_head_of_ones_own(space):
    config = located_config(space)
    splits = Splits(lambda split: FAMILY().load(config.data, split, 0), sealed=True)
    task = FAMILY().task(config, splits)
    model, batch = task.build_model(), splits["val"].batch(range(4))
    assert batch["eeg"].shape == (4, 48, 16)
    with torch.no_grad():
        assert model(batch["eeg"]).shape == batch["sources"].shape == (4, 48, 64)
    for row in FAMILY().baselines(config, splits, "val").values():
        assert row.keys() == FAMILY.metrics.keys()
        assert row["auc"] > 0.6


def test_a_model_needs_no_files_of_its_head(space):
    config = located_config(space)
    facts = json.loads(json.dumps(FAMILY().facts(config, None)))
    assert facts["electrodes"] == small_head().names.tolist()
    for file in (space.parent / "head").iterdir():
        file.unlink()
    model = FAMILY().model(config, facts)
    assert model(torch.zeros(1, 48, 16)).shape == (1, 48, 64)


def test_the_fingerprint_holds_what_is_in_the_files_and_not_where_they_are(space, tmp_path):
    from hpsearch.data.fingerprint import differences, fingerprint_of

    def now():
        return fingerprint_of(FAMILY().source(load_space(space).config({"train.learning_rate": 1e-3}).data), home)

    def home(path):
        return space.parent / path

    before = now()
    (tmp_path / "head").rename(tmp_path / "other")
    space.write_text(MY_HEAD.replace("head/", "other/"))
    assert now().digest == before.digest
    write_noise(tmp_path / "other", seconds=30)
    [told] = differences(before, now())
    assert "data.noise.path" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("cortex: head/cortex.mat", "cortex: head/kortex.mat"),
            r"my_head.yaml:7:13: .*there is no file.*did you mean",
        ),
        (("rate: 100", "rate: 100\n  electrodes: 32"), r"my_head.yaml:6:5: data.lead_field: .*32 electrodes"),
        (("share: 0.8", "share: 1.8"), r"my_head.yaml:10:\d+: .*share"),
        (("samples: 48", "samples: 500"), r"my_head.yaml:10:10: data.noise: the recorded noise is too short"),
        (("largest: 5", "largest: 50"), r"my_head.yaml:6:5: .*too many for 64 regions"),
        (("electrodes: head/electrodes.mat", "elektrodes: head/electrodes.mat"), r"my_head.yaml:9:5: .*did you mean"),
    ],
)
def test_mistakes_have_their_place_before_a_trial(change, message, space):
    space.write_text(MY_HEAD.replace(*change))
    with pytest.raises(SpaceError) as refused:
        hpsearch.check(space)
    assert re.search(message, str(refused.value)), refused.value


def test_old_configurations_are_dumped_as_ever():
    data = DeepSIFConfig().model_dump(mode="json")["data"]
    assert not {"lead_field", "noise", "pairs"} & data.keys()
    again = DeepSIFConfig.model_validate({"data": {"lead_field": {"path": "x.mat"}}})
    assert DeepSIFConfig.model_validate(again.model_dump(mode="json")) == again
    assert again.data.electrodes is None


@pytest.mark.parametrize(("ours", "theirs"), [("minimum_norm", "MNE"), ("sloreta", "sLORETA")])
def test_the_classical_methods_are_those_of_mne_with_recorded_noise(ours, theirs, space):
    """Up to a factor: MNE scales the sources' variance, and sLORETA's variance by its lambda."""
    config = located_config(space)
    head = small_head()
    noise = noise_covariance(config.data, head)
    operator = METHODS[ours](head.gain, decibels=10.0, noise=noise)

    names = head.names.tolist()
    info = mne.create_info(names, 100.0, "eeg")
    info.set_montage(mne.channels.make_standard_montage("fsaverage_1005"))
    eeg = np.random.default_rng(0).standard_normal((16, 20))
    evoked = mne.EvokedArray(eeg - eeg.mean(axis=0), info, verbose=False).set_eeg_reference(projection=True)
    forward = forward_of(head, evoked.info)
    scaled = noise * np.trace(head.gain @ head.gain.T) / np.trace(noise) * 15 / 16
    covariance = mne.Covariance(scaled, names, [], evoked.info["projs"], nfree=100)
    whitened = np.linalg.pinv(scaled, hermitian=True, rcond=1e-10) @ head.gain @ head.gain.T
    options = {"loose": 0.0, "depth": None, "fixed": True, "rank": {"eeg": 15}, "verbose": False}
    inverse = mne.minimum_norm.make_inverse_operator(evoked.info, forward, covariance, **options)
    found = mne.minimum_norm.apply_inverse(
        evoked, inverse, lambda2=0.1 * 15 / np.trace(whitened), method=theirs, pick_ori=None, verbose=False
    )
    expected = operator @ evoked.data
    ratio = np.sum(found.data * expected) / np.sum(expected**2)
    np.testing.assert_allclose(found.data, ratio * expected, atol=1e-5 * np.abs(found.data).max())


def forward_of(head, info):
    """A forward solution of MNE that has our lead field."""
    from hpsearch.data import lead_field

    to_head = mne.channels.compute_native_head_t(mne.channels.make_standard_montage(lead_field._MONTAGE))
    points = mne.transforms.apply_trans(to_head, head.centres / 1000)
    normals = mne.transforms.apply_trans(to_head, head.normals, move=False)
    sources = mne.setup_volume_source_space(pos={"rr": points, "nn": normals}, verbose=False)
    sphere = mne.make_sphere_model("auto", "auto", info, verbose=False)
    free = mne.make_forward_solution(info, trans=None, src=sources, bem=sphere, meg=False, verbose=False)
    return mne.convert_forward_solution(free, force_fixed=True, verbose=False)


def test_what_is_taken_for_granted_is_said(space):
    """The rows of the matrix have no names of their own, the noise has another rate and a channel too many."""
    names = np.array([*small_head().names, "ECG"], dtype=object)
    data = np.random.default_rng(0).standard_normal((5000, 17))
    write_noise(space.parent / "head", rate=250.0, data=data, labels=names)
    notes = FAMILY().data_notes(located_config(space).data)
    assert notes == [
        "data.lead_field: 16 electrodes against their average, 64 regions",
        "data.lead_field: the rows of the lead field are taken in the order of electrodes.mat",
        "data.noise: 20 s of 16 electrodes; resampled from 250 to 100 Hz; left out: ECG",
    ]
    assert FAMILY().data_notes(DeepSIFConfig().data) == []


@pytest.mark.slow
def test_your_head_in_and_the_winner_out(space):
    """From the files of a laboratory to the sources of a recording of its patient, and other noise is refused."""
    folder = space.parent
    experiment = hpsearch.run(space, root=folder, in_process=True, mlflow=False, quiet=True)
    hpsearch.export(experiment.folder, folder / "model", to="model")
    head = small_head()
    names = head.names.tolist()[::-1]
    raw = mne.io.RawArray(np.random.default_rng(0).standard_normal((16, 600)), mne.create_info(names, 200.0, "eeg"))
    raw.save(folder / "patient_raw.fif", verbose=False)
    model = hpsearch.load_model(folder / "model")
    found = model.predict(folder / "patient_raw.fif")
    assert found.activity.shape == (300, 64)
    assert found.write(folder / "sources.npz").is_file()
    scores = model.scores("val")
    write_noise(folder / "head", seconds=25)
    with pytest.raises(HpsearchError, match=r"data\.noise\.path .*had .* bytes"):
        model.scores("val")
    with pytest.raises(HpsearchError, match="data have changed since"):
        hpsearch.run(space, root=folder, in_process=True, mlflow=False, quiet=True, trials=3)
    assert scores["dice"] == pytest.approx(experiment.best.value)
