"""DECODE's entry on the shelf of families; free of torch at import time.

Speiser, Mueller, Hoess, Matti, Obara, Legant, Kreshuk, Macke, Ries and Turaga, "Deep learning enables fast and dense
single-molecule localization with high accuracy", Nature Methods 18:1082-1090, 2021.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.fingerprint import Source
from hpsearch.data.labelled_movie import movie_objections
from hpsearch.data.microscopy import MicroscopySettings, point_spread_objection, simulation_settings
from hpsearch.extras import Extra, lack
from hpsearch.families import Family, FamilyConfig
from hpsearch.families.decode.settings import DecodeConfig, Mixture
from hpsearch.places import named_places
from hpsearch.records import Goal

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from hpsearch.families.decode.prediction import MoviePredictor
    from hpsearch.families.prediction import Examination
    from hpsearch.training.task import Dataset, Split, Splits, Task


class Decode(Family[DecodeConfig]):
    """Finds single molecules in three dimensions in the frames of a microscope, trained on simulated movies."""

    Config: ClassVar[type[FamilyConfig]] = DecodeConfig
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": Goal.MINIMIZE,
        "precision": Goal.MAXIMIZE,
        "recall": Goal.MAXIMIZE,
        "jaccard": Goal.MAXIMIZE,
        "f1": Goal.MAXIMIZE,
        "rmse_lateral": Goal.MINIMIZE,
        "rmse_axial": Goal.MINIMIZE,
        "rmse_volume": Goal.MINIMIZE,
        "efficiency_lateral": Goal.MAXIMIZE,
        "efficiency_axial": Goal.MAXIMIZE,
        "efficiency": Goal.MAXIMIZE,
    }
    methods: ClassVar[Sequence[str]] = ("gaussian_fit",)

    def environment_objections(self, config: DecodeConfig) -> Mapping[str, str]:
        """Return that PyTorch, or for a recorded movie what reads it, is not installed."""
        found = dict(super().environment_objections(config))
        if not found and config.data.movie is not None and (sentence := lack("a recorded movie", Extra.MOVIES)):
            found["data.movie"] = f"data.movie: {sentence}"
        return found

    def load(self, data: MicroscopySettings, split: "Split", seed: int) -> "Dataset":
        """Return one split: simulated frames, frames of the recorded movie, or both of them.

        Raises:
            DataError: The movie or its table is missing or malformed.
        """
        from hpsearch.families.decode.frames import load_split

        return load_split(data, split, seed)

    def source(self, data: MicroscopySettings) -> Source:
        """Return the settings of the simulation, and the files; how many are learned from is not part of it."""
        files = {place.setting: place.path for place in named_places(data, "data.")}
        settings = simulation_settings(data)
        if data.movie is None:
            return Source("simulated movies", files, settings, simulated=True)
        read = {"data.movie": data.movie.model_dump(mode="json", include={"origin", "first_frame"})}
        return Source("a recorded movie and simulated ones", files, {**settings, **read})

    def data_objections(self, data: MicroscopySettings) -> Mapping[str, str]:
        """Return what is wrong with the movie, its table and the file of the point spread function."""
        found = {}
        if told := point_spread_objection(data):
            found[f"data.point_spread.{data.point_spread.kind}.path"] = told
        if data.movie is not None:
            of_movie = movie_objections(data.movie, pixel=data.pixel, tile=data.size)
            found |= {f"data.movie.{name}": message for name, message in of_movie.items()}
        return {name: f"{name}: {message}" for name, message in found.items()}

    def task(self, config: DecodeConfig, splits: "Splits") -> "Task":  # noqa: ARG002 - the settings are all it needs
        """Return the training task."""
        from hpsearch.families.decode.task import Localisation

        return Localisation(config)

    def model(self, config: DecodeConfig, facts: Mapping[str, Any]) -> "nn.Module":
        """Return a network; the settings are all it needs."""
        from hpsearch.families.decode.network import Localiser

        del facts
        return Localiser(config.model, deviations=isinstance(config.loss, Mixture), critic=config.has_critic)

    def predictor(self, config: DecodeConfig, facts: Mapping[str, Any], model: "nn.Module") -> "MoviePredictor":
        """Return what finds the molecules of a movie."""
        from hpsearch.families.decode.prediction import MoviePredictor

        return MoviePredictor(config, facts, model)

    def examination(
        self, config: DecodeConfig, facts: Mapping[str, Any], paths: "Sequence[Path]", model: "nn.Module"
    ) -> "Examination":
        """Return the frames of a movie and their molecules: a TIFF stack and a table, as in `data.movie`.

        Raises:
            DataError: They cannot be read, or do not fit together.
        """
        from hpsearch.families.decode.frames import examine
        from hpsearch.families.decode.task import Localisation
        from hpsearch.families.prediction import Examination

        del facts, model
        return Examination(Localisation(config), examine(config.data, paths))

    def baselines(self, config: DecodeConfig, splits: "Splits", split: "Split") -> Mapping[str, Mapping[str, float]]:
        """Return the scores of least-squares fits, by the network's own metrics; their threshold is chosen on `val`."""
        from hpsearch.families.decode.baselines import score_fits

        return {"gaussian_fit": score_fits(config, splits["val"], splits[split])}


FAMILY = Decode
