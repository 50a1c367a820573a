"""The examination: of the machine, of experiments and studies, of the store beside them; and the repair."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from hpsearch.diagnosis.findings import Diagnosis, Finding
from hpsearch.diagnosis.folder import examine_files, examine_origin, leftovers
from hpsearch.diagnosis.log import examine_log
from hpsearch.diagnosis.machine import examine_machine, facts
from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.activity import in_use, locked
from hpsearch.experiment.layout import EXPERIMENTS, LOG, RESOLVED, STUDY, TRACKING, is_experiment, is_study, root_of
from hpsearch.experiment.studies import read_result, read_study_file
from hpsearch.tracking.entries import MirrorState, load_state
from hpsearch.tracking.mlflow.agreement import disagreements, is_mirrored_beside, mirror_anew
from hpsearch.tracking.mlflow.database import Shape, is_consistent, put_aside, shape_of
from hpsearch.tracking.mlflow.store import DATABASE

_NAMED = 5


def examine(places: Sequence[Path], *, repair: bool = False) -> Diagnosis:
    """Examine the machine, and what lies at `places`: experiments, studies, or folders of them.

    With `repair` everything is mended that can be without inventing data: what is damaged is kept under another name.

    Raises:
        ExperimentBusyError: an experiment that is to be repaired is running.
        ExperimentError: there is no experiment at a place.
    """
    folders = list(dict.fromkeys(folder for place in places for folder in _folders(place)))
    roots = list(dict.fromkeys(_root(place) for place in places)) or [EXPERIMENTS]
    roots = [root for root in roots if root.is_dir()]
    here = roots[0] if roots else Path()
    found = list(examine_machine(here))
    looked_at: dict[str, str] = {}
    with ExitStack() as held:
        for folder in folders if repair else ():
            if not is_study(folder):
                held.enter_context(locked(folder, patience=0))
        for folder in folders:
            running = not repair and in_use(folder)
            findings, looked_at[str(folder)] = _examined(folder, running=running)
            found += map(_mended, findings) if repair else findings
        for root in roots:  # behind the folders, from which a store is made anew
            found += map(_mended, _store(root)) if repair else _store(root)
        for folder in folders:
            if repair or not in_use(folder):
                found += map(_mended, _agreement(folder)) if repair else _agreement(folder)
    return Diagnosis(facts(here), looked_at, tuple(found))


def _folders(place: Path) -> Iterator[Path]:
    """Yield the experiments and studies at a place or in it, also those whose main file is lost."""
    if not place.is_dir():
        raise ExperimentError(f"{place} is not a folder: give an experiment, a study, or a folder of them")
    if _is_one(place):
        yield place
    inside = sorted(each for each in place.iterdir() if each.is_dir() and not each.is_symlink())
    below = [each for each in inside if _is_one(each)] if is_study(place) or not _is_one(place) else []
    for each in below:
        yield from _folders(each)
    if not below and not _is_one(place) and not (place / DATABASE).exists():
        raise ExperimentError(f"{place} holds no experiment: give an experiment, a study, or a folder of them")


def _is_one(folder: Path) -> bool:
    return is_study(folder) or is_experiment(folder) or any((folder / name).exists() for name in (LOG, RESOLVED))


def _root(place: Path) -> Path:
    return root_of(place.absolute()) if _is_one(place) else place


def _examined(folder: Path, *, running: bool) -> tuple[list[Finding], str]:
    """Return what is wrong with an experiment or with a study itself, and what was looked at."""
    if is_study(folder):
        return [*_study(folder), *leftovers(folder, below=False)], "a study"
    log = examine_log(folder, running=running)
    found = [*log.findings, *examine_files(folder, log, running=running), *examine_origin(folder)]
    runs = sum(run.asked for run in log.state.runs.values())
    return found, f"{'running, ' if running else ''}{log.lines} events of {runs} runs"


def _study(folder: Path) -> Iterator[Finding]:
    for read, meaning in (
        (read_study_file, "the study cannot be gone on with; its arms are experiments of their own"),
        (read_result, "its answer is lost; the next report decides anew from the same scores"),
    ):
        try:
            read(folder)
        except (HpsearchError, OSError) as error:
            yield Finding(str(error), str(folder), meaning, f"take it from a backup, or run the study's {STUDY} anew")


def _store(root: Path) -> Iterator[Finding]:
    """Yield what is wrong with MLflow's store of a folder of experiments."""
    path = root / DATABASE
    try:
        shape = shape_of(path)
    except sqlite3.OperationalError as error:
        yield Finding(
            f"it cannot be read now: {error}", str(path), "MLflow's store may be in use", "try again later", note=True
        )
        return
    if shape is Shape.WHOLE and not is_consistent(path):
        shape = Shape.DAMAGED
    if shape in (Shape.HALF_MADE, Shape.DAMAGED):
        damaged = shape is Shape.DAMAGED
        yield Finding(
            "it is no database, or parts of it are damaged"
            if damaged
            else "a process was killed while it made or migrated the tables",
            str(path),
            "neither `hpsearch sync` nor `hpsearch ui` can open it; the folders have everything that it mirrored",
            "--repair puts it aside, and writes a new one from the folders",
            mend=partial(_anew, path, "damaged" if damaged else "half-migrated"),
        )
    yield from leftovers(root, below=False)


def _anew(path: Path, why: str) -> str:
    """Put a store aside, and mirror all experiments that were in it."""
    kept = put_aside(path, why)
    folders = [each for each in _folders(path.parent) if is_mirrored_beside(each) and is_experiment(each)]
    for folder in folders:
        mirror_anew(folder)
    return f"put aside as {kept.name}; {len(folders)} experiments are written into a new one"


def _agreement(folder: Path) -> Iterator[Finding]:
    """Yield where MLflow says something else than the log."""
    if is_study(folder) or not is_experiment(folder):
        return
    if (folder / TRACKING).exists() and load_state(folder / TRACKING) == MirrorState():
        yield Finding(
            "it cannot be read",
            str(folder / TRACKING),
            "how far MLflow has everything is not known, nor the address of a server that has it",
            "--repair compares all of it with the store beside the experiments; for a server, "
            "`hpsearch sync --tracking-uri`",
            mend=partial(_mirrored, folder),
        )
        return
    try:
        said = list(disagreements(folder))
    except (HpsearchError, sqlite3.Error, KeyError) as error:
        yield Finding(
            f"MLflow's store cannot be compared with the log: {error}",
            str(folder),
            "it may be in use, or damaged",
            "try again later",
            note=True,
        )
        return
    if said:
        more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
        yield Finding(
            f"MLflow does not say what the log says: {', '.join(said[:_NAMED])}{more}",
            str(folder),
            "what `hpsearch ui` shows is not what the experiment holds; the folder is the truth",
            "--repair, or `hpsearch sync`, writes it again",
            mend=partial(_mirrored, folder),
        )


def _mirrored(folder: Path) -> str:
    mirror_anew(folder)
    if left := list(disagreements(folder)):
        raise ExperimentError(f"MLflow still says otherwise: {left[0]}")
    return "MLflow says what the log says"


def _mended(finding: Finding) -> Finding:
    """Mend what can be mended; where that fails, the finding says why."""
    if finding.mend is None:
        return finding
    try:
        return replace(finding, mended=finding.mend())
    except (HpsearchError, OSError, sqlite3.Error) as error:
        return replace(finding, cure=f"{finding.cure} (that was tried: {error})")
