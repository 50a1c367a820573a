import numpy as np
import pytest
import torch

from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.families.decode.localisation import Channels, Units, detect, localise
from hpsearch.families.decode.settings import Detection

PAPER = Detection(gather="cross", apart=0)


def found_in(*, size=7, settings=None, places=None, **pixels):
    """The reported probability of each pixel, for a map of given pixels such as r3c4=0.9.

    They put their molecule at their centre, or where `places` has it: x and y from the centre.
    """
    output = torch.zeros(1, 6, size, size)
    output[0, 0] = -40.0
    for name, value in pixels.items():
        output[0, 0, int(name[1]), int(name[3])] = torch.logit(torch.tensor(value))
    for name, offset in (places or {}).items():
        output[0, 2:4, int(name[1]), int(name[3])] = torch.tensor(offset)
    found = detect(Channels.of(output), settings or Detection())[0]
    return {f"r{row}c{column}": pytest.approx(float(found[row, column])) for row, column in found.nonzero().tolist()}


def test_neighbours_count_with_a_local_maximum():
    assert found_in(r3c3=0.4, r3c4=0.15, r2c3=0.05) == {"r3c3": 0.6}
    assert found_in(r3c3=0.4, r4c4=0.3) == {"r3c3": 0.7}
    assert found_in(r3c3=0.4, r4c4=0.3, settings=PAPER) == {}  # where corners do not
    assert found_in(r3c3=0.4) == {}


def test_a_molecule_on_a_corner_is_found_once():
    assert len(found_in(r3c3=0.27, r3c4=0.24, r4c3=0.24, r4c4=0.25)) == 1


def test_two_sure_neighbours_are_two_molecules():
    assert found_in(r3c3=0.9, r3c4=0.8) == {"r3c3": 1.0, "r3c4": 0.8}
    assert found_in(r3c3=0.9, r3c4=0.55) == {"r3c3": 1.0}


@pytest.mark.parametrize(("pixel", "offset"), [("r3c4", (-0.5, 0.0)), ("r2c3", (0.0, 0.5)), ("r4c4", (-0.5, -0.5))])
def test_two_sure_neighbours_at_one_place_are_one_molecule(pixel, offset):
    """On the edge or the corner between two pixels; the first puts it there, too."""
    column, row = int(pixel[3]) - 3, int(pixel[1]) - 3
    places = {pixel: offset, "r3c3": (column + offset[0], row + offset[1])}
    assert found_in(r3c3=0.9, **{pixel: 0.8}, places=places).keys() == {"r3c3"}
    assert found_in(r3c3=0.9, **{pixel: 0.8}, places=places, settings=PAPER).keys() == {"r3c3", pixel}
    assert found_in(r3c3=0.9, **{pixel: 0.8}, places={pixel: offset, "r3c3": (-0.5 * column, -0.5 * row)}).keys() == {
        "r3c3",
        pixel,
    }


def test_a_trial_of_an_earlier_version_keeps_its_rule():
    earlier = {"threshold": 0.5, "candidate": 0.1, "neighbour": 0.6}
    assert Detection.model_validate(earlier) == PAPER
    assert Detection.model_validate(Detection().model_dump(mode="json")) == Detection()
    assert Detection.model_validate({"threshold": 0.4}).apart == Detection().apart


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
