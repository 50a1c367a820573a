"""DeepSIF's entry on the shelf of families; free of torch at import time.

Sun, Sohrabpour, Worrell and He, "Deep neural networks constrained by neural mass models improve electrophysiological
source imaging of spatiotemporal brain dynamics", PNAS 119(31) e2201128119, 2022.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.eeg_simulation import EEGSettings, eeg_source
from hpsearch.data.fingerprint import Source
from hpsearch.families import Family, FamilyConfig
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.records import Goal

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.training.task import Dataset, Split, Splits, Task


class DeepSIF(Family[DeepSIFConfig]):
    """Estimates the activity of every region of the cortex from the EEG, trained on simulated spikes."""

    Config: ClassVar[type[FamilyConfig]] = DeepSIFConfig
    metrics: ClassVar[Mapping[str, Goal]] = {
        "loss": Goal.MINIMIZE,
        "mse": Goal.MINIMIZE,
        "precision": Goal.MAXIMIZE,
        "recall": Goal.MAXIMIZE,
        "dice": Goal.MAXIMIZE,
        "localisation_error": Goal.MINIMIZE,
        "spatial_dispersion": Goal.MINIMIZE,
        "auc": Goal.MAXIMIZE,
        "empty": Goal.MINIMIZE,
    }
    methods: ClassVar[Sequence[str]] = ("minimum_norm", "sloreta")

    def load(self, data: EEGSettings, split: "Split", seed: int) -> "Dataset":
        """Return one split of the simulated EEG, see `hpsearch.data.eeg_simulation.load_eeg`.

        Raises:
            DataError: The data are missing or malformed.
        """
        from hpsearch.data.eeg_simulation import load_eeg
        from hpsearch.families.deepsif.task import SourceData

        return SourceData(load_eeg(data, split, seed))

    def source(self, data: EEGSettings) -> Source:
        """Return the settings of the simulation; the number of examples to learn from is not part of it."""
        return eeg_source(data)

    def task(self, config: DeepSIFConfig, splits: "Splits") -> "Task":  # noqa: ARG002 - the geometry is all it needs
        """Return the training task; it needs the geometry of the data, not the examples."""
        from hpsearch.families.deepsif.task import SourceImaging

        return SourceImaging(config)

    def model(self, config: DeepSIFConfig, facts: Mapping[str, Any]) -> "nn.Module":
        """Return a network for the electrodes and regions of the settings."""
        from hpsearch.families.deepsif.network import build_network

        del facts
        return build_network(config.model, electrodes=config.data.electrodes, regions=config.data.regions)

    def baselines(self, config: DeepSIFConfig, splits: "Splits", split: "Split") -> Mapping[str, Mapping[str, float]]:
        """Return the scores of the minimum norm estimate and of sLORETA, by the network's own metrics."""
        from hpsearch.families.deepsif.baselines import score_baselines

        return score_baselines(config, splits[split])


FAMILY = DeepSIF
