import numpy as np
import pytest
import torch

from hpsearch.comparing.statistics.crossed import Population, crossed
from hpsearch.data.microscopy import EmitterSettings, draw_emitters
from hpsearch.families.decode.family import Decode
from hpsearch.families.decode.frames import FrameData, blocks_of
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.families.decode.task import Localisation
from tests.small_movies import SMALL_MOVIES

MODEL = {"frame_depth": 1, "union_depth": 1, "features": 4}


def make_config(**changes):
    return DecodeConfig.model_validate({"data": SMALL_MOVIES, "model": MODEL, **changes})


@pytest.fixture(scope="module")
def data():
    return Decode().load(make_config().data, "train", 0)


def test_an_example_is_a_frame_between_its_neighbours_with_its_molecules():
    arrays = {
        "frames": np.arange(5, dtype=np.float32)[:, None, None].repeat(8, 1).repeat(8, 2),
        "background": np.arange(5, dtype=np.float32),
        "emitters": np.arange(16, dtype=np.float32).reshape(4, 4),
        "emitter_frame": np.array([0, 2, 2, 3]),
    }
    batch = FrameData(arrays).batch([1, 2, 0])
    assert batch["frames"][:, :, 0, 0].tolist() == [[1, 2, 3], [2, 3, 4], [0, 1, 2]]
    assert batch["background"].tolist() == [2, 3, 1]
    assert batch["present"].tolist() == [[True, True], [True, False], [False, False]]
    assert batch["emitters"].tolist() == [[[4, 5, 6, 7], [8, 9, 10, 11]], [[12, 13, 14, 15], [0] * 4], [[0] * 4] * 2]


def test_a_movie_without_a_molecule_has_examples():
    arrays = {
        "frames": np.zeros((4, 8, 8), np.float32),
        "background": np.zeros(4, np.float32),
        "emitters": np.zeros((0, 4), np.float32),
        "emitter_frame": np.zeros(0, np.int64),
    }
    batch = FrameData(arrays).batch([0, 1])
    assert not batch["present"].any()
    assert not batch["emitters"].any()
    for loss in ("mixture", "per_pixel"):
        task = Localisation(make_config(loss=loss))
        assert task.loss(task.build_model(), batch, task.scalars)["loss"].isfinite()


def perfect_output(task, batch):
    """What a network would answer that knows the truth."""
    output = torch.zeros(len(batch["frames"]), 6, 8, 8)
    output[:, 0] = -8
    for index, (emitters, present) in enumerate(zip(batch["emitters"], batch["present"], strict=True)):
        for photons, x, y, z in task.units.scale_emitters(emitters[present]).tolist():
            row, column = round(y), round(x)
            output[index, :5, row, column] = torch.tensor([8.0, photons, x - column, y - row, z])
    output[:, 5] = (batch["background"] / task.units.background)[:, None, None]
    return output


def test_the_truth_has_the_best_scores():
    """With so few molecules that no two are close to one another."""
    sparse = {**SMALL_MOVIES, "emitters": {"per_frame": 0.4, "depth": [-500, 500]}}
    config = make_config(data=sparse, loss="per_pixel")
    task, batch = Localisation(config), Decode().load(config.data, "train", 0).batch(range(24))
    assert batch["present"].any()
    scores = task.evaluate(lambda _: perfect_output(task, batch), [batch])
    assert scores["jaccard"] == scores["precision"] == scores["recall"] == 1
    assert scores["rmse_volume"] < 0.01
    assert scores["efficiency"] == pytest.approx(1, abs=1e-4)


def test_an_error_of_a_tenth_of_a_pixel_is_one_of_ten_nanometres():
    sparse = {**SMALL_MOVIES, "emitters": {"per_frame": 0.4, "depth": [-500, 500]}}
    config = make_config(data=sparse, loss="per_pixel")
    task, batch = Localisation(config), Decode().load(config.data, "train", 0).batch(range(24))
    output = perfect_output(task, batch)
    output[:, 2] += 0.1
    output[:, 4] += 0.05  # of 1.2 x 500 nm
    scores = task.evaluate(lambda _: output, [batch])
    assert scores["rmse_lateral"] == pytest.approx(10, rel=1e-3)
    assert scores["rmse_axial"] == pytest.approx(30, rel=1e-3)


def test_scores_are_over_all_molecules_whatever_the_batches(data):
    task = Localisation(make_config(detection={"threshold": 0.05, "candidate": 0.01}))
    torch.manual_seed(0)
    network = task.build_model().eval()
    with torch.no_grad():
        whole = task.evaluate(network, [data.batch(range(20))])
        parts = task.evaluate(network, [data.batch(range(7)), data.batch(range(7, 20))])
    assert whole == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize("loss", ["mixture", "per_pixel", {"per_pixel": {"scales": 3, "adversarial": 0.1}}])
def test_a_batch_loses_what_its_halves_lose_on_average(data, loss):
    """So that accumulated batches act as one (the seed's masked mean over the molecules at hand would not)."""
    task = Localisation(make_config(loss=loss))
    torch.manual_seed(0)
    network = task.build_model()
    whole, first, second = (
        task.loss(network, data.batch(rows), task.scalars)["loss"].item()
        for rows in (range(16), range(8), range(8, 16))
    )
    assert whole == pytest.approx((first + second) / 2, rel=1e-5)


@pytest.mark.parametrize("loss", ["mixture", "per_pixel", {"per_pixel": {"scales": 3, "adversarial": 0.1}}])
def test_an_over_fitted_batch_loses_its_loss(data, loss):
    task = Localisation(make_config(loss=loss))
    torch.manual_seed(0)
    network, batch = task.build_model(), data.batch(range(4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(20):
        parts = task.loss(network, batch, task.scalars)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append(parts["loss"].item())
    assert losses[2] < losses[0]
    assert losses[-1] < 0.8 * losses[0]


def test_the_network_has_deviations_for_the_mixture_only():
    for loss, channels in (("mixture", 10), ("per_pixel", 6)):
        assert Localisation(make_config(loss=loss)).build_model()(torch.zeros(1, 3, 8, 8)).shape[1] == channels


def test_every_number_of_the_loss_is_a_scalar():
    loss = {"per_pixel": {"weights": {"photons": 0.5}, "positive_weight": 3, "focus": 2}}
    assert Localisation(make_config(loss=loss)).scalars == {
        "probability": 1,
        "photons": 0.5,
        "x": 1,
        "y": 1,
        "z": 1,
        "background": 0.5,
        "positive_weight": 3,
        "focus": 2,
    }


def test_blocks_of_frames_tell_how_much_a_movies_score_varies():
    """Molecules that are found or not for as long as they are on: the truth is the variance over many movies."""
    settings = EmitterSettings()
    frames, found = 400, []
    for seed in range(150):
        generator = np.random.default_rng(seed)
        drawn = draw_emitters(settings, frames=frames, size=16, generator=generator)
        # one molecule keeps its place, by which it is told from others
        _, molecule = np.unique(drawn.x, return_inverse=True)
        bright = generator.random(molecule.max() + 1)[molecule]
        found.append(np.bincount(drawn.frame, generator.random(len(bright)) < bright, frames))
    scores = np.array(found, dtype=np.float64)
    truth = scores.mean(axis=1).var(ddof=1)
    stay = 1.0 + settings.lifetime

    def estimated(clusters):
        told = (crossed(row[None], clusters=clusters).variance(Population.EXAMPLES).value for row in scores)
        return float(np.mean([*told])) / truth

    assert 0.6 < estimated(blocks_of(frames, stay=stay)) < 1.3
    assert estimated(np.arange(frames)) < 0.45


def test_a_movies_frames_have_blocks_and_a_rest_belongs_to_the_last():
    assert np.bincount(blocks_of(75, stay=3.0)).tolist() == [30, 45]
    assert np.bincount(blocks_of(9, stay=3.0)).tolist() == [9]
    test = Decode().load(make_config().data, "test", 0)
    assert len(test.clusters) == len(test)
