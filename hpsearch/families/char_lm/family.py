"""The family `char_lm`: predicting the next character of a text. Free of torch until data or a task is asked for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.fingerprint import PACKAGE, Source
from hpsearch.data.folds import Part
from hpsearch.data.own_data import own_source, own_splits, own_text
from hpsearch.data.text import Vocabulary, divide, read_corpus, read_text
from hpsearch.errors import DataError, NoSplitError
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
        parts = _divided(data)
        vocabulary = Vocabulary.of(parts["train"]())
        if split not in parts:
            raise NoSplitError(f"there is no test split: {self.lacks_test(data)}")
        tokens = vocabulary.encode(parts[split]())
        return TextWindows(tokens, vocabulary.size, context=data.context, characters=vocabulary.characters)

    def source(self, data: DataSettings) -> Source:
        """Return the text's file: the user's, or the module that a corpus is in."""
        if data.source is not None:
            return own_source(data.source)
        if not data.files:
            return Source(f"the corpus {data.corpus}", {"corpus": f"{PACKAGE}pydoc_data/topics.py"})
        return Source("a text", {_setting(data, part): path for part, path in data.files.items()})

    def lacks_test(self, data: DataSettings) -> str | None:
        """Return that the test has neither a file nor a part of the text."""
        return None if "test" in data.files or data.test_fraction else "data.test_fraction is 0"

    def data_objections(self, data: DataSettings) -> Mapping[str, str]:
        """Return that a file holds no text, or too short a one."""
        found: dict[str, str] = {}
        try:
            parts = _divided(data)
        except DataError as error:
            setting = "data.source" if data.source else _setting(data, "train") if data.files else "data"
            return {setting: f"{setting}: {error}"}
        for part, read in parts.items():
            setting = "data.source" if data.source else f"data.{part}"
            try:
                read()
            except DataError as error:
                found[setting] = f"{setting}: {error}"
        return found

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

    def logit_groups(self, facts: Mapping[str, Any]) -> Sequence[int]:
        """Return the number of tokens."""
        return [Vocabulary(facts["characters"]).size]

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
        config: CharLMConfig,
        splits: "Splits",
        split: "Split",
    ) -> Mapping[str, Mapping[str, float]]:
        """Return the scores of n-gram models on the characters that the network is scored on."""
        from hpsearch.families.char_lm.baselines import ngram_scores
        from hpsearch.families.char_lm.task import windows_of

        train, val, scored = (windows_of(splits, name).tokens.numpy() for name in ("train", "val", split))
        vocabulary = windows_of(splits, "train").vocabulary
        return ngram_scores(train, val, scored, vocabulary=vocabulary, window=config.data.context)


def _setting(data: DataSettings, part: Part) -> str:
    """Return the setting that names a part's file."""
    return "data.path" if part == "train" and data.path else f"data.{part}"


def _given(data: DataSettings) -> dict[Part, Callable[[], str]]:
    """Return what reads the text of each part that is not cut from the training text."""
    if data.source is not None:
        return own_splits(data.source, own_text, test=bool(data.test_fraction))
    if not data.files:
        return {"train": partial(read_corpus, data.corpus)}
    return {part: partial(read_text, path) for part, path in data.files.items()}


def _divided(data: DataSettings) -> Mapping[str, Callable[[], str]]:
    """Return what gives the text of each part that there is; other parts' own files stay closed.

    Raises:
        DataError: The data are missing or malformed.
    """
    given = _given(data)
    text = given["train"]()
    val, test = (0.0 if "val" in given else data.val_fraction, 0.0 if "test" in given else data.test_fraction)
    places = divide(len(text), val_fraction=val, test_fraction=test, shortest=data.context + 1)
    others: dict[str, Callable[[], str]] = {
        part: partial(_whole, read, data.context + 1) for part, read in given.items() if part != "train"
    }
    return others | {name: partial(_cut, text, place) for name, place in places.items()}


def _whole(read: Callable[[], str], shortest: int) -> str:
    text = read()
    if len(text) < shortest:
        raise DataError(f"the text is too short: it has {len(text)} characters, and needs {shortest} (context + 1)")
    return text


def _cut(text: str, place: range) -> str:
    return text[place.start : place.stop]


FAMILY = CharLM
