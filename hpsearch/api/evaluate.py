"""How a trained model scores on new labelled data. `hpsearch.evaluate`."""

import os
from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.api.arguments import Overrides, StrPath, parsed_settings
from hpsearch.api.predict import find_model
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.trust import trusting

if TYPE_CHECKING:
    from hpsearch.final.trained_model import TrainedModel
    from hpsearch.report.evaluation import Evaluation

PAGE, WEB_PAGE, NUMBERS = "evaluation.md", "evaluation.html", "evaluation.json"


def evaluate(
    model: StrPath,
    data: StrPath | Sequence[StrPath] | None = None,
    *,
    set: Overrides | None = None,  # noqa: A002 -- as the command's option
    out: StrPath | None = None,
    run: str | None = None,
    home: StrPath | None = None,
    baselines: bool = True,
    batch_size: int | None = None,
    device: str | None = None,
    trust: bool | None = None,
) -> "Evaluation":
    """Score a trained model on new labelled data, with an interval over their examples; `hpsearch evaluate` in Python.

    Nothing is trained, except the classical methods, which learn from the model's own training data.

    Example:
        found = hpsearch.evaluate("models/films", "new-films.csv")
        found.scores["accuracy"].value, found.scores["accuracy"].interval

    Args:
        model: An exported model, an experiment or a study (or the name of one below experiments/), whose winner it is.
        data: Labelled files or folders, in the form of the training data.
        set: Settings of `data`: how the files are read (`data.label_column`), or, without `data`, where the new data
            come from; the test split of these is scored.
        out: A folder for the report: evaluation.md, evaluation.html and evaluation.json.
        run: Of an experiment, a replicate of the winner instead of its trial, such as "confirm/0003/seed-001".
        home: The folder with the file of a family of your own.
        baselines: Whether to score the family's classical methods on the same data.
        batch_size: How many examples are computed at once; fewer where the memory does not suffice.
        device: As `train.device`, which is the default.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Raises:
        UntrustedCodeError: The family or the source of the data is code from outside this project, and not trusted.
        HpsearchError: There is no such model, a setting is wrong, or the report cannot be written.
        DataError: The data cannot be read, or do not fit the model.
    """
    from hpsearch.final.evaluation import evaluate_model
    from hpsearch.final.opening import load_model
    from hpsearch.final.run import trust_code

    folder = find_model(model)
    opened = load_model(folder, run=run, home=None if home is None else Path(home), trust=trust)
    paths = [Path(each) for each in ([data] if isinstance(data, str | os.PathLike) else data or ())]
    if not paths and not set:
        raise HpsearchError(
            "there is nothing to score on: name labelled files with --data, or settings with --set data."
        )
    config = _config(opened, parsed_settings(set)) if set else None
    with trusting(trust):
        for read in (opened.config, *([] if config is None else [config])):
            trust_code({"data": read.data.model_dump(mode="json")}, opened.home, folder)
    found = evaluate_model(
        opened,
        name=folder.resolve().name,
        paths=paths,
        config=config,
        baselines=baselines,
        batch_size=batch_size,
        device=device,
    )
    if out is not None:
        save_evaluation(found, Path(out))
    return found


def save_evaluation(evaluation: "Evaluation", folder: Path) -> None:
    """Write the page, as markdown and HTML, and the numbers of an evaluation.

    Raises:
        HpsearchError: They cannot be written.
    """
    from hpsearch.report.evaluation import evaluation_html, evaluation_markdown

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PAGE).write_text(evaluation_markdown(evaluation), encoding="utf-8")
        (folder / WEB_PAGE).write_text(evaluation_html(evaluation), encoding="utf-8")
        numbers = dumps(evaluation.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / NUMBERS).write_text(numbers + "\n", encoding="utf-8")
    except OSError as error:
        raise HpsearchError(f"{folder} cannot be written: {error.strerror or error}") from error


def _config(model: "TrainedModel", changes: Mapping[str, Any]) -> Any:
    """Return the model's configuration with other data; relative paths start in the current directory.

    Raises:
        HpsearchError: A setting is not one of `data`, or is wrong.
    """
    from hpsearch.families.prediction import validated
    from hpsearch.places import located

    content = model.config.model_dump(mode="json")
    for path, value in changes.items():
        section, *steps = path.split(".")
        if section != "data" or not steps:
            raise HpsearchError(f"--set {path}: only settings of data can be changed, such as data.path")
        _put(content["data"], steps, value, path, model.config.data)
    return located(validated(model.family.Config, content, "--set "), Path.cwd())


def _put(content: dict[str, Any], steps: Sequence[str], value: Any, path: str, settings: Any) -> None:
    """Replace a setting; the name of the option that a branch has may stand before those of the option's settings.

    `content` is the dump of `settings`, which leaves some out that have their defaults.
    """
    name, *rest = steps
    if content.get("kind") == name and rest:
        _put(content, rest, value, path, settings)
    elif not rest:
        known = {**content, **getattr(type(settings), "model_fields", {})}
        if name not in known:
            before = path.removesuffix(name)
            raise UnknownNameError("setting", path, [f"{before}{each}" for each in known])
        content[name] = value
    elif isinstance(content.get(name), dict):
        _put(content[name], rest, value, path, getattr(settings, name, None))
    else:
        raise HpsearchError(f"--set {path}: the model's configuration has no section {name} there")
