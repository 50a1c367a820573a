"""The settings of a family that leaves some sections to the user: they are what the file has.

So a name that the file does not have is as unknown to `quick`, `--set` and `require` as in any other family.
"""

from collections.abc import Collection

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hpsearch.space.fields import Section, section_of
from hpsearch.space.nodes import Node
from hpsearch.space.range_syntax import looks_like_range


def is_free(model: type[BaseModel]) -> bool:
    """Say whether a configuration may have sections that its class does not name."""
    return model.model_config.get("extra") == "allow"


def settings_of(model: type[BaseModel], root: Node, *, reserved: Collection[str]) -> Section:
    """Return the settings of a family's configuration in a file; free ones cannot change while a training runs."""
    declared = section_of(model)
    if not is_free(model):
        return declared
    free = {
        name: _field(node)
        for name, node in root.mapping.items()
        if name not in reserved and name not in declared.fields
    }
    return Section({**declared.fields, **free}, declared.fixed | free.keys())


def _field(node: Node) -> FieldInfo:
    if not isinstance(node.value, dict) or looks_like_range(node):
        return FieldInfo(annotation=None)
    return FieldInfo(annotation=Section({name: _field(child) for name, child in node.mapping.items()}))  # type: ignore[arg-type] # read by `shape_of` alone
