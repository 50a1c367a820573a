"""The architectures of the text classifier, as branches. Free of torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.settings import FILE, FIXED, FOLDER, UNFOLD, Option, Settings

Width = Annotated[int, Field(ge=1)]


class WordVectors(Settings):
    """Vectors of words that were learned before, as Kim (2014) uses those of word2vec.

    Words that the file lacks begin with random vectors, as all do without one.
    """

    path: Annotated[str, FILE]
    """A text file: on each line a word and its numbers (word2vec, GloVe, fastText), as many as `embedding` says."""
    use: Literal["static", "nonstatic", "multichannel"] = "nonstatic"
    """`static`: no vector is trained; `nonstatic`: all are; `multichannel`: both stand side by side."""


class CNN(Option):
    """Convolutions over words and the maximum over time (Kim, EMNLP 2014)."""

    kind: Literal["cnn"] = "cnn"
    embedding: Annotated[int, FIXED] = Field(default=128, ge=1)
    """Numbers in the vector of a word."""
    vectors: Annotated[WordVectors | None, FIXED] = None
    """Where the vectors begin; None: all are random."""
    widths: Annotated[tuple[Width, ...], FIXED] = Field(default=(3, 4, 5), min_length=1)
    """Words under each kind of filter."""
    filters: Annotated[int, FIXED] = Field(default=100, ge=1)
    """Filters of each width."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Probability of dropping a filter's maximum."""
    max_norm: Annotated[float | None, FIXED] = Field(default=None, gt=0)
    """Largest norm of a class's weights in the last layer; Kim's is 3."""


class Transformer(Option):
    """An encoder after BERT (Devlin et al. 2019), from random weights; BERT-base: width 768, 12 layers, 12 heads."""

    kind: Literal["transformer"] = "transformer"
    width: Annotated[int, FIXED] = Field(default=128, ge=1)
    """Numbers in the vector of a word; a multiple of `heads`."""
    layers: Annotated[int, FIXED] = Field(default=2, ge=1)
    heads: Annotated[int, FIXED] = Field(default=4, ge=1)
    feedforward: Annotated[int, FIXED] = Field(default=4, ge=1)
    """Hidden units of the feed-forward branch, as a multiple of `width`."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability of dropping a number of the embeddings, of what a branch adds, or of what the last layer sees."""
    attention_dropout: float = Field(default=0.1, ge=0, lt=1)
    norm: Annotated[Literal["pre", "post"], FIXED] = "pre"
    """Normalise what enters a branch (easier to train from scratch), or the stream after it (BERT)."""
    pooling: Annotated[Literal["cls", "mean"], FIXED] = "mean"
    """What stands for the text: the vector at a class token, through a tanh layer (BERT); or the mean over words."""
    layer_decay: Annotated[float, FIXED] = Field(default=1.0, gt=0, le=1)
    """Factor on the learning rate from each layer to the one below it; the classifier has the whole rate."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Transformer":
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class Pretrained(Option):
    """An encoder that was trained before, such as BERT, from a local folder of transformers' files."""

    kind: Literal["pretrained"] = "pretrained"
    path: Annotated[str, FIXED, FOLDER]
    """The folder, with config.json and model.safetensors; `data.tokenizer` must name it too."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability of dropping a number of what the last layer sees; the checkpoint says what is dropped within."""
    pooling: Annotated[Literal["cls", "mean"], FIXED] = "cls"
    """What stands for the text: the vector of the first token, through the checkpoint's pooler if it has one; or the
    mean over tokens."""
    layer_decay: Annotated[float, FIXED] = Field(default=1.0, gt=0, le=1)
    """Factor on the learning rate from each layer to the one below it; the classifier has the whole rate."""


class ModelSettings(Settings):
    """The network."""

    architecture: Annotated[CNN | Transformer | Pretrained, Field(discriminator="kind"), UNFOLD, FIXED] = CNN()
