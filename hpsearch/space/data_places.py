"""The files and folders that a space names: whether they are there, before anything is trained."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from hpsearch.errors import Problem
from hpsearch.places import NamedPlace, located, named_places, obstacle
from hpsearch.settings import Settings
from hpsearch.space.nodes import Node
from hpsearch.space.nodes import Place as Written
from hpsearch.space.ranges import Choice
from hpsearch.space.space import Space
from hpsearch.space.validation import part_of, probes, usual_params, written_at


def check_places(space: Space, root: Node, problems: list[Problem]) -> None:
    """Report each file and folder that the space names, but that is not there or cannot be read.

    Where all are there, the family looks into them.
    """
    before = len(problems)
    seen: set[tuple[str, str]] = set()
    for config, params in configurations(space):
        for place in named_places(config) if isinstance(config, Settings) else ():
            if (place.setting, place.path) in seen:
                continue
            seen.add((place.setting, place.path))
            stands = _written(space, root, place, params)
            if stands is None:
                continue  # a default of the family's
            if trouble := obstacle(place, space.path.parent):
                problems.append(stands.problem(f"{place.setting}: {trouble}"))
    if len(problems) == before:
        _look_inside(space, root, problems)


def _look_inside(space: Space, root: Node, problems: list[Problem]) -> None:
    """Report what the family finds wrong with its files: each section of data once."""
    seen: set[str] = set()
    look = getattr(space.face, "data_objections", None)  # programs have none
    for config, _ in configurations(space):
        data = getattr(config, "data", None)
        if look is None or not isinstance(data, Settings) or data.model_dump_json() in seen:
            continue
        seen.add(data.model_dump_json())
        for path, message in look(located(data, space.path.parent, by_name=True)).items():
            problem = written_at(root, path).place.problem(message)
            if problem not in problems:
                problems.append(problem)


def configurations(space: Space) -> Iterator[tuple[BaseModel, Mapping[str, Any]]]:
    """Yield a configuration for every option of every choice, the rest being as usual, and its values."""
    usual = usual_params(space.template)
    tried = [usual]
    for parameter in space.parameters:
        if isinstance(parameter.range, Choice):
            tried += [
                {**usual, **dict(parameter.when), parameter.path: option} for option, _ in probes(parameter.range)
            ]
    for params in tried:
        try:
            yield space.face.Config.model_validate(space.template.fill(params)), params
        except ValidationError:
            continue  # these values do not go together


def _written(space: Space, root: Node, place: NamedPlace, params: Mapping[str, Any]) -> Written | None:
    """Return where the value stands, or None where nobody wrote it."""
    for parameter in space.parameters:
        if isinstance(parameter.range, Choice) and params.get(parameter.path) == place.path:
            for option, part in probes(parameter.range):
                if option == place.path and place.setting.endswith(parameter.path.rpartition(".")[2]):
                    return part_of(root, parameter.path, part)
    node = written_at(root, place.setting)
    return node.place if node.value == place.path else None
