import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm
from torch.nn import functional

from hpsearch.families.decode.localisation import Channels
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.families.decode.task import (
    Localisation,
    coarse_entropies,
    count_log_density,
    critic_loss,
    mixture_log_density,
    mixture_loss,
    per_pixel_loss,
    rasterise,
)
from tests.small_movies import SMALL_MOVIES

WEIGHTS = {"probability": 1.0, "photons": 1.0, "x": 1.0, "y": 1.0, "z": 1.0, "background": 1.0}
PIXELWISE = {**WEIGHTS, "positive_weight": 1.0, "focus": 0.0}


def channels(*, size=4, batch=1, seed=0, deviations=True):
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.double)

    return Channels(
        logit=6 * uniform(batch, size, size) - 3,
        means=uniform(batch, 4, size, size),
        deviations=0.2 + uniform(batch, 4, size, size) if deviations else None,
        background=uniform(batch, size, size),
    )


def emitters(*rows):
    """One frame's molecules as photons, x, y, z."""
    return torch.tensor([rows], dtype=torch.double), torch.ones(1, len(rows), dtype=torch.bool)


def test_one_sure_pixel_leaves_one_normal_density():
    maps = channels()
    maps.logit[:] = -60
    maps.logit[0, 2, 1] = 60
    here, _ = emitters((0.3, 1.2, 2.4, -0.5))
    mean, deviation = maps.means[0, :, 2, 1].numpy() + np.array([0, 1, 2, 0]), maps.deviations[0, :, 2, 1].numpy()
    expected = norm.logpdf(here[0, 0].numpy(), mean, deviation).sum()
    assert float(mixture_log_density(maps, here)) == pytest.approx(expected)


def test_the_mixture_is_the_sum_over_all_pixels():
    maps = channels()
    here, _ = emitters((0.3, 1.2, 2.4, -0.5), (0.9, 3.1, 0.2, 0.4))
    probability = torch.sigmoid(maps.logit[0])
    for number in range(2):
        total = 0.0
        for row in range(4):
            for column in range(4):
                mean = maps.means[0, :, row, column].numpy() + np.array([0, column, row, 0])
                normal = multivariate_normal(mean, (maps.deviations[0, :, row, column] ** 2).diag().numpy())
                total += float(probability[row, column] / probability.sum()) * normal.pdf(here[0, number].numpy())
        assert float(mixture_log_density(maps, here)[0, number]) == pytest.approx(math.log(total))


def test_the_number_of_molecules_is_normal_about_the_sum_of_the_probabilities():
    maps, probability = channels(batch=2), torch.sigmoid(channels(batch=2).logit).flatten(1)
    number = torch.tensor([3, 9])
    deviation = (probability * (1 - probability)).sum(dim=1).sqrt()
    expected = norm.logpdf(number.numpy(), probability.sum(dim=1).numpy(), deviation.numpy())
    torch.testing.assert_close(count_log_density(maps.logit, number), torch.from_numpy(expected))


def test_the_mixture_loss_is_the_weighted_mean_over_frames_and_ignores_empty_places():
    maps, background = channels(batch=2), torch.tensor([0.3, 0.6], dtype=torch.double)
    here = torch.rand(2, 3, 4, dtype=torch.double)
    present = torch.tensor([[True, True, False], [False, False, False]])
    weights = {"emitters": 1.0, "count": 0.5, "background": 2.0}
    parts = mixture_loss(maps, here, present, background, weights)
    assert float(parts["emitters"]) == pytest.approx(-float(mixture_log_density(maps, here)[0, :2].sum()) / 2)
    squares = (maps.background - background[:, None, None]) ** 2
    assert float(parts["background"]) == pytest.approx(float(squares.sum()) / 2)
    assert float(parts["loss"]) == pytest.approx(sum(weights[name] * float(parts[name]) for name in weights))
    other = mixture_loss(maps, here.where(present[..., None], 99.0), present, background, weights)
    torch.testing.assert_close(other["loss"], parts["loss"])


def test_the_mixture_stays_finite_for_the_surest_network():
    maps = channels()
    maps.logit[:] = 8.0
    maps.deviations[:] = 0.001
    maps.means.requires_grad_()
    far = emitters((1.0, 3.4, 0.1, -1.0))
    parts = mixture_loss(maps, *far, torch.zeros(1), {"emitters": 1.0, "count": 1.0, "background": 1.0})
    parts["loss"].backward()
    assert parts["loss"].isfinite()
    assert maps.means.grad.isfinite().all()


def test_targets_stand_at_the_nearest_pixel_and_the_brightest_wins():
    here, present = emitters((0.2, 1.4, 2.7, 0.1), (0.8, 1.3, 3.2, -0.2), (0.5, 0.0, 0.0, 0.3), (0.9, 2.0, 2.0, 0.9))
    present[0, 3] = False
    target, occupied = rasterise(here, present, size=(4, 4))
    assert occupied[0].nonzero().tolist() == [[0, 0], [3, 1]]
    assert target[0, :, 3, 1].tolist() == pytest.approx([0.8, 0.3, 0.2, -0.2])
    assert target[0, :, 0, 0].tolist() == pytest.approx([0.5, 0.0, 0.0, 0.3])
    assert not target[:, :, ~occupied[0]].any()


def test_molecules_on_the_rim_stay_in_the_frame():
    _, occupied = rasterise(*emitters((1.0, -0.5, 3.5, 0.0), (1.0, 3.5, -0.49999, 0.0)), size=(4, 4))
    assert occupied[0].nonzero().tolist() == [[0, 3], [3, 0]]


def test_positions_are_learned_where_there_is_a_molecule_only():
    maps = channels(deviations=False)
    here, present = emitters((0.3, 1.2, 2.4, -0.5))
    parts = per_pixel_loss(maps, here, present, torch.zeros(1), PIXELWISE, expected=2.0)
    wanted = torch.tensor([0.3, 0.2, 0.4, -0.5], dtype=torch.double)
    errors = (maps.means[0, :, 2, 1] - wanted) ** 2 / 2
    assert [float(parts[name]) for name in ("photons", "x", "y", "z")] == pytest.approx(errors.tolist())
    assert float(parts["background"]) == pytest.approx(float((maps.background**2).sum()) / 2)


def test_probabilities_are_learned_everywhere():
    maps = channels(deviations=False)
    here, present = emitters((0.3, 1.2, 2.4, -0.5))
    target = torch.zeros(1, 4, 4, dtype=torch.double)
    target[0, 2, 1] = 1
    for weight in (1.0, 7.0):
        scalars = {**PIXELWISE, "positive_weight": weight}
        parts = per_pixel_loss(maps, here, present, torch.zeros(1), scalars, expected=1.0)
        expected = functional.binary_cross_entropy_with_logits(
            maps.logit, target, pos_weight=torch.tensor(weight), reduction="sum"
        )
        torch.testing.assert_close(parts["probability"], expected)


def test_the_focal_loss_is_its_formula():
    maps = channels(deviations=False)
    here, present = emitters((0.3, 1.2, 2.4, -0.5))
    parts = per_pixel_loss(maps, here, present, torch.zeros(1), {**PIXELWISE, "focus": 2.0}, expected=1.0)
    right = 1 - torch.sigmoid(maps.logit[0])
    right[2, 1] = 1 - right[2, 1]
    assert float(parts["probability"]) == pytest.approx(float((-((1 - right) ** 2) * right.log()).sum()))


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_a_weight_falls_on_the_channel_of_its_name(name):
    """The seed's list had its .5 meant for the photons on the background."""
    maps = channels(deviations=False)
    here, present = emitters((0.3, 1.2, 2.4, -0.5))
    only = {**PIXELWISE, **dict.fromkeys(WEIGHTS, 0.0), name: 3.0}
    for leaf in (maps.logit, maps.means, maps.background):
        leaf.requires_grad_()
    parts = per_pixel_loss(maps, here, present, torch.ones(1), only, expected=1.0)
    assert parts["loss"].item() == pytest.approx(3 * parts[name].item())
    parts["loss"].backward()
    moved = {"probability": maps.logit.grad, "background": maps.background.grad}
    moved |= dict(zip(("photons", "x", "y", "z"), maps.means.grad.unbind(1), strict=True))
    assert [channel for channel, slope in moved.items() if slope.any()] == [name]


@pytest.mark.parametrize(("side", "size"), [(2, (4, 4)), (2, (5, 3)), (4, (8, 6))])
def test_a_square_holds_a_molecule_unless_all_its_pixels_are_empty(side, size):
    """By hand, pixel after pixel; squares at the edge are as much of the frame as there is."""
    generator = torch.Generator().manual_seed(1)
    logit = 4 * torch.rand(1, *size, generator=generator, dtype=torch.double) - 3
    occupied = torch.rand(1, *size, generator=generator) < 0.2
    found = coarse_entropies(logit, occupied, PIXELWISE, scales={2: 2, 4: 3}[side])[-1][0]
    probability = torch.sigmoid(logit[0])
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            here = slice(side * row, side * (row + 1)), slice(side * column, side * (column + 1))
            some = 1 - float((1 - probability[here]).prod())
            expected = -math.log(some if occupied[0][here].any() else 1 - some)
            assert float(found[row, column]) == pytest.approx(expected)


def test_at_several_scales_the_probability_s_loss_is_their_mean():
    maps = channels()
    there = emitters((1.0, 1.2, 2.4, 0.1))
    options = {"expected": 2.0}
    one, three = (
        per_pixel_loss(maps, *there, torch.tensor([0.3]), PIXELWISE, scales=scales, **options) for scales in (1, 3)
    )
    _, occupied = rasterise(*there, size=(4, 4))
    coarser = [float(each.sum() / 2) for each in coarse_entropies(maps.logit, occupied, PIXELWISE, scales=3)]
    assert float(three["probability"]) == pytest.approx((float(one["probability"]) + sum(coarser)) / 3)
    assert all(float(three[name]) == float(one[name]) for name in ("photons", "x", "y", "z", "background"))


def test_a_near_miss_loses_less_at_several_scales_than_a_molecule_that_is_not_reported():
    def lost(*pixels, scales):
        maps = channels(size=8)
        maps.logit[:] = -6
        for row, column in pixels:
            maps.logit[0, row, column] = 6
        there = emitters((1.0, 4.0, 4.0, 0.1))
        return float(
            per_pixel_loss(maps, *there, torch.tensor([0.3]), PIXELWISE, expected=1.0, scales=scales)["probability"]
        )

    assert lost((5, 4), scales=3) < lost(scales=3)
    assert lost((5, 4), scales=1) > lost(scales=1)


def test_a_sure_empty_frame_has_finite_gradients_at_all_scales():
    logit = torch.full((1, 4, 4), -200.0, requires_grad=True)
    occupied = torch.zeros(1, 4, 4, dtype=torch.bool)
    occupied[0, 0, 0] = True
    sum(each.sum() for each in coarse_entropies(logit, occupied, PIXELWISE, scales=3)).backward()
    assert logit.grad.isfinite().all()


def test_the_critic_s_gradient_is_its_own_and_reversed_for_the_network():
    config = DecodeConfig.model_validate(
        {"data": SMALL_MOVIES, "model": {"frame_depth": 1, "union_depth": 1, "features": 4}}
        | {"loss": {"per_pixel": {"adversarial": 0.5}}}
    )
    torch.manual_seed(0)
    network = Localisation(config).build_model().double()
    frames, true = torch.randn(2, 3, 8, 8, dtype=torch.double), (torch.rand(2, 8, 8) < 0.1)

    def gradients(strength):
        network.zero_grad()
        output = network(frames, true, strength)
        critic_loss(output[:, -2], output[:, -1]).backward()
        return network.detect[-1].bias.grad.clone(), network.critic.judge[0].weight.grad.clone()

    plain = network(frames)
    assert torch.allclose(network(frames, true, 0.5)[:, :-2], plain)
    (one, critic), (double, same) = gradients(0.5), gradients(1.0)
    assert torch.allclose(2 * one, double)
    assert torch.allclose(critic, same)
    probability = torch.sigmoid(plain[:, :1]).detach().requires_grad_()
    judged = network.critic(frames, probability)
    torch.nn.functional.softplus(judged).mean().backward()
    expected = -0.5 * (probability.grad * probability.detach() * (1 - probability.detach())).sum()
    assert float(one) == pytest.approx(float(expected))


def test_without_the_setting_there_is_no_critic_and_no_new_number():
    plain = DecodeConfig.model_validate({"loss": "per_pixel"})
    assert plain.loss.model_dump().keys() == {"kind", "weights", "positive_weight", "focus"}
    assert not plain.has_critic
    other = DecodeConfig.model_validate({"loss": {"per_pixel": {"adversarial": 0.1, "scales": 3}}})
    assert (other.loss.model_dump()["scales"], other.has_critic) == (3, True)
    assert Localisation(other).scalars["adversarial"] == 0.1
