"""Mirror images and turns of frames, under which the physics of the microscope stays as it is.

Other rotations would need interpolation, which correlates the noise of pixels; jitter of brightness would break the
count of photons and the statistics of the camera. So there are only the eight symmetries of the square.
"""

import torch
from torch import Tensor

from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.data.point_spread import Astigmatic
from hpsearch.families.decode.settings import Augmentation
from hpsearch.training.task import Batch

_X, _Y, _Z = 1, 2, 3


def augment_frames(batch: Batch, settings: Augmentation, data: MicroscopySettings, generator: torch.Generator) -> Batch:
    """Return a batch in which each example is mirrored along x, along y and transposed by a fair coin each."""
    frames, emitters = batch["frames"], batch["emitters"]
    if settings.flips:
        for axis, coordinate in ((3, _X), (2, _Y)):
            coin = _coins(len(frames), generator)
            frames = torch.where(coin[:, None, None, None], frames.flip(axis), frames)
            emitters = torch.where(coin[:, None, None], _mirrored(emitters, coordinate, data.size), emitters)
    if settings.turns:
        coin = _coins(len(frames), generator)
        sign = -1.0 if isinstance(data.point_spread, Astigmatic) else 1.0
        frames = torch.where(coin[:, None, None, None], frames.transpose(2, 3), frames)
        emitters = torch.where(coin[:, None, None], _transposed(emitters, sign), emitters)
    return {**batch, "frames": frames, "emitters": emitters * batch["present"][..., None]}


def _coins(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < 0.5


def _mirrored(emitters: Tensor, coordinate: int, size: int) -> Tensor:
    mirrored = emitters.clone()
    mirrored[..., coordinate] = size - 1 - emitters[..., coordinate]
    return mirrored


def _transposed(emitters: Tensor, depth_sign: float) -> Tensor:
    """Swap x and y. The lens then stands crosswise: what was wide along x is wide along y, as at the depth -z."""
    turned = emitters[..., [0, _Y, _X, _Z]].clone()
    turned[..., _Z] *= depth_sign
    return turned
