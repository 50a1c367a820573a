"""Varying training images (B, C, H, W) with values between 0 and 1; every image by its own random numbers."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.families.relative_vit.settings import Augmentation


def augment_images(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images after flips, then a rotation and shift, then changes of colour; what is off draws nothing."""
    count = len(images)
    for probability, side in ((settings.flip_horizontal, 3), (settings.flip_vertical, 2)):
        if probability:
            flipped = torch.rand(count, 1, 1, 1, generator=generator) < probability
            images = torch.where(flipped, images.flip(side), images)
    if settings.max_rotation or settings.max_shift:
        angle = math.radians(settings.max_rotation) * _between_ones(count, generator)
        limit = settings.max_shift
        shift = torch.randint(-limit, limit + 1, (count, 2), generator=generator)
        images = move_images(images, angle, shift)
    if settings.brightness:
        images = images * _factor(count, settings.brightness, generator)
    if settings.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * _factor(count, settings.contrast, generator)
    if settings.saturation:
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * _factor(count, settings.saturation, generator)
    return images.clamp(0, 1)


def move_images(images: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    """Turn images (B, C, H, W) counterclockwise by angles (B,) in radians, then move them down and right by (B, 2).

    Between pixels values are interpolated; beyond the edge stands what stands at the edge.
    """
    height, width = images.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # where each pixel of the result comes from, in pixels from the centre of the image
    down = y - (height - 1) / 2 - shift[:, :1, None]
    right = x - (width - 1) / 2 - shift[:, 1:, None]
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    from_right = cosine * right - sine * down
    from_down = sine * right + cosine * down
    grid = torch.stack((2 * from_right / width, 2 * from_down / height), dim=-1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _between_ones(count: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(count, generator=generator) - 1


def _factor(count: int, largest_change: float, generator: torch.Generator) -> Tensor:
    return (1 + largest_change * _between_ones(count, generator))[:, None, None, None]
