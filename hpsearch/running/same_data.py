"""The data of an experiment are the same in all its sessions: their fingerprint is kept, and looked at again.

`data.json` holds the fingerprint of every source that the space names, from the session that first learned from it;
what each run saw of it is in the log.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.data.fingerprint import WHAT_TO_DO, Fingerprint, Source, differences, fingerprint_of
from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import DataEvent
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import DATA, FORMAT_VERSION
from hpsearch.experiment.log import Log
from hpsearch.experiment.state import RunState
from hpsearch.families import Family
from hpsearch.families.command.family import Command
from hpsearch.families.function.function import Function
from hpsearch.places import borrowed, find_place, named_places
from hpsearch.records import Outcome
from hpsearch.settings import Settings
from hpsearch.space import Space, configurations
from hpsearch.space.checks import data_notes, foreign_notes, secret_notes


@dataclass(frozen=True)
class SameData:
    """The data that a session may train on.

    `sources` are the fingerprints by the source's key, `splits` the notes of earlier runs by their division; `kept` are
    those of sources that this session's space does not name; `notices` are for the user.
    """

    sources: Mapping[str, Fingerprint]
    splits: Mapping[str, Mapping[str, Any]]
    kept: Mapping[str, Fingerprint]
    notices: tuple[str, ...] = ()

    def for_workers(self) -> dict[str, Any]:
        """Return the reference that workers check their data against."""
        return {"sources": {key: found.digest for key, found in self.sources.items()}, "splits": dict(self.splits)}

    def write(self, folder: Path, log: Log) -> None:
        """Keep the fingerprints with the experiment."""
        found = {key: each.to_json() for key, each in {**self.kept, **self.sources}.items()}
        if found:
            write_json(folder / DATA, {"version": FORMAT_VERSION, "sources": found})
        digests = {each.digest for each in self.sources.values()}
        if len(digests) == 1:
            log.append(DataEvent(source=digests.pop()))


def same_data(space: Space, folder: Path, runs: Collection[RunState]) -> SameData:
    """Return the data of a space for a session in `folder`; `runs` are those of earlier sessions.

    Raises:
        ExperimentError: if runs of earlier sessions saw other data; the message says what differs.
        DataError: for files that cannot be read.
    """
    home = space.path.parent
    sources = dict(_sources(space))
    now = {key: fingerprint_of(source, lambda path: find_place(path, home)) for key, source in sources.items()}
    used, unfinished = _used(runs)
    then = read_sources(folder)
    for key, before in then.items():
        if key in now and (unfinished or before.digest in used) and (changed := differences(before, now[key])):
            raise ExperimentError(f"the data have changed since {folder} was begun: {'; '.join(changed)}. {WHAT_TO_DO}")
    kept = {key: each for key, each in then.items() if key not in now}
    return SameData(now, _splits(runs), kept, tuple(dict.fromkeys(_notices(space))))


def changed_since(space: Space, folder: Path) -> list[str]:
    """List how the data of a space differ from those that the experiment in `folder` was trained on."""
    home, then = space.path.parent, read_sources(folder)
    now = {key: fingerprint_of(source, lambda path: find_place(path, home)) for key, source in _sources(space)}
    return [clause for key, before in then.items() if key in now for clause in differences(before, now[key])]


def data_digest(space: Space) -> str | None:
    """Return one digest of the data of a space as they are now; None where it names no data.

    Raises:
        DataError: For files that cannot be read.
    """
    home = space.path.parent
    found = [fingerprint_of(source, lambda path: find_place(path, home)).digest for _, source in _sources(space)]
    return hashlib.sha256("".join(sorted(set(found))).encode()).hexdigest()[:16] if found else None


def read_sources(folder: Path) -> dict[str, Fingerprint]:
    """Return the fingerprints that an experiment has kept; none where it is of an older hpsearch."""
    try:
        content = json.loads((folder / DATA).read_text(encoding="utf-8"))
        return {key: Fingerprint.from_json(each) for key, each in content["sources"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExperimentError(f"{folder / DATA} is damaged: {error}; without it the data are not known") from error


def _sources(space: Space) -> Iterable[tuple[str, Source]]:
    """Yield the sources that a space can name, by their keys."""
    for config, _ in configurations(space):
        interface = space.interface
        known = interface if isinstance(interface, Family | Command | Function) else None
        source = known.source_of(config, space.path.parent) if known else None
        if source is not None:
            yield source.key, source


def _used(runs: Collection[RunState]) -> tuple[set[str], bool]:
    """Return the digests of what runs have learned from, and whether some run that has no outcome has reported."""
    used = {run.data or "" for run in runs if run.outcome not in (None, Outcome.FAILED)}
    return used, any(run.history and run.outcome is None for run in runs)


def _splits(runs: Iterable[RunState]) -> dict[str, dict[str, Any]]:
    """Return the data notes of ended runs for each split, by division."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.noted and run.outcome is not Outcome.FAILED:
            splits = {name: value for name, value in run.noted.items() if name not in ("source", "division")}
            found[run.noted["division"]] = {**splits, **found.get(run.noted["division"], {})}
    return found


def _notices(space: Space) -> Iterable[str]:
    yield from foreign_notes(space)
    yield from secret_notes(space)
    yield from data_notes(space)
    for config, _ in configurations(space):
        for place in named_places(config) if isinstance(config, Settings) else ():
            if (there := borrowed(place, space.path.parent)) is not None:
                yield (
                    f"{place.setting}: {place.path} is not in {space.path.parent.absolute()}, the folder of the space "
                    f"file, where relative paths start; {there} is used"
                )
