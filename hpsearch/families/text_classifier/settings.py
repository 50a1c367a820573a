"""The settings of the text classifier. Free of torch."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.data.folds import Folds, Named, Part, check_splits, named_splits
from hpsearch.data.text_files import Format, Quoting
from hpsearch.data.words import TECHNIQUES, Technique
from hpsearch.families import FamilyConfig
from hpsearch.settings import CODE, FILE, FIXED, FOLDER, NEWER, PLACE, UNFOLD, Growing, Option, Settings
from hpsearch.training.settings import TrainSettings

Width = Annotated[int, Field(ge=1)]


class WordVectors(Settings):
    """Vectors of words that were learned before, as Kim (2014) uses those of word2vec.

    Words that the file lacks begin with random vectors, as all do without one.
    """

    path: Annotated[str, FILE]
    """A text file: on each line a word and its numbers (word2vec, GloVe, fastText), as many as `embedding` says."""
    use: Literal["static", "nonstatic", "multichannel"] = "nonstatic"
    """`static`: no vector is trained; `nonstatic`: all are; `multichannel`: both, side by side."""


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
    """What represents the text: the vector at a class token, through a tanh layer (BERT); or the mean over words."""
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
    """What represents the text: the vector of the first token, through the checkpoint's pooler if it has one; or the
    mean over tokens."""
    layer_decay: Annotated[float, FIXED] = Field(default=1.0, gt=0, le=1)
    """Factor on the learning rate from each layer to the one below it; the classifier has the whole rate."""


class ModelSettings(Settings):
    """The network."""

    architecture: Annotated[CNN | Transformer | Pretrained, Field(discriminator="kind"), UNFOLD, FIXED] = CNN()


class Words(Option):
    """Words and punctuation marks, numbered by a vocabulary of the training part alone."""

    kind: Literal["words"] = "words"
    size: int = Field(default=30522, ge=3)
    """Numbers of the vocabulary at most, the two for padding and unknown words among them."""
    minimum_count: int = Field(default=2, ge=1)
    """How often a word must occur in the training part to have its own number."""
    lowercase: bool = True


class CheckpointTokens(Option):
    """The tokens of a pretrained encoder's own tokenizer, with the special ones that it adds."""

    kind: Literal["pretrained"] = "pretrained"
    path: Annotated[str, FOLDER]
    """A local folder with tokenizer.json; that of `model.architecture` if it is pretrained. A network that learns from
    scratch may have these tokens too, so that it can learn from a pretrained teacher."""


class BackTranslation(Settings):
    """Two translators of transformers in local folders, such as the Marian models opus-mt-en-fr and opus-mt-fr-en."""

    there: Annotated[str, FOLDER]
    back: Annotated[str, FOLDER]


class Augmentation(Settings):
    """Changed copies of the training texts alone, made once, after the texts are divided.

    The default is easy data augmentation (Wei and Zou 2019); `back_translation` is a further technique.
    """

    techniques: tuple[Technique, ...] = Field(default=TECHNIQUES, min_length=1)
    probability: float = Field(default=0.1, gt=0, le=1)
    """The fraction of a text's words that a technique changes."""
    factor: int = Field(default=1, ge=1)
    """Changed copies of each text."""
    wordnet: Annotated[str, FOLDER] = "/usr/share/wordnet"
    """The folder of WordNet's data files, from which synonyms come; Debian's package wordnet-base puts them here."""
    back_translation: BackTranslation | None = None
    """Who translates for the technique of that name."""

    @property
    def needs_synonyms(self) -> bool:
        """Whether WordNet is read."""
        return bool({"synonym_replacement", "random_insertion"} & set(self.techniques))

    @model_validator(mode="after")
    def _a_translator_is_there(self) -> "Augmentation":
        if ("back_translation" in self.techniques) != (self.back_translation is not None):
            raise ValueError(
                "the technique back_translation and the setting back_translation: {there, back} need each other"
            )
        return self


class Auxiliary(Settings):
    """A second classification task: another column of the same file, or another file."""

    label_column: str = "auxiliary"
    path: Annotated[str | None, FILE] = None
    """A file of other texts with `text_column` and this label; the smaller of the two training parts is repeated."""


class Distillation(Settings):
    """Learning from a trained classifier too (Hinton, Vinyals and Dean 2015).

    The loss is alpha T^2 KL(teacher at T || student at T) + (1 - alpha) cross-entropy: `alpha` weighs the teacher.
    """

    teacher: Annotated[str, FOLDER]
    """The folder of a trial or replicate of this family: it holds config.json and best.pt. One that has learned from
    validation or test texts of the student is refused."""
    temperature: float = Field(default=4.0, gt=0)
    alpha: float = Field(default=0.7, ge=0, le=1)


class Curriculum(Settings):
    """Easy examples first (Bengio et al. 2009): the fraction of the training part rises in a line over the epochs."""

    initial: float = Field(default=0.3, gt=0, le=1)
    final: float = Field(default=1.0, gt=0, le=1)
    """The fraction at the last epoch."""
    difficulty: Literal["length", "teacher_loss"] = "length"
    """The words of a text, or the cross-entropy of the distillation's teacher on it."""


class DataSettings(Growing):
    """The labelled texts, and how they are divided and cut."""

    path: Annotated[str | None, PLACE] = None
    val_path: Annotated[str | None, PLACE] = None
    test_path: Annotated[str | None, PLACE] = None
    """Other names of `train`, `val` and `test`."""
    train: Annotated[str | None, PLACE, NEWER] = None
    """A file of labelled texts in place of `corpus`, see `format`; or a folder with files called train, val (dev) and
    test, or of Hugging Face's `datasets` (`save_to_disk`, or parquet files). A relative path starts at the folder of
    the space file."""
    val: Annotated[str | None, PLACE, NEWER] = None
    test: Annotated[str | None, PLACE, NEWER] = None
    """Separate files for validation and test; a part that has none is drawn from `train`."""
    source: Annotated[str | None, CODE, NEWER] = None
    """A function of yours in place of files, `./mydata.py:load`: `load(split)` or `load()` returns {"texts": [...],
    "labels": [...]}; see `hpsearch.data.own_data`."""
    format: Annotated[Format, NEWER] = "auto"
    """Of files. `json`: a list of objects; `jsonl`: one on each line; `csv`, `tsv`: a table; `fasttext`: lines of
    `__label__x text`; `label_first`: lines of a label, a blank and a text, as the TREC questions are. `auto`: what the
    ending or, of the last two, every line says."""
    header: Annotated[bool, NEWER] = True
    """Whether the first row of a table names its columns; if not, they are given by number."""
    encoding: Annotated[str, NEWER] = "auto"
    """Of files: `utf-8`, `latin-1` or another one that Python knows; `auto`: UTF-8, else a Western
    one, which is said."""
    quoting: Quoting = "auto"
    """Of .csv and .tsv files. `csv`: quotation marks may enclose fields; `none`: they are characters like others;
    `auto`: csv for .csv, none for .tsv that no CSV writer has quoted; where both are possible, it asks."""
    text_column: str | int = "text"
    label_column: str | int = "label"
    """Columns by name, or by number from 1 on."""
    class_names: Annotated[tuple[str, ...] | None, NEWER] = None
    """Names of classes whose labels are the numbers from `first_label` on."""
    class_names_file: Annotated[str | None, FILE, NEWER] = None
    """A file with such a name on each line."""
    first_label: Annotated[int, NEWER] = 0
    coarse_labels: Annotated[bool, NEWER] = False
    """Only what stands before the first colon of a label counts: TREC's 6 classes instead of its 50."""
    classes: tuple[str, ...] | None = Field(default=None, min_length=2)
    """Only the examples of these classes; None for all."""
    auxiliary: Auxiliary | None = None
    """A second task that shares the encoder."""
    leaked: Literal["keep", "drop"] = "keep"
    """What becomes of validation and test texts that are also in the training data, case and white space apart; with
    `drop`, texts that occur twice in a file are kept once before it is divided, too."""
    augmentation: Augmentation | None = None
    """Changed copies of the training texts, in addition to them."""
    corpus: Literal["docstrings"] = "docstrings"
    """Texts that need no file. `docstrings`: which of 16 topics of Python's standard library a docstring belongs to."""
    val_fraction: float = Field(default=0.1, ge=0, lt=1)
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Fractions of the texts of `train`; both parts are drawn with the classes in equal proportions. Those of a part
    that is given have no effect. With a `test_fraction` of 0 there is no test split, and nothing is confirmed."""
    folds: Folds | None = None
    """With it the test part is one of the folds, and `test_fraction` does not matter."""
    max_length: int = Field(default=64, ge=1)
    """Words of a text that the network sees: the first ones; a checkpoint's special tokens count."""
    tokenizer: Annotated[Words | CheckpointTokens, Field(discriminator="kind"), UNFOLD] = Words()

    @model_validator(mode="after")
    def _something_is_left_for_training(self) -> "DataSettings":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1, so that something is left for training")
        check_splits(*self._named, val_fraction=self.val_fraction, source=self.source)
        files = self.files
        if "train" not in files and self.auxiliary:
            raise ValueError("auxiliary needs a train")
        if self.folds and "test" in files:
            raise ValueError(f"with folds the test part is a fold of all texts: leave {self.setting('test')[5:]} out")
        return self

    @model_validator(mode="after")
    def _files_can_be_read_so(self) -> "DataSettings":
        if not self.header and not (isinstance(self.text_column, int) and isinstance(self.label_column, int)):
            raise ValueError("without a header columns are given by number: text_column: 2, label_column: 1")
        if self.class_names and self.class_names_file:
            raise ValueError("class_names and class_names_file are two ways to say the same; leave one of them out")
        try:
            "".encode("utf-8" if self.encoding == "auto" else self.encoding)
        except LookupError:
            raise ValueError(
                f"unknown encoding '{self.encoding}'; known are auto, utf-8, latin-1, cp1252 ..."
            ) from None
        return self

    @property
    def files(self) -> Mapping[Part, str]:
        """The files and folders of the splits that have one."""
        return named_splits(*self._named)

    @property
    def _named(self) -> tuple[Named, Named]:
        newer: Named = {"train": self.train, "val": self.val, "test": self.test}
        return newer, {"train": self.path, "val": self.val_path, "test": self.test_path}

    def setting(self, part: Part) -> str:
        """Return the dotted name of the setting that names a part's file."""
        return f"data.{'path' if part == 'train' else f'{part}_path'}" if self._named[1][part] else f"data.{part}"


class LossSettings(Settings):
    """The cross-entropy's variants."""

    task_weight: float = Field(default=0.7, ge=0)
    auxiliary_weight: float = Field(default=0.3, ge=0)
    """Weights of the two tasks' losses; without a second task the first has weight 1."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The fraction of each target that is spread over all classes (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: an example counts by 1 / its class's frequency in training, with a mean weight of 1."""


class TextTrainSettings(TrainSettings):
    """The shared loop's settings with this family's defaults."""

    epochs: int = Field(default=10, ge=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float | None = Field(default=1.0, gt=0)


class TextConfig(FamilyConfig):
    """A complete configuration of a text classifier."""

    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    distillation: Distillation | None = None
    curriculum: Curriculum | None = None
    train: TextTrainSettings = TextTrainSettings()

    @model_validator(mode="after")
    def _difficulty_can_be_told(self) -> "TextConfig":
        if self.curriculum and self.curriculum.difficulty == "teacher_loss" and self.distillation is None:
            raise ValueError("difficulty teacher_loss needs a distillation with its teacher")
        return self

    @model_validator(mode="after")
    def _tokens_fit_the_network(self) -> "TextConfig":
        network, tokens = self.model.architecture, self.data.tokenizer
        if isinstance(network, Pretrained) and getattr(tokens, "path", None) != network.path:
            raise ValueError(
                "model.architecture: pretrained needs the tokens of its checkpoint: "
                f"data.tokenizer: {{pretrained: {{path: {network.path}}}}}"
            )
        if isinstance(network, CNN) and network.vectors and not isinstance(tokens, Words):
            raise ValueError(
                "model.architecture.cnn.vectors are for words, not for the tokens of data.tokenizer: pretrained"
            )
        return self
