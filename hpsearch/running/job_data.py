"""The data of a worker's jobs: loaded once per `data` section, shared between processes, and watched for changes."""

import json
from collections.abc import Callable
from typing import Any

from hpsearch.data.preparation import preparing
from hpsearch.errors import DataError, HpsearchError, SealedSplitError
from hpsearch.experiment.files import no_room
from hpsearch.families import Family
from hpsearch.families.data_watch import DataWatch
from hpsearch.jobs import Job
from hpsearch.training.task import Dataset, Split, Splits, examples_in
from hpsearch.workers.failures import out_of_memory

ShareData = Callable[[str, Callable[[], Dataset]], Dataset]
"""From a name for the data and what loads them to the data, which another process of the machine may have loaded."""


def load_alone(_: str, load: Callable[[], Dataset]) -> Dataset:
    """Load for this process alone."""
    return load()


class JobData:
    """Keeps the splits of the last configuration's `data` section from job to job."""

    def __init__(self, family: Family[Any], *, name: str, watch: DataWatch, share: ShareData) -> None:
        self._family = family
        self._name = name
        self._watch = watch
        self._share = share
        self._key = ""
        self._splits: Splits | None = None
        self._note: dict[str, Any] = {}

    def of(self, config: Any, job: Job) -> Splits:
        """Return the splits of a configuration, those of the previous job if the data section is the same."""
        seed = job.seeds["split"]
        key = json.dumps([config.data.model_dump(mode="json"), seed], sort_keys=True)
        if self._splits is None or key != self._key:
            self._splits = None  # let go of the old data before the new are loaded
            self._note = self._watch.begin(self._family.Config.model_validate(job.config), seed)

            def load(split: Split) -> Dataset:
                with preparing(f"{split} data"):
                    return self._share(
                        f"{self._name} {key} {split}",
                        lambda: _loaded(lambda: self._family.load(config.data, split, seed)),
                    )

            self._splits, self._key = Splits(load, sealed=True), key
        return self._splits

    def noted(self, splits: Splits, *opened: Split) -> dict[str, Any]:
        """Load these splits and return the notes on them.

        Raises:
            DataError: Other runs saw other data.
        """
        for split in opened:
            self._watch.add(self._note, split, splits[split])
        return {name: self._note[name] for name in ("source", "division", *opened)}


def _loaded(load: Callable[[], Dataset]) -> Dataset:
    """Load a split.

    Raises:
        DataError: for whatever the family raises about the data.
    """
    try:
        return load()
    except (DataError, SealedSplitError):
        raise
    except Exception as error:
        if out_of_memory(error) or no_room(error):
            raise
        told = str(error) if isinstance(error, HpsearchError) else f"{type(error).__name__}: {error}"
        raise DataError(told) from error


def sizes_of(splits: Splits) -> dict[str, int]:
    """Return the number of training and test examples behind a test score."""
    return {f"{split}_size": examples_in(splits[split]) for split in ("train", "test")}
