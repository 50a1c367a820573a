"""A space narrowed to one configuration, for a training that is no search; and that configuration, read from a file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, Problem, SpaceError
from hpsearch.space.located_yaml import read_file
from hpsearch.space.pruner_options import NoPruner
from hpsearch.space.search_settings import RandomSampler
from hpsearch.space.space import Space
from hpsearch.space.start import read_entry


def read_params(path: Path, space: Space) -> dict[str, Any]:
    """Return the values of all ranges of a space from a YAML or JSON file of dotted names.

    Errors: SpaceError with a place for each unknown name and value out of range, and for what is missing.
    """
    problems: list[Problem] = []
    _, root = read_file(path, problems)
    params = read_entry(root, space, problems, title="params")
    if not problems:
        missing = [parameter.path for parameter in space.active(params) if parameter.path not in params]
        problems += [root.place.problem(f"params: {name} has no value") for name in missing]
    if problems:
        raise SpaceError(dict.fromkeys(problems))
    return params


def only(space: Space, params: Mapping[str, Any]) -> Space:
    """Return the space as a search of one trial, which has these values; nothing prunes it or cuts it short.

    Errors: HpsearchError when the values are no configuration of the space.
    """
    wrong = space.check_params(params)
    if wrong:
        raise HpsearchError(f"the configuration does not fit {space.path}: {'; '.join(wrong)}")
    alone = {"trials": 1, "workers": 1, "time": None, "trial_time": None}
    search = space.search.model_copy(update={**alone, "sampler": RandomSampler(), "pruner": NoPruner()})
    return replace(space, search=search, confirm=None, start=(space.canonical(params),))
