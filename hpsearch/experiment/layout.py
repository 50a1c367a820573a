"""Where each file of an experiment is.

experiments/<name>/
  space.yaml          the file as given
  resolved.json       after --set/--quick, with versions, git commit, machine, seed; resolved-1.json: before a change
  data.json           the fingerprints of the data: files by size and hash, simulations by their settings
  log.jsonl           see log.py               lock            held while a process runs the experiment
  lease-7             which machine does or did; see lease.py
  askers/             a file for each program that asks for trials and trains them itself; see askers.py
  orders/             what people order and nobody has obeyed yet, see orders.py
  tracking.json       which MLflow run mirrors which run; tracking.lock: held while a process mirrors; with another
                      tracker tracking-NAME.json and .lock; tensorboard/, wandb/: what these two have
  trials/0007/        config.json  metrics.jsonl  checkpoint.pt  best.pt  output.log  artifacts/ (see artifacts.py)
                      one that was pruned or ran out of time needs no checkpoint.pt, and may have none
                      previous.pt, previous-best.pt: the generation before of these two, until the run has ended
                      unread.json: searched settings that the training never read, if any
                      progress.json, only while it runs: how far it is between two reports; alive, whose time is that
                      of its last sign of life
                      rate_decisions.jsonl under the schedules plateau and adaptive
                      of a program (family: command): settings.json; printed.jsonl, the metrics that it told, line by
                      line; printed.part, output that was not read yet
  race/0007/seed-001/         the same for a trial's configuration on a further seed of the search
  code/train.py       the user's function, where it came from a notebook or a script
  origin.json         only of a final training: whose winner it trains, how that was chosen, the command
  confirm/0007/seed-002/      the same for a replicate on a fresh seed
  confirm/0007/repeat-0-fold-3-of-5/      and for one that is tested on fold 3 (of 0 to 4) of the first division in five
                      by_example.parquet: its test scores by example, see by_example.py
  confirm/baselines/          config.json: with which settings the classical methods were scored; in it a folder
                              repeat-0-fold-3-of-5/ with the same for each fold, and one for each method with its
                              by_example.parquet
experiments/<study>/
  study.json          the plan of a study and its history, see studies/history.py; study.lock: held meanwhile
  result.json         its answer, when there is one; tracking.json, tracking.lock as in an experiment
  <arm>/              an experiment for each arm that is searched
experiments/champion-NAME/    a title, see referee/ledger.py; in contenders/ an experiment for each contender
experiments/mlflow.db, experiments/mlartifacts/, experiments/mlflow.lock (held while the database is made)
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from hpsearch.errors import ExperimentError
from hpsearch.records import Fold

EXPERIMENTS = Path("experiments")
"""Where experiments are kept by default."""
FORMAT_VERSION = 1
SPACE = "space.yaml"
RESOLVED = "resolved.json"
LOG = "log.jsonl"
LOCK = "lock"
ASKERS = "askers"
TRACKING = "tracking.json"
CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
PREVIOUS, PREVIOUS_BEST = "previous.pt", "previous-best.pt"
"""The checkpoint before the latest, and the weights before the best ones, until the run ends; see generations.py."""
NUMBERED = "checkpoint-*.pt"
"""Kept checkpoints, see `train.keep`."""
RATE_DECISIONS = "rate_decisions.jsonl"
"""What a schedule with a memory decided (plateau, adaptive): step, epoch, reason, factor before and after."""
PROGRESS = "progress.json"
ALIVE = "alive"
"""How far a run is between two reports, only while it runs; see running/telling.py."""
OUTPUT = "output.log"
PRINTED = "printed.jsonl"
CAPTURED = "printed.part"
HISTOGRAMS = "histograms.jsonl"
"""Only with `train.histograms`; see artifacts.py."""
ARTIFACTS = "artifacts"
UNREAD = "unread.json"
LEDGER = "ledger.jsonl"
"""Of a title: its champions and challenges, see referee/ledger.py."""
BY_EXAMPLE = "by_example.parquet"
STUDY = "study.json"
STUDY_LOCK = "study.lock"
RESULT = "result.json"
ORIGIN = "origin.json"
ORDERS = "orders"
CODE = "code"
"""Functions of a notebook or a script, written as modules."""
DATA = "data.json"
"""The fingerprints of the data, see same_data.py."""
_TAKEN = ("mlflow.db", "mlflow.lock", "mlartifacts")
"""Next to the experiments lie MLflow's store and the lock of its making."""
_LONGEST = 200
"""Bytes of a name: file systems take 255, and temporary names are a little longer."""


def folder_called(name: str, root: Path) -> Path:
    """Return the folder of an experiment or a study with this name.

    Raises:
        ExperimentError: The name is not that of one visible folder, or belongs to MLflow's store.
    """
    refused = f"{name!r} cannot be the name of an experiment or a study"
    if name.casefold() in _TAKEN:
        raise ExperimentError(f"{refused}: MLflow's own files are called so")
    fits = name.isprintable() and not set(name) & set("/\\") and len(name.encode("utf-8", "replace")) <= _LONGEST
    if not fits or name != name.strip() or name.startswith((".", "-")) or not name:
        raise ExperimentError(
            f"{refused}: it is that of one folder, without /, \\ or control characters, blanks at its ends, a dot or "
            f"hyphen at its beginning, and of at most {_LONGEST} bytes; other places are chosen with --root"
        )
    if name.casefold().partition(".")[0] in _DEVICES:
        raise ExperimentError(f"{refused}: some systems have a device of this name")
    if not (root / name).exists() and (other := next(_alike(name, root), None)):
        raise ExperimentError(
            f"{refused} in {root}: {other!r} is there, which some file systems take for the same (upper and lower "
            "case, composed and decomposed letters); use that name, or one that differs in more"
        )
    return root / name


_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
)
"""Names that Windows, and shares that it reads, keep for devices, with any ending."""


def _alike(name: str, root: Path) -> Iterator[str]:
    """Yield the names in a folder that differ from another by case or Unicode's normal forms only."""
    for each in root.iterdir() if root.is_dir() else ():
        if each.name != name and _folded(each.name) == _folded(name):
            yield each.name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class RunKind(StrEnum):
    """What a run is: a trial of the search, one on a further seed, a winner's replicate, or a classical method."""

    TRIAL = "trial"
    RERUN = "rerun"
    REPLICATE = "replicate"
    BASELINE = "baseline"


def run_kind(run: str) -> RunKind:
    """Tell from its name what a run is."""
    if run.startswith(_TRIALS):
        return RunKind.TRIAL
    if run.startswith(_RACE):
        return RunKind.RERUN
    return RunKind.BASELINE if f"{run}/".startswith(f"{BASELINES_RUN}/") else RunKind.REPLICATE


def trial_run(number: int) -> str:
    """Return the run name of a trial."""
    return f"{_TRIALS}{number:04d}"


def trial_number(run: str) -> int:
    """Return the number of a trial, from its run name."""
    return int(run.removeprefix(_TRIALS))


def rerun_run(number: int, seed: int) -> str:
    """Return the run name of trial `number` on a further seed, by the seed's number, from 1."""
    return f"{_RACE}{number:04d}/seed-{seed:03d}"


def raced_trial(run: str) -> str | None:
    """Return the run of the trial whose configuration a rerun has; None for runs of other kinds."""
    return f"{_TRIALS}{run.split('/')[1]}" if run.startswith(_RACE) else None


def replicate_run(number: int, replicate: int | Fold) -> str:
    """Return the run name of a replicate of trial `number`, on a fresh seed or on a fold."""
    name = fold_name(replicate) if isinstance(replicate, Fold) else f"seed-{replicate:03d}"
    return f"{_CONFIRM}{number:04d}/{name}"


def run_called(
    kind: RunKind, number: int, *, replicate: int | None = None, fold: Fold | None = None, rerun: int | None = None
) -> str | None:
    """Return what a run of these numbers is called; None if a number is missing."""
    if kind is RunKind.TRIAL:
        return trial_run(number)
    if kind is RunKind.RERUN:
        return None if rerun is None else rerun_run(number, rerun)
    which = replicate if fold is None else fold
    return None if which is None else replicate_run(number, which)


_TRIALS, _RACE, _CONFIRM = "trials/", "race/", "confirm/"
BASELINES_RUN = f"{_CONFIRM}baselines"
"""Below it each of the family's classical methods is a run of its own, such as `confirm/baselines/sloreta`; those on a
fold are one folder further down."""


def baselines_run(fold: Fold | None) -> str:
    """Return the folder of the runs of the classical methods, on a fold or on the split of the search."""
    return BASELINES_RUN if fold is None else f"{BASELINES_RUN}/{fold_name(fold)}"


def baseline_run(folder: str, method: str) -> str:
    """Return the run of a method below a folder of baselines.

    Its name may hold any character: what cannot be part of a folder's name is percent-encoded, and so is the beginning
    of one that is not a name for a folder of its own or would be taken for a fold.
    """
    name = _SPECIAL.sub(_encoded, method)
    return f"{folder}/{_encoded(name[:1])}{name[1:]}" if _FOLD.fullmatch(name) else f"{folder}/{name}"


def baseline_of(run: str) -> tuple[str, str]:
    """Return the folder and the method of a baseline's run; in an older log a method's name may have slashes in it."""
    rest = run.removeprefix(f"{BASELINES_RUN}/")
    first, _, behind = rest.partition("/")
    if behind and _FOLD.fullmatch(first):
        return f"{BASELINES_RUN}/{first}", unquote(behind)
    return BASELINES_RUN, unquote(rest)


def baseline_title(run: str) -> str:
    """Return the display name of a baseline's run: `sloreta`, or `repeat-0-fold-3-of-5/sloreta` on a fold."""
    folder, method = baseline_of(run)
    return f"{folder}/{method}".removeprefix(f"{BASELINES_RUN}/")


def _encoded(found: re.Match[str] | str) -> str:
    text = found if isinstance(found, str) else found.group()
    return "".join(f"%{byte:02X}" for byte in text.encode(errors="surrogatepass"))


def fold_name(fold: Fold) -> str:
    """Return the name of a fold's folder."""
    return f"repeat-{fold.repeat}-fold-{fold.fold}-of-{fold.folds}"


_FOLD = re.compile(r"repeat-\d+-fold-\d+-of-\d+")
_SPECIAL = re.compile(r"^[. ]|[^\w .,+()=~-]|[. ]$")


def is_experiment(folder: Path) -> bool:
    """Check whether a folder holds an experiment."""
    return (folder / RESOLVED).is_file()


def is_study(folder: Path) -> bool:
    """Check whether a folder holds a study; its arms are experiments in folders below it."""
    return (folder / STUDY).is_file()


def is_title(folder: Path) -> bool:
    """Check whether a folder holds a title; its contenders are experiments in folders below it."""
    return (folder / LEDGER).is_file()


def study_of(folder: Path) -> Path | None:
    """Return the folder of the study that an experiment is an arm of, or None."""
    return folder.parent if is_study(folder.parent) else None


def root_of(folder: Path) -> Path:
    """Return the folder in which experiments and studies lie side by side, from one of them or from an arm."""
    return (study_of(folder) or folder).parent
