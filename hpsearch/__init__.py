"""hpsearch: search hyperparameters, then confirm the winner on fresh seeds and test data.

    import hpsearch

    experiment = hpsearch.run("spaces/char_lm.yaml", quick=True)
    experiment.trials                  # a pandas frame
    experiment.plot_history()
    hpsearch.compare("experiments")    # what is better than what, and how sure that is

What the command line can do, these functions do, by the same names with the same options.

Names are imported when they are first used, so that `import hpsearch` alone stays light.
"""

import importlib
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.api.ask import AskedTrial, AskTell, ask_tell
    from hpsearch.api.champion import Champion, challenge, champion, champion_init, plan_challenge
    from hpsearch.api.check import check
    from hpsearch.api.compare import compare
    from hpsearch.api.compared import ComparedRuns
    from hpsearch.api.doctor import doctor
    from hpsearch.api.draft import init
    from hpsearch.api.evaluate import evaluate
    from hpsearch.api.export import export
    from hpsearch.api.open import OpenedExperiment
    from hpsearch.api.open import open_experiment as open  # noqa: A004 -- hpsearch.open reads as it should
    from hpsearch.api.predict import predict
    from hpsearch.api.probe import batch_size, lr_find, overfit
    from hpsearch.api.run import run
    from hpsearch.api.steer import add, budget, note, pause, resume, stop
    from hpsearch.api.study import StudyResult, plan_study, study
    from hpsearch.api.train import confirm, train
    from hpsearch.errors import HpsearchError
    from hpsearch.families import Family, FamilyConfig
    from hpsearch.families.function.report import Report
    from hpsearch.final.opening import load_model
    from hpsearch.final.trained_model import TrainedModel
    from hpsearch.records import Goal
    from hpsearch.settings import FILE, FOLDER, UNFOLD, Option, Settings
    from hpsearch.training.settings import TrainSettings
    from hpsearch.training.task import Splits, Task, TensorData

_HOME = {
    "AskTell": "hpsearch.api.ask",
    "AskedTrial": "hpsearch.api.ask",
    "Champion": "hpsearch.api.champion",
    "ComparedRuns": "hpsearch.api.compared",
    "FILE": "hpsearch.settings",
    "FOLDER": "hpsearch.settings",
    "Family": "hpsearch.families",
    "FamilyConfig": "hpsearch.families",
    "Goal": "hpsearch.records",
    "HpsearchError": "hpsearch.errors",
    "OpenedExperiment": "hpsearch.api.open",
    "Option": "hpsearch.settings",
    "Report": "hpsearch.families.function.report",
    "Settings": "hpsearch.settings",
    "Splits": "hpsearch.training.task",
    "StudyResult": "hpsearch.api.study",
    "Task": "hpsearch.training.task",
    "TensorData": "hpsearch.training.task",
    "TrainSettings": "hpsearch.training.settings",
    "TrainedModel": "hpsearch.final.trained_model",
    "UNFOLD": "hpsearch.settings",
    "add": "hpsearch.api.steer",
    "ask_tell": "hpsearch.api.ask",
    "batch_size": "hpsearch.api.probe",
    "budget": "hpsearch.api.steer",
    "challenge": "hpsearch.api.champion",
    "champion": "hpsearch.api.champion",
    "champion_init": "hpsearch.api.champion",
    "check": "hpsearch.api.check",
    "compare": "hpsearch.api.compare",
    "confirm": "hpsearch.api.train",
    "doctor": "hpsearch.api.doctor",
    "evaluate": "hpsearch.api.evaluate",
    "export": "hpsearch.api.export",
    "init": "hpsearch.api.draft",
    "load_model": "hpsearch.final.opening",
    "lr_find": "hpsearch.api.probe",
    "note": "hpsearch.api.steer",
    "open": "hpsearch.api.open:open_experiment",
    "overfit": "hpsearch.api.probe",
    "pause": "hpsearch.api.steer",
    "plan_challenge": "hpsearch.api.champion",
    "plan_study": "hpsearch.api.study",
    "predict": "hpsearch.api.predict",
    "resume": "hpsearch.api.steer",
    "run": "hpsearch.api.run",
    "stop": "hpsearch.api.steer",
    "study": "hpsearch.api.study",
    "train": "hpsearch.api.train",
}
__all__ = [
    "FILE",
    "FOLDER",
    "UNFOLD",
    "AskTell",
    "AskedTrial",
    "Champion",
    "ComparedRuns",
    "Family",
    "FamilyConfig",
    "Goal",
    "HpsearchError",
    "OpenedExperiment",
    "Option",
    "Report",
    "Settings",
    "Splits",
    "StudyResult",
    "Task",
    "TensorData",
    "TrainSettings",
    "TrainedModel",
    "add",
    "ask_tell",
    "batch_size",
    "budget",
    "challenge",
    "champion",
    "champion_init",
    "check",
    "compare",
    "confirm",
    "doctor",
    "evaluate",
    "export",
    "init",
    "load_model",
    "lr_find",
    "note",
    "open",
    "overfit",
    "pause",
    "plan_challenge",
    "plan_study",
    "predict",
    "resume",
    "run",
    "stop",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hpsearch' has no attribute '{name}'")
    module, _, attribute = _HOME[name].partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute or name)
    except ImportError as error:
        from hpsearch.extras import explained

        if (lacking := explained(error, f"hpsearch.{name}")) is None:
            raise
        raise lacking from error
    if not (module.startswith("hpsearch.api.") and isinstance(found, FunctionType)):
        return found
    from hpsearch.api.arguments import naming_arguments

    return naming_arguments(found)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
