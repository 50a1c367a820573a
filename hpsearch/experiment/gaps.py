"""What the log and the folders of an experiment do not agree on: a log that was lost, and folders that are gone."""

from collections.abc import Iterable
from pathlib import Path

from hpsearch.experiment.layout import LOG, METRICS, RunKind
from hpsearch.experiment.state import ExperimentState

_NAMED = 3
"""The most runs that are named."""


def lost_log(folder: Path, state: ExperimentState) -> str | None:
    """Return a sentence if the log tells nothing of the trials that were trained in the folder, else None."""
    if state.count:
        return None
    trained = trained_without_log(folder, state)
    if not trained:
        return None
    return (
        f"{_said(folder / LOG)}, and with it the parameters, values and outcomes of {_count(trained)} in "
        f"{folder / 'trials'}: {_named(trained)}. Put a copy of the log back; without one, `hpsearch doctor {folder} "
        "--repair` writes what the trials' folders tell; another --name begins a new search"
    )


def _said(log: Path) -> str:
    what = "is gone" if not log.exists() else "has no whole line" if _size(log) else "is empty"
    return f"{log} {what}"


def trained_without_log(folder: Path, state: ExperimentState) -> list[str]:
    """Return the trials that have reported something and that no line of the log asks for."""
    names = [name for name in _folders(folder) if name.isdecimal()]
    unknown = [run for name in names if not _is_asked(state, run := f"trials/{name}")]
    return [run for run in unknown if _size(folder / run / METRICS)]


def gaps(folder: Path, state: ExperimentState) -> list[str]:
    """Describe what is missing; nothing where no trial has a folder, as in a copy of the log alone."""
    if sentence := lost_log(folder, state):
        return [sentence]
    names = set(_folders(folder))
    if not names:
        return []
    if not state.count:
        runs = [f"trials/{name}" for name in sorted(names)]
        what = f"{_said(folder / LOG)}, though {_count(runs)} had begun in {folder / 'trials'}: {_named(runs)}"
        return [f"{what}. None had reported anything; the search begins anew"]
    told = []
    if unknown := trained_without_log(folder, state):
        told.append(f"the log does not tell of {_count(unknown)} in {folder}: {_named(unknown)}; not counted, and kept")
    begun = [run for run in state.of_kind(RunKind.TRIAL) if run.begun_at is not None and not run.dropped]
    gone = [run for run in begun if run.run.removeprefix("trials/") not in names]
    if ended := [run.run for run in gone if run.ended]:
        told.append(
            f"the folder of {_count(ended)} that ended is gone: {_named(ended)}. The log has the values, which count; "
            "weights and curves are lost"
        )
    if going := [run.run for run in gone if not run.ended]:
        told.append(
            f"the folder of {_count(going)} that has not ended is gone: {_named(going)}; trained from the start"
        )
    return told


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in (folder / "trials").iterdir())
    except OSError:
        return []


def _is_asked(state: ExperimentState, run: str) -> bool:
    return run in state.runs and state.runs[run].asked


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _count(runs: list[str]) -> str:
    return "1 trial" if len(runs) == 1 else f"{len(runs)} trials"


def _named(runs: Iterable[str]) -> str:
    names = list(runs)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
