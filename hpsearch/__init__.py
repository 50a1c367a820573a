"""hpsearch: search hyperparameters, then confirm the winner on fresh seeds and test data.

    import hpsearch

    experiment = hpsearch.run("spaces/char_lm.yaml", quick=True)
    experiment.trials                  # a pandas frame
    hpsearch.open("experiments/char_lm-quick").plot_history()

Names are imported when they are first used, so that `import hpsearch` alone stays light.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.api.comparing import compare_experiments
    from hpsearch.api.opening import OpenedExperiment
    from hpsearch.api.opening import open_experiment as open  # noqa: A004 -- hpsearch.open reads as it should
    from hpsearch.api.scripting import confirm, run
    from hpsearch.api.study import StudyResult, plan_study, study
    from hpsearch.errors import HpsearchError
    from hpsearch.families import Family, FamilyConfig
    from hpsearch.final.trained_model import TrainedModel, load_model
    from hpsearch.records import Goal
    from hpsearch.settings import FILE, FOLDER, UNFOLD, Option, Settings
    from hpsearch.training.settings import TrainSettings
    from hpsearch.training.task import Splits, Task, TensorData

_HOME = {
    "FILE": "hpsearch.settings",
    "FOLDER": "hpsearch.settings",
    "Family": "hpsearch.families",
    "FamilyConfig": "hpsearch.families",
    "Goal": "hpsearch.records",
    "HpsearchError": "hpsearch.errors",
    "OpenedExperiment": "hpsearch.api.opening",
    "Option": "hpsearch.settings",
    "Settings": "hpsearch.settings",
    "Splits": "hpsearch.training.task",
    "StudyResult": "hpsearch.api.study",
    "Task": "hpsearch.training.task",
    "TensorData": "hpsearch.training.task",
    "TrainSettings": "hpsearch.training.settings",
    "UNFOLD": "hpsearch.settings",
    "compare_experiments": "hpsearch.api.comparing",
    "confirm": "hpsearch.api.scripting",
    "open": "hpsearch.api.opening:open_experiment",
    "TrainedModel": "hpsearch.final.trained_model",
    "load_model": "hpsearch.final.trained_model",
    "plan_study": "hpsearch.api.study",
    "run": "hpsearch.api.scripting",
    "study": "hpsearch.api.study",
}
__all__ = [
    "FILE",
    "FOLDER",
    "UNFOLD",
    "Family",
    "FamilyConfig",
    "Goal",
    "HpsearchError",
    "OpenedExperiment",
    "Option",
    "Settings",
    "Splits",
    "StudyResult",
    "Task",
    "TensorData",
    "TrainSettings",
    "TrainedModel",
    "compare_experiments",
    "confirm",
    "load_model",
    "open",
    "plan_study",
    "run",
    "study",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hpsearch' has no attribute '{name}'")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
