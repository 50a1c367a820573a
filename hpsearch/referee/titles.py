"""A title from its opening on: the first champion, and the code of a contender brought back."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpsearch.errors import ExperimentError, HpsearchError, SearchFailedError
from hpsearch.experiment.activity import locked
from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.layout import LEDGER
from hpsearch.referee.challenge import measure
from hpsearch.referee.contender import Candidate
from hpsearch.referee.ledger import CONTENDERS, Contender, Ledger, Terms, Title, Trained, append, read_title
from hpsearch.referee.snapshot import Snapshot, bring_back, read
from hpsearch.referee.trainings import LostTrainingError, Watch

_FAILED = "failed"


@dataclass(frozen=True)
class Restored:
    """A contender whose code was brought back, and its snapshot."""

    contender: Contender
    snapshot: Snapshot


def open_title(
    folder: Path, project: Path, terms: Terms, candidate: Candidate, *, watch: Watch, tell: Callable[[str], None]
) -> Title:
    """Open a title, or go on with that, and measure its first champion.

    Raises:
        ExperimentError: There is one already, with another champion or other terms.
        SearchFailedError: The champion came to no result on any seed.
        InterruptedChallengeError: It was interrupted; the same call goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, tell=tell):
        path = folder / LEDGER
        if not path.exists() or b"\n" not in path.read_bytes():  # not even its first line is whole
            path.write_bytes(b"")
            append(path, terms)
        title, end = read_title(folder)
        ledger = Ledger(title, end)
        _require_same(title, terms, candidate)
        if not title.contenders:
            ledger.write(candidate.contender)
        lost = None
        try:
            measure(ledger, project, watch, trusted=title.contenders[0].number)
        except LostTrainingError as error:
            lost = error
        if not title.measured(title.reign):
            why = f"{lost}" if lost else _ending(next(iter(title.trained.values())))
            _give_up(folder)
            raise SearchFailedError(
                f"the champion came to no result: {why}. No title was opened; what was printed is in {folder / _FAILED}"
            )
        if lost:
            raise lost
    return title


def _ending(trained: Trained) -> str:
    return f"{trained.outcome}: {trained.reason}" if trained.reason else f"{trained.outcome}"


def _give_up(folder: Path) -> None:
    """Leave no title behind whose champion cannot be trained; its experiment stays, to be looked at."""
    if (folder / CONTENDERS).exists():  # else it was killed between these steps
        shutil.rmtree(folder / _FAILED, ignore_errors=True)
        (folder / CONTENDERS).rename(folder / _FAILED)
    (folder / LEDGER).unlink()


def _require_same(title: Title, terms: Terms, candidate: Candidate) -> None:
    known = title.terms
    differing = [
        name
        for name in Terms.model_fields
        if name not in ("time", "version") and getattr(known, name) != getattr(terms, name)
    ]
    where = f"{title.folder} has a title"
    if differing:
        name = differing[0]
        raise ExperimentError(
            f"{where} whose {name} is {getattr(known, name)}, not {getattr(terms, name)}: choose another --name"
        )
    if title.contenders and title.contenders[0].identity != candidate.contender.identity:
        raise ExperimentError(
            f"{where} that began with other code, configuration or data: `hpsearch challenge` lets what there is now "
            "challenge its champion, another --name opens another title"
        )


def restored_space(contender: Contender) -> str:
    """Return the space file of a contender within the folder that its code is brought back into."""
    return contender.file or (PurePosixPath(contender.home) / "champion.yaml").as_posix()


def restore(title: Title, number: int, folder: Path) -> Restored:
    """Bring the code of a contender back into a new folder.

    Raises:
        HpsearchError: There is no such contender, or the folder exists.
        ExperimentError: The snapshot is damaged.
    """
    if number not in title.contenders:
        known = ", ".join(map(str, title.contenders))
        raise HpsearchError(f"there is no contender {number} in {title.folder}; known: {known}")
    contender = title.contenders[number]
    snapshot = read(title.folder, contender.snapshot)
    bring_back(title.folder, snapshot, folder)
    if contender.file is None:  # its space was made for the title
        (folder / contender.home).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / restored_space(contender), contender.text)
    return Restored(contender, snapshot)
