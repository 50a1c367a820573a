"""A recorded movie in decode: its splits, its units, and what it makes of frames that are not square."""

import numpy as np
import pytest
import tifffile
import torch
from pydantic import ValidationError

from hpsearch.errors import DataError, SpaceError
from hpsearch.families.decode.family import Decode
from hpsearch.families.decode.localisation import Channels, Tally
from hpsearch.families.decode.network import Localiser
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.families.decode.task import (
    Localisation,
    mixture_log_density,
    mixture_loss,
    per_pixel_loss,
    true_positions,
)
from hpsearch.running.loading import load_space
from hpsearch.training.task import Splits
from tests.recorded import counts, write_table
from tests.small_movies import SMALL_MOVIES

MODEL = {"frame_depth": 1, "union_depth": 2, "features": 4}


@pytest.fixture
def recorded(tmp_path):
    """12 frames of 18 x 23 pixels of 100 nm, two molecules in each, further apart than the gate."""
    tifffile.imwrite(tmp_path / "movie.tif", counts(12, 18, 23), imagej=True)
    rows = [(frame, 100.0 * frame, y, 0, 2000) for frame in range(1, 13) for y in (350, 1210)]
    write_table(tmp_path / "emitters.csv", rows)
    return tmp_path


def config(folder, movie=None, **changes):
    places = {"path": str(folder / "movie.tif"), "emitters": str(folder / "emitters.csv")}
    data = {**SMALL_MOVIES, "movie": {**places, **(movie or {})}}
    return DecodeConfig.model_validate({"data": data, "model": MODEL, **changes})


def load(chosen, split):
    return Decode().load(chosen.data, split, 0)


def test_counts_become_photons_and_nm_pixels(recorded):
    chosen = config(recorded, {"val": [3, 6], "test": [8, 12]})
    batch = load(chosen, "val").batch([0, 3])
    movie = counts(12, 18, 23).astype(float)
    expected = ((movie - 100) * 45 / 300 - 0.002) / 0.9
    np.testing.assert_allclose(batch["frames"][1], expected[[4, 5, 5]], rtol=1e-5)  # nothing beyond the block's end
    np.testing.assert_allclose(batch["frames"][0], expected[[2, 2, 3]], rtol=1e-5)
    np.testing.assert_allclose(batch["emitters"][1], [[2000, 5.5, 3, 0], [2000, 5.5, 11.6, 0]], rtol=1e-5)
    assert batch["present"].all()
    assert (batch["background"] == -1).all()
    assert len(load(chosen, "train")) == SMALL_MOVIES["frames"]["train"]


def test_halves_of_the_movie_share_no_frame(recorded):
    chosen = config(recorded)
    seen = [
        {frame.numpy().tobytes() for frame in load(chosen, split).batch(range(6))["frames"].flatten(0, 1)}
        for split in ("val", "test")
    ]
    assert [len(frames) for frames in seen] == [6, 6]
    assert not seen[0] & seen[1]


def test_dim_molecules_are_not_looked_for(recorded):
    chosen = config(recorded)
    dim = chosen.model_copy(update={"data": chosen.data.model_copy(update={"labelled_photons": 2001})})
    assert load(chosen, "val").batch([0])["present"].any()
    assert not load(dim, "val").batch([0])["present"].any()


@pytest.mark.parametrize("loss", ["mixture", "per_pixel"])
def test_frames_of_any_size_are_scored(loss, recorded):
    chosen = config(recorded, loss=loss)
    task = Localisation(chosen)
    torch.manual_seed(0)
    with torch.no_grad():
        scores = task.evaluate(task.build_model().eval(), [load(chosen, "val").batch(range(6))])
    assert np.isfinite(list(scores.values())).all()
    fits = Decode().baselines(chosen, Splits(lambda split: load(chosen, split), sealed=True), "val")
    assert fits["gaussian_fit"].keys() == scores.keys() - {"loss"}


def test_the_truth_of_a_recorded_movie_has_the_best_scores(recorded):
    """x is a column and y a row, whatever the size."""
    chosen = config(recorded, loss="per_pixel")
    task, batch = Localisation(chosen), load(chosen, "val").batch(range(6))
    output = torch.zeros(6, 6, 18, 23)
    output[:, 0] = -8
    for frame, (emitters, present) in enumerate(zip(batch["emitters"], batch["present"], strict=True)):
        for photons, x, y, z in task.units.scale_emitters(emitters[present]).tolist():
            row, column = round(y), round(x)
            output[frame, :5, row, column] = torch.tensor([8.0, photons, x - column, y - row, z])
    scores = task.evaluate(lambda _: output, [batch])
    assert scores["jaccard"] == 1
    assert scores["rmse_volume"] < 0.01


def test_padded_frames_are_what_larger_ones_are_inside():
    torch.manual_seed(0)
    network = Localiser(DecodeConfig.model_validate({"model": MODEL}).model, deviations=True).eval()
    frames = torch.randn(1, 3, 18, 23)
    larger = torch.nn.functional.pad(frames, (0, 1, 0, 2), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(network(frames), network(larger)[..., :18, :23])


def maps(batch=1, size=(4, 5)):
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.double)

    means = uniform(batch, 4, *size)
    return Channels(6 * uniform(batch, *size) - 3, means, 0.2 + uniform(batch, 4, *size), uniform(batch, *size))


def test_what_is_not_known_is_integrated_out():
    """The mixture over photons, x, y without z is that with z, integrated over z."""
    here = torch.tensor([[[0.3, 3.2, 2.4, 0.0]]], dtype=torch.double)
    known = torch.tensor([[[True, True, True, False]]])
    depths = torch.linspace(-12, 12, 4001, dtype=torch.double)
    densities = mixture_log_density(
        maps(), torch.cat([here[..., :3].expand(1, 4001, 3), depths[None, :, None]], 2)
    ).exp()
    integral = torch.trapezoid(densities[0], depths)
    assert float(mixture_log_density(maps(), here, known).exp()) == pytest.approx(float(integral), rel=1e-6)


@pytest.mark.parametrize("loss", [mixture_loss, per_pixel_loss])
def test_known_numbers_lose_as_without_the_mark_and_unknown_ones_teach_nothing(loss):
    here, present = torch.tensor([[[0.3, 3.2, 2.4, 0.1]]], dtype=torch.double), torch.ones(1, 1, dtype=torch.bool)
    scalars = dict.fromkeys(
        ("emitters", "count", "background", "probability", "photons", "x", "y", "z", "positive_weight", "focus"), 1.0
    )
    options = {"expected": 1.0} if loss is per_pixel_loss else {}
    dark = torch.tensor([0.4], dtype=torch.double)
    plain = loss(maps(), here, present, dark, scalars, **options)
    full = loss(maps(), here, present, dark, scalars, known=torch.ones(1, 1, 4, dtype=torch.bool), **options)
    assert {name: float(part) for name, part in plain.items()} == pytest.approx(
        {name: float(part) for name, part in full.items()}
    )
    channels = maps()
    channels.means.requires_grad_()
    channels.background.requires_grad_()
    known = torch.tensor([[[True, True, True, False]]])
    loss(channels, here, present, -dark, scalars, known=known, **options)["loss"].backward()
    assert channels.means.grad[:, :3].any()
    assert not channels.means.grad[:, 3].any()
    assert not channels.background.grad.any()


def test_without_depths_matches_are_made_in_the_plane(recorded):
    write_table(recorded / "emitters.csv", [(f, 800, 800) for f in range(1, 13)], "id,frame,x [nm],y [nm]")
    batch = load(config(recorded), "val").batch([0])
    true = true_positions(batch)[0] * (100, 100, 1)
    tally = Tally()
    assert np.isnan(true[:, 2]).all()
    tally.add(np.nan_to_num(true) + np.array([30, 40, 5000]), true)
    scores = tally.scores()
    assert (scores["jaccard"], scores["rmse_lateral"], scores["rmse_axial"]) == (1, pytest.approx(50), 0)


def test_real_and_simulated_frames_are_learned_from_together(recorded):
    chosen = config(recorded, {"train": [1, 4], "val": [5, 8], "test": [9, 12]})
    both = load(chosen, "train")
    tiles = 3 * 3  # of 8 x 8 pixels over 18 x 23
    assert len(both) == 24 + 4 * tiles
    mixed = both.batch([24, 0, 25, 1])
    real = load(config(recorded, {"train": [1, 4], "val": [5, 8], "test": [9, 12], "simulated": False}), "train")
    for name, tensor in real.batch([0, 1]).items():
        part = mixed[name][[0, 2]]
        same = part[:, : tensor.shape[1]] if tensor.dim() > 1 and name != "frames" else part
        assert torch.equal(same, tensor), name
    task = Localisation(chosen)
    assert task.loss(task.build_model(), mixed, task.scalars)["loss"].isfinite()


def test_tiles_hold_every_molecule_at_its_place(recorded):
    chosen = config(recorded, {"train": [1, 4], "val": [5, 8], "test": [9, 12], "simulated": False})
    data = load(chosen, "train")
    found = set()
    for index in range(9):
        (row, column), batch = data.corners[index], data.batch([index])
        whole = load(config(recorded, {"val": [1, 4], "test": [9, 12]}), "val").batch([0])["frames"]
        assert torch.equal(batch["frames"], whole[:, :, row : row + 8, column : column + 8])
        here = batch["emitters"][batch["present"]] + torch.tensor([0.0, column, row, 0.0])
        found |= {tuple(round(float(value), 3) for value in each) for each in here[:, 1:3]}
    assert found == {(0.5, 3.0), (0.5, 11.6)}


@pytest.mark.parametrize(
    ("movie", "message"),
    [
        ({"val": [1, 4]}, "both val and test"),
        ({"val": [1, 5], "test": [5, 9]}, "share frames"),
        ({"val": [0, 5], "test": [6, 9]}, "counted from 1"),
        ({"val": [1, 2], "test": [6, 9]}, "3 are seen together"),
        ({"simulated": False}, "train must say"),
    ],
)
def test_blocks_that_do_not_go_together_are_refused(movie, message, tmp_path):
    with pytest.raises(ValidationError, match=message):
        config(tmp_path, movie)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("val: [1, 5], test: [6, 13]", "data.movie.test: test goes to frame 13, and the movie has 12"),
        ("origin: corner", None),
    ],
)
def test_a_space_is_checked_against_its_files(line, message, recorded):
    (recorded / "space.yaml").write_text(
        "family: decode\nobjective: {metric: val/jaccard, goal: maximize, at: best}\n"
        "data:\n  size: 8\n  movie:\n    path: movie.tif\n    emitters: emitters.csv\n"
        f"    {line.replace(', test', chr(10) + '    test')}\ntrain: {{learning_rate: {{log: [1e-4, 1e-3]}}}}\n"
    )
    if message is None:
        load_space(recorded / "space.yaml")
        return
    with pytest.raises(SpaceError, match=r"space\.yaml:9") as raised:
        load_space(recorded / "space.yaml")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "written",
    [
        {"imagej": True, "resolution": (6.25, 6.25), "metadata": {"unit": "um"}},
        {"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.16, "PhysicalSizeXUnit": "µm"}},
        {"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 160, "PhysicalSizeXUnit": "nm"}},
    ],
)
def test_pixels_of_another_size_are_refused(written, recorded):
    tifffile.imwrite(recorded / "movie.tif", counts(12, 18, 23), **written)
    chosen = config(recorded)
    told = "movie.tif has pixels of 160 nm, as the file says, and data.pixel is 100"
    assert told in Decode().data_objections(chosen.data)["data.movie.path"]
    with pytest.raises(DataError, match=told):
        load(chosen, "val")


def test_the_movie_is_part_of_the_source_and_its_absence_changes_nothing(recorded):
    plain, real = DecodeConfig.model_validate({"data": SMALL_MOVIES}), config(recorded)
    assert "movie" not in plain.model_dump()["data"]
    assert Decode().source(plain.data).kind == "simulated movies"
    assert Decode().source(real.data).files.keys() == {"data.movie.path", "data.movie.emitters"}


def test_new_frames_are_scored_with_intervals_over_frames(recorded):
    chosen = config(recorded, detection={"threshold": 0.05, "candidate": 0.01})
    torch.manual_seed(0)
    network = Localisation(chosen).build_model().eval()
    torch.nn.init.constant_(network.detect[-1].bias, -2.0)
    plain = DecodeConfig.model_validate({**chosen.model_dump(), "data": SMALL_MOVIES})  # trained without the movie
    found = Decode().examination(plain, {}, [recorded / "emitters.csv", recorded / "movie.tif"], network)
    batches = [found.data.batch(range(5)), found.data.batch(range(5, 12))]
    with torch.no_grad():
        whole, by = found.task.evaluate(network, batches), found.task.by_example(network, batches)
        half = found.task.evaluate(network, [found.data.batch(range(6))])
    assert by.scores(np.ones(12)) == pytest.approx(whole, rel=1e-4)
    assert by.scores(np.repeat([1.0, 0.0], 6)) == pytest.approx(half, rel=1e-4)
    with pytest.raises(DataError, match=r"expected a movie .* not movie\.tif"):
        Decode().examination(plain, {}, [recorded / "movie.tif"], network)
