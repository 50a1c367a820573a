"""Is an experiment's folder whole: its settings, the runs' folders and weights, and what is left over."""

import os
import stat
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hpsearch.data.fingerprint import PACKAGE, Fingerprint, hash_file
from hpsearch.diagnosis.findings import Finding, aside, put_aside
from hpsearch.diagnosis.log import ReadLog, damaged_file, examine_curve
from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.checksums import checksum_of, unsealed
from hpsearch.experiment.files import copy_atomically, read_json, read_lines
from hpsearch.experiment.layout import (
    BEST,
    CHECKPOINT,
    CONFIG,
    DATA,
    HISTOGRAMS,
    METRICS,
    NUMBERED,
    PREVIOUS,
    PREVIOUS_BEST,
    PRINTED,
    RATE_DECISIONS,
    RESOLVED,
    SPACE,
    RunKind,
    is_experiment,
)
from hpsearch.experiment.provenance import git_state, versions
from hpsearch.experiment.reading import read_resolved, space_home
from hpsearch.experiment.state import RunState
from hpsearch.records import Outcome
from hpsearch.running.mending import mended_job
from hpsearch.running.same_data import read_sources
from hpsearch.tracking.mlflow.agreement import mirrored_copy

_LINES = (METRICS, PRINTED, HISTOGRAMS, RATE_DECISIONS)


def examine_files(folder: Path, log: ReadLog, *, running: bool) -> Iterator[Finding]:
    """Yield what is wrong with the files of an experiment apart from its log."""
    yield from _special(folder)
    yield from _settings(folder)
    ours = _trains_here(folder)
    for run in log.state.runs.values():
        if run.asked:
            yield from _run(folder, run, running=running, ours=ours)
    if not running:
        yield from _orphans(folder, log)
        yield from leftovers(folder)


def _trains_here(folder: Path) -> bool:
    """Whether the weights are in our format: a function or program writes what it likes under these names."""
    try:
        resolved = read_resolved(folder)
        return "code" not in resolved and resolved["space"]["family"] not in ("command", "external")
    except (HpsearchError, LookupError, TypeError):
        return True


def _special(folder: Path) -> Iterator[Finding]:
    """Yield what is neither a file nor a folder: reading it might never end."""
    for home, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(home, name)
            try:
                mode = path.stat().st_mode
            except OSError as error:
                what = f"a link that leads nowhere ({error.strerror})"
            else:
                if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                    continue
                what = "a pipe, a socket or a device"
            yield Finding(
                f"it is {what}",
                str(path),
                "hpsearch did not make it; a program that reads it may wait for ever",
                f"remove it: rm '{path}'",
            )


def _settings(folder: Path) -> Iterator[Finding]:
    resolved: dict[str, Any] = {}
    try:
        resolved = unsealed(read_resolved(folder))
    except (HpsearchError, ValueError) as error:
        copy = mirrored_copy(folder, "", RESOLVED)
        copy = copy if copy is not None and _is_whole(copy) else None
        yield Finding(
            f"a setting was changed: {error}" if isinstance(error, ValueError) else str(error),
            str(folder / RESOLVED),
            "the experiment cannot be shown, compared or gone on with as it was",
            "--repair takes the copy that MLflow's store has" if copy else "take it from a backup",
            mend=partial(_restore, folder / RESOLVED, copy) if copy else None,
        )
    missing = not (folder / SPACE).is_file()
    if is_experiment(folder) and (missing or not _is_given(folder / SPACE, resolved)):
        copy = mirrored_copy(folder, "", SPACE)
        copy = copy if copy is not None and _is_given(copy, resolved) else None
        yield Finding(
            "the space file as it was given is missing" if missing else "it is not the space file as it was given",
            str(folder / SPACE),
            "the search cannot tell what has changed in a space file when it goes on; results do not depend on it",
            "--repair takes the copy that MLflow's store has" if copy else "run the search again from its space file",
            mend=partial(_restore, folder / SPACE, copy) if copy else None,
        )
    try:
        read_sources(folder)
    except HpsearchError as error:
        yield Finding(
            str(error),
            str(folder / DATA),
            "it cannot be told whether the data are those of the search, so the search does not go on",
            "take it from a backup; if you know that the data are the same, remove it, and they are noted anew",
        )


def _is_given(space: Path, resolved: Mapping[str, Any]) -> bool:
    """Whether a copy of the space file has the checksum that was noted of it, if one was."""
    noted = resolved.get("space_file_crc")
    return noted is None or checksum_of(space) == noted


def _is_whole(document: Path) -> bool:
    try:
        unsealed(read_json(document))
    except (ValueError, AttributeError):
        return False
    return True


def _restore(path: Path, copy: Path) -> str:
    kept = f"; the damaged file is {put_aside(path).name}" if path.exists() else ""
    copy_atomically(copy, path)
    return f"taken from {copy}{kept}"


def _aside(path: Path, why: str = "damaged") -> str:
    return f"put aside as {put_aside(path, why).name}"


def _run(folder: Path, run: RunState, *, running: bool, ours: bool) -> Iterator[Finding]:
    home = folder / run.run
    if not home.is_dir():
        if run.attempts:
            yield _lost_folder(home, run)
        return
    yield from _config(folder, run)
    for name in _LINES:
        yield from damaged_file(home / name, torn=not running)
    if running and run.outcome is None:
        return  # its files are in the making
    yield from examine_curve(folder, run)
    if (home / PRINTED).exists():
        yield from _own_checkpoint(home)
    if not ours or (home / PRINTED).exists():
        return  # its weights are in a format of their own
    if run.outcome is Outcome.COMPLETE and (home / CHECKPOINT).exists() and not any(home.glob(f"{BEST}*")):
        yield Finding(
            "the weights of its best step are gone",
            str(home / BEST),
            "its value is in the log and counts",
            "take them from a backup; `hpsearch train` trains this configuration again",
        )
    named = (home / name for name in (CHECKPOINT, PREVIOUS, BEST, PREVIOUS_BEST))
    for path in sorted({*named, *home.glob(NUMBERED)}):
        if path.exists():
            yield from _weights(path, run)


def _own_checkpoint(home: Path) -> Iterator[Finding]:
    """Yield a function's checkpoint that is none of those which it reported with."""
    noted = {row["checkpoint"] for row, _ in read_lines(home / PRINTED) if "checkpoint" in row}
    for path in (home / CHECKPOINT, home / PREVIOUS):
        if noted and path.is_file() and checksum_of(path) not in noted:
            yield Finding(
                "its checksum does not fit",
                str(path),
                "a training that goes on passes it over, for the one before it if that is whole",
                "--repair puts it aside",
                mend=partial(_aside, path),
            )


def _lost_folder(home: Path, run: RunState) -> Finding:
    ended = run.outcome is not None
    return Finding(
        "its folder is gone",
        str(home),
        f"its outcome ({run.outcome}) and value are in the log and count; its curves and weights are lost"
        if ended
        else "it is trained from its beginning when the search goes on",
        "take it from a backup, if its weights are needed",
        note=not ended,
    )


def _config(folder: Path, run: RunState) -> Iterator[Finding]:
    """Yield what is wrong with a run's configuration; where the log knows other values, it is another run's."""
    path = folder / run.run / CONFIG
    why = _config_damage(path, run)
    if why is None:
        return
    copy = mirrored_copy(folder, run.run, CONFIG)
    if copy is not None and _config_damage(copy, run) is None:
        cure, mend = "--repair takes the copy that MLflow's store has", partial(_restore, path, copy)
    elif run.kind is RunKind.TRIAL and not _has_own_code(folder):
        cure, mend = "--repair writes it again from log and space", partial(_configured_again, folder, run)
    else:
        cure, mend = "`hpsearch run` writes that of a trial again from log and space; else take it from a backup", None
    yield Finding(
        why,
        str(path),
        "this run's settings cannot be shown, nor its model used; its values are in the log",
        cure,
        note=run.outcome is None and not path.exists(),
        mend=mend,
    )


def _has_own_code(folder: Path) -> bool:
    """Whether the family is code of the user's, none of which is run here, or is not known."""
    try:
        return ":" in read_resolved(folder)["space"]["family"]
    except HpsearchError:
        return True


def _configured_again(folder: Path, run: RunState) -> str:
    path = folder / run.run / CONFIG
    kept = aside(path)
    if path.exists():
        copy_atomically(path, kept)
    if mended_job(folder, run) is None:
        kept.unlink(missing_ok=True)
        raise ExperimentError("it does not follow from the log: the space has changed, or the trial copied another")
    return f"written again from log and space; the damaged file is {kept.name}" if kept.exists() else "written again"


def _config_damage(path: Path, run: RunState) -> str | None:
    try:
        content = read_json(path)
    except FileNotFoundError:
        return "it is missing"
    except (OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        return "it holds no configuration"
    try:
        content = unsealed(content)
    except ValueError as error:
        return f"a setting was changed: {error}"
    changes = content.get("changes")
    told = [content, *(changes if isinstance(changes, list) else [])]
    params = [each.get("params") for each in told if isinstance(each, dict)]
    fits = any(each in (None, run.params, run.first_params) for each in params)
    return None if fits else "its values are not those of the log"


def _weights(path: Path, run: RunState) -> Iterator[Finding]:
    from hpsearch.training.checkpoint import load

    try:
        load(path)
    except (HpsearchError, OSError) as error:
        ended = run.outcome is Outcome.COMPLETE and path.name == BEST
        yield Finding(
            f"it does not load: {error}",
            str(path),
            "the weights of a finished run are lost; its value is in the log and counts"
            if ended
            else "a training that goes on from it would start over, or go on from the checkpoint before",
            "--repair puts it aside" + ("; `hpsearch train` trains this configuration again" if ended else ""),
            mend=partial(_weights_aside, path),
        )


def _weights_aside(path: Path) -> str:
    """Put a file of weights aside, with the checksum beside it if it has one."""
    target = put_aside(path)
    for beside in sorted(path.parent.glob(f"{path.name}.*")):
        if beside.suffix in (".crc", ".sha256", ".sum"):
            beside.rename(target.with_name(target.name + beside.suffix))
    return f"put aside as {target.name}"


def _orphans(folder: Path, log: ReadLog) -> Iterator[Finding]:
    """Yield folders of trials that the log does not know: another trial would get their number and find their files."""
    if not log.state.runs:
        return  # the log says what is wrong
    known = {*log.state.runs, *log.state.orphans}
    for path in sorted((folder / "trials").glob("[0-9]*")):
        if path.is_dir() and path.name.isdecimal() and path.relative_to(folder).as_posix() not in known:
            yield Finding(
                "the log knows no trial of this number",
                str(path),
                "a new trial of this number would find its checkpoint and metrics",
                "--repair puts it aside",
                mend=partial(_aside, path, "orphan"),
            )


def leftovers(folder: Path, *, below: bool = True) -> Iterator[Finding]:
    """Yield the temporary files that killed processes left in a folder, or also `below` it."""
    for path in sorted(folder.rglob(".*.tmp") if below else folder.glob(".*.tmp")):
        if path.is_file():
            yield Finding(
                "a temporary file of a process that was killed",
                str(path),
                "it was never renamed to what it was to become; nothing reads it",
                "--repair removes it",
                note=True,
                mend=partial(_remove, path),
            )


def _remove(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "removed"


def examine_origin(folder: Path) -> Iterator[Finding]:
    """Yield where versions, code and data are other than those of the search. No code of the user's is run."""
    try:
        resolved = read_resolved(folder)
        home = space_home(folder)
        sources = read_sources(folder)
    except HpsearchError:
        return
    now, then = versions(), resolved.get("versions") or {}
    changed = [f"{name} {then[name]} -> {now.get(name, 'missing')}" for name in then if now.get(name) != then[name]]
    if changed:
        yield Finding(
            f"versions have changed: {', '.join(changed)}",
            str(folder),
            "trials from now on may differ from those before in the last digits",
            "install the earlier versions to go on as before",
            note=True,
        )
    git = resolved.get("git")
    if git and home.is_dir() and (state := git_state(home)) and state["commit"] != git.get("commit"):
        yield Finding(
            f"the code around the space file is at {state['commit'][:12]}, the search began at {git['commit'][:12]}",
            str(home),
            "trials from now on may be trained by other code",
            f"git checkout {git['commit'][:12]} to go on as before",
            note=True,
        )
    for fingerprint in sources.values():
        yield from _data(home, fingerprint)


def _data(home: Path, fingerprint: Fingerprint) -> Iterator[Finding]:
    """Compare single files with what was noted of them; folders and packages are left to the next session."""
    for content in fingerprint.contents:
        path = home / content.path
        if content.members or content.path.startswith(PACKAGE) or path.is_dir():
            continue
        if not path.is_file():
            why = "is not there any more"
        elif path.stat().st_size == content.bytes and hash_file(path)[1] == content.sha256:
            continue
        else:
            why = "is another file than the search saw"
        yield Finding(
            f"the data of {content.setting}: {why}",
            str(path),
            "the search refuses to go on with other data: its trials could not be compared",
            "put the old data back, or search the new ones under another --name",
        )
