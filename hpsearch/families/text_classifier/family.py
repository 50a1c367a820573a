"""The family `text_classifier`: which class a text belongs to. Free of torch until data or a task is asked for."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.fingerprint import Source
from hpsearch.data.labelled_text import read_labelled
from hpsearch.errors import DataError
from hpsearch.families import Family
from hpsearch.families.text_classifier.settings import Augmentation, DataSettings, TextConfig
from hpsearch.records import Goal

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.families.text_classifier.loading import TextData
    from hpsearch.families.text_classifier.prediction import TextPredictor
    from hpsearch.families.text_classifier.task import TextTask
    from hpsearch.training.task import Split, Splits


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
        if data.path is None:
            release = {"python": platform.python_version()}
            return Source(f"the corpus {data.corpus}", settings={**chosen, **release})
        second = data.auxiliary
        named = {"data.path": data.path, "data.val_path": data.val_path, "data.test_path": data.test_path}
        files = {**named, "data.auxiliary.path": second.path if second else None}
        columns = {"text_column": data.text_column, "label_column": data.label_column}
        if second is not None:
            columns["data.auxiliary.label_column"] = second.label_column
        return Source("texts", {name: path for name, path in files.items() if path}, {**columns, **chosen})

    def data_objections(self, data: DataSettings) -> Mapping[str, str]:
        """Return which files hold no labelled texts."""
        second, labels = data.auxiliary, data.label_column
        other = second.label_column if second and second.path is None else None
        named = [("data.path", data.path, labels), ("data.val_path", data.val_path, labels)]
        named.append(("data.test_path", data.test_path, labels))
        if second is not None:
            named.append(("data.auxiliary.path", second.path, second.label_column))
        found: dict[str, str] = {}
        for setting, path, column in named:
            optional = None if setting == "data.auxiliary.path" else other
            try:
                if path is not None:
                    read_labelled(
                        path,
                        text_column=data.text_column,
                        label_column=column,
                        auxiliary_column=optional,
                        quoting=data.quoting,
                    )
            except DataError as error:
                found[setting] = f"{setting}: {error}"
        return found

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

    def predictor(self, config: TextConfig, facts: Mapping[str, Any], model: "nn.Module") -> "TextPredictor":
        """Return what tells the class of each text."""
        from hpsearch.families.text_classifier.prediction import TextPredictor

        return TextPredictor(config, facts, model)

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
