import pytest
import torch

from hpsearch.families.decode.network import ChannelAttention, Localiser, UNet
from hpsearch.families.decode.settings import ModelSettings

TINY = {"frame_depth": 1, "union_depth": 2, "features": 4}


def build(*, deviations=True, **changes):
    torch.manual_seed(0)
    return Localiser(ModelSettings.model_validate({**TINY, **changes}), deviations=deviations)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_original_has_as_many_parameters_as_its_authors_program():
    """2,199,419 there, one of which is the smallest deviation, a constant that is kept as a frozen parameter."""
    assert count(Localiser(ModelSettings(), deviations=True)) == 2_199_419 - 1


def test_the_u_nets_have_as_many_as_those_of_the_older_network():
    """2,240,790 with six heads for one number each: 48 x 48 x 9 + 48 and 48 + 1 parameters."""
    settings = ModelSettings()
    assert count(UNet(1, 2, settings)) + count(UNet(144, 2, settings)) == 2_240_790 - 6 * (48 * 48 * 9 + 48 + 48 + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "relu"},
        {"initialisation": "default"},
        {"norm": "batch"},
        {"norm": "group", "features": 6},
        {"residual": True},
        {"attention": True},
        {"gain": 1},
        {"frame_depth": 3},
    ],
)
@pytest.mark.parametrize(("deviations", "channels"), [(True, 10), (False, 6)])
def test_every_kind_answers_within_its_ranges(changes, deviations, channels):
    output = build(deviations=deviations, **changes)(5 * torch.randn(2, 3, 8, 16))
    assert output.shape == (2, channels, 8, 16)
    assert output[:, 0].abs().max() <= 8
    for numbers, low, high in ((output[:, 1], 0, 1), (output[:, 2:5], -1, 1), (output[:, -1], 0, 1)):
        assert low <= numbers.min() <= numbers.max() <= high
    if deviations:
        assert output[:, 5:9].min() >= 0.001
        assert output[:, 5:9].max() <= 3.001


def test_molecules_are_rare_at_first():
    assert torch.sigmoid(build(features=24)(torch.randn(2, 3, 16, 16))[:, 0]).mean() < 0.02


def test_the_three_frames_share_a_network_and_have_their_places():
    network, frames = build(), torch.randn(1, 3, 8, 8)
    assert network.frame_net.entrance.path[0].weight.shape[1] == 1
    assert not torch.allclose(network(frames), network(frames.flip(1)))


def test_a_frame_is_seen_whole():
    """The numbers of a pixel depend on frames before and after, and on pixels as far as the two U-Nets reach."""
    network, frames = build(), torch.randn(1, 3, 8, 8, requires_grad=True)
    network(frames)[0, 2, 4, 4].backward()
    assert (frames.grad[0].abs().amax(dim=(1, 2)) > 0).all()
    assert frames.grad[0, 1, 0, 0] != 0


def test_kaiming_draws_by_the_number_of_inputs():
    layer = build(features=32).union_net.entrance.path[0]
    assert layer.weight.std().item() == pytest.approx((2 / (96 * 9)) ** 0.5, rel=0.05)
    assert not layer.bias.any()


def test_attention_weighs_whole_channels_by_their_averages():
    torch.manual_seed(0)
    attend, maps = ChannelAttention(8), torch.rand(2, 8, 4, 4) + 0.1
    weights = attend(maps) / maps
    assert (weights > 0).all()
    assert (weights < 1).all()
    torch.testing.assert_close(weights, weights[:, :, :1, :1].expand_as(maps))
    shuffled = maps.flatten(2)[:, :, torch.randperm(16)].reshape(2, 8, 4, 4)
    torch.testing.assert_close((attend(shuffled) / shuffled)[:, :, 0, 0], weights[:, :, 0, 0])
