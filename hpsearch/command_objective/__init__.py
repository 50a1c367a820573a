"""What a worker does with a job of the family `command`, in place of `hpsearch/objective.py`."""

from hpsearch.command_objective.objective import CommandObjective

__all__ = ["CommandObjective"]
