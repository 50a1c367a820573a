import numpy as np
import pytest

from hpsearch.data.spots import candidates
from hpsearch.families.decode.baselines import fit_frame, fit_split, score_fits
from hpsearch.families.decode.family import Decode
from hpsearch.families.decode.settings import DecodeConfig

SIZE = 24


def config(**changes):
    data = {"size": SIZE, "frames": {"train": 1, "val": 12, "test": 20}, "emitters": {"depth": [-500, 500]}, **changes}
    return DecodeConfig.model_validate({"data": data})


def image(psf, *rows):
    """Noiseless photons of molecules (x, y, z, photons) on a background of 120."""
    return psf.image(*np.array(rows, dtype=float).T, size=SIZE) + 120.0


@pytest.mark.parametrize("z", [-300.0, 0.0, 150.0, 400.0])
def test_without_noise_the_fit_is_exact(z):
    chosen = config()
    spots = fit_frame(image(chosen.data.point_spread, (7.3, 12.8, z, 5000)), chosen)
    brightest = spots[spots[:, 3].argmax()]
    np.testing.assert_allclose(brightest, [7.3, 12.8, z, 5000], rtol=1e-4, atol=1e-2)


def test_a_local_maximum_above_the_noise_is_a_candidate():
    noise = np.random.default_rng(0).normal(0, 5, (SIZE, SIZE))
    frame = image(config().data.point_spread, (7.0, 12.0, 0.0, 5000), (17.0, 4.0, 0.0, 5000)) + noise
    found = candidates(frame, width=1.3)
    assert {(12, 7), (4, 17)} <= set(found)
    assert len(found) < 20


def test_the_error_of_a_fit_is_near_its_bound():
    """In focus, N photons and hardly any background: sqrt((s^2 + a^2 / 12) / N) (Thompson et al. 2002).

    With all pixels weighted alike, the error is larger by up to sqrt(16 / 9) (Mortensen et al. 2010).
    """
    chosen = config(camera={"scmos": {"read_noise": 0.1, "quantum_efficiency": 1}}, point_spread="round")
    psf, camera, generator = chosen.data.point_spread, chosen.data.camera, np.random.default_rng(0)
    errors = []
    for _ in range(40):
        x, y = generator.uniform(11, 13, 2)
        clean = psf.image(*np.array([[x, y, 0.0, 2000.0]]).T, size=SIZE) + 0.2
        spots = fit_frame(camera.to_photons(camera.expose(clean, generator)), chosen)
        errors.append(spots[spots[:, 3].argmax(), 0] - x)
    bound = np.sqrt((1.3**2 + 1 / 12) / 2000)
    assert 0.8 * bound < np.std(errors) < 1.7 * bound


@pytest.mark.slow
def test_sparse_and_bright_molecules_are_found():
    sparse = config(emitters={"per_frame": 1.5, "depth": [-300, 300]}, background=[10, 20], labelled_photons=2000)
    data = Decode().load(sparse.data, "test", 0)
    fits = fit_split(sparse, data, limit=20)
    scores = score_fits(sparse, data, data)
    assert scores["jaccard"] >= max(fits.score(brighter_than=limit)["jaccard"] for limit in (0, 1000, 2000, 4000))
    assert scores["jaccard"] > 0.8
    assert scores["rmse_lateral"] < 40
    assert scores["rmse_axial"] < 80


def test_a_threshold_leaves_out_the_dim():
    sparse = config(emitters={"per_frame": 0.7, "depth": [-300, 300], "lifetime": 20})
    fits = fit_split(sparse, Decode().load(sparse.data, "val", 0), limit=8)
    assert len(fits.positions) == len(fits.true) == 8
    assert fits.score(brighter_than=1e9)["recall"] == 0
    assert fits.score(brighter_than=0)["recall"] > 0.5
