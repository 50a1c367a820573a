"""A search whose files were damaged comes to the result of one whose files were not, and says what it did."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import Event, Notice, ReportEvent, TextNotice
from hpsearch.experiment.layout import BEST, CHECKPOINT, OUTPUT, PREVIOUS, PREVIOUS_BEST
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.running.sessions import essence
from tests.toy_spaces import write_space

SEARCH = {"trials": 3, "epochs": "4\n  checkpoint_seconds: 0"}
KILLED = "trials/0001"


class Watcher:
    """Keeps what is said; ends the session when a run has reported a step."""

    def __init__(self, run: str = "", step: int = 0) -> None:
        self._end = run, step
        self.said: list[str] = []

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, ReportEvent) and (event.run, event.step) == self._end:
            raise SearchFailedError("killed")
        if isinstance(event, TextNotice):
            self.said.append(event.text)


def search(folder: Path, watcher: Watcher, *, pack: bool = False, **settings: object) -> Path:
    more = {"more": "quick: {search.pack: 2}"} if pack else {}
    space = load_space(write_space(folder, **{**SEARCH, **settings, **more}), quick=pack)  # type: ignore[arg-type]
    run(space, folder=folder / "toy", options=RunOptions(in_process=not pack, observers=[watcher]))
    return folder / "toy"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return essence(search(tmp_path_factory.mktemp("whole"), Watcher()))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 8
    path.write_bytes(content)


def exchange(path: Path) -> None:
    path.write_bytes((path.parents[1] / "0000" / path.name).read_bytes())


BEFORE, BEGINNING = "goes on from the checkpoint before it, after step", "begins again at its beginning"


@pytest.mark.parametrize(
    ("names", "damage", "said"),
    [
        ([CHECKPOINT], cut, BEFORE),
        ([CHECKPOINT], empty, BEFORE),
        ([CHECKPOINT], flip, BEFORE),
        ([CHECKPOINT], exchange, BEFORE),
        ([BEST], flip, BEFORE),
        ([BEST], exchange, BEFORE),
        ([CHECKPOINT, PREVIOUS], flip, BEGINNING),
        ([BEST, PREVIOUS_BEST], empty, BEGINNING),
    ],
)
def test_a_damaged_checkpoint_costs_time_alone(
    names: list[str], damage: Callable[[Path], None], said: str, tmp_path: Path, whole: dict[str, object]
) -> None:
    with pytest.raises(SearchFailedError, match="killed"):
        search(tmp_path, Watcher(KILLED, 3))
    for name in names:
        damage(tmp_path / "toy" / KILLED / name)
    watcher = Watcher()
    assert essence(search(tmp_path, watcher)) == whole
    (sentence,) = watcher.said
    assert sentence.startswith(f"{KILLED}: {tmp_path / 'toy' / KILLED}/{names[0]}")
    assert said in sentence
    left = {path.name for path in (tmp_path / "toy").rglob("*.pt")}
    assert left == {BEST, CHECKPOINT}, "the generation before is removed when a run has ended"


@pytest.mark.slow
def test_a_lane_of_a_pack_says_it_in_its_own_output(tmp_path: Path) -> None:
    with pytest.raises(SearchFailedError, match="killed"):
        search(tmp_path, Watcher(KILLED, 3), pack=True)
    flip(tmp_path / "toy" / KILLED / CHECKPOINT)
    watcher = Watcher()
    folder = search(tmp_path, watcher, pack=True)
    assert BEFORE in " ".join(watcher.said)
    output = (folder / KILLED / OUTPUT).read_text(encoding="utf-8")
    assert output.count(BEFORE) == 1
