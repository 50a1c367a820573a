import pytest
import torch
from torch import nn

from hpsearch.families.relative_vit.network import Attention, VisionTransformer
from hpsearch.families.relative_vit.settings import ModelSettings

POSITIONS = ["none", "absolute", "relative", {"relative": {"type": "1d"}}]
STATISTICS = {"mean": torch.tensor([0.5]), "deviation": torch.tensor([0.25])}


def network(size=(8, 8), **changes):
    torch.manual_seed(0)
    given = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0, **changes}
    settings = ModelSettings.model_validate(given)
    return VisionTransformer(settings, size=size, channels=1, classes=10, **STATISTICS)


@pytest.mark.parametrize(("layer_scale", "count"), [(1e-6, 86_539_000), (None, 86_539_000 - 12 * 2 * 768)])
def test_the_full_size_network_has_the_parameters_of_timms(layer_scale, count):
    """VisionTransformerRelPos 224/16/768/12/12 with 1,000 classes; timm's has layer scale."""
    settings = ModelSettings(patch=16, width=768, layers=12, heads=12, layer_scale=layer_scale)
    with torch.device("meta"):
        model = VisionTransformer(
            settings, size=(224, 224), channels=3, classes=1000, mean=torch.zeros(3), deviation=torch.ones(3)
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert [block.attention.bias.table.shape for block in model.blocks] == [(729, 12)] * 12


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("pool", ["mean", "class_token"])
def test_rectangular_images_become_logits(position, pool):
    model = network(size=(8, 12), position=position, pool=pool, head_width=5)
    assert model(torch.rand(3, 1, 8, 12)).shape == (3, 10)


def shuffled(images):
    """Put the four 4 x 4 patches of 8 x 8 images into another order."""
    top, bottom = images[:, :, :4], images[:, :, 4:]
    return torch.cat((torch.cat((bottom[..., 4:], top[..., :4]), 3), torch.cat((top[..., 4:], bottom[..., :4]), 3)), 2)


@pytest.mark.parametrize("pool", ["mean", "class_token"])
@pytest.mark.parametrize("position", POSITIONS)
def test_the_order_of_the_patches_matters_only_where_positions_are_known(position, pool):
    model = network(position=position, pool=pool, patch=4).double().eval()
    images = torch.rand(2, 1, 8, 8, dtype=torch.double)
    assert torch.allclose(model(images), model(shuffled(images)), atol=1e-12) == (position == "none")


def test_with_a_bias_of_zero_it_is_the_network_without_any():
    with_bias, without = network(position="relative"), network(position="none")
    for block in with_bias.blocks:
        nn.init.zeros_(block.attention.bias.table)
    without.load_state_dict({name: value for name, value in with_bias.state_dict().items() if "bias.table" not in name})
    images = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(with_bias.eval()(images), without.eval()(images))


@pytest.mark.parametrize("scale", [True, False])
def test_attention_is_the_formula(scale):
    """softmax(q k^T / sqrt(d) + B) v by hand: the bias is added after the scaling, and is not scaled itself."""
    torch.manual_seed(0)
    settings = ModelSettings(width=8, heads=2, head_width=3, scale=scale, dropout=0.0)
    attention = Attention(settings, window=(2, 3)).double()
    nn.init.normal_(attention.bias.table)
    stream = torch.randn(1, 6, 8, dtype=torch.double)
    parts = attention.queries_keys_values(stream)[0].reshape(6, 3, 2, 3)
    heads = []
    for head in range(2):
        queries, keys, values = parts[:, 0, head], parts[:, 1, head], parts[:, 2, head]
        logits = queries @ keys.T / (3**0.5 if scale else 1.0) + attention.bias()[head]
        heads.append(logits.softmax(dim=1) @ values)
    torch.testing.assert_close(attention(stream)[0], attention.output(torch.cat(heads, dim=1)))


@pytest.mark.parametrize("name", ["dropout", "attention_dropout"])
def test_dropout_is_for_training_only(name):
    model = network(**{name: 0.5})
    images = torch.rand(2, 1, 8, 8)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))


def test_images_are_normalised_by_statistics_that_travel_with_the_weights():
    model = network()
    seen = []
    model.patches.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(torch.full((1, 1, 8, 8), 0.75))
    assert torch.equal(seen[0], torch.ones(1, 1, 8, 8))
    assert {"mean", "deviation"} <= set(model.state_dict())
