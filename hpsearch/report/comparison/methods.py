"""The methods of a comparison in words for a paper: design, analysis, computation, and what is not known.

Each sentence says a fact that the comparison or its runs hold. What they do not hold is not guessed: it is left out of
the text and listed, for the author to add.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hpsearch.comparing.background import Background, Environment, Methods, Searched
from hpsearch.comparing.comparison import Comparison, ExperimentSummary
from hpsearch.comparing.conclusion import listed
from hpsearch.comparing.question import Unit
from hpsearch.records import FinishedRun, Goal
from hpsearch.report.comparison.analysis import analysed
from hpsearch.report.comparison.background import Known, alike, some
from hpsearch.report.comparison.checklist import CHECKLIST_TITLES, SOURCE, checklist, checklist_rows
from hpsearch.report.comparison.contents import Section
from hpsearch.report.wording import duration, rough_size

DESIGN, ANALYSIS, COMPUTATION = "Design", "Analysis", "Computation"
ADDED_BY_AUTHOR = "For a paper the author has to add what hpsearch does not know:"


def with_methods(comparison: Comparison, runs: Sequence[FinishedRun], background: Background) -> Comparison:
    """Return the comparison with its methods in words, and the checklist as far as it is known."""
    known = Known(comparison, runs, background)
    parts = {
        DESIGN: [*_compared(known), *_searched(background), *_replicated(known), *_planned(background)],
        ANALYSIS: analysed(known),
        COMPUTATION: [*_times(known), *_environments(background), *_computed(known)],
    }
    paragraphs = {title: " ".join(sentences) for title, sentences in parts.items() if sentences}
    items = checklist(comparison, runs, background)
    return replace(comparison, methods=Methods(paragraphs, tuple(_unknown(known)), items))


def methods_sections(comparison: Comparison) -> list[Section]:
    """Return the methods and the checklist as sections of a report; none if nobody has written them."""
    methods = comparison.methods
    if methods is None:
        return []
    said = [f"{title}. {text}" for title, text in methods.paragraphs.items()]
    return [
        Section("Methods", [*said, ADDED_BY_AUTHOR], methods.unknown),
        Section(
            "Reproducibility checklist", [SOURCE], columns=CHECKLIST_TITLES, rows=checklist_rows(methods.checklist)
        ),
    ]


def _compared(known: Known) -> Iterator[str]:
    comparison, background = known.comparison, known.background
    names = [each.name for each in comparison.experiments if each.n]
    better = "higher is better" if comparison.goal is Goal.MAXIMIZE else "lower is better"
    what = f"{comparison.metric} ({better})"
    what += "" if background.step is None else f", read at step {background.step} of every run"
    if not names:
        yield f"No run has a value of {what} that counts."
    elif len(names) == 1:
        yield f"{names[0]} was measured by {what}."
    else:
        by = "" if background.by is None else f", which are groups of runs by {background.by},"
        yield f"{some(names)}{by} were compared by {what}."
    if known.deterministic and len(names) > 1:
        several = len(known.deterministic) > 1
        yield (
            f"{some(known.deterministic)} had no seed: {'each' if several else 'it'} was "
            f"fitted once, and {'its' if several else 'the'} one value was compared with every run of another."
        )


def _searched(background: Background) -> Iterator[str]:
    for names, said in alike((each.name, _search(each)) for each in background.searches):
        yield f"The hyperparameters of {some(names)} were searched {said}{' each' if len(names) > 1 else ''}."
    for names, said in alike((each.name, _ranking(each)) for each in background.searches):
        whose = "Trials" if len(names) == len(background.searches) else f"The trials of {some(names)}"
        yield f"{whose} were ranked by {said}."
    for each in background.searches:
        ends = [f"{count} {_ended(end, count)}" for end, count in each.outcomes.items() if end != "complete"]
        if ends:
            first = "first search's " if each.times > 1 else ""
            yield f"Of the {first}{each.trials} trials of {each.name}, {listed(ends)}."


_POPULATIONS = ("pbt", "pb2")


def _search(each: Searched) -> str:
    how = [f"over {each.ranges} {'range' if each.ranges == 1 else 'ranges'}"] if each.ranges else []
    how += [f"by the sampler {each.sampler}"] if each.sampler else []
    if each.pruner in _POPULATIONS:
        how.append(f"as a population ({each.pruner})")
    elif each.pruner == "none":
        how.append("without stopping trials early")
    elif each.pruner:
        how.append(f"with the rule {each.pruner} for stopping trials early")
    seed = [f"from the seed {each.seed}"] if each.seed is not None else []
    how += seed if each.times == 1 else []
    how += [f"on up to {each.race} seeds for a trial that might be the best"] if each.race is not None else []
    count = f"in {each.trials} {'trial' if each.trials == 1 else 'trials'}"
    if each.times > 1:
        how, count = [f"{each.times} times", *how], " ".join(["the first time", *seed, count])
    return ", ".join([*how, count])


def _ranking(each: Searched) -> str:
    goal = "" if each.goal is None else f" ({'higher' if each.goal is Goal.MAXIMIZE else 'lower'} is better)"
    mean = "" if each.race is None else ", the mean over a trial's seeds"
    return f"{each.metric}{goal}{'' if each.at is None else f', {each.at}'}{mean}"


_ENDS = {
    "pruned": "stopped early by that rule",
    "stopped": "stopped by a person",
    "diverged": "diverged",
    "out_of_memory": "ran out of memory",
    "timed_out": "ran out of time",
    "failed": "failed",
    "lost": "lost",
    "unfinished": "unfinished",
}
_PASSIVE = ("pruned", "stopped", "lost", "unfinished")


def _ended(outcome: str, count: int) -> str:
    said = _ENDS.get(outcome, outcome)
    return f"{'was' if count == 1 else 'were'} {said}" if outcome in _PASSIVE else said


def _replicated(known: Known) -> Iterator[str]:
    again = [each for each in known.repeated if each.name in known.retrained]
    words = {Unit.SEED: ("fresh seed", "fresh seeds"), Unit.FOLD: ("fold", "folds of the data")}
    if again and known.comparison.unit in words:
        one, several = words[known.comparison.unit]
        counts = sorted({each.n for each in again})
        n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        shared = ", the same for all" if len(again) > 1 and len({each.units for each in again}) == 1 else ""
        scored = ""
        if known.comparison.metric.startswith("test/"):
            where = "fold that it did not learn from" if known.comparison.unit is Unit.FOLD else "test split"
            scored = f"{',' if shared else ''} and scored on the {where}"
        kind = f"{n} {one if n == '1' else several}{_divisions(known)}"
        yield f"{_who(again, known)} trained again on {kind}{shared}{scored}."
    elif again and known.comparison.unit is Unit.SEARCH:
        yield from _repeated_searches(again, known)
    lengths = [(each.name, f"{each.steps} {unit}") for each in known.repeated if (unit := _steps_of(each, known))]
    for names, length in alike(lengths):
        whose = "Every run that counts" if len(names) == len(known.repeated) else f"Every run of {some(names)}"
        yield f"{whose} was trained for {length}."


def _repeated_searches(again: Sequence[ExperimentSummary], known: Known) -> Iterator[str]:
    """Say how often each arm was searched, and on how many seeds each search's winner was trained again."""
    runs = [known.counted[each.name] for each in again]
    searches = sorted({len({run.search_number for run in own}) for own in runs})
    seeds = sorted({count for own in runs for count in Counter(run.search_number for run in own).values()})
    often, each = (str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}" for found in (searches, seeds))
    where = " and scored on the test split" if known.comparison.metric.startswith("test/") else ""
    yield (
        f"The search was repeated: {often} searches of each, by other seeds. The best trial of each search was trained "
        f"again on {each} fresh {'seed' if each == '1' else 'seeds'}{where}; their mean counts as one observation."
    )


def _divisions(known: Known) -> str:
    """Return how often the data were divided into folds, where it was more than once."""
    runs = [run for runs in known.counted.values() for run in runs if run.fold is not None]
    folds, repeats = {run.fold for run in runs}, {run.repeat for run in runs}
    return f" ({len(folds)} folds, the data divided {len(repeats)} times)" if len(repeats) > 1 else ""


def _who(again: Sequence[ExperimentSummary], known: Known) -> str:
    """Return `The best trial was`, or which trials were, where they are not the best of each search."""
    best = {each.name: each.best for each in known.background.searches}
    trials: dict[str, list[object]] = {}
    for each in again:
        run = known.counted[each.name][0]
        trials.setdefault(run.run.partition("/")[0], []).append(run.trial)
    if all(numbers == [best.get(name)] for name, numbers in trials.items()):
        if len(trials) == 1:
            return "The best trial was"
        return (
            "The best trial of each search was"
            if len(trials) == len(best)
            else f"The best trials of {some([*trials])} were"
        )
    named = [
        f"{'trial' if len(numbers) == 1 else 'trials'} {listed([str(number) for number in numbers])} of {name}"
        for name, numbers in trials.items()
    ]
    said = listed(named)
    return f"{said[0].upper()}{said[1:]} {'was' if len(again) == 1 else 'were'}"


def _steps_of(each: ExperimentSummary, known: Known) -> str:
    """Return the word for what the steps of an experiment's runs count, or "" if their lengths are not known."""
    units = {run.unit for run in known.counted[each.name]}
    unit = units.pop() if len(units) == 1 else None
    if each.steps is None or unit is None:
        return ""
    return unit if each.steps == 1 else f"{unit}s"


def _planned(background: Background) -> Iterator[str]:
    plan = background.plan
    if plan is None:
        return
    before, after = plan.changes.get(False, 0), plan.changes.get(True, 0)
    yield (
        "Arms, budgets, replicates, the metric, the tests and their level were fixed in a file before the first "
        "training."
    )
    if before or after:
        told = [f"{before} {_times_word(before)} before any result could be seen"] if before else []
        told += [f"{after} {_times_word(after)} after a result could be seen"] if after else []
        yield f"This plan was changed {listed(told)}{': the result is exploratory' if after else ''}."
    else:
        yield "This plan was not changed."
    if len(plan.looks) > 1:
        looks = listed([str(look) for look in plan.looks])
        yield (
            f"The result was looked at {len(plan.looks)} times, with {looks} replicates, which no p-value accounts for."
        )
    elif plan.looks:
        yield "The result was looked at once."


def _times_word(count: int) -> str:
    return "time" if count == 1 else "times"


def _times(known: Known) -> Iterator[str]:
    spent = [each.seconds for each in known.background.searches if each.seconds]
    trained = [each.seconds for each in known.repeated if each.seconds]
    searches = known.background.searches
    whose = "the first search of each" if any(each.times > 1 for each in searches) else "the searches"
    what = "the first seeds of the trials" if any(each.race for each in searches) else "the trials"
    told = [f"{duration(sum(spent))} in {what} of {whose}"] if spent else []
    if trained and known.comparison.unit is not Unit.TRIAL:
        told.append(f"{duration(sum(trained))} in the runs that count")
    if told:
        yield f"Training took {listed(told)}, summed over runs."


def _environments(background: Background) -> Iterator[str]:
    known = [(name, _environment(each)) for name, each in background.environments.items()]
    groups = alike((name, said) for name, said in known if said)
    for names, said in groups:
        whose = "Trainings" if len(groups) == 1 and len(names) == len(known) else f"The trainings of {some(names)}"
        yield f"{whose} {said}."


def _environment(each: Environment) -> str:
    """Return what the trainings did where, or "" if nothing of it is known."""
    parts = [f"on {machine}"] if (machine := _machine(each)) else []
    parts += [f"in an environment with {_versions(each.versions)}"] if each.versions else []
    if each.commit:
        changes = " with uncommitted changes" if each.uncommitted else ""
        parts.append(f"with the project's files at git commit {each.commit[:12]}{changes}")
    how = "were programs, started" if each.program else "were coordinated" if each.workers_elsewhere else "ran"
    return f"{how} {', '.join(parts)}" if parts else ""


def _machine(each: Environment) -> str:
    inside = [f"{each.cores} CPU {'core' if each.cores == 1 else 'cores'}"] if each.cores else []
    if inside and each.processor:
        inside[0] += f" ({each.processor})"
    inside += [f"{rough_size(each.memory)} of memory"] if each.memory else []
    inside += [f"{each.gpus.count(name)} × {name}" for name in dict.fromkeys(each.gpus)]
    system = f" under {each.system}" if each.system else ""
    return f"a machine with {listed(inside)}{system}" if inside else ""


def _versions(versions: Mapping[str, str]) -> str:
    titles = {"python": "Python", "torch": "PyTorch", "optuna": "Optuna", "numpy": "NumPy", "scipy": "SciPy"}
    shown = ("hpsearch", "python", "torch", "optuna", "numpy", "scipy")
    return ", ".join(f"{titles.get(name, name)} {versions[name]}" for name in shown if name in versions)


def _computed(known: Known) -> Iterator[str]:
    versions, environments = known.background.analysis, known.background.environments.values()
    if environments and all(_versions(each.versions) == _versions(versions) for each in environments):
        versions = {}
    software = _versions({name: version for name, version in versions.items() if name not in ("torch", "optuna")})
    by = f"The comparison was computed by {software}; its" if software else "The comparison's"
    yield f"{by} random parts (resampling, permutations) used the seed {known.comparison.seed}."


def _unknown(known: Known) -> Iterator[str]:
    """Yield what a section on methods needs and hpsearch does not know."""
    comparison, background = known.comparison, known.background
    if not comparison.metric.startswith("test/") and comparison.unit is not Unit.TRIAL:
        yield f"on which split of the data {comparison.metric} was measured"
    searched = {each.name for each in background.searches}
    unsearched = [
        each.name for each in comparison.experiments if each.n and each.name not in {*searched, *known.retrained}
    ]
    if unsearched:
        yield f"how the hyperparameters of {some(unsearched)} were chosen"
    if background.plan is None and known.tested:
        yield "whether the metric, the tests and the number of runs were fixed before any result was seen"
    if background.plan is None and not any(each.seconds for each in comparison.experiments):
        yield "how long the trainings took"
    without = [each.name for each in known.repeated if not _machine_of(each.name, known)]
    if without:
        several = "" if len(without) == len(known.repeated) else f" of {some(without)}"
        yield f"on which machine and with which software the trainings{several} ran"
    if any(each.program for each in background.environments.values()):
        yield "which software the programs used, and which data they read"
    yield "where the data come from, and how they were prepared"


def _machine_of(name: str, known: Known) -> bool:
    experiments = {run.experiment for run in known.counted[name]} | {
        run.run.partition("/")[0] for run in known.counted[name]
    }
    return bool(experiments & {each for each, env in known.background.environments.items() if env.cores})
