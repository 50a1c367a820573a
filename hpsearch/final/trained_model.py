"""An exported model, back in Python: the network with its weights, its configuration, and how it scores.

model = hpsearch.load_model("models/texts")
model.predict(["a good film"]).answers      # what is predicted, and of which inputs, the family says
model.predict(Path("films.csv")).write("classes.csv")
model.model                                 # the network itself

models/<name>/
  model.safetensors   the weights: tensors only
  config.json         family, complete configuration, facts of the data, seeds, versions: all that `load_model` needs
  card.md, card.json  what the model is, how it was chosen, its scores and its limits; the same for programs
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.data.fingerprint import Fingerprint, differences, fingerprint_of
from hpsearch.errors import DataError, HpsearchError
from hpsearch.families import Family
from hpsearch.families.prediction import Computing, Prediction, Predictor, Watcher
from hpsearch.final.run import open_splits
from hpsearch.places import find_place
from hpsearch.training.acceleration import autocast
from hpsearch.training.devices import resolve_device
from hpsearch.training.fingerprint import fingerprint
from hpsearch.training.scoring import eval_mode, evaluate_split
from hpsearch.training.task import Split, Splits

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD = "card.json"
CARD_PAGE = "card.md"
_SILENT = Watcher()


class Ensemble(nn.Module):
    """Several models of one kind whose outputs are combined: `combine` makes one output of (members, ...)."""

    def __init__(self, members: Sequence[nn.Module], combine: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._combine = combine

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the combined output of all members."""
        return self._combine(torch.stack([member(*inputs) for member in self.members]))


@dataclass(frozen=True)
class TrainedModel:
    """A trained model: one that was exported, or the weights of an experiment's run.

    `model` is on the CPU and in eval mode; `config` is the complete configuration in the family's own settings, `facts`
    what the family keeps of its data (a vocabulary, the names of classes), `description` all of config.json, and `card`
    card.json, which an experiment has not. Relative paths of its data start at `home`.
    """

    model: nn.Module
    family: Family[Any]
    config: Any
    facts: Mapping[str, Any]
    description: Mapping[str, Any]
    card: Mapping[str, Any]
    home: Path = Path()

    @property
    def predictor(self) -> Predictor[Any, Any, Any]:
        """What makes predictions with it.

        Raises:
            HpsearchError: The family makes none.
        """
        found = self.family.predictor(self.config, self.facts, self.model)
        if found is None:
            raise HpsearchError(
                f"the family {self.description['family']} does not say how its models are used: it has no `predictor` "
                "(see hpsearch/families/prediction.py). In Python, hpsearch.load_model(...).model is the network"
            )
        return found

    def predict(
        self,
        inputs: Any = (),
        *,
        batch_size: int | None = None,
        device: str | None = None,
        watcher: Watcher = _SILENT,
        **options: Any,
    ) -> Prediction:
        """Return what the model says of inputs.

        Args:
            inputs: One, or a list of them: files and folders as `Path`, or the content itself. The family says what it
                takes, as `hpsearch predict --help MODEL` does: `model.predictor.takes`.
            batch_size: How many inputs are computed at once, by default as many as in training; fewer where the memory
                does not suffice.
            device: As `train.device`, which is the default.
            watcher: Is told how it goes on.
            options: The family's own: `model.predictor.Options`.

        Raises:
            HpsearchError: There are no inputs, an option is wrong, or the family makes no predictions.
            DataError: An input cannot be read, or does not fit the model.
        """
        predictor = self.predictor
        given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        if not given and not predictor.optional:
            known = ", ".join(predictor.Options.model_fields) or "none"
            raise HpsearchError(f"there is nothing to predict: give {predictor.takes}. Options (--set): {known}")
        if predictor.alone and len(given) > 1:
            raise HpsearchError("each input has a prediction of its own here: call predict once for each")
        chosen, train = predictor.given(options), self.config.train
        items = predictor.read(given, chosen)
        place = resolve_device(device or train.device)
        computing = Computing(place, batch_size or train.batch_size, watcher)
        try:
            self.model.to(place)
            with eval_mode(self.model), torch.no_grad(), autocast(place, train.precision):
                found: Prediction = predictor.predict(items, chosen, computing)
                return found
        finally:
            self.model.cpu()

    def splits(self) -> Splits:
        """Return the data that it was trained and scored on; each split is loaded, or simulated, when first used."""
        return open_splits(self.family, self.config, self.description["seeds"]["split"])

    def scores(self, split: Split = "test") -> dict[str, float]:
        """Return its scores on a split of its data from the experiment's record.

        Raises:
            DataError: if the data cannot be read, or are not those that the model was exported with.
        """
        splits, train = self.splits(), self.config.train
        self.check_data(splits, split)
        device = resolve_device(train.device)
        try:
            return evaluate_split(
                self.family.task(self.config, splits),
                splits,
                split,
                self.model.to(device),
                batch_size=train.batch_size,
                device=device,
                precision=train.precision,
            )
        finally:
            self.model.cpu()

    def check_data(self, splits: Splits, split: Split) -> None:
        """Refuse data that differ from those of the card. A simulation is held against its settings alone.

        Its last bits may differ between kinds of processors.
        """
        written = self.family.Config.model_validate(self.description["config"])
        source, then = self.family.source_of(written, self.home), self.description.get("source")
        if source is not None and then is not None:
            now = fingerprint_of(source, lambda path: find_place(path, self.home))
            if changed := differences(Fingerprint.from_json(then), now):
                raise DataError(f"the data have changed since the model was exported: {'; '.join(changed)}")
        known = self.card.get("data", {}).get(split)
        steady = source is None or not source.simulated
        if known is not None and steady and fingerprint(splits[split]) != known["sha256"]:
            raise DataError(
                f"the {split} examples are not those that the model was exported with: there were "
                f"{known['examples']:,}, and are {len(splits[split]):,}"
            )


def build_model(family: Family[Any], config: Any, facts: Mapping[str, Any], *, seed: int) -> nn.Module:
    """Return a model for weights that are loaded afterwards, without the data where the family can."""
    made = family.model(config, facts)
    return family.task(config, open_splits(family, config, seed)).build_model() if made is None else made


def read_document(path: Path) -> dict[str, Any]:
    """Return one of an exported model's JSON files.

    Raises:
        HpsearchError: it cannot be done; the message says why.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HpsearchError(f"{path.parent} is not an exported model: it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise HpsearchError(f"{path} cannot be read: {error}") from error
    return content
