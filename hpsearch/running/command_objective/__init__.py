"""What a worker does with a job of the family `command`, in place of `hpsearch/running/objective.py`."""

from hpsearch.running.command_objective.objective import CommandObjective

__all__ = ["CommandObjective"]
