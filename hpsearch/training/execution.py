"""The settings of how a training is carried out: they change what it costs and keeps, not what is learnt.

A training may therefore go on from a checkpoint after they have changed. Free of torch, like `settings.py`.
"""

from pydantic import Field

from hpsearch.settings import Settings


class Keep(Settings):
    """Numbered checkpoints besides the latest and the best: `checkpoint-000012.pt` after the step 12."""

    every: int = Field(default=1, ge=1)
    """Evaluations from one to the next."""
    last: int | None = Field(default=None, ge=1)
    """How many stay, apart from that of the best step; all of them without a number."""
