"""What is not installed that a search needs: asked by `check`, and again before anything is trained."""

from collections.abc import Iterator

from hpsearch.errors import MissingExtraError
from hpsearch.extras import Extra, lack
from hpsearch.families import Family
from hpsearch.space import Search, Space

_SAMPLERS = {"gp": Extra.TORCH}
_PRUNERS = {"pb2": Extra.RAY}
_ENGINES = {"ray": Extra.RAY}
_BUCKETS = ("s3://", "s3a://")


def search_lacks(search: Search) -> Iterator[tuple[str, str]]:
    """Yield each setting of a search that needs what is not installed, and the sentence for it."""
    named = (
        ("engine", search.engine, _ENGINES),
        ("sampler", search.sampler.kind, _SAMPLERS),
        ("pruner", search.pruner.kind, _PRUNERS),
    )
    for setting, name, extras in named:
        if name in extras and (sentence := lack(f"the {setting} {name}", extras[name])):
            yield setting, sentence
    if (search.storage or "").startswith(_BUCKETS) and (sentence := lack("a storage at s3://", Extra.S3)):
        yield "storage", sentence


def require_installed(space: Space) -> None:
    """Check that all is installed that trials of a space need.

    Raises:
        MissingExtraError: The first that is missing, with the command that installs it.
    """
    for setting, sentence in search_lacks(space.search):
        raise MissingExtraError(f"search.{setting}: {sentence}")
    family = space.interface
    found = family.environment_objections(space.config(space.example)) if isinstance(family, Family) else {}
    for sentence in found.values():
        raise MissingExtraError(f"{space.family}: {sentence}")
