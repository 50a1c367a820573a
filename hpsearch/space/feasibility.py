"""Whether a space holds any configuration that its requirements and its family accept."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from hpsearch.errors import Problem
from hpsearch.space.mistakes import mistakes_of
from hpsearch.space.nodes import Node, Place
from hpsearch.space.space import Space
from hpsearch.space.validation import place_of

_ATTEMPTS = 10_000
_Rule = tuple[int | str, ...]


def check_feasible(space: Space, root: Node, required_at: Sequence[Place], problems: list[Problem]) -> None:
    """Look for one feasible configuration; where there is none, blame the rule that was broken most often."""
    whole = space.size is not None and space.size <= _ATTEMPTS
    rng = random.Random(0)  # noqa: S311 # no secret
    tried = space.grid() if whole else (space.sample(rng) for _ in range(_ATTEMPTS))
    broken: Counter[_Rule] = Counter()
    example: dict[_Rule, ValidationError | None] = {}
    for params in tried:
        rule, error = _first_broken(space, params)
        if rule is None:
            return
        broken[rule] += 1
        example.setdefault(rule, error)
    (rule, times), total = broken.most_common(1)[0], broken.total()
    refusal = example[rule]
    if refusal is not None:
        mistake = mistakes_of(space.face.Config, refusal)[0]
        place, words = place_of(root, mistake), mistake.message
    else:
        place, words = required_at[int(rule[0])], space.requirements[int(rule[0])].text
    which = f"none of the {total} configurations" if whole else f"none of {total} random configurations"
    problems.append(place.problem(f"{which} is feasible; {times} break this: {words}"))


def _first_broken(space: Space, params: Mapping[str, Any]) -> tuple[_Rule | None, ValidationError | None]:
    """Return the number of the requirement that is broken, or the place of what the family refuses with its words."""
    try:
        config = space.face.Config.model_validate(space.configuration(params))
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"], error
    numbers = (number for number, requirement in enumerate(space.requirements) if requirement.broken(config))
    number = next(numbers, None)
    return (None if number is None else (number,)), None
