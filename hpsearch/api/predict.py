"""What a trained model says of new inputs. `hpsearch.predict`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.api.arguments import StrPath, place_of
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import is_experiment, is_study

if TYPE_CHECKING:
    from hpsearch.families.prediction import Prediction, Watcher
    from hpsearch.final.trained_model import TrainedModel

NAME = "{name}"
"""Stands in the name of a file for the name of an input, without its ending."""


def predict(
    model: StrPath,
    inputs: Any = None,
    *,
    out: StrPath | Sequence[StrPath] | None = None,
    run: str | None = None,
    home: StrPath | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,  # noqa: A002 -- as the command's option
    trust: bool | None = None,
    watcher: "Watcher | None" = None,
) -> "Prediction | list[Prediction]":
    """Return what a trained model says of inputs, and write it; `hpsearch predict` in Python.

    What it takes and what it returns, with shapes and units, the family says: see `model.predictor.takes` of
    `model = hpsearch.load_model(...)`, and the docstring of the prediction.

    Example:
        found = hpsearch.predict("models/films", ["a good film"], out="classes.csv")
        found.answers, found.probabilities

    Args:
        model: An exported model, an experiment or a study (or the name of one below experiments/), whose winner it is.
        inputs: One or a list of them: files and folders as `Path`, or the content itself.
        out: A file, or several, in the formats of their endings. `{name}` in it is the name of each input; it is needed
            where several inputs have a prediction of their own.
        run: Of an experiment, a replicate of the winner instead of its trial, such as "confirm/0003/seed-001".
        home: The folder with the file of a family of your own.
        batch_size: How many inputs are computed at once; fewer where the memory does not suffice.
        device: As `train.device`, which is the default.
        set: The options of the family's own: `{"temperature": 0.8}` or `["temperature=0.8"]`.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).
        watcher: Is told how it goes on.

    Returns:
        The prediction; a list where several inputs have one of their own (movies, recordings).

    Raises:
        UntrustedCodeError: The family's file is from outside this project, and not trusted.
        HpsearchError: There is no such model, or it makes no predictions; an option or an ending is wrong.
        DataError: An input cannot be read, or does not fit the model.
    """
    opened, predictor = open_predictor(model, run=run, home=home, trust=trust)
    given = [] if inputs is None else list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    paths = [Path(each) for each in ([out] if isinstance(out, str | os.PathLike) else out or ())]
    for each in paths:
        predictor.Result.ending_of(each)
    options = options_of(set)
    predictor.given(options)
    more: dict[str, Any] = {"batch_size": batch_size, "device": device, **({"watcher": watcher} if watcher else {})}
    if not predictor.alone or len(given) < 2:
        name = _name(given[0], 0) if len(given) == 1 else "all"
        return _written(opened.predict(given, **more, **options), paths, name)
    if unnamed := next((each for each in paths if NAME not in str(each)), None):
        raise HpsearchError(
            f"each of the {len(given)} inputs has a prediction of its own, and {unnamed} is one file: write {NAME} for "
            f"the name of the input, as in {unnamed.with_name(f'{NAME}-{unnamed.name}')}"
        )
    names = [_name(each, number) for number, each in enumerate(given)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise HpsearchError(f"two inputs are called {twice}, so that they would have one file; predict one at a time")
    return [
        _written(opened.predict([each], **more, **options), paths, name)
        for each, name in zip(given, names, strict=True)
    ]


def open_predictor(
    model: StrPath, *, run: str | None, home: StrPath | None, trust: bool | None
) -> "tuple[TrainedModel, Any]":
    """Return a model and what makes predictions with it.

    Raises:
        HpsearchError: There is no such model, or it makes no predictions.
    """
    from hpsearch.final.opening import load_model

    opened = load_model(find_model(model), run=run, home=None if home is None else Path(home), trust=trust)
    return opened, opened.predictor


def find_model(model: StrPath) -> Path:
    """Return the folder of an exported model, an experiment or a study.

    Raises:
        HpsearchError: There is no such folder.
    """
    exported = Path(model).expanduser()
    folder = exported if _is_model(exported) else place_of(model)
    if not folder.exists():
        raise HpsearchError(f"there is no model or experiment {folder}, and none of that name below experiments/")
    if not _is_model(folder):
        raise HpsearchError(
            f"{folder} is neither a model that `hpsearch export --to model` wrote, nor an experiment or a study"
        )
    return folder


def _is_model(folder: Path) -> bool:
    return is_experiment(folder) or is_study(folder) or (folder / "model.safetensors").is_file()


def options_of(given: Mapping[str, Any] | Sequence[str] | None) -> dict[str, Any]:
    """Return options by name; of a text the part before the first equals sign is the name.

    Raises:
        HpsearchError: A text has no equals sign.
    """
    if isinstance(given, Mapping):
        return dict(given)
    options = {}
    for each in [given] if isinstance(given, str) else given or ():
        name, sign, value = each.partition("=")
        if not sign or not name.strip():
            raise HpsearchError(f"--set {each}: write NAME=VALUE, such as --set temperature=0.8")
        options[name.strip()] = value
    return options


def _name(given: Any, number: int) -> str:
    """Return what an input is called in the names of files."""
    return Path(given).stem if isinstance(given, str | Path) else f"input-{number}"


def _written(found: "Prediction", paths: Iterable[Path], name: str) -> "Prediction":
    for path in paths:
        found.write(str(path).replace(NAME, name))
    return found
