"""DeepSIF's entry on the shelf of families; free of torch at import time.

Sun, Sohrabpour, Worrell and He, "Deep neural networks constrained by neural mass models improve electrophysiological
source imaging of spatiotemporal brain dynamics", PNAS 119(31) e2201128119, 2022.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hpsearch.data.eeg_settings import EEGSettings, eeg_notes, eeg_objections, eeg_source, head_of
from hpsearch.data.fingerprint import Source
from hpsearch.extras import Extra
from hpsearch.families import Family, FamilyConfig
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.records import Goal

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.families.deepsif.prediction import SourcePredictor
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
    extra: ClassVar[Extra] = Extra.EEG

    def load(self, data: EEGSettings, split: "Split", seed: int) -> "Dataset":
        """Return one split of the EEG, see `hpsearch.data.eeg_simulation.load_eeg`.

        Raises:
            DataError: The data are missing or malformed.
        """
        from hpsearch.data.eeg_simulation import load_eeg
        from hpsearch.families.deepsif.task import SourceData

        return SourceData(load_eeg(data, split, seed))

    def source(self, data: EEGSettings) -> Source:
        """Return the files and the settings of the simulation, without the number of examples to learn from."""
        return eeg_source(data)

    def data_objections(self, data: EEGSettings) -> Mapping[str, str]:
        """Return what is wrong with the lead field, the recorded noise or the pairs, and what does not fit together."""
        return eeg_objections(data)

    def data_notes(self, data: EEGSettings) -> Sequence[str]:
        """Return which electrodes and regions the files give, what they do not tell, and what is resampled."""
        return eeg_notes(data)

    def task(self, config: DeepSIFConfig, splits: "Splits") -> "Task":  # noqa: ARG002 - the geometry is all it needs
        """Return the training task; it needs the geometry of the data, not the examples."""
        from hpsearch.families.deepsif.task import SourceImaging

        return SourceImaging(config)

    def facts(self, config: DeepSIFConfig, splits: "Splits") -> Mapping[str, Any]:  # noqa: ARG002 - the head is enough
        """Return the electrodes in their order, the regions' centres in mm, and, of a head from files, its surface.

        `surface` has the hemispheres, numbers and regions of its vertices. The network reads the electrodes against
        their own average.
        """
        head = head_of(config.data)
        found = {"electrodes": head.names.tolist(), "centres": head.centres.round(2).tolist(), "reference": "average"}
        if config.data.lead_field is not None:
            found |= {"surface": head.surface.T.tolist(), "notes": head.notes.tolist()}
        return found

    def model(self, config: DeepSIFConfig, facts: Mapping[str, Any]) -> "nn.Module":
        """Return a network for the electrodes and regions of the head; models of earlier versions lack these facts."""
        from hpsearch.families.deepsif.network import build_network

        electrodes, regions = (len(facts.get(name, ())) for name in ("electrodes", "centres"))
        if not electrodes:
            electrodes, regions = head_of(config.data).gain.shape
        return build_network(config.model, electrodes=electrodes, regions=regions)

    def predictor(self, config: DeepSIFConfig, facts: Mapping[str, Any], model: "nn.Module") -> "SourcePredictor":
        """Return what estimates the sources of a recording over time."""
        from hpsearch.families.deepsif.prediction import SourcePredictor

        return SourcePredictor(config, facts, model)

    def baselines(self, config: DeepSIFConfig, splits: "Splits", split: "Split") -> Mapping[str, Mapping[str, float]]:
        """Return the scores of the minimum norm estimate and of sLORETA, by the network's own metrics."""
        from hpsearch.families.deepsif.baselines import score_baselines

        return score_baselines(config, splits[split])


FAMILY = DeepSIF
