"""The family `char_lm`: predicting the next character of a text. Free of torch until data or a task is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.fingerprint import PACKAGE, Source
from hpsearch.data.text import Vocabulary, divide, read_corpus, read_text
from hpsearch.errors import DataError
from hpsearch.families import Family
from hpsearch.families.char_lm.settings import CharLMConfig, DataSettings
from hpsearch.records import Goal

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.families.char_lm.prediction import TextGenerator
    from hpsearch.families.char_lm.task import CharLMTask, TextWindows
    from hpsearch.families.prediction import Examination
    from hpsearch.training.task import Split, Splits


class CharLM(Family[CharLMConfig]):
    """A GPT on characters (Radford et al. 2019), scored in bits per character."""

    Config = CharLMConfig
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": Goal.MINIMIZE,
        "bits_per_char": Goal.MINIMIZE,
        "perplexity": Goal.MINIMIZE,
        "accuracy": Goal.MAXIMIZE,
        "unknown_fraction": Goal.MINIMIZE,
    }
    methods: ClassVar[Sequence[str]] = ("uniform", "unigram", "bigram", "witten_bell")

    def load(self, data: DataSettings, split: "Split", seed: int) -> "TextWindows":
        """Return the windows of one part of the text; the vocabulary is that of the training part.

        Raises:
            DataError: The data are missing or malformed.
        """
        from hpsearch.families.char_lm.task import TextWindows

        del seed  # the text is divided by position
        text, parts = _divided(data)
        vocabulary = Vocabulary.of(text[: parts["train"].stop])
        part = parts[split]
        tokens = vocabulary.encode(text[part.start : part.stop])
        return TextWindows(tokens, vocabulary.size, context=data.context, characters=vocabulary.characters)

    def source(self, data: DataSettings) -> Source:
        """Return the text's file: the user's, or the module that a corpus is in."""
        if data.path is None:
            return Source(f"the corpus {data.corpus}", {"corpus": f"{PACKAGE}pydoc_data/topics.py"})
        return Source("a text", {"data.path": data.path})

    def data_objections(self, data: DataSettings) -> Mapping[str, str]:
        """Return that a file holds no text, or too short a one."""
        try:
            _divided(data)
        except DataError as error:
            return {"data.path": f"data.path: {error}"} if data.path else {"data": f"data: {error}"}
        return {}

    def task(self, config: CharLMConfig, splits: "Splits") -> "CharLMTask":
        """Return the training task; the size of the vocabulary is read from the training part."""
        from hpsearch.families.char_lm.task import CharLMTask, windows_of

        return CharLMTask(config, windows_of(splits, "train"))

    def facts(self, config: CharLMConfig, splits: "Splits") -> Mapping[str, Any]:
        """Return the characters of the training part: token k is character k - 1, token 0 every other one."""
        from hpsearch.families.char_lm.task import windows_of

        del config
        return {"characters": windows_of(splits, "train").characters}

    def model(self, config: CharLMConfig, facts: Mapping[str, Any]) -> "nn.Module":
        """Return a network for these characters."""
        from hpsearch.families.char_lm.network import CharTransformer

        size = Vocabulary(facts["characters"]).size
        return CharTransformer(config.model, vocabulary=size, context=config.data.context)

    def predictor(self, config: CharLMConfig, facts: Mapping[str, Any], model: "nn.Module") -> "TextGenerator":
        """Return what goes on with prompts."""
        from hpsearch.families.char_lm.prediction import TextGenerator

        return TextGenerator(config, facts, model)

    def examination(
        self, config: CharLMConfig, facts: Mapping[str, Any], paths: Sequence[Path], model: "nn.Module"
    ) -> "Examination":
        """Return the labelled examples of these paths.

        Raises:
            DataError: They cannot be read, or do not fit the model.
        """
        from hpsearch.families.char_lm.prediction import examine

        return examine(config, facts, paths, model)

    def baselines(
        self,
        config: CharLMConfig,  # noqa: ARG002 - they have no settings: the Family contract hands them over
        splits: "Splits",
        split: "Split",
    ) -> Mapping[str, Mapping[str, float]]:
        """Return the scores of n-gram models on the characters that the network is scored on."""
        from hpsearch.families.char_lm.baselines import ngram_scores
        from hpsearch.families.char_lm.task import windows_of

        train, val, scored = (windows_of(splits, name).tokens.numpy() for name in ("train", "val", split))
        return ngram_scores(train, val, scored, vocabulary=windows_of(splits, "train").vocabulary)


def _divided(data: DataSettings) -> tuple[str, Mapping[str, range]]:
    """Return the text and the positions of its parts.

    Raises:
        DataError: The data are missing or malformed.
    """
    text = read_corpus(data.corpus) if data.path is None else read_text(data.path)
    return text, divide(
        len(text), val_fraction=data.val_fraction, test_fraction=data.test_fraction, shortest=data.context + 1
    )


FAMILY = CharLM
