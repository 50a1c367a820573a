from pathlib import Path

import pytest
import torch
from torch import nn

from hpsearch.families.deepsif.family import DeepSIF
from hpsearch.families.deepsif.network import build_network
from hpsearch.families.deepsif.settings import LSTM, ModelSettings, Transformer
from hpsearch.space import read_space

SPACE = Path(__file__).parents[3] / "spaces" / "deepsif.yaml"
SMALL_TRANSFORMER = Transformer(layers=2, width=16, heads=2, positions=40, dropout=0.2)


def network(temporal, **changes):
    torch.manual_seed(0)
    return build_network(ModelSettings(temporal=temporal, spatial_width=24, **changes), electrodes=8, regions=12)


@pytest.mark.parametrize(("temporal", "count"), [(LSTM(), 22_360_976), (Transformer(), 3_244_218)])
def test_the_full_size_networks_have_the_published_numbers_of_parameters(temporal, count):
    full = build_network(ModelSettings(temporal=temporal), electrodes=75, regions=994)
    assert sum(parameter.numel() for parameter in full.parameters()) == count
    assert sum(parameter.numel() for parameter in full.get_submodule("spatial").parameters()) == 588_400


@pytest.mark.parametrize("temporal", [LSTM(layers=2), SMALL_TRANSFORMER])
def test_eeg_becomes_the_activity_of_every_region_at_every_time(temporal):
    model = network(temporal)
    assert model(torch.randn(3, 40, 8)).shape == (3, 40, 12)
    assert model(torch.randn(1, 7, 8)).shape == (1, 7, 12)


def test_the_spatial_part_is_that_of_the_paper():
    """Against the formulas of families.md, written out for one moment."""
    spatial = network(LSTM()).get_submodule("spatial").double()
    x = torch.randn(8, dtype=torch.double)
    weights = dict(spatial.named_children())
    elu = nn.functional.elu

    def affine(name, value):
        return weights[name].weight @ value + weights[name].bias

    first = elu(affine("first_outer", elu(affine("first_inner", x))) + x)
    second = elu(affine("second_outer", elu(affine("second_inner", first))) + affine("second_skip", first))
    torch.testing.assert_close(spatial(x), elu(affine("output", second)))


def test_the_activity_of_the_lstm_is_bounded():
    activity = network(LSTM(layers=1))(1000 * torch.randn(2, 30, 8))
    assert 0.5 < activity.abs().max() <= 1


def test_the_lstm_looks_back_and_the_transformer_both_ways():
    eeg = torch.randn(1, 20, 8)
    later = eeg.clone()
    later[:, 15] += 1.0
    for temporal, changes_before in ((LSTM(layers=1), False), (SMALL_TRANSFORMER, True)):
        model = network(temporal).eval()
        before = (model(eeg) - model(later))[:, :15].abs().max()
        assert bool(before > 1e-7) is changes_before


def test_initialisation_xavier_bounds_the_matrices_and_clears_the_biases():
    for temporal in (LSTM(layers=1, initialisation="xavier"), SMALL_TRANSFORMER):
        model = network(temporal)
        for module in model.modules():
            if isinstance(module, nn.Linear) and module.out_features != 12:
                bound = (6 / (module.in_features + module.out_features)) ** 0.5
                assert 0.8 * bound < module.weight.abs().max() <= bound
                assert not module.bias.any()
    assert network(LSTM(layers=1)).get_submodule("spatial.output").bias.any()
    recurrent = network(LSTM(layers=1, initialisation="xavier")).get_submodule("temporal")
    assert not recurrent.bias_hh_l0.any()


def test_initialisation_he_bounds_the_matrices_by_their_inputs():
    for module in network(LSTM(layers=1, initialisation="he")).modules():
        if isinstance(module, nn.Linear):
            bound = (6 / module.in_features) ** 0.5  # a uniform distribution of variance 2 / inputs
            assert 0.8 * bound < module.weight.abs().max() <= bound
            assert not module.bias.any()


def test_a_small_output_gain_begins_near_silence():
    eeg = torch.randn(4, 40, 8)
    small, large = (
        network(SMALL_TRANSFORMER.model_copy(update={"output_gain": gain})).eval()(eeg) for gain in (0.01, 1.0)
    )
    torch.testing.assert_close(small, 0.01 * large)


def test_dropout_is_on_only_while_training():
    model, eeg = network(SMALL_TRANSFORMER), torch.randn(2, 40, 8)
    assert not torch.equal(model(eeg), model(eeg))
    model.eval()
    assert torch.equal(model(eeg), model(eeg))


@pytest.mark.parametrize("quick", [False, True])
def test_the_networks_at_the_corners_of_the_space_can_be_built(quick):
    space = read_space(SPACE, lambda *_: DeepSIF(), quick=quick)
    within = {parameter.path: parameter.range for parameter in space.parameters}
    depth, width = within["model.temporal.transformer.layers"], within["model.temporal.transformer.width"].options
    heads, lstm = within["model.temporal.transformer.heads"].options, within["model.temporal.lstm.layers"]
    corners = [LSTM(layers=lstm.low), LSTM(layers=lstm.high)]
    corners += [Transformer(layers=depth.low, width=min(width), heads=max(heads))]
    corners += [Transformer(layers=depth.high, width=max(width), heads=min(heads))]
    for temporal in corners:
        with torch.device("meta"):
            model = build_network(ModelSettings(temporal=temporal), electrodes=75, regions=994)
            assert model(torch.empty(1, 20, 75)).shape == (1, 20, 994)
