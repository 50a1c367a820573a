"""What was pooled, averaged or left out before anything was tested, and why: the lines at the top of every output."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from hpsearch.comparing.arms import Arm
from hpsearch.comparing.pair_result import PairResult
from hpsearch.comparing.question import Unit
from hpsearch.comparing.units import Paired, label, pair_up

MOST_NAMED = 5
"""Units, runs or pairs named one by one in a line."""
_COUNTED_ELSEWHERE = ("pruned", "diverged", "ran out of memory", "ran out of time", "failed", "its process was lost")
"""Ends of runs of which a warning about the whole arm tells."""


def remarks_on(arms: Sequence[Arm], pairs: Sequence[PairResult], unit: Unit) -> list[str]:
    """Return the lines: on keys, on runs that are one unit, on runs and units that do not count."""
    return [
        *(f"{arm.name}: {arm.void}" for arm in arms if arm.void is not None),
        *(_on_duplicates(arm) for arm in arms if arm.merged),
        *_on_units(arms, unit),
        *(line for arm in arms for line in _on_dropped(arm)),
        *_on_pairs(arms, pairs, unit),
    ]


def _on_duplicates(arm: Arm) -> str:
    told = _some([f"{each.keys} ({_some(each.runs)})" for each in arm.merged], ending="; ")
    by = "" if all(each.alike for each in arm.merged) else "; their settings differ, and --by would tell them apart"
    return f"{arm.name}: several runs of one unit count as their mean: {told}{by}"


def _on_units(arms: Sequence[Arm], unit: Unit) -> Iterator[str]:
    """Say where a unit is the mean of several runs that are no duplicates, as a fold is of its seeds."""
    told = [
        f"{arm.name} {len(arm.observations)} runs on {unit.counted(len(arm.cells))}"
        for arm in arms
        if any(len(cells) > 1 for cells in arm.cells.values())
    ]
    if told:
        yield f"the runs of one {unit.noun} are averaged, as they are no further {unit.plural}: {_some(told)}"


def _on_dropped(arm: Arm) -> Iterator[str]:
    reasons = Counter(each.why.partition(":")[0] for each in arm.dropped)
    told = [f"{why} ({count})" for why, count in reasons.items() if why not in _COUNTED_ELSEWHERE]
    if told:
        count = sum(count for why, count in reasons.items() if why not in _COUNTED_ELSEWHERE)
        total = len(arm.dropped) + len(arm.observations) + len(arm.trials)
        yield f"{arm.name}: {count} of {total} runs do not count: {_some(told)}"


def _on_pairs(arms: Sequence[Arm], pairs: Sequence[PairResult], unit: Unit) -> Iterator[str]:
    """Say which units found no partner, which runs of a unit did not, and where one side alone notes its seeds."""
    if unit is Unit.TRIAL:
        return
    by_name = {arm.name: arm for arm in arms}
    lines: list[str] = []
    for pair in pairs:
        a, b = by_name[pair.a], by_name[pair.b]
        if not (a.observations and b.observations):
            continue
        paired = pair_up(a, b, unit)
        if pair.paired:
            lines += _left_out(a, b, paired, unit)
        elif unit is Unit.SEED and _noted(a) != _noted(b):
            without = b if _noted(a) else a
            lines.append(f"{a.name} and {b.name} are not paired: no seed is noted with {without.name}")
    yield from lines[:MOST_NAMED]
    if len(lines) > MOST_NAMED:
        yield f"{len(lines) - MOST_NAMED} more pairs are made of a part of the runs: their notes say of which"


def _left_out(a: Arm, b: Arm, paired: Paired, unit: Unit) -> Iterator[str]:
    alone = [(arm.name, only) for arm, only in ((a, paired.only_a), (b, paired.only_b)) if only]
    if alone and paired.labels:
        told = " and ".join(f"{_some([_titled(each, unit) for each in only])} of {name}" for name, only in alone)
        yield f"{a.name} and {b.name}: left out, because without a partner: {told}"
    if a.deterministic != b.deterministic:
        return
    parts = [key for key in paired.keys if a.cells[key].keys() != b.cells[key].keys()]
    sharing = [label(key) for key in parts if a.cells[key].keys() & b.cells[key].keys()]
    apart = [label(key) for key in parts if label(key) not in sharing]
    if sharing:
        yield f"{a.name} and {b.name}: only the runs that both have count on {_some(sharing)}"
    if apart and any(len(arm.cells[key]) > 1 for arm in (a, b) for key in parts):
        yield f"{a.name} and {b.name}: each side's own mean counts on {_some(apart)}, where they share no run"


def _titled(name: str, unit: Unit) -> str:
    return f"seed {name}" if unit is Unit.SEED and name.lstrip("-").isdigit() else name


def _noted(arm: Arm) -> bool:
    return any(each.seed is not None for each in arm.observations)


def _some(names: Iterable[str], *, ending: str = ", ") -> str:
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ending.join(listed[:MOST_NAMED]) + more
