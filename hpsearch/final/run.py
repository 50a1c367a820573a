"""The run of an experiment whose weights are handed on, with its family, configuration and data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.data.fingerprint import Fingerprint, differences, fingerprint_of
from hpsearch.errors import ExperimentError, HpsearchError, UnknownNameError
from hpsearch.experiment import layout
from hpsearch.experiment.checksums import unsealed
from hpsearch.experiment.files import read_json
from hpsearch.experiment.layout import CONFIG, DATA, LOG
from hpsearch.experiment.log import read_state
from hpsearch.experiment.reading import read_experiment, read_resolved, space_home
from hpsearch.families import Family
from hpsearch.families.data_watch import DataWatch
from hpsearch.final.selection import WinnerSource
from hpsearch.places import find_place, located
from hpsearch.records import ExperimentRecord, Outcome, RunRecord
from hpsearch.running.loading import open_interface
from hpsearch.space import Place, code_of, node_from_plain
from hpsearch.training.task import Split, Splits
from hpsearch.trust import require_trust

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class TrainedRun:
    """A complete training. `seeds` are its own, `resolved` what the experiment says of its space and versions.

    `config` has absolute paths, `written` those of the space file; relative ones start at `home`, its folder.
    """

    experiment: ExperimentRecord
    record: RunRecord
    resolved: dict[str, Any]
    family: Family[Any]
    config: Any
    written: Any
    seeds: dict[str, int]

    @property
    def home(self) -> Path:
        """The folder of the space file, where relative paths start."""
        return space_home(Path(self.experiment.folder))

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.experiment.folder) / self.record.run

    @property
    def at_best(self) -> bool:
        """Whether its value, and so its weights, are those of its best step."""
        return bool(self.experiment.at == "best")

    def splits(self) -> Splits:
        """Return its data, which are loaded when they are first used; the test split is open."""
        return open_splits(self.family, self.config, self.seeds["split"])

    def fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of its data as they are now, or None if files and settings do not identify them.

        Raises:
            HpsearchError: if they are not those that it was trained on; the message says what differs.
        """
        source = self.family.source_of(self.written, self.home)
        if source is None:
            return None
        now = fingerprint_of(source, lambda path: find_place(path, self.home))
        if self.record.data not in (None, now.digest):
            then = next((each for each in self._kept() if each.digest == self.record.data), None)
            how = f": {'; '.join(differences(then, now))}" if then else ""
            raise HpsearchError(
                f"the data have changed since {self.record.run} of {self.experiment.folder} was trained{how}. Put the "
                "old data back, or train on the new ones with another --name"
            )
        return now

    def _kept(self) -> list[Fingerprint]:
        path = Path(self.experiment.folder) / DATA
        if not path.is_file():
            return []
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Fingerprint.from_json(each) for each in content["sources"].values()]

    def check_examples(self, splits: Splits, *parts: Split) -> None:
        """Hold its splits, or only these, against what was noted when it was trained; old runs have no notes.

        Raises:
            DataError: for other examples.
        """
        note = read_state(Path(self.experiment.folder) / LOG).runs[self.record.run].noted
        if not note:
            return
        watch = DataWatch(self.family, self.home, {"splits": {note["division"]: note}})
        now = watch.begin(self.written, self.seeds["split"])
        for split in parts or SPLITS:
            if split in note:
                watch.add(now, split, splits[split])


def open_splits(family: Family[Any], config: Any, seed: int) -> Splits:
    """Return the data of a configuration, each split loaded when it is first used; the test split is open."""
    return Splits(lambda split: family.load(config.data, split, seed), sealed=False)


def open_run(source: WinnerSource, *, run: str | None = None) -> TrainedRun:
    """Return a training of an experiment's winner, such as `confirm/0003/seed-001`; by default the best trial itself.

    Raises:
        HpsearchError: if there is none, or the family runs programs.
        UntrustedCodeError: The family's code is from outside the project, and not trusted.
        ExperimentError: for one that is not complete.
    """
    experiment, resolved = read_experiment(source.folder), read_resolved(source.folder)
    record = source.winner if run is None else _named(experiment, run, winner=source.winner.number)
    if record.outcome is not Outcome.COMPLETE:
        raise ExperimentError(f"{record.run} of {source.folder} is not complete, so its weights are not the final ones")
    home = space_home(source.folder)
    family = open_interface(source.folder)
    if not isinstance(family, Family):
        raise HpsearchError(_own_model(experiment.family, source.folder / record.run))
    file = source.folder / record.run / CONFIG
    config, seeds = _configuration(file)
    trust_code(config, home, file)  # it need not name the code that the experiment does
    written = family.Config.model_validate(config)
    return TrainedRun(experiment, record, resolved, family, located(written, home), written, seeds)


def trust_code(content: Mapping[str, Any], home: Path, file: Path) -> None:
    """Require that the code which a part of a configuration names is trusted, before it is imported.

    Args:
        content: The part, as plain data.
        home: Where relative paths start.
        file: What says so.

    Raises:
        UntrustedCodeError: It is from outside the project, and not trusted.
    """
    require_trust(code_of(node_from_plain(content, Place(str(file))), home / CONFIG, file=file, programs=False))


def _configuration(path: Path) -> tuple[Mapping[str, Any], dict[str, int]]:
    """Return the last configuration of a run, and its seeds.

    Raises:
        ExperimentError: The file is damaged or gone.
    """
    try:
        job = unsealed(read_json(path))
        changes = job.get("changes") or ()
        config, seeds = changes[-1]["config"] if changes else job["config"], job["seeds"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise ExperimentError(
            f"{path} is damaged or gone ({why}), and without it nobody knows how the run was trained. `hpsearch run` "
            "on the experiment writes that of a trial again where it follows from the log; else put back a copy"
        ) from error
    return config, seeds


_OURS = frozenset(
    {layout.METRICS, layout.OUTPUT, layout.PRINTED, layout.CAPTURED, layout.UNREAD, CONFIG, "settings.json"}
)
_NAMED = 5


def _own_model(family: str, folder: Path) -> str:
    """Say where the model of a program or function is: hpsearch has no network and no data of it to use it with."""
    own = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.relative_to(folder).parts[0] not in _OURS
    ]
    there = ", ".join(str(path) for path in own[:_NAMED]) + (
        f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
    )
    where = f"What it wrote in {folder}: {there}" if own else f"It wrote no file into {folder}"
    return (
        f"the family {family} trains with code of its own, so its model is where that code saved it; hpsearch has no "
        f"network and no weights of it. {where}. Use it with the code that trained it"
    )


def _named(experiment: ExperimentRecord, run: str, *, winner: int) -> RunRecord:
    runs = {each.run: each for each in (*experiment.trials, *experiment.replicates) if each.number == winner}
    if run not in runs:
        raise UnknownNameError("run of the winner", run, runs)
    return runs[run]
