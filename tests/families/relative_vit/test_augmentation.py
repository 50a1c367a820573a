import math

import pytest
import torch

from hpsearch.families.relative_vit.settings import Augmentation
from hpsearch.families.relative_vit.task import augment_images, move_images

IMAGES = torch.rand(6, 3, 5, 7, generator=torch.Generator().manual_seed(1))


def augmented(images=IMAGES, *, seed=0, **settings):
    return augment_images(images, Augmentation(**settings), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "side"), [("flip_horizontal", 3), ("flip_vertical", 2)])
def test_flips(name, side):
    assert torch.equal(augmented(**{name: 1.0}), IMAGES.flip(side))
    many = IMAGES.repeat(50, 1, 1, 1)
    half = augmented(many, **{name: 0.5})
    flipped = (half == many.flip(side)).all(dim=(1, 2, 3))
    kept = (half == many).all(dim=(1, 2, 3))
    assert torch.equal(flipped, ~kept)
    assert 100 < flipped.sum() < 200


def test_a_shift_moves_down_and_right_and_draws_the_edge_out():
    moved = move_images(IMAGES, torch.zeros(6), torch.tensor([[1, 2]] * 6))
    torch.testing.assert_close(moved[..., 1:, 2:], IMAGES[..., :-1, :-2])
    torch.testing.assert_close(moved[..., 0, 2:], IMAGES[..., 0, :-2])


def test_a_quarter_turn_is_that_of_the_matrix():
    square = IMAGES[..., :5]
    turned = move_images(square, torch.full((6,), math.pi / 2), torch.zeros(6, 2))
    torch.testing.assert_close(turned, square.rot90(1, (2, 3)), atol=1e-5, rtol=0)


def test_shifts_are_whole_pixels_within_bounds():
    places = torch.zeros(300, 1, 9, 9)
    places[:, :, 4, 4] = 1.0
    moved = augmented(places, max_shift=2)
    where = moved.flatten(1).argmax(dim=1)
    offsets = {(int(place) // 9 - 4, int(place) % 9 - 4) for place in where}
    assert offsets == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_colours_change_by_one_factor_for_each_image():
    dark = 0.1 + IMAGES / 2
    factors = (augmented(dark, brightness=0.5) / dark).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert len(set(factors[:, 0].tolist())) == 6
    assert 0.5 <= factors.min() < factors.max() <= 1.5
    calm = 0.4 + 0.2 * IMAGES
    means = augmented(calm, contrast=0.5).mean(dim=(1, 2, 3))
    torch.testing.assert_close(means, calm.mean(dim=(1, 2, 3)))
    grey = calm.mean(dim=1, keepdim=True).expand_as(calm)
    torch.testing.assert_close(augmented(grey, saturation=1.0), grey)
    assert not torch.equal(augmented(calm, saturation=1.0), calm)


def test_equal_generators_give_equal_images_within_black_and_white():
    strong = dict.fromkeys(("flip_horizontal", "flip_vertical", "brightness", "contrast", "saturation"), 1.0)
    strong |= {"max_rotation": 180.0, "max_shift": 2}
    once = augmented(**strong)
    assert torch.equal(once, augmented(**strong))
    assert not torch.equal(once, augmented(seed=1, **strong))
    assert 0 <= once.min() < once.max() <= 1
