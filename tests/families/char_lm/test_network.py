"""The network: sizes, initialisation, causality, positions."""

import math

import pytest
import torch
from torch.nn import functional

from hpsearch.families.char_lm.network import CharTransformer, Rotation, sinusoids
from hpsearch.families.char_lm.settings import ModelSettings

POSITIONS = ["learned", "sinusoidal", "rope"]


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def network(*, vocabulary=20, context=16, **settings):
    settings = {"layers": 2, "width": 32, "heads": 4, "dropout": 0.0} | settings
    return CharTransformer(ModelSettings(**settings), vocabulary=vocabulary, context=context).eval()


def parameter_count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_nanogpts_shakespeare_configurations_have_their_published_numbers_of_parameters():
    assert parameter_count(network(layers=6, heads=6, width=384, vocabulary=65, context=256)) == 10_745_088
    assert parameter_count(network(layers=4, heads=4, width=128, vocabulary=65, context=64)) == 804_096


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("norm", ["rmsnorm", "layernorm"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tie_weights", [False, True])
def test_the_number_of_parameters_follows_from_the_settings(position, norm, bias, tie_weights):
    model = network(position=position, norm=norm, bias=bias, tie_weights=tie_weights, feedforward=3.0)
    width, hidden, layers, vocabulary, context = 32, 96, 2, 20, 16
    matrices = 4 * width * width + 2 * width * hidden
    biases = (4 * width + hidden + width) if bias else 0
    norms = width * (2 if bias and norm == "layernorm" else 1)
    expected = layers * (matrices + biases + 2 * norms) + norms + vocabulary * width * (1 if tie_weights else 2)
    assert parameter_count(model) == expected + (context * width if position == "learned" else 0)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("first", [1, 5])
def test_tokens_that_follow_on_a_memory_have_the_logits_of_the_whole(position, first):
    model, tokens = network(position=position), torch.randint(20, (2, 16))
    memory = []
    with torch.no_grad():
        parts = [model.follow(tokens[:, :first], memory)]
        parts += [model.follow(tokens[:, place : place + 1], memory) for place in range(first, 16)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match="17 tokens are more than the context of 16"):
            model.follow(tokens[:, :1], memory)
    with pytest.raises(ValueError, match="one at a time"):
        model.follow(tokens[:, :2], memory)


@pytest.mark.parametrize("tie_weights", [False, True])
def test_tied_weights_are_one_parameter(tie_weights):
    model = network(tie_weights=tie_weights)
    assert (model.head.weight is model.embedding.weight) == tie_weights
    assert ("head.weight" in dict(model.named_parameters())) != tie_weights
    model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("position", POSITIONS)
def test_a_later_character_never_changes_earlier_logits(position):
    model = network(position=position)
    tokens = torch.randint(0, 20, (2, 16))
    with torch.no_grad():
        before = model(tokens)
        for place in (3, 9, 15):
            changed = tokens.clone()
            changed[:, place] = (changed[:, place] + 1) % 20
            after = model(changed)
            torch.testing.assert_close(after[:, :place], before[:, :place])
            assert (after[:, place:] - before[:, place:]).abs().amax(dim=(0, 2)).min() > 1e-6


@pytest.mark.parametrize("position", POSITIONS)
def test_the_order_of_the_characters_before_matters(position):
    model = network(position=position, layers=1)
    tokens = torch.arange(8)[None]
    swapped = tokens[:, [1, 0, *range(2, 8)]]
    with torch.no_grad():
        assert (model(tokens)[0, -1] - model(swapped)[0, -1]).abs().max() > 1e-6


@pytest.mark.parametrize("position", POSITIONS)
def test_the_first_loss_is_nearly_that_of_guessing(position):
    model = network(position=position, vocabulary=104, width=64)
    tokens = torch.randint(0, 104, (8, 17))
    with torch.no_grad():
        loss = functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(104), abs=0.15)


def test_initial_deviations_are_as_written():
    model = network(layers=8, width=128, vocabulary=200)
    deviations = {name: parameter.std().item() for name, parameter in model.named_parameters() if parameter.ndim == 2}
    for name, deviation in deviations.items():
        into_stream = name.endswith(("attention.output.weight", "feedforward.output.weight"))
        assert deviation == pytest.approx(0.02 / 4 if into_stream else 0.02, rel=0.05), name
    assert len(deviations) == 2 + 8 * 4


def test_attention_scores_after_rotation_depend_only_on_the_distance():
    rotation = Rotation(64, 8, 1e4)
    query, key = torch.randn(8), torch.randn(8)
    queries, keys = rotation(query.expand(64, 8)), rotation(key.expand(64, 8))
    scores = queries @ keys.T
    for distance in (-20, -1, 0, 1, 7, 40):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=1e-4)
    assert scores.diagonal(0)[0] != pytest.approx(scores.diagonal(7)[0].item(), abs=1e-2)


def test_the_rotation_is_a_product_of_complex_numbers():
    vectors = torch.randn(5, 6, dtype=torch.float64).float()
    place, base = 4, 100.0
    as_complex = torch.complex(vectors[place, :3], vectors[place, 3:])
    turn = torch.polar(torch.ones(3), torch.tensor([place * base ** (-2 * pair / 6) for pair in range(3)]))
    turned = as_complex * turn
    expected = torch.cat((turned.real, turned.imag))
    torch.testing.assert_close(Rotation(5, 6, base)(vectors)[place], expected)


def test_a_rope_network_without_order_at_hand_gives_the_same_logits_at_any_place():
    """Of a text with one repeated character every suffix looks alike, so all logits are equal; learned ones differ."""
    tokens = torch.full((1, 12), 3)
    with torch.no_grad():
        rope, learned = (network(position=position)(tokens)[0] for position in ("rope", "learned"))
    torch.testing.assert_close(rope, rope[:1].expand_as(rope), atol=1e-5, rtol=1e-5)
    assert (learned - learned[:1]).abs().max() > 1e-3


@pytest.mark.parametrize("width", [6, 7])
def test_sinusoids_are_those_of_the_paper(width):
    table = sinusoids(9, width, 1e4)
    for place in range(9):
        for number in range(width):
            angle = place / 1e4 ** (2 * (number // 2) / width)
            expected = math.cos(angle) if number % 2 else math.sin(angle)
            assert table[place, number].item() == pytest.approx(expected, abs=1e-6)


def test_more_characters_than_the_context_are_refused():
    with pytest.raises(ValueError, match="17 tokens are more than the context of 16"):
        network()(torch.zeros(1, 17, dtype=torch.long))


def test_dropout_acts_in_training_only():
    model = network(dropout=0.5)
    tokens = torch.arange(8)[None]
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    assert not torch.equal(model(tokens), model(tokens))
