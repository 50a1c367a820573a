"""What an examination finds, and what was mended."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what and where, what it means, and what mends it.

    A note is worth knowing and no damage. `mend` does what mends it without inventing data, and says what it did; it
    is None where nothing can.
    """

    what: str
    where: str
    meaning: str
    cure: str
    note: bool = False
    mended: str | None = None
    mend: Callable[[], str] | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        told = {name: getattr(self, name) for name in ("what", "where", "meaning", "cure", "note", "mended")}
        return {**told, "mendable": self.mend is not None}


@dataclass(frozen=True)
class Diagnosis:
    """The machine as it is, what was looked at, and what was found.

    `machine` are plain facts by name, `looked_at` says of each folder what was examined in it.
    """

    machine: dict[str, str]
    looked_at: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, or everything that was has been mended."""
        return all(each.note or each.mended for each in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        findings = [each.to_json() for each in self.findings]
        return {
            "version": VERSION,
            "healthy": self.healthy,
            "machine": self.machine,
            "looked_at": self.looked_at,
            "findings": findings,
        }

    def lines(self) -> list[str]:
        """Return the diagnosis as text."""
        told = [f"{name}: {fact}" for name, fact in self.machine.items()]
        told += [f"{place}: {what}" for place, what in self.looked_at.items()]
        for each in self.findings:
            kind = "note" if each.note else "mended" if each.mended else "damage"
            told += ["", f"{kind}: {each.where}: {each.what}", f"  {each.meaning}"]
            told += [f"  {each.mended}" if each.mended else f"  What to do: {each.cure}"]
        wrong = sum(not (each.note or each.mended) for each in self.findings)
        told += ["", "healthy" if self.healthy else f"{wrong} {'finding' if wrong == 1 else 'findings'}"]
        return told


def put_aside(path: Path, why: str = "damaged") -> Path:
    """Rename a file or folder so that its name says why: `checkpoint.pt.damaged`; return the new name."""
    target = aside(path, why)
    path.rename(target)
    return target


def aside(path: Path, why: str = "damaged") -> Path:
    """Return the first name of this kind that is free."""
    names = (f"{path.name}.{why}{number}" for number in ("", *(f"-{again}" for again in range(2, 10_000))))
    return next(each for name in names if not (each := path.with_name(name)).exists())
