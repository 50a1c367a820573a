import numpy as np
import pytest
import torch

from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.families.decode.localisation import Channels, Units, detect, localise
from hpsearch.families.decode.settings import Detection


def found_in(*, size=7, settings=None, **pixels):
    """The reported probability of each pixel, for a map of given pixels such as r3c4=0.9."""
    probability = torch.zeros(1, size, size)
    for name, value in pixels.items():
        probability[0, int(name[1]), int(name[3])] = value
    found = detect(probability, settings or Detection())[0]
    return {f"r{row}c{column}": pytest.approx(float(found[row, column])) for row, column in found.nonzero().tolist()}


def test_neighbours_count_with_a_local_maximum():
    assert found_in(r3c3=0.4, r3c4=0.15, r2c3=0.05) == {"r3c3": 0.6}
    assert found_in(r3c3=0.4, r4c4=0.3) == {}  # corners do not
    assert found_in(r3c3=0.4) == {}


def test_a_molecule_on_a_corner_is_found_once():
    assert len(found_in(r3c3=0.27, r3c4=0.24, r4c3=0.24, r4c4=0.25)) == 1


def test_two_sure_neighbours_are_two_molecules():
    assert found_in(r3c3=0.9, r3c4=0.8) == {"r3c3": 1.0, "r3c4": 0.8}
    assert found_in(r3c3=0.9, r3c4=0.55) == {"r3c3": 1.0}


def test_the_rim_is_no_wall():
    assert found_in(r0c0=0.9, r6c6=0.3, r6c5=0.25) == {"r0c0": 0.9, "r6c6": 0.55}


def test_thresholds_are_settings():
    pixels = {"r1c1": 0.45, "r5c5": 0.7, "r5c4": 0.5}
    assert found_in(**pixels, settings=Detection(threshold=0.4)).keys() == {"r1c1", "r5c5"}
    assert found_in(**pixels, settings=Detection(neighbour=0.4, threshold=0.48)).keys() == {"r5c5", "r5c4"}
    assert found_in(r3c3=0.4, r3c4=0.15, settings=Detection(candidate=0.45)) == {}


def test_a_molecule_stands_at_its_pixel_and_offset_in_photons_pixels_and_nm():
    units = Units.of(MicroscopySettings())
    output = torch.zeros(2, 6, 8, 8)
    output[:, 0] = -8
    output[1, :, 2, 5] = torch.tensor([8.0, 0.5, 0.25, -0.4, 0.1, 0.0])
    found = localise(Channels.of(output), Detection(), units)
    assert found.frame.tolist() == [1]
    np.testing.assert_allclose(found.position, [[5.25, 1.6, 0.1 * 1.2 * 750]], rtol=1e-6)
    np.testing.assert_allclose(found.photons, [0.5 * (10_000 + 8 * 3000)])
    assert found.in_frame(0).shape == (0, 3)


def test_units_have_their_way_back():
    units = Units.of(MicroscopySettings())
    emitters = torch.rand(3, 5, 4) * torch.tensor([9000.0, 40.0, 40.0, 700.0])
    torch.testing.assert_close(units.restore_emitters(units.scale_emitters(emitters)), emitters)
    assert units.scale_emitters(emitters)[..., [0, 3]].max() < 1
    torch.testing.assert_close(units.scale_frames(torch.tensor([120.0, 320.0])), torch.tensor([0.0, 1.0]))
