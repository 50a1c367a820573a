import pytest
import torch

from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.families.decode.settings import Augmentation
from hpsearch.families.decode.task import augment_frames

COUNT = 64


def noiseless_batch(data):
    """Frames without noise, of molecules at the same places in all three frames."""
    generator = torch.Generator().manual_seed(0)
    emitters = torch.rand(COUNT, 3, 4, generator=generator, dtype=torch.double)
    emitters = emitters * torch.tensor([900.0, 8.0, 8.0, 1000.0]) + torch.tensor([100.0, -0.5, -0.5, -500.0])
    present = torch.tensor([True, True, False]).expand(COUNT, 3)
    emitters = emitters * present[..., None]
    return {"frames": draw(emitters, data), "emitters": emitters, "present": present, "background": torch.ones(COUNT)}


def draw(emitters, data):
    columns = [[emitters[index, :2, number].numpy() for number in (1, 2, 3, 0)] for index in range(COUNT)]
    images = [torch.from_numpy(data.point_spread.image(*each, size=data.size)) for each in columns]
    return torch.stack(images)[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("psf", ["astigmatic", "round"])
@pytest.mark.parametrize(
    ("settings", "kinds"), [({"flips": True}, 4), ({"turns": True}, 2), ({"flips": True, "turns": True}, 8)]
)
def test_what_is_moved_is_what_the_microscope_would_see_of_the_moved_molecules(psf, settings, kinds):
    data = MicroscopySettings.model_validate({"size": 8, "point_spread": psf})
    batch = noiseless_batch(data)
    moved = augment_frames(batch, Augmentation(**settings), data, torch.Generator().manual_seed(1))
    torch.testing.assert_close(draw(moved["emitters"], data), moved["frames"])
    centred = torch.sign(moved["emitters"][:, 0, 1:] - torch.tensor([3.5, 3.5, 0.0]))
    before = torch.sign(batch["emitters"][:, 0, 1:] - torch.tensor([3.5, 3.5, 0.0]))
    assert (centred != before).any()
    differences = moved["frames"].flatten(1) - batch["frames"].flatten(1)
    share_unmoved = float((differences.abs().amax(dim=1) < 1e-12).double().mean())
    assert share_unmoved == pytest.approx(1 / kinds, abs=0.16)


def test_an_astigmatic_turn_mirrors_the_depth():
    data = MicroscopySettings.model_validate({"size": 8})
    batch = noiseless_batch(data)
    moved = augment_frames(batch, Augmentation(turns=True), data, torch.Generator().manual_seed(1))
    turned = moved["emitters"][:, 0, 1] != batch["emitters"][:, 0, 1]
    assert 0 < turned.sum() < COUNT
    torch.testing.assert_close(moved["emitters"][turned, 0, 3], -batch["emitters"][turned, 0, 3])
    torch.testing.assert_close(moved["emitters"][~turned], batch["emitters"][~turned])


def test_empty_places_stay_empty_and_nothing_moves_by_default():
    data = MicroscopySettings.model_validate({"size": 8})
    batch = noiseless_batch(data)
    moved = augment_frames(batch, Augmentation(flips=True, turns=True), data, torch.Generator().manual_seed(1))
    assert not moved["emitters"][:, 2].any()
    still = augment_frames(batch, Augmentation(), data, torch.Generator().manual_seed(1))
    assert all(torch.equal(still[name], batch[name]) for name in batch)
