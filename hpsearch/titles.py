"""Titles of experiments: the name alone where it is unique, else with as little of the place as tells it apart."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, count

Identity = tuple[str, tuple[str, ...]]
"""An experiment's name and its place, from the innermost part outward."""


def titles_of(identities: Iterable[Identity]) -> dict[Identity, str]:
    """Return a title for each experiment, no two of them equal, whatever the order in which they come.

    Experiments of one name get the same kind of qualifier: `projA/logs` and `projB/logs`, innermost parts preferred.
    """
    places: dict[str, set[tuple[str, ...]]] = {}
    for name, place in identities:
        places.setdefault(name, set()).add(place)
    chosen = {(name, place): title for name, found in places.items() for place, title in _qualified(name, found)}
    return _distinct(chosen)


def _qualified(name: str, places: set[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the places with their titles: those positions are taken, fewest first, that make all titles differ."""
    if len(places) == 1:
        yield next(iter(places)), name
        return
    longest = max(map(len, places))
    varying = [at for at in range(longest) if len({place[at : at + 1] for place in places}) > 1]
    for size in range(1, len(varying) + 1):
        for positions in combinations(varying, size):
            titles = {place: _title(name, [place[at] for at in positions if at < len(place)]) for place in places}
            if len(set(titles.values())) == len(places):
                yield from titles.items()
                return
    yield from ((place, _title(name, place)) for place in places)


def _title(name: str, qualifiers: Iterable[str]) -> str:
    return "/".join([*reversed([*qualifiers]), name])


def _distinct(chosen: Mapping[Identity, str]) -> dict[Identity, str]:
    """Return the titles; where one is also another experiment's, both get their whole place, and a number at last."""
    titles = dict(chosen)
    for identity in _doubled(titles):
        titles[identity] = _title(*identity)
    for identity in sorted(_doubled(titles)):
        taken = {title for other, title in titles.items() if other != identity}
        numbered = (f"{_title(*identity)} ({number})" for number in count(2))
        titles[identity] = next(title for title in numbered if title not in taken)
    return titles


def _doubled(titles: Mapping[Identity, str]) -> list[Identity]:
    counts = Counter(titles.values())
    return [identity for identity, title in titles.items() if counts[title] > 1]
