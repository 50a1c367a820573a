"""What a trained model is used for: from inputs to a prediction and its files, or to scores. Free of torch.

A family that makes predictions returns a `Predictor` from `Family.predictor`. `hpsearch predict` and
`TrainedModel.predict` do the rest: they check the options and the endings of the files to write before anything is
computed, put the model on its device in eval mode without gradients, and have the prediction written.

    @dataclass(frozen=True)
    class Masses(Prediction):
        \"\"\"The mass of each molecule: `masses` (molecules,) in kDa.\"\"\"
        endings = {".csv": "a row for each molecule: its input, and its mass in kDa", ".npz": "the same as arrays"}
        names: tuple[str, ...]
        masses: NDArray[np.float64]

        def save(self, path: Path, ending: str) -> None: ...
        def summary(self) -> str: ...

    class MassOptions(Settings):
        clip: float = Field(default=0.0, ge=0)
        \"\"\"Smaller masses are given as this, in kDa.\"\"\"

    class MassPredictor(Predictor[Spectrum, MassOptions, Masses]):
        takes = "spectra: .mzML files, or arrays (peaks, 2) of m/z and intensity"
        Options, Result = MassOptions, Masses

        def read(self, inputs, options):
            for each in inputs:
                yield self._opened(each)             # refuses with a DataError what does not fit the model

        def predict(self, items, options, computing):
            found = [*computing.over(items, self._masses)]   # batches; halved where memory does not suffice
            return Masses(...)

`predict` takes items one after another from `read`, which should open large inputs (memory-mapped) and not load them:
then neither all inputs nor, for a movie, all frames of one are in memory at once.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from hpsearch.errors import DataError, HpsearchError
from hpsearch.settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.training.task import Dataset, Task

ItemT = TypeVar("ItemT")
OutT = TypeVar("OutT")
SettingsT = TypeVar("SettingsT", bound=Settings)


class NoOptions(Settings):
    """Of a predictor that has none."""


class Watcher:
    """Is told how a prediction goes on; this one keeps it to itself."""

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Hear that so many of a total (None: not known) are done; `unit` is their plural, such as `frames`."""

    def text(self, piece: str) -> None:
        """Hear the next piece of a text while it is made."""


@dataclass(frozen=True)
class Computing:
    """How a prediction is computed: the model's device, how many items are computed at once, and who is told."""

    device: "torch.device"
    batch_size: int
    watcher: Watcher = field(default_factory=Watcher)

    def over(
        self,
        items: Iterable[ItemT],
        compute: "Callable[[Sequence[ItemT]], OutT]",
        *,
        unit: str = "inputs",
        total: int | None = None,
    ) -> Iterator[OutT]:
        """Yield what `compute` makes of one batch after another; the watcher is told.

        A batch for which the memory does not suffice is computed in two halves, and so are those that follow.

        Raises:
            HpsearchError: The memory does not suffice for a single item.
        """
        size, done, waiting = self.batch_size, 0, iter(items)
        while batch := list(islice(waiting, self.batch_size)):
            while batch:
                try:
                    found = compute(batch[:size])
                except (MemoryError, RuntimeError) as error:
                    size = _half(min(size, len(batch)), error)
                    continue
                done += len(batch[:size])
                batch = batch[size:]
                yield found
                self.watcher.progress(done, total, unit)


def _half(size: int, error: Exception) -> int:
    """Return half the batch size where the memory did not suffice; other errors go on their way."""
    from hpsearch.training.devices import is_out_of_memory

    if not is_out_of_memory(error):
        raise error
    if size <= 1:
        raise HpsearchError("the memory does not suffice for a single input; use another device, or the cpu") from error
    return size // 2


class Prediction(ABC):
    """What a model says of its inputs: a frozen dataclass of arrays, whose docstring tells their shapes and units.

    `endings` tells what a file with each ending holds, such as `{".csv": "a row for each molecule"}`. The order is that
    of messages; what is printed without a file is `summary`, unless the watcher was told all of it (`streamed`).
    """

    endings: ClassVar[Mapping[str, str]]
    streamed: ClassVar[bool] = False

    @abstractmethod
    def summary(self) -> str:
        """Return what a terminal shows: a few lines, or all of it where that is not much."""

    @abstractmethod
    def save(self, path: Path, ending: str) -> None:
        """Write a file in the format of one of `endings`; `path` has this ending, and is renamed afterwards."""

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the prediction in the format that the file's ending names, and return the file's path.

        A file that is there is replaced, when the new one is complete.

        Raises:
            HpsearchError: The ending is not known, or the file cannot be written.
        """
        target = Path(path).expanduser()
        ending = self.ending_of(target)
        partial = target.with_name(f".{target.name.removesuffix(ending)}.part{ending}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.save(partial, ending)
            partial.replace(target)
        except OSError as error:
            raise HpsearchError(f"{target} cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
        return target

    @classmethod
    def ending_of(cls, path: Path) -> str:
        """Return which of the known endings a file has.

        Raises:
            HpsearchError: None of them.
        """
        for ending in sorted(cls.endings, key=len, reverse=True):
            if path.name.lower().endswith(ending) and len(path.name) > len(ending):
                return path.name[-len(ending) :]
        known = "; ".join(f"{ending} ({what})" for ending, what in cls.endings.items())
        raise HpsearchError(f"{path}: the ending says nothing about the format; known are {known}")


Input = Any
"""A file or folder as a `Path`; or, in Python, the content itself: a text, an array. A predictor says what it takes."""
OptionsT = TypeVar("OptionsT", bound=Settings)
PredictionT = TypeVar("PredictionT", bound=Prediction)


class Predictor(ABC, Generic[ItemT, OptionsT, PredictionT]):
    """Makes predictions with a trained model.

    `takes` says in a few words which inputs; it stands in help and in refusals. `Options` are the options of the
    family's own: `hpsearch predict ... --set temperature=0.8`, `model.predict(inputs, temperature=0.8)`; each has a
    docstring with its unit. `Result` is the class of its predictions. With `alone` each input has a prediction of its
    own (a movie, a recording): several are predicted one by one. With `optional` there need be no input. With
    `literal` a str is the content itself (a text), not the path of a file.
    """

    takes: ClassVar[str]
    Options: ClassVar[type[Settings]] = NoOptions
    Result: ClassVar[type[Prediction]]
    alone: ClassVar[bool] = False
    optional: ClassVar[bool] = False
    literal: ClassVar[bool] = False

    def __init__(self, config: Any, facts: Mapping[str, Any], model: "nn.Module") -> None:
        """Take the model, which `predict` finds on its device, in eval mode and without gradients."""
        self.config = config
        self.facts = facts
        self.model = model

    @property
    def example(self) -> str | None:
        """Arguments for `model.predict` as Python code that runs with this model; numpy is `np`. For its card."""
        return None

    @abstractmethod
    def read(self, inputs: Sequence[Input], options: OptionsT) -> Iterable[ItemT]:
        """Return the items of these inputs in their order, opened or loaded when they are asked for.

        With `alone` it is called with one input. What can be refused without reading everything is refused at once.

        Raises:
            DataError: An input cannot be read, or does not fit the model: its channels, pixel size, sampling rate,
                alphabet. The message says which input, what was found and what the model takes.
        """

    @abstractmethod
    def predict(self, items: Iterable[ItemT], options: OptionsT, computing: Computing) -> PredictionT:
        """Return the prediction for all items."""

    def given(self, options: Mapping[str, Any]) -> OptionsT:
        """Return the options by name as settings; a text, as `--set` has it, is read as the option's type needs.

        Raises:
            HpsearchError: There is no such option, or a value does not suit it.
        """
        known = self.Options.model_fields
        if unknown := [name for name in options if name not in known]:
            from hpsearch.errors import UnknownNameError

            if not known:
                raise HpsearchError(f"unknown option '{unknown[0]}'; this model's predictions have no options")
            raise UnknownNameError("option", unknown[0], known)
        read = {name: _read(value, known[name].annotation) for name, value in options.items()}
        return validated(self.Options, read)  # type: ignore[return-value] # Options is OptionsT's class


def validated(kind: type[SettingsT], content: Mapping[str, Any], place: str = "") -> SettingsT:
    """Return content as settings.

    Raises:
        HpsearchError: It is wrong; the message names the first setting that is, behind `place`.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        told = first["msg"].removeprefix("Value error, ")
        found = "" if isinstance(first["input"], Mapping) else f", not {first['input']!r}"
        raise HpsearchError(f"{place}{name}: {told}{found}") from None


def _read(value: Any, kind: Any) -> Any:
    """Return lists, objects and null in a text for JSON, unless the option is a text itself."""
    if not isinstance(value, str) or kind in (str, str | None):
        return value
    try:
        return json.loads(value) if value[:1] in "[{" or value == "null" else value
    except ValueError:
        return value


@dataclass(frozen=True)
class Examination:
    """New labelled data to score a trained model on: the task that scores them, the data, and what is to be said."""

    task: "Task"
    data: "Dataset"
    notes: tuple[str, ...] = ()


@runtime_checkable
class Recognising(Protocol):
    """Data of which can be told what is also in the data that a model learned from."""

    def shared_with(self, train: "Dataset") -> str | None:
        """Return how much of these data is in those, as a sentence; None where nothing is."""


def files_of(inputs: Sequence[Input], kinds: frozenset[str], *, what: str) -> list[Path]:
    """Return the files that the paths among the inputs name: a folder's are those with endings of these kinds.

    They are sorted within a folder, those of its subfolders too; names that begin with a dot are left out.

    Raises:
        DataError: A path does not exist, a folder has no such file, or a file has another ending.
    """
    found: list[Path] = []
    for each in (Path(each).expanduser() for each in inputs):
        known = ", ".join(sorted(kind.removeprefix(".") for kind in kinds))
        if each.is_dir():
            own = sorted(path for path in each.rglob("[!.]*") if path.suffix.lower() in kinds and path.is_file())
            if not own:
                raise DataError(f"there is no {what} in the folder {each}; known are {known}")
            found += own
        elif not each.is_file():
            raise DataError(f"there is no {what} {each.absolute()}")
        elif each.suffix.lower() not in kinds:
            raise DataError(f"{each}: the ending '{each.suffix}' is that of no {what}; known are {known}")
        else:
            found.append(each)
    return found
