import math

import numpy as np
import pytest
import torch

from hpsearch.families.deepsif.family import DeepSIF
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.families.deepsif.task import SourceData, shift_in_time, source_loss
from hpsearch.training.task import Splits
from tests.small_eeg import SMALL_EEG

SMALL = {
    "data": SMALL_EEG,
    "model": {"spatial_width": 16, "temporal": {"lstm": {"layers": 1}}},
}
TRANSFORMER = {"spatial_width": 16, "temporal": {"transformer": {"layers": 1, "width": 16, "heads": 2, "dropout": 0}}}


def configuration(**changes):
    return DeepSIFConfig.model_validate({**SMALL, **changes})


@pytest.fixture(scope="module")
def splits():
    data = configuration().data
    return Splits(lambda split: DeepSIF().load(data, split, 0), sealed=True)


def make_task(splits, **changes):
    return DeepSIF().task(configuration(**changes), splits)


def test_sources_are_magnitudes_times_waveforms():
    generator = np.random.default_rng(0)
    arrays = {
        "eeg": generator.random((5, 6, 3), dtype=np.float32),
        "magnitudes": generator.random((5, 2, 4), dtype=np.float32),
        "waveforms": generator.random((5, 2, 6), dtype=np.float32),
    }
    batch = SourceData(arrays).batch([4, 1])
    for row, example in enumerate((4, 1)):
        expected = sum(np.outer(arrays["waveforms"][example, s], arrays["magnitudes"][example, s]) for s in range(2))
        np.testing.assert_allclose(batch["sources"][row], expected, rtol=1e-6)
        np.testing.assert_array_equal(batch["eeg"][row], arrays["eeg"][example])


def test_the_loss_is_the_weighted_sum_of_its_parts():
    estimate = torch.tensor([[[0.0, 2.0], [1.0, -1.0]]])
    sources = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    parts = source_loss(estimate, sources, {"reconstruction": 2.0, "sparsity": 0.5, "temporal_smoothness": 0.1})
    assert float(parts["reconstruction"]) == pytest.approx(3 / 4)
    assert float(parts["sparsity"]) == pytest.approx(1)
    assert float(parts["temporal_smoothness"]) == pytest.approx((1 + 9) / 2)
    assert float(parts["loss"]) == pytest.approx(2 * 0.75 + 0.5 + 0.5)


def test_the_loss_is_a_pure_function_of_parameters_and_scalars(splits):
    task = make_task(splits)
    model, batch = task.build_model(), splits["train"].batch(range(4))
    direct = task.loss(model, batch, task.scalars)

    def loss(parameters, scalars):
        return task.loss(lambda eeg: torch.func.functional_call(model, parameters, (eeg,)), batch, scalars)["loss"]

    parameters = {name: value.detach() for name, value in model.named_parameters()}
    scalars = {name: torch.tensor(value) for name, value in task.scalars.items()}
    torch.testing.assert_close(loss(parameters, scalars), direct["loss"].detach())
    slope = torch.func.grad(loss, argnums=1)(parameters, scalars)
    torch.testing.assert_close(slope["sparsity"], direct["sparsity"].detach())


def test_a_shift_moves_and_fills_with_zeros():
    values = torch.arange(1.0, 11.0).view(2, 5, 1)
    moved = shift_in_time(values, torch.tensor([2, -1]))
    assert moved[..., 0].tolist() == [[0, 0, 1, 2, 3], [7, 8, 9, 10, 0]]


def test_augmentation_shifts_eeg_and_sources_together(splits):
    task = make_task(splits, augmentation={"noise_std": 0, "max_shift": 5})
    batch = splits["train"].batch(range(24))
    moved = task.augment(batch, torch.Generator().manual_seed(0))
    shifts = set()
    for index in range(24):
        fitting = [
            shift
            for shift in range(-5, 6)
            if torch.equal(shift_in_time(batch["eeg"][[index]], torch.tensor([shift]))[0], moved["eeg"][index])
        ]
        assert len(fitting) == 1
        expected = shift_in_time(batch["sources"][[index]], torch.tensor(fitting))[0]
        assert torch.equal(moved["sources"][index], expected)
        shifts.update(fitting)
    assert len(shifts) > 5
    assert min(shifts) < 0 < max(shifts)


def test_augmentation_adds_noise_to_the_eeg_only(splits):
    task = make_task(splits, augmentation={"noise_std": 0.02, "max_shift": 0})
    batch = splits["train"].batch(range(24))
    kept = batch["eeg"].clone()
    noisy = task.augment(batch, torch.Generator().manual_seed(0))
    assert float((noisy["eeg"] - batch["eeg"]).std()) == pytest.approx(0.02, rel=0.02)
    assert torch.equal(noisy["sources"], batch["sources"])
    assert torch.equal(batch["eeg"], kept)


def test_augmentation_follows_from_the_generator(splits):
    task, batch = make_task(splits), splits["train"].batch(range(6))
    first, again, other = (task.augment(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first["eeg"], again["eeg"])
    assert torch.equal(first["sources"], again["sources"])
    assert not torch.equal(first["eeg"], other["eeg"])


@pytest.mark.parametrize("model", [SMALL["model"], TRANSFORMER])
def test_an_over_fitted_batch_loses_its_loss(splits, model):
    task = make_task(splits, model=model)
    torch.manual_seed(0)
    network, batch = task.build_model(), splits["train"].batch(range(4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(50):
        parts = task.loss(network, batch, task.scalars)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append(float(parts["loss"].detach()))
    assert losses[2] < losses[0]  # two steps
    assert losses[-1] < 0.5 * losses[0]


def test_evaluation_gives_means_over_examples(splits):
    task = make_task(splits)
    torch.manual_seed(0)
    network, data = task.build_model().eval(), splits["val"]
    with torch.no_grad():
        whole = task.evaluate(network, [data.batch(range(10))])
        parts = task.evaluate(network, [data.batch(range(7)), data.batch(range(7, 10))])
        single = [task.evaluate(network, [data.batch([index])]) for index in range(10)]
    assert whole == pytest.approx(parts, rel=1e-5, abs=1e-7)
    for name, value in whole.items():
        assert value == pytest.approx(np.mean([one[name] for one in single]), rel=1e-5, abs=1e-7)
        assert math.isfinite(value)


def test_evaluation_of_the_truth_is_perfect(splits):
    task, batch = make_task(splits), splits["val"].batch(range(10))
    found = task.evaluate(lambda _: batch["sources"], [batch])
    assert found["mse"] == 0
    assert found["precision"] == 1
    assert found["localisation_error"] == found["spatial_dispersion"] == 0
    assert found["auc"] == 1
    assert found["loss"] == pytest.approx(
        0.01 * float(batch["sources"].abs().mean()) + 0.001 * float(batch["sources"].diff(dim=1).square().mean())
    )


def test_silence_does_not_win(splits):
    """Nothing at all beats the truth with its regions mixed up in squared error only."""
    task, batch = make_task(splits), splits["val"].batch(range(10))
    silent = task.evaluate(lambda eeg: torch.zeros_like(batch["sources"]), [batch])
    mixed = task.evaluate(lambda eeg: batch["sources"].roll(20, dims=2), [batch])
    assert silent["mse"] < mixed["mse"]
    assert silent["empty"] == 1
    for name in ("localisation_error", "spatial_dispersion"):
        assert silent[name] > mixed[name]
    for name in ("precision", "recall", "dice"):
        assert silent[name] == 0


@pytest.mark.parametrize("model", [SMALL["model"], TRANSFORMER])
def test_the_spatial_part_has_its_own_rate(splits, model):
    task = make_task(splits, model=model, train={"spatial_rate": 0.25})
    scales = {name: task.rate_scale(name) for name, _ in task.build_model().named_parameters()}
    assert {name.split(".")[0] for name, scale in scales.items() if scale == 0.25} == {"spatial"}
    assert {scale for name, scale in scales.items() if not name.startswith("spatial.")} == {1.0}
