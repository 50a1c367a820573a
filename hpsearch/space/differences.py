"""What changed between two resolved spaces, one line for each setting."""

from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.space.range_syntax import HEADS, KEYS, flow
from hpsearch.space.template import join


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return lines such as `train.epochs: 20 -> 30`, in the order of the new space, removed settings last."""
    before, after = dict(_flat(old, "")), dict(_flat(new, ""))
    paths = [*after, *(path for path in before if path not in after)]
    return [
        f"{path}: {before.get(path, '(not set)')} -> {after.get(path, '(not set)')}"
        for path in paths
        if before.get(path) != after.get(path)
    ]


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping) or not value:
        yield path, flow(value)
    elif not _is_range(value):
        for name, child in value.items():
            yield from _flat(child, join(path, name))
    elif isinstance(value.get("choice"), Mapping):
        yield path, flow({"choice": list(value["choice"])})
        for name, settings in value["choice"].items():
            yield from (pair for pair in _flat(settings, join(path, name)) if settings)
    else:
        yield path, flow(value)


def _is_range(value: Mapping[str, Any]) -> bool:
    return any(head in value for head in HEADS) and all(name in KEYS for name in value)
