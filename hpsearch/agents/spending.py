"""What a search will cost, before it is started: `plan_search`."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.agents.confined import Confined
from hpsearch.agents.started import Planned
from hpsearch.api.arguments import settings_of
from hpsearch.experiment.activity import state_of
from hpsearch.experiment.layout import LOG, RunKind, is_experiment
from hpsearch.experiment.log import read_state
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import ExperimentRecord
from hpsearch.running.earlier import step_unit, training_length
from hpsearch.running.loading import load_space
from hpsearch.running.runner import default_folder
from hpsearch.space import Space, code_of
from hpsearch.space.checks import data_notes, foreign_notes, no_test_split, secret_notes
from hpsearch.space.located_yaml import read_file


def planned_search(
    confined: Confined,
    given: str,
    *,
    name: str | None,
    quick: bool,
    changes: Mapping[str, Any],
    confirm: bool,
    mlflow: bool,
) -> tuple[Planned, dict[str, Any]]:
    """Return the command of a search and what it will cost.

    Raises:
        HpsearchError: The space has mistakes, or runs what it must not.
    """
    path, overrides = confined.space(given), settings_of(changes)
    confined.settings(path, overrides)
    space = load_space(path, quick=quick, overrides=overrides)
    confined.require(space)
    folder = confined.new(default_folder(space, name=name, quick=quick).name)
    options = ["--quick"] if quick else []
    options += ["--name", folder.name, *(f"--set={each}" for each in overrides)]
    options += ["--confirm" if confirm else "--no-confirm", "--mlflow" if mlflow else "--no-mlflow"]
    words = ["run", str(path), *options, "--json", "--quiet"]

    def fingerprint() -> Any:
        return _fingerprint(path, overrides)

    return Planned(words, folder, fingerprint, fingerprint()), _cost(space, folder, confirm=confirm)


def _fingerprint(path: Path, overrides: Sequence[str]) -> list[tuple[str, str]]:
    """Return the digests of a space file and of the code that it names."""
    _, root = read_file(path)
    files = sorted({path, *(each.path for each in code_of(root, path, overrides))})
    return [(str(file), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files if file.is_file()]


def _cost(space: Space, folder: Path, *, confirm: bool) -> dict[str, Any]:
    search, unit = space.search, step_unit(space)
    record = read_experiment(folder) if is_experiment(folder) else None
    state = read_state(folder / LOG)
    asked = [*state.of_kind(RunKind.TRIAL), *state.of_kind(RunKind.RERUN)]
    unfinished, most = sum(not trial.ended for trial in asked), state.trials_of(search.trials)
    seeds = search.seeds.race.most if search.seeds else 1
    trials = most if space.size is None else min(most, space.size * seeds)
    replicates = (
        space.confirm.top * space.confirm.count if confirm and space.confirm and not no_test_split(space) else 0
    )
    missing = no_test_split(space)
    return {
        "experiment": folder.name,
        "state": "new" if record is None else state_of(folder),
        "metric": space.objective.metric,
        "goal": space.objective.goal.value,
        "trials": trials,
        "trials_begun": len(asked),
        "trainings_left_at_most": unfinished + max(trials - len(asked), 0) + replicates,
        "confirmation_trainings": replicates,
        f"{unit}s_each_at_most": _longest(space, unit),
        "seconds_each_so_far": _seconds(record),
        "search_seconds_at_most": state.time_of(search.time),
        "trial_seconds_at_most": search.trial_time,
        "pruner": search.pruner.kind,
        "sampler": search.sampler.kind,
        "workers": search.workers,
        "engine": search.engine,
        "notes": [*foreign_notes(space), *secret_notes(space), *data_notes(space), *([missing] if missing else [])],
    }


def _longest(space: Space, unit: str) -> int | None:
    """Return the length of the longest training, which may be searched; None if it is not known."""
    known = training_length(space, space.example, unit)
    found = {each.path: each.range for each in space.parameters}.get(f"train.{unit}s")
    return known if known is None or found is None else int(max(found.grid() or (known,)))


def _seconds(record: ExperimentRecord | None) -> float | None:
    """Return the mean time of the trainings that came to their end."""
    ended = [trial.seconds for trial in record.trials if trial.value is not None] if record else []
    return round(sum(ended) / len(ended), 1) if ended else None
