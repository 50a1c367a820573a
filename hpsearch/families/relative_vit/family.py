"""The family `relative_vit`: vision transformers with and without relative position bias; free of torch at import."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.fingerprint import Source
from hpsearch.data.images import ImageSettings, OwnImages, has_test, image_source, load_images, objections_to
from hpsearch.families import Family
from hpsearch.families.relative_vit.settings import RelativeVitConfig
from hpsearch.records import Goal

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.families.prediction import Examination
    from hpsearch.families.relative_vit.prediction import ImagePredictor
    from hpsearch.families.relative_vit.task import ImageClassification, ImageData
    from hpsearch.training.task import Split, Splits


class RelativeVit(Family[RelativeVitConfig]):
    """Classifies images with a transformer that knows positions as relative bias, absolute vectors, or not at all."""

    Config = RelativeVitConfig
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": Goal.MINIMIZE,
        "accuracy": Goal.MAXIMIZE,
        "top5_accuracy": Goal.MAXIMIZE,
        "macro_f1": Goal.MAXIMIZE,
    }
    methods: ClassVar[Sequence[str]] = ("majority", "logistic_regression", "nearest_neighbours")

    def load(self, data: ImageSettings, split: "Split", seed: int) -> "ImageData":
        """Return one split of the images.

        Raises:
            DataError: The data are missing or malformed.
        """
        from hpsearch.families.relative_vit.task import ImageData

        return ImageData(load_images(data, split, seed))

    def source(self, data: ImageSettings) -> Source:
        """Return the origin of the images."""
        return image_source(data)

    def data_objections(self, data: ImageSettings) -> Mapping[str, str]:
        """Return which files and folders hold no images with labels."""
        return objections_to(data) if data.files or isinstance(data.source, OwnImages) else {}

    def lacks_test(self, data: ImageSettings) -> str | None:
        """Return that the test is neither given nor drawn."""
        return None if has_test(data) else "data.test_fraction is 0"

    def task(self, config: RelativeVitConfig, splits: "Splits") -> "ImageClassification":
        """Return the training task; classes and statistics are those of the training split."""
        from hpsearch.families.relative_vit.task import ImageClassification, images_of

        return ImageClassification(config, images_of(splits, "train"))

    def facts(self, config: RelativeVitConfig, splits: "Splits") -> Mapping[str, Any]:
        """Return the names of the classes, in the order of the logits."""
        from hpsearch.families.relative_vit.task import images_of

        del config
        return {"classes": list(images_of(splits, "train").classes)}

    def model(self, config: RelativeVitConfig, facts: Mapping[str, Any]) -> "nn.Module":
        """Return a network for these classes; the statistics of the images come with the weights."""
        from hpsearch.families.relative_vit.task import build_network

        return build_network(config, classes=len(facts["classes"]))

    def logit_groups(self, facts: Mapping[str, Any]) -> Sequence[int]:
        """Return the number of classes."""
        return [len(facts["classes"])]

    def predictor(self, config: RelativeVitConfig, facts: Mapping[str, Any], model: "nn.Module") -> "ImagePredictor":
        """Return what tells the class of each image."""
        from hpsearch.families.relative_vit.prediction import ImagePredictor

        return ImagePredictor(config, facts, model)

    def examination(
        self, config: RelativeVitConfig, facts: Mapping[str, Any], paths: Sequence[Path], model: "nn.Module"
    ) -> "Examination":
        """Return the labelled examples of these paths.

        Raises:
            DataError: They cannot be read, or do not fit the model.
        """
        from hpsearch.families.relative_vit.prediction import examine

        return examine(config, facts, paths, model)

    def baselines(
        self,
        config: RelativeVitConfig,  # noqa: ARG002 - they have no settings: the Family contract hands them over
        splits: "Splits",
        split: "Split",
    ) -> Mapping[str, Mapping[str, float]]:
        """Return the scores of the most frequent class, logistic regression and nearest neighbours on the pixels."""
        from hpsearch.families.relative_vit.baselines import score_baselines
        from hpsearch.families.relative_vit.task import images_of

        return score_baselines(images_of(splits, "train"), images_of(splits, split))


FAMILY = RelativeVit
