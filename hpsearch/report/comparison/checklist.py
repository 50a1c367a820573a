"""The machine-learning reproducibility checklist (version 2.0), as far as the facts are known.

Pineau et al. 2021: Improving reproducibility in machine learning research. JMLR 22(164). An item is answered only where
a fact stands in the runs; everything else is the author's to fill in.
"""

from collections.abc import Callable, Sequence

from hpsearch.comparing.background import Answer, Background, ChecklistItem
from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.question import Unit
from hpsearch.records import FinishedRun

CHECKLIST_TITLES = ("part", "item", "answer", "fact")
FOR_THE_AUTHOR = "the author's to fill in"
SOURCE = (
    "The machine-learning reproducibility checklist, version 2.0 (Pineau et al., 2021), filled in from what the runs "
    "and their folders hold. What hpsearch does not know is the author's to fill in."
)
_Fact = tuple[Answer, str]
_Facts = Callable[[Comparison, Sequence[FinishedRun], Background], _Fact]
_NOTHING: _Fact = (Answer.NOT_KNOWN, "")


def _nothing(_comparison: Comparison, _runs: Sequence[FinishedRun], _background: Background) -> _Fact:
    return _NOTHING


def _sizes(_comparison: Comparison, runs: Sequence[FinishedRun], _background: Background) -> _Fact:
    told = []
    for name in ("train_size", "test_size"):
        sizes = sorted({size for run in runs if (size := getattr(run, name)) is not None})
        if sizes:
            count = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
            told.append(f"{count} for {'training' if name == 'train_size' else 'testing'}")
    return (Answer.PARTLY, f"examples of a run that counts: {', '.join(told)}") if told else _NOTHING


def _splits(comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    if comparison.unit is Unit.FOLD:
        where = "; how they were divided: section data of each experiment's resolved.json"
        return Answer.PARTLY, f"folds: Methods{where if background.environments else ''}"
    if background.environments and comparison.metric.startswith("test/"):
        return Answer.PARTLY, (
            "configurations were chosen on the validation split, the test split was scored by replicates only; the "
            "split is in section data of each experiment's resolved.json"
        )
    return _NOTHING


def _dependencies(_comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    if not any(each.versions for each in background.environments.values()):
        return _NOTHING
    programs = any(each.program for each in background.environments.values())
    return (Answer.PARTLY if programs else Answer.YES), (
        "versions of Python and of the main packages: Methods, and each experiment's resolved.json"
        + (", of the process that started the programs" if programs else "")
    )


def _code(_comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    known = background.environments.values()
    commits = sorted({each.commit[:12] for each in known if each.commit})
    own = sorted({each.family for each in known if "/" not in each.family and not each.program})
    told = [f"git {'commit' if len(commits) == 1 else 'commits'} {', '.join(commits)}"] if commits else []
    if any(each.uncommitted for each in known):
        told[-1] += " with uncommitted changes"
    version = next((each.versions["hpsearch"] for each in known if "hpsearch" in each.versions), None)
    if own and version:
        told.append(f"{'family' if len(own) == 1 else 'families'} {', '.join(own)} of hpsearch {version}")
    return (Answer.PARTLY, f"{'; '.join(told)}; sharing it is the author's") if told else _NOTHING


def _command(_comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    if background.plan is None:
        return _NOTHING
    return Answer.YES, f"the tables of this report, made by the command: {background.plan.command}"


def _searches(_comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    if not background.searches:
        return _NOTHING
    if not background.environments:
        return Answer.PARTLY, "the method of the search: Methods"
    return Answer.YES, (
        "method: Methods; ranges: each experiment's space.yaml; all values of each run: config.json in its folder"
    )


def _counts(comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    trials = sum(each.trials for each in background.searches)
    told = [f"{trials} {'trial' if trials == 1 else 'trials'} of searches"] if trials else []
    if comparison.unit is not Unit.TRIAL:
        count = sum(len(each.runs) for each in comparison.experiments)
        told.append(f"{count} {'run that counts' if count == 1 else 'runs that count'}")
        dropped = sum(len(each.runs_dropped) for each in comparison.experiments)
        told += [f"{dropped} that {'does' if dropped == 1 else 'do'} not count"] if dropped else []
    whole = all(each.times == 1 and each.race is None for each in background.searches)
    if not whole:
        told.append("further trainings of the searches, which are not counted here")
    complete = bool(background.environments) and whole
    said = ", ".join(told)
    return (Answer.YES, said) if complete else (Answer.PARTLY, f"{said}; what else was run is not known")


def _measure(comparison: Comparison, _runs: Sequence[FinishedRun], _background: Background) -> _Fact:
    return Answer.PARTLY, f"statistics and tests: Methods; what {comparison.metric} measures is the author's to say"


def _spread(comparison: Comparison, _runs: Sequence[FinishedRun], _background: Background) -> _Fact:
    if not any(each.sd is not None for each in comparison.experiments):
        return _NOTHING
    whole = "mean, standard deviation, median and range"
    if comparison.unit is Unit.TRIAL:
        return Answer.PARTLY, f"{whole} of the trials of each search"
    return Answer.YES, f"{whole} with intervals: the table of experiments"


def _runtime(comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    if background.plan is not None:
        return Answer.YES, f"seconds of training of each arm: {background.plan.times}"
    if any(each.seconds for each in comparison.experiments):
        return Answer.YES, "times of training: Methods"
    return _NOTHING


def _infrastructure(_comparison: Comparison, _runs: Sequence[FinishedRun], background: Background) -> _Fact:
    known = [each for each in background.environments.values() if each.cores]
    if not known:
        return _NOTHING
    elsewhere = any(each.workers_elsewhere for each in known) or len(known) < len(background.environments)
    return (Answer.PARTLY if elsewhere else Answer.YES), (
        "the machine that coordinated the trainings: Methods" if elsewhere else "Methods"
    )


_ITEMS: tuple[tuple[str, str, _Facts], ...] = (
    ("models and algorithms", "a clear description of the setting, algorithm or model", _nothing),
    ("models and algorithms", "a clear explanation of any assumptions", _nothing),
    ("models and algorithms", "an analysis of the complexity of any algorithm", _nothing),
    ("theoretical claims", "a clear statement of each claim", _nothing),
    ("theoretical claims", "a complete proof of each claim", _nothing),
    ("data sets", "the relevant statistics, such as the number of examples", _sizes),
    ("data sets", "the training, validation and test splits", _splits),
    ("data sets", "any data that were excluded, and all steps of preprocessing", _nothing),
    ("data sets", "a link to the data or the simulation environment", _nothing),
    ("data sets", "for new data: how they were collected, with quality control", _nothing),
    ("shared code", "a specification of dependencies", _dependencies),
    ("shared code", "the code of the training", _code),
    ("shared code", "the code of the evaluation", _code),
    ("shared code", "trained models", _nothing),
    ("shared code", "a README with a table of results and the exact command that makes it", _command),
    ("results", "ranges of hyperparameters, how the best were chosen, and all values used", _searches),
    ("results", "the exact number of training and evaluation runs", _counts),
    ("results", "a clear definition of the measure and statistics reported", _measure),
    ("results", "central tendency and variation of the results", _spread),
    ("results", "the average running time of each result, or the estimated cost of energy", _runtime),
    ("results", "a description of the computing infrastructure", _infrastructure),
)


def checklist(comparison: Comparison, runs: Sequence[FinishedRun], background: Background) -> tuple[ChecklistItem, ...]:
    """Return all items in their order, answered as far as the facts are known."""
    return tuple(ChecklistItem(part, item, *facts(comparison, runs, background)) for part, item, facts in _ITEMS)


def checklist_rows(items: Sequence[ChecklistItem]) -> list[tuple[str, str, str, str]]:
    """Return a row for each item, with the titles CHECKLIST_TITLES."""
    return [(each.part, each.item, str(each.answer), each.fact or FOR_THE_AUTHOR) for each in items]
