"""The shelf of model families, and the contract of one. Importing this package does not import torch.

A family is a folder `families/<name>/`: `family.py` holds its settings and a Family subclass, called FAMILY, free of
torch at import time, so that `hpsearch check` is quick; in the same folder are its network, task and baselines. A
user's own family is one class in one file: `family: ./mine.py:MyFamily`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from hpsearch.data.fingerprint import Source
from hpsearch.extras import Extra, lack
from hpsearch.places import found_places, named_places
from hpsearch.records import Goal
from hpsearch.settings import FIXED, Settings
from hpsearch.training.settings import TrainSettings

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from hpsearch.families.prediction import Examination, Predictor
    from hpsearch.training.task import Dataset, Split, Splits, Task


class FamilyConfig(Settings):
    """The base of every family's configuration; a family adds sections such as `data` and `model`."""

    data: Annotated[Settings, FIXED]
    train: TrainSettings = TrainSettings()


ConfigT = TypeVar("ConfigT", bound=FamilyConfig)


class Family(ABC, Generic[ConfigT]):
    """A kind of model with its data, loss and metrics. It does not know that it is searched.

    `Config` is the settings class of a complete configuration. `metrics` names every score of `Task.evaluate`, with the
    direction in which it improves; spaces refer to them as `val/<name>`. Those that are also in `optional_metrics` are
    scored only if a configuration turns them on. `methods` names what `baselines` scores. `extra` has the packages that
    a training of it needs.
    """

    Config: ClassVar[type[FamilyConfig]]
    metrics: ClassVar[Mapping[str, Goal]]
    methods: ClassVar[Sequence[str]] = ()
    optional_metrics: ClassVar[frozenset[str]] = frozenset()
    extra: ClassVar[Extra] = Extra.TORCH

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the mistakes of a configuration that `Config` does not refuse, by dotted path."""
        del configuration
        return {}

    def environment_objections(self, config: ConfigT) -> Mapping[str, str]:
        """Return what is not installed that a training of a configuration needs, by dotted path; nothing is imported.

        It is asked before anything is trained, and before the family looks into its files.
        """
        del config
        sentence = lack("the family", self.extra)
        return {"family": sentence} if sentence else {}

    @abstractmethod
    def load(self, data: Any, split: "Split", seed: int) -> "Dataset":
        """Return one split of the data that `data` (the configuration's `data` section) names.

        `seed` decides how examples are divided and simulated; equal arguments give equal data. Loading a split must not
        read the examples of another one beyond what dividing them needs.

        Raises:
            DataError: The data are missing or malformed.
        """

    def source(self, data: Any) -> Source | None:
        """Return the origin of a `data` section's examples, or None if only loading them can tell.

        It identifies the data, so that runs on other data are recognised: the files and what else decides which
        examples there are, but not how they are divided, shown to the model or varied. By default the files that are
        named by settings marked FILE or FOLDER, see `hpsearch.settings`.
        """
        files = {place.setting: place.path for place in named_places(data, "data.")}
        return Source("files", files) if files else None

    def data_objections(self, data: Any) -> Mapping[str, str]:
        """Return the mistakes in the files of a `data` section, by dotted path; its paths are absolute.

        It is called before anything is trained; it should find what can be found without torch. By default
        nothing; whether there are such files is found by others.
        """
        del data
        return {}

    def data_notes(self, data: Any) -> Sequence[str]:
        """Return what is taken for granted of the files of a `data` section, or done to them; its paths are absolute.

        It is shown when a session begins, and by `check`. By default nothing.
        """
        del data
        return ()

    def lacks_test(self, data: Any) -> str | None:
        """Return why a `data` section has no test split, or None if it has one. Then nothing can be confirmed."""
        del data
        return None

    def source_of(self, config: Any, home: "Path") -> Source | None:
        """Return the source of a configuration, if only by the names of its settings, see `places.found_places`.

        `home` is the folder of the space file.
        """
        known = self.source(config.data)
        files = {} if known else {place.setting: place.path for place in found_places(config.data, home, "data.")}
        return Source("files", files) if files else known

    @abstractmethod
    def task(self, config: ConfigT, splits: "Splits") -> "Task":
        """Return the training task of a configuration."""

    def facts(self, config: ConfigT, splits: "Splits") -> Mapping[str, Any]:
        """Return what else is needed, besides the configuration, to build and use a model: plain data for JSON.

        A vocabulary or the names of classes, for instance. It is kept with an exported model. By default nothing.
        """
        del config, splits
        return {}

    def model(self, config: ConfigT, facts: Mapping[str, Any]) -> "nn.Module | None":
        """Return a model for weights that are loaded afterwards, made from the configuration and the `facts` alone.

        None, the default: `task` and its `build_model` are used, which may load the data.
        """
        del config, facts
        return None

    def logit_groups(self, facts: Mapping[str, Any]) -> Sequence[int] | None:
        """Return how many logits of the model's output, along its last dimension, belong to each set of classes.

        Then the probabilities of several models can be averaged. None, the default: the output is something else.
        """
        del facts
        return None

    def predictor(
        self, config: ConfigT, facts: Mapping[str, Any], model: "nn.Module"
    ) -> "Predictor[Any, Any, Any] | None":
        """Return what makes predictions with a trained model, see `families/prediction.py`; None: nothing does."""
        del config, facts, model
        return None

    def examination(
        self, config: ConfigT, facts: Mapping[str, Any], paths: "Sequence[Path]", model: "nn.Module"
    ) -> "Examination | None":
        """Return all examples of labelled files or folders, coded as a trained model needs them, and their task.

        `config.data` says how they are read (columns, sizes); the training data need not be there. None, the default:
        new data are told by settings of `data` alone, and are the test split of these.

        Raises:
            DataError: They cannot be read, or do not fit the model; a class that it does not know, for instance.
        """
        del config, facts, paths, model
        return None

    def baselines(self, config: ConfigT, splits: "Splits", split: "Split") -> Mapping[str, Mapping[str, float]]:
        """Return the scores of classical methods on a split, by method; names as in `Task.evaluate`.

        Scores that are `MethodScores` (`training/by_example.py`) are kept by test example, too: then a method without a
        seed is compared over further data, in which it is no constant.
        """
        del config, splits, split  # a family without classical methods has nothing to score
        return {}
