"""Who contends: the code that is trained is that of the snapshot, wherever its modules are imported from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import HpsearchError, SearchFailedError, UntrustedCodeError
from hpsearch.referee.ledger import CONTENDERS
from hpsearch.referee.trainings import _importing_from
from tests.referee.campaigns import CODE, QUIETLY, SPACE, challenge, change_code, open_title, write_project

TITLE = Path("experiments/champion-space")
WITH_HELPER = CODE.replace("import random\n", "import random\n\nimport helper\n").replace("BONUS +", "helper.bonus() +")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    write_project(folder)
    monkeypatch.chdir(folder)
    return folder


def write_helper(project: Path, bonus: float) -> None:
    (project / "train.py").write_text(WITH_HELPER)
    (project / "helper.py").write_text(f"def bonus():\n    return {bonus}\n")


def test_the_champion_is_trained_with_its_own_modules(project: Path) -> None:
    """The champion needs further seeds while the working tree, and this process, have another helper."""
    write_helper(project, 0.0)
    open_title(seeds=2)
    write_helper(project, 0.02)
    answer = challenge(note="a bonus", worth=0.011)
    assert len(answer.pairs) > 2
    assert {round(pair.challenger - pair.champion, 9) for pair in answer.pairs} == {0.02}
    assert "helper" not in sys.modules


def test_a_program_imports_from_the_snapshot_what_is_installed_from_the_working_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, tree = tmp_path / "project", tmp_path / "tree"
    for folder, number in ((project, 1), (tree, 2)):
        (folder / "src").mkdir(parents=True)
        (folder / "src" / "installed_module.py").write_text(f"VALUE = {number}\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(project / "src")])
    monkeypatch.setenv("PYTHONPATH", str(project / "src"))

    def value() -> str:
        words = [sys.executable, "-c", "import installed_module; print(installed_module.VALUE)"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    with _importing_from(tree, project):
        assert value() == "2"
    assert value() == "1"


def test_the_winner_of_a_search_is_the_first_champion(project: Path) -> None:
    (project / "search.yaml").write_text(SPACE.replace("rate: 0.5", "rate: {float: [0, 1]}"))
    found = hpsearch.run("search.yaml", name="search.v2", trials=3, mlflow=False, confirm=False, **QUIETLY)
    with pytest.raises(HpsearchError, match=r"quick= belongs to a space file: search\.v2 is an experiment"):
        hpsearch.champion_init("search.v2", margin=0.01, quick=True, **QUIETLY)
    title = hpsearch.champion_init("search.v2", margin=0.01, seeds=2, most=6, name="space", **QUIETLY)
    assert title.history.champion.contender == 0
    assert found.best is not None
    best = found.best.params["rate"]
    title.restore(0, "back")
    assert json.loads((project / "back" / "champion.yaml").read_text())["rate"] == best
    answer = challenge(set={"rate": best + 0.3})
    assert answer.decision == "accepted"
    assert answer.estimate == pytest.approx(0.3)


def test_a_space_of_another_name_challenges_as_it_stands(project: Path) -> None:
    open_title()
    challenge(set={"rate": 0.9})
    (project / "other.yaml").write_text(SPACE.replace("0.5", "0.1"))
    answer = challenge(file="other.yaml")
    assert answer.decision == "rejected"
    assert answer.estimate == pytest.approx(0.1 - 0.9)


def test_code_outside_of_the_project_would_not_be_in_a_snapshot(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.parent / "elsewhere.py").write_text(CODE)
    (project / "space.yaml").write_text(SPACE.replace("./train.py", "../elsewhere.py"))
    with pytest.raises(HpsearchError, match="a snapshot of the project would not have it"):
        open_title()
    monkeypatch.delenv("HPSEARCH_TRUST", raising=False)
    with pytest.raises(UntrustedCodeError, match="outside this project"):
        open_title(trust=False)
    assert not (TITLE / CONTENDERS).exists()


def test_a_change_of_packages_is_said(project: Path) -> None:
    open_title()
    (kept,) = (TITLE / "environments").iterdir()
    text = kept.read_text()
    old = next(line for line in text.splitlines() if line.startswith("numpy=="))
    (TITLE / "environments" / "before.txt").write_text(text.replace(old, "numpy==1.0"))
    ledger = (TITLE / "ledger.jsonl").read_text()
    lines = [line for line in ledger.splitlines() if '"trained"' in line]
    assert len(lines) == 3 and all(kept.stem in line for line in lines)  # noqa: PT018
    plain = [line.replace(kept.stem, "before").rpartition(',"crc"')[0] + "}" for line in ledger.splitlines()]
    (TITLE / "ledger.jsonl").write_text("\n".join(plain) + "\n")
    (said,) = challenge(set={"rate": 0.2}).warnings
    assert said == f"The packages changed between the two trainings on seed 0: numpy 1.0 -> {old[7:]}."


def test_a_title_is_opened_once_and_its_opening_goes_on(project: Path) -> None:
    whole = open_title()
    ledger = TITLE / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 3):
        ledger.write_bytes(b"".join(lines[:kept]) + lines[kept][:30])
        assert open_title().history.champion.quoted == whole.history.champion.quoted
    with pytest.raises(HpsearchError, match=r"has a title whose margin is 0\.01, not 0\.5: choose another name="):
        open_title(margin=0.5)
    change_code(project, 1.0)
    with pytest.raises(HpsearchError, match="began with other code, configuration or data"):
        open_title()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"command": "python3 train.py", "metric": "loss", "goal": "minimize"}, "write {seed} where"),
        ({"command": "python3 train.py --seed {seed}"}, "needs metric=, the name of the number that counts, and goal="),
        ({}, "name a space file or an experiment, or give a program with command="),
        ({"what": "space.yaml", "metric": "loss"}, "metric= belongs to command=: space.yaml says it itself"),
        ({"what": "space.yaml", "budget": "lond"}, "unknown budget 'lond', did you mean 'e-lond'"),
        ({"what": "space.yaml", "protect": ["none.py"]}, "none.py: there is no such file in the project"),
        ({"what": "nowhere"}, "there is no experiment 'nowhere'"),
        ({"what": "missing.yaml"}, "missing.yaml"),
    ],
)
def test_a_mistake_is_a_sentence_before_anything_is_trained(project: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(HpsearchError) as raised:
        hpsearch.champion_init(**{"margin": 0.1, **QUIETLY, **given})
    assert said in str(raised.value)
    assert not TITLE.exists() or not (TITLE / "ledger.jsonl").exists()


def test_a_title_is_not_taken_for_an_experiment(project: Path) -> None:
    open_title()
    with pytest.raises(HpsearchError, match="is a title, which `hpsearch champion` shows"):
        hpsearch.open(TITLE)
    assert len(hpsearch.open(TITLE / CONTENDERS / "0000").record.trials) == 3


def test_a_title_outside_of_the_project_asks_only_for_the_code_of_others(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is trained at once is the project's own; the champion's code comes from elsewhere then."""
    monkeypatch.delenv("HPSEARCH_TRUST", raising=False)
    place = {"root": project.parent / "titles", "trust": False}
    open_title(**place)
    with pytest.raises(UntrustedCodeError, match="outside this project"):
        challenge(set={"rate": 0.51}, worth=0.011, **place)
    monkeypatch.setenv("HPSEARCH_TRUST", str(place["root"]))
    assert challenge(set={"rate": 0.51}, worth=0.011, **place).seeds_used > 3


def test_a_champion_that_cannot_be_trained_opens_no_title(project: Path) -> None:
    with pytest.raises(SearchFailedError, match=r"failed: ValueError: no such layer.* No title was opened") as raised:
        open_title(set={"trouble": "fail"})
    assert "failed" in str(raised.value)
    assert len(list((TITLE / "failed" / "0000" / "trials").iterdir())) == 1
    with pytest.raises(HpsearchError, match="there is no champion in"):
        hpsearch.champion()
    assert open_title().history.champion.quoted.seeds == 3
