"""The family `text_classifier`: which class a text belongs to. Free of torch until data or a task is asked for."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.fingerprint import Source
from hpsearch.data.own_data import own_source
from hpsearch.data.text_splits import files_in
from hpsearch.extras import Extra, lack
from hpsearch.families import Family
from hpsearch.families.text_classifier.reading import encoding_notes, has_test, objections_to
from hpsearch.families.text_classifier.settings import Augmentation, CheckpointTokens, DataSettings, TextConfig
from hpsearch.records import Goal

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.families.prediction import Examination
    from hpsearch.families.text_classifier.loading import TextData
    from hpsearch.families.text_classifier.prediction import TextPredictor
    from hpsearch.families.text_classifier.task import TextTask
    from hpsearch.training.task import Split, Splits


_HOW_WRITTEN = ("format", "header", "encoding", "class_names", "first_label", "coarse_labels")
"""Settings that decide what is read from equal files."""


class TextClassification(Family[TextConfig]):
    """Kim's convolutional network or a BERT-style transformer, on labelled texts."""

    Config = TextConfig
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": Goal.MINIMIZE,
        "accuracy": Goal.MAXIMIZE,
        "macro_f1": Goal.MAXIMIZE,
        "auxiliary_loss": Goal.MINIMIZE,
        "auxiliary_accuracy": Goal.MAXIMIZE,
        "auxiliary_macro_f1": Goal.MAXIMIZE,
    }
    optional_metrics = frozenset({"auxiliary_loss", "auxiliary_accuracy", "auxiliary_macro_f1"})  # of a second task
    methods: ClassVar[Sequence[str]] = ("majority", "tfidf_logistic")

    def environment_objections(self, config: TextConfig) -> Mapping[str, str]:
        """Return that PyTorch, or transformers where its tokens or translators are wanted, is not installed."""
        found, data = dict(super().environment_objections(config)), config.data
        if found or not (sentence := lack("a checkpoint of transformers", Extra.TEXT)):
            return found
        if isinstance(data.tokenizer, CheckpointTokens):
            found["data.tokenizer"] = f"data.tokenizer: {sentence}"
        if data.augmentation is not None and data.augmentation.back_translation is not None:
            found["data.augmentation"] = f"data.augmentation: {sentence}"
        return found

    def load(self, data: DataSettings, split: "Split", seed: int) -> "TextData":
        """Return one part of the texts; vocabulary and classes are those of the training part.

        Raises:
            DataError: The data are missing or malformed.
        """
        from hpsearch.families.text_classifier.loading import load_split

        return load_split(data, split, seed)

    def source(self, data: DataSettings) -> Source:
        """Return the texts' files, or the Python release whose docstrings they are; and which columns and classes."""
        chosen = {"classes": sorted(data.classes)} if data.classes else {}
        if data.source is not None:
            return own_source(data.source, chosen)
        if not data.files:
            release = {"python": platform.python_version()}
            return Source(f"the corpus {data.corpus}", settings={**chosen, **release})
        second = data.auxiliary
        files: dict[str, str | None] = {data.setting(part): path for part, path in data.files.items()}
        files |= {
            "data.auxiliary.path": second.path if second else None,
            "data.class_names_file": data.class_names_file,
        }
        columns = {"text_column": data.text_column, "label_column": data.label_column}
        if second is not None:
            columns["data.auxiliary.label_column"] = second.label_column
        written = {name: getattr(data, name) for name in _HOW_WRITTEN}
        other = {name: value for name, value in written.items() if value != type(data).model_fields[name].default}
        named = {name: path for name, path in files.items() if path}
        return Source("texts", named, {**columns, **chosen, **other}, members=files_in)

    def data_notes(self, data: DataSettings) -> Sequence[str]:
        """Return which encodings were guessed."""
        return encoding_notes(data) if data.encoding == "auto" else ()

    def lacks_test(self, data: DataSettings) -> str | None:
        """Return that the test has neither a file nor a part of the texts."""
        return None if has_test(data) else "data.test_fraction is 0"

    def data_objections(self, data: DataSettings) -> Mapping[str, str]:
        """Return which files hold no labelled texts, or classes that the training texts lack."""
        return objections_to(data) if data.files or data.source else {}

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Return that there is no WordNet where synonyms are wanted."""
        chosen = TextConfig.model_validate(configuration).data.augmentation
        usual = Augmentation.model_fields["wordnet"].default
        if chosen is None or chosen.wordnet != usual or not chosen.needs_synonyms or Path(usual).is_dir():
            return {}
        path = "data.augmentation"
        told = f"{path}: there is no WordNet in {usual}, where synonyms come from: install one (Debian: wordnet-base), "
        return {path: f"{told}set wordnet to its folder, or leave out synonym_replacement and random_insertion"}

    def task(self, config: TextConfig, splits: "Splits") -> "TextTask":
        """Return the training task; the vocabulary and the classes are read from the training part."""
        from hpsearch.families.text_classifier.loading import text_data
        from hpsearch.families.text_classifier.task import TextTask

        return TextTask(config, text_data(splits, "train"))

    def facts(self, config: TextConfig, splits: "Splits") -> Mapping[str, Any]:
        """Return the vocabulary of the training part (`words` begin at number 2) and each task's classes, in order."""
        from hpsearch.families.text_classifier.loading import text_data

        del config
        train = text_data(splits, "train")
        classes = {task: list(names) for task, names in train.classes.items()}
        return {"vocabulary": train.vocabulary, "words": list(train.words), "classes": classes}

    def model(self, config: TextConfig, facts: Mapping[str, Any]) -> "nn.Module":
        """Return a network for this vocabulary and these classes; vectors and checkpoints come with the weights."""
        from hpsearch.families.text_classifier.network import TextClassifier

        return TextClassifier(
            config.model,
            vocabulary=facts["vocabulary"],
            max_length=config.data.max_length,
            classes=[len(names) for names in facts["classes"].values()],
            pretrained_weights=False,
        )

    def logit_groups(self, facts: Mapping[str, Any]) -> Sequence[int]:
        """Return the number of classes of each task."""
        return [len(names) for names in facts["classes"].values()]

    def predictor(self, config: TextConfig, facts: Mapping[str, Any], model: "nn.Module") -> "TextPredictor":
        """Return what tells the class of each text."""
        from hpsearch.families.text_classifier.prediction import TextPredictor

        return TextPredictor(config, facts, model)

    def examination(
        self, config: TextConfig, facts: Mapping[str, Any], paths: Sequence[Path], model: "nn.Module"
    ) -> "Examination":
        """Return the labelled examples of these paths.

        Raises:
            DataError: They cannot be read, or do not fit the model.
        """
        from hpsearch.families.text_classifier.prediction import examine

        return examine(config, facts, paths, model)

    def baselines(
        self,
        config: TextConfig,  # noqa: ARG002 - they have no settings: the Family contract hands them over
        splits: "Splits",
        split: "Split",
    ) -> Mapping[str, Mapping[str, float]]:
        """Return the scores of the most frequent class, and of tf-idf with logistic regression, on the whole texts."""
        from hpsearch.families.text_classifier.baselines import baseline_scores
        from hpsearch.families.text_classifier.loading import text_data

        return baseline_scores(*(text_data(splits, name) for name in ("train", "val", split)))


FAMILY = TextClassification
