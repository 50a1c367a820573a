"""What a movie tells about the simulation that made it."""

import json

import numpy as np
import pytest
import tifffile
import yaml
from typer.testing import CliRunner

from hpsearch.cli.data import _plain
from hpsearch.cli.main import app
from hpsearch.data.microscopy import MicroscopySettings, draw_emitters
from hpsearch.data.movies import open_movie
from hpsearch.errors import DataError, HpsearchError
from hpsearch.families.decode.estimate import estimate
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.running.loading import load_space


def written(folder, emitters):
    """Write 60 frames of 48 x 48 pixels, as a camera counts them; return the file and the camera."""
    chosen = MicroscopySettings.model_validate(
        {"size": 48, "point_spread": {"round": {"width": 1.4}}, "camera": {"scmos": {"baseline": 200}}}
        | {"emitters": emitters}
    )
    generator = np.random.default_rng(1)
    emitters = draw_emitters(chosen.emitters, frames=60, size=48, generator=generator)
    frames = []
    for frame in range(60):
        here = emitters.frame == frame
        light = chosen.point_spread.image(
            *(getattr(emitters, name)[here] for name in ("x", "y", "z", "photons")), size=48
        )
        frames.append(chosen.camera.expose(light + 30, generator))
    path = folder / "movie.tif"
    tifffile.imwrite(path, np.array(frames, np.uint16), imagej=True)
    return path, chosen.camera


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    emitters = {"per_frame": 4, "photons": 2000, "photons_sd": 300, "lifetime": 3, "depth": [0, 0]}
    return written(tmp_path_factory.mktemp("movie"), emitters)


def test_the_simulation_that_made_a_movie_is_found(movie):
    path, camera = movie
    found = estimate(open_movie(path), camera)
    assert found.background == pytest.approx((30, 30), rel=0.05)
    assert found.noise == pytest.approx(found.expected_noise, rel=0.1)
    assert found.width == pytest.approx(1.4, rel=0.03)
    assert found.photons == pytest.approx(2000, rel=0.1)
    assert found.photons_sd == pytest.approx(300, rel=0.5)
    assert found.density * 48**2 == pytest.approx(4, rel=0.25)
    assert found.lifetime == pytest.approx(3, rel=0.4)
    assert not found.whole_frames
    assert len(found.remarks()) == 1


def test_the_lines_are_settings(movie):
    path, _ = movie
    done = CliRunner().invoke(
        app, ["data", "decode", "estimate", str(path), "--camera", "scmos", "--set", "baseline=200"]
    )
    assert done.exit_code == 0, done.output
    config = DecodeConfig.model_validate(yaml.safe_load(done.output))
    assert (config.data.camera.baseline, config.data.size, config.data.point_spread.kind) == (200, 16, "round")
    assert config.data.emitters.per_frame == 2  # more to a pixel than the movie has: a few in each small frame
    assert config.data.background[0] < 30 < config.data.background[1]
    done = CliRunner().invoke(app, ["data", "decode", "estimate", str(path), "--camera", "emccd", "--json"])
    told = json.loads(done.output)
    assert any("camera's settings" in remark for remark in told["remarks"])


def test_with_its_table_a_movie_gives_a_whole_space(movie, tmp_path, monkeypatch):
    path, _ = movie
    (tmp_path / "movie.tif").write_bytes(path.read_bytes())
    (tmp_path / "T.csv").write_text("1, 1, 2400.0, 2400.0, 0, 2000.0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = ["data", "decode", "estimate", "movie.tif", "--camera", "scmos", "--set", "baseline=200"]
    done = CliRunner().invoke(app, [*command, "--emitters", "T.csv"])
    assert done.exit_code == 0, done.output
    (tmp_path / "movie.yaml").write_text(done.output, encoding="utf-8")
    space = load_space(tmp_path / "movie.yaml")
    assert (space.family, len(space.start)) == ("decode", 1)
    assert {parameter.path for parameter in space.parameters} == {"model.features", "train.learning_rate"}
    config = space.config(space.start[0])
    assert config.data.movie.path == "movie.tif"
    assert config.data.frames.train == 1000
    told = json.loads(CliRunner().invoke(app, [*command, "--emitters", "on", "--json"]).output)
    assert told["data"]["movie"]["emitters"] == "on"
    assert yaml.safe_load(_plain({"path": "on"})) == {"path": "on"}


@pytest.mark.parametrize("lifetime", [1, 4])
def test_molecules_that_light_up_between_frames_are_told_from_those_that_blink(lifetime, tmp_path):
    """Their brightness is that of the frames in which they are seen, not that of a longer one they would have had."""
    emitters = {"per_frame": 4, "photons": 2000, "photons_sd": 500, "lifetime": lifetime, "depth": [0, 0]}
    path, camera = written(tmp_path, {**emitters, "whole_frames": True})
    found = estimate(open_movie(path), camera)
    assert found.whole_frames
    assert found.photons == pytest.approx(2000, rel=0.1)
    assert found.photons_sd == pytest.approx(500, rel=0.4)
    assert found.lifetime == pytest.approx(lifetime, rel=0.35)
    assert found.density * 48**2 == pytest.approx(4, rel=0.25)


def test_a_camera_that_cannot_be_it_is_refused(movie):
    path, camera = movie
    with pytest.raises(DataError, match="baseline of 500 counts"):
        estimate(open_movie(path), camera.model_copy(update={"baseline": 500.0}))
    for words, message in ((["--camera", "ccd"], "unknown camera 'ccd'"), (["--set", "gian=3"], "did you mean 'gain'")):
        done = CliRunner().invoke(app, ["data", "decode", "estimate", str(path), *words])
        assert isinstance(done.exception, HpsearchError)
        assert message in str(done.exception)
