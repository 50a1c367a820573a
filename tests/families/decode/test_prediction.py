"""A movie's molecules: whole or in windows, of any length, and what is refused."""

import numpy as np
import pytest
import tifffile
import torch

from hpsearch.data.emitter_tables import read_emitters
from hpsearch.errors import DataError, HpsearchError
from hpsearch.families.decode.family import Decode
from hpsearch.families.decode.localisation import Channels, Units, localise
from hpsearch.families.decode.prediction import MovieOptions, MoviePredictor, reach
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.families.prediction import Computing, Watcher
from tests.small_movies import SMALL_MOVIES


def predictor(loss="mixture", **model):
    """A network with random weights that sees molecules everywhere."""
    config = DecodeConfig.model_validate(
        {"data": SMALL_MOVIES, "model": {"frame_depth": 1, "union_depth": 1, "features": 4, **model}, "loss": loss}
    )
    torch.manual_seed(1)
    network = Decode().model(config, {}).eval()
    torch.nn.init.constant_(network.detect[-1].bias, 0.0)
    return MoviePredictor(config, {}, network)


def movie(frames=7, height=90, width=71):
    return np.random.default_rng(2).integers(600, 2000, (frames, height, width)).astype(np.uint16)


def predict(made, given, *, batch_size=3, watcher=None, **options):
    chosen = made.given(options)
    computing = Computing(torch.device("cpu"), batch_size, watcher or Watcher())
    with torch.no_grad():
        return made.predict(made.read([given], chosen), chosen, computing)


def rows(found):
    columns = [found.frame, *found.position.T, found.photons, found.background, found.probability]
    return np.column_stack(columns)


def test_the_call_of_a_card_gives_molecules():
    made = predictor()
    assert predict(made, eval(made.example, {"np": np})).frames == 64  # noqa: S307 -- our own text


@pytest.mark.parametrize("model", [{}, {"union_depth": 2}])
def test_windows_give_the_molecules_of_whole_frames(model):
    made = predictor(**model)
    whole, parts = (predict(made, movie(), window=window) for window in (256, 16))
    assert len(whole) > 100
    np.testing.assert_allclose(rows(parts), rows(whole), rtol=1e-4, atol=1e-2)


def test_the_network_sees_no_further_than_its_reach():
    for depths in ((1, 1), (2, 1), (1, 2), (2, 2)):
        made = predictor(frame_depth=depths[0], union_depth=depths[1])
        frames = torch.randn(1, 3, 8, 160, requires_grad=True)
        made.model(frames)[..., 80].sum().backward()
        seen = frames.grad.abs().sum(dim=(0, 1, 2)).nonzero()
        assert max(80 - int(seen.min()), int(seen.max()) - 80) <= reach(made.config.model)


@pytest.mark.parametrize("loss", ["mixture", "per_pixel"])
def test_the_molecules_are_those_of_the_scores(loss):
    """As `evaluate` localises them, with the camera's counts in photons and positions from the pixel's corner."""
    made = predictor(loss)
    given = movie(frames=4, height=24, width=24)
    found = predict(made, given)
    units = Units.of(made.config.data)
    photons = made.config.data.camera.to_photons(given[[1, 2, 3]].astype(float)).astype(np.float32)
    with torch.no_grad():
        channels = Channels.of(made.model(units.scale_frames(torch.from_numpy(photons)[None])))
    expected = localise(channels, made.config.detection, units)
    here = found.frame == 3
    expected_nm = (expected.position + np.array([0.5, 0.5, 0])) * (100, 100, 1)
    np.testing.assert_allclose(found.position[here], expected_nm, atol=1e-2)
    np.testing.assert_allclose(found.photons[here], expected.photons, rtol=1e-4)
    assert (found.deviation is None) == (loss == "per_pixel")


def test_batches_and_files_make_no_difference_and_progress_is_told(tmp_path):
    class Heard(Watcher):
        def __init__(self):
            self.told = []

        def progress(self, done, total, unit):
            self.told.append((done, total, unit))

    made, heard = predictor(), Heard()
    tifffile.imwrite(tmp_path / "movie.tif", movie(), imagej=True)
    one, other = predict(made, movie(), batch_size=7), predict(made, tmp_path / "movie.tif", watcher=heard)
    np.testing.assert_allclose(rows(one), rows(other), rtol=1e-4, atol=1e-2)
    assert heard.told == [(3, 7, "frames"), (6, 7, "frames"), (7, 7, "frames")]
    assert set(other.frame) <= set(range(1, 8))


def test_every_file_holds_the_molecules(tmp_path):
    found = predict(predictor(), movie(frames=3))
    for ending in found.endings:
        found.write(tmp_path / f"molecules{ending}")
    table = read_emitters(tmp_path / "molecules.csv", pixel=100)
    np.testing.assert_allclose((table.x + 0.5) * 100, found.position[:, 0], atol=1e-3)
    np.testing.assert_array_equal(table.frame + 1, found.frame)
    header = (tmp_path / "molecules.csv").read_text().splitlines()[0]
    assert header.startswith('"id","frame","x [nm]","y [nm]","z [nm]","intensity [photon]","offset [photon]"')
    assert "uncertainty_xy [nm]" in header
    image = tifffile.imread(tmp_path / "molecules.tif")
    assert image.shape == (900, 710)
    assert 0.8 * len(found) < image.sum() <= len(found) * 1.001
    with np.load(tmp_path / "molecules.npz") as arrays:
        np.testing.assert_array_equal(arrays["position"], found.position)
    assert f"{len(found):,} molecules in 3 frames" in found.summary()


def test_a_dark_movie_has_no_molecules(tmp_path):
    made = predictor()
    torch.nn.init.constant_(made.model.detect[-1].bias, -60.0)
    found = predict(made, movie(frames=3))
    found.write(tmp_path / "molecules.csv")
    found.write(tmp_path / "molecules.png")
    assert (len(found), found.summary().splitlines()[0]) == (0, "0 molecules in 3 frames (0 a frame)")


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (movie()[0], {}, "expected numbers"),
        (movie()[:2], {}, "at least 3 frames"),
        (movie(height=7), {}, "frames of 7 x 71 pixels; the model needs at least 8 x 8"),
        (movie(), {"pixel": 160}, "pixels of 160 nm; the model was trained for 100 nm"),
        (movie() // 100, {}, "counts 100 without any light"),
        (movie(), {"render_pixel": 0.1}, "too large"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(given, options, message):
    with pytest.raises(DataError, match=message):
        predict(predictor(), given, **options)


def test_files_that_do_not_fit_are_refused(tmp_path):
    made = predictor()
    tifffile.imwrite(tmp_path / "a.tif", movie(), imagej=True, resolution=(10, 10), metadata={"unit": "um"})
    assert len(predict(made, tmp_path / "a.tif"))
    tifffile.imwrite(tmp_path / "b.tif", movie(), imagej=True, resolution=(6.25, 6.25), metadata={"unit": "um"})
    with pytest.raises(DataError, match="pixels of 160 nm"):
        predict(made, tmp_path / "b.tif")
    (tmp_path / "c.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:9000])
    for name, message in (("c.tif", "truncated"), ("none.tif", "no movie"), ("a.csv", "no movie")):
        with pytest.raises(DataError, match=message):
            predict(made, tmp_path / name)
    with pytest.raises(HpsearchError, match="did you mean 'window'"):
        made.given({"windw": 3})


def test_a_movie_of_another_brightness_is_told():
    assert "trained for 90 to 150" in predict(predictor(), movie(frames=3) * 10).summary()
    assert MovieOptions(unit="photons").unit == "photons"
