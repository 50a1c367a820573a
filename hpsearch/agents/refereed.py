"""The referee for an agent: who has the title, and what a challenge would cost; `start` lets it begin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.agents.confined import Confined
from hpsearch.agents.started import Planned
from hpsearch.api import champion as referee
from hpsearch.api.arguments import settings_of
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.referee.ledger import find_title
from hpsearch.referee.snapshot import take
from hpsearch.trust import project_of


def history_of(confined: Confined, title: str | None) -> dict[str, Any]:
    """Return a title's history, as `hpsearch champion --json` prints it.

    Raises:
        HpsearchError: There is no such title, or its place is a link.
    """
    confined.path(str(EXPERIMENTS))
    return referee.champion(title).history.model_dump(mode="json")


def planned_challenge(
    confined: Confined,
    space: str | None,
    *,
    note: str,
    changes: Mapping[str, Any],
    worth: float | None,
    most: int | None,
    title: str | None,
) -> tuple[Planned, dict[str, Any]]:
    """Return the command of a challenge and what it will cost, as `hpsearch challenge --plan --json` prints it.

    Raises:
        HpsearchError: Nothing differs from the champion, or the code that counts is not the folder's alone.
    """
    project = project_of(confined.folder)
    if project != confined.folder:
        raise HpsearchError(
            f"a challenge is about the code of the whole project: start the server for {project}, not {confined.folder}"
        )
    confined.path(str(EXPERIMENTS))
    file = None if space is None else confined.space(space)
    if file is not None:
        confined.settings(file)
    confined.values(changes)
    plan = referee.plan_challenge(file, set=changes, worth=worth, most=most, title=title)
    folder = find_title(title, EXPERIMENTS)

    def fingerprint() -> Any:
        return take(project, folder).digest, None if file is None else file.read_bytes()

    options = [f"--note={note}", *(f"--set={each}" for each in settings_of(changes))]
    further = {"worth": worth, "most": most, "title": title}
    options += [f"--{name}={value}" for name, value in further.items() if value is not None]
    words = ["challenge", *([] if file is None else [str(file)]), *options, "--json", "--quiet"]
    return Planned(words, Path(folder), fingerprint, fingerprint()), plan.model_dump(mode="json")
