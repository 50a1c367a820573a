"""The encoders: against definitions, against BERT, and blind to padding."""

import pytest
import torch
from torch.nn import functional

from hpsearch.families.text_classifier.network import (
    BoundedLinear,
    ConvolutionalEncoder,
    TextClassifier,
    TransformerEncoder,
)
from hpsearch.families.text_classifier.settings import CNN, ModelSettings, Transformer

ARCHITECTURES = {
    "cnn": CNN(embedding=6, filters=4, widths=(1, 3, 5)),
    "pre-norm mean": Transformer(width=8, heads=2, layers=2),
    "post-norm cls": Transformer(width=8, heads=2, layers=2, norm="post", pooling="cls"),
}


def network(architecture, *, classes=(3,)):
    torch.manual_seed(0)
    settings = ModelSettings(architecture=architecture)
    return TextClassifier(settings, vocabulary=50, max_length=12, classes=classes).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_a_text_has_the_same_logits_whatever_pads_it(architecture):
    model = network(architecture)
    for length in (1, 2, 5, 9):
        text = torch.randint(2, 50, (1, length))
        alone = model(text, torch.tensor([length]))
        padded = functional.pad(text, (0, 12 - length), value=17)  # whatever stands there
        assert torch.allclose(model(padded, torch.tensor([length])), alone, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_empty_text_has_finite_logits(architecture):
    assert network(architecture)(torch.zeros(1, 1, dtype=torch.long), torch.tensor([0])).isfinite().all()


def test_the_convolution_is_kims_by_its_definition():
    torch.manual_seed(1)
    encoder = ConvolutionalEncoder(CNN(embedding=4, filters=2, widths=(2, 3)), vocabulary=20, vectors={}).eval()
    text = [3, 7, 5]
    vectors = [encoder.embedding.weight[token] for token in text]
    expected = []
    for width, convolution in zip((2, 3), encoder.filters, strict=True):
        zeros = [torch.zeros(4)] * (width - 1)
        row = torch.stack([*zeros, *vectors, *zeros])
        windows = torch.stack([row[start : start + width] for start in range(len(row) - width + 1)])
        for weight, bias in zip(convolution.weight, convolution.bias, strict=True):
            responses = (windows * weight.T).sum(dim=(1, 2)) + bias
            expected.append(responses.clamp(min=0).max())
    assert torch.allclose(encoder(torch.tensor([text]), torch.tensor([3]))[0], torch.stack(expected), atol=1e-6)


@pytest.fixture
def bert():
    from transformers import BertConfig, BertModel  # takes seconds

    torch.manual_seed(2)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return BertModel(BertConfig(vocab_size=50, max_position_embeddings=13, **sizes)).eval()


@pytest.mark.slow
def test_the_transformer_with_berts_weights_is_bert(bert):
    """Post-norm, pooled at the class token; the class token is a word of BERT's and here a vector of its own."""
    for parameter in bert.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder = TransformerEncoder(ARCHITECTURES["post-norm cls"], vocabulary=50, max_length=12).eval()
    source = bert.state_dict()
    words = source["embeddings.word_embeddings.weight"]
    named = {
        "embedding.weight": words,
        "class_token": words[1:2],
        "positions.weight": source["embeddings.position_embeddings.weight"]
        + source["embeddings.token_type_embeddings.weight"][0],
        "pooler": "pooler.dense",
        "embedding_norm": "embeddings.LayerNorm",
    }
    for number in range(2):
        block, layer = f"blocks.{number}", f"encoder.layer.{number}"
        for kind in ("weight", "bias"):
            parts = [source[f"{layer}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
            named[f"{block}.queries_keys_values.{kind}"] = torch.cat(parts)
        named |= {
            f"{block}.attended": f"{layer}.attention.output.dense",
            f"{block}.attention_norm": f"{layer}.attention.output.LayerNorm",
            f"{block}.hidden": f"{layer}.intermediate.dense",
            f"{block}.output": f"{layer}.output.dense",
            f"{block}.feedforward_norm": f"{layer}.output.LayerNorm",
        }
    weights = {}
    for name, value in named.items():
        if isinstance(value, str):
            weights |= {f"{name}.{kind}": source[f"{value}.{kind}"] for kind in ("weight", "bias")}
        else:
            weights[name] = value
    encoder.load_state_dict(weights)
    tokens = torch.tensor([[4, 9, 30, 2], [8, 3, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    with torch.no_grad():
        expected = bert(torch.cat((torch.ones(2, 1, dtype=torch.long), tokens), dim=1), attention_mask=mask)
        found = encoder(tokens, torch.tensor([4, 2]))
    assert torch.allclose(found, expected.pooler_output, atol=1e-6)


def test_bert_base_can_be_expressed_and_has_its_size():
    """BERT-base has 85,054,464 weights in its layers and 590,592 in its pooler."""
    settings = Transformer(width=768, layers=12, heads=12, norm="post", pooling="cls")
    assert (settings.dropout, settings.attention_dropout) == (0.1, 0.1)
    with torch.device("meta"):
        encoder = TransformerEncoder(settings, vocabulary=30522, max_length=511)
    assert sum(weights.numel() for weights in encoder.blocks.parameters()) == 85_054_464
    assert sum(weights.numel() for weights in encoder.pooler.parameters()) == 590_592


def test_the_seeds_cnn_is_the_default():
    chosen = CNN()
    assert (chosen.embedding, chosen.filters, chosen.widths, chosen.dropout) == (128, 100, (3, 4, 5), 0.5)


def test_the_norm_of_each_class_is_bounded_and_smaller_ones_are_left_alone():
    layer = BoundedLinear(4, 2, max_norm=3.0)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[6.0, 0, 0, 8], [1, 0, 0, 0]]))
        layer.bias.zero_()
    assert torch.allclose(layer(torch.eye(4)).T, torch.tensor([[1.8, 0, 0, 2.4], [1, 0, 0, 0]]))
