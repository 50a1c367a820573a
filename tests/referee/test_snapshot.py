"""A snapshot has the code as it stands, leaves git alone, and comes back whole or not at all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.referee import snapshot
from hpsearch.referee.snapshot import bring_back, read, take, tree_of


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=n", "-c", "user.email=e@x")
    return subprocess.run(
        [shutil.which("git") or "git", "-C", str(folder), *names, *words], check=True, capture_output=True, text=True
    ).stdout


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the content and time of every file, those of git too."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "train.py").write_text("committed\n")
    (folder / "src" / "net.py").write_text("net\n")
    (folder / "gone.py").write_text("deleted since\n")
    (folder / ".gitignore").write_text("data/\n*.log\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "gone.py").unlink()
    (folder / "train.py").write_text("changed\n")
    (folder / "new.py").write_text("untracked\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link.py").symlink_to("src/net.py")
    (folder / "outside.py").symlink_to("/etc/hostname")
    (folder / ".env").write_text("TOKEN=hush\n")
    (folder / "server.pem").write_text("hush\n")
    (folder / "x.log").write_text("ignored\n")
    (folder / "data").mkdir()
    (folder / "data" / "train.csv").write_text("1\n")
    (folder / "experiments" / "champion-x").mkdir(parents=True)
    (folder / "experiments" / "champion-x" / "ledger.jsonl").write_text("{}\n")
    return folder


def test_what_is_in_it_and_git_is_left_alone(repository: Path, tmp_path: Path) -> None:
    before, status = everything(repository), git(repository, "status", "--porcelain")
    before = everything(repository)  # git status may refresh the index
    taken = take(repository, tmp_path / "store")
    assert everything(repository) == before
    assert git(repository, "status", "--porcelain") == status
    assert [each.path for each in taken.files] == [
        ".gitignore", "link.py", "new.py", "run.sh", "src/net.py", "train.py"
    ]  # fmt: skip
    assert dict(taken.left_out) == {
        ".env": "a secret, by its name",
        "server.pem": "a secret, by its name",
        "data": "ignored by git",
        "x.log": "ignored by git",
        "outside.py": "a link that leads out of the project",
    }
    assert taken.revision == git(repository, "rev-parse", "HEAD").strip()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b"hush" not in stored


def test_it_comes_back_as_it_was(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    taken = take(repository, store)
    bring_back(store, read(store, taken.digest), tmp_path / "back")
    back = tmp_path / "back"
    assert (back / "train.py").read_text() == "changed\n"
    assert os.access(back / "run.sh", os.X_OK) and not os.access(back / "new.py", os.X_OK)  # noqa: PT018
    assert (back / "link.py").readlink() == Path("src/net.py")
    assert not (back / ".git").exists()
    with pytest.raises(HpsearchError, match="exists"):
        bring_back(store, taken, back)


def test_what_was_left_out_is_found_by_a_training(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    tree = tree_of(store, take(repository, store).digest, repository)
    assert (tree / "data" / "train.csv").read_text() == "1\n"
    assert (tree / ".env").is_symlink()
    assert not (tree / "experiments").exists()


def test_the_same_files_have_the_same_digest_without_git(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    taken = take(repository, store)
    bring_back(store, taken, tmp_path / "plain")
    assert take(tmp_path / "plain", tmp_path / "other").digest == taken.digest
    (tmp_path / "plain" / "train.py").write_text("changed again\n")
    assert take(tmp_path / "plain", tmp_path / "other").digest != taken.digest


def test_damage_is_found_and_nothing_half_is_left(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    taken = take(repository, store)
    kept = next(each for each in taken.files if each.path == "train.py")
    place = store / "objects" / kept.sha256[:2] / kept.sha256[2:]
    place.write_text("another\n")
    with pytest.raises(ExperimentError, match=r"is damaged: it is not train\.py any more"):
        bring_back(store, taken, tmp_path / "back")
    place.unlink()
    with pytest.raises(ExperimentError, match=r"train\.py is not in the store"):
        bring_back(store, taken, tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "store"]


@pytest.mark.parametrize("path", ["../evil.py", "/evil.py"])
def test_a_manifest_cannot_lead_out_of_the_folder(repository: Path, tmp_path: Path, path: str) -> None:
    store = tmp_path / "store"
    taken = take(repository, store)
    evil = snapshot.Snapshot((snapshot.KeptFile(path, taken.files[0].sha256, "100644", 1),))
    with pytest.raises(ExperimentError, match="is not within a project"):
        bring_back(store, evil, tmp_path / "back")


def test_a_link_cannot_lead_out_of_the_folder(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    taken = take(repository, store)
    (tmp_path / "target").write_text(str(tmp_path))
    link = take(tmp_path, tmp_path / "s2").files  # a file whose content is a path out of the folder
    (store / "objects" / link[-1].sha256[:2]).mkdir(parents=True, exist_ok=True)
    (store / "objects" / link[-1].sha256[:2] / link[-1].sha256[2:]).write_text(str(tmp_path))
    files = (
        snapshot.KeptFile("sub", link[-1].sha256, "120000", 1),
        snapshot.KeptFile("sub/evil.py", taken.files[0].sha256, "100644", 1),
    )
    with pytest.raises(ExperimentError, match="leads out of its folder"):
        bring_back(store, snapshot.Snapshot(files), tmp_path / "back")
    assert not (tmp_path / "evil.py").exists()


def test_too_much_is_refused_with_what_is_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LARGEST", 50)
    (tmp_path / "project" / "results").mkdir(parents=True)
    (tmp_path / "project" / "a.py").write_text("x\n")
    (tmp_path / "project" / "results" / "b.txt").write_text("y" * 60)
    with pytest.raises(HpsearchError, match="the largest part is results"):
        take(tmp_path / "project", tmp_path / "store")


def test_what_git_ignores_is_not_taken_for_code_where_git_does_not_answer(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(HpsearchError, match=r"git does not list the files of .*ownership"):
        take(repository, tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "name", [".envrc", "prod.env", ".ENV", "x.PEM", "secrets.toml", ".aws/config", ".env-local", "kaggle.json"]
)
def test_secrets_are_told_by_their_names(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("hush\n")
    (folder / "environment.py").write_text("code\n")
    assert [each.path for each in take(folder, tmp_path / "store").files] == ["environment.py"]


def test_data_that_moved_or_came_later_are_linked_anew(repository: Path, tmp_path: Path) -> None:
    shutil.rmtree(repository / "data")
    store = tmp_path / "store"
    first = take(repository, store)
    tree_of(store, first.digest, repository)
    (repository / "data").mkdir()
    (repository / "data" / "train.csv").write_text("1\n")
    take(repository, store)
    tree = tree_of(store, first.digest, repository)
    assert (tree / "data" / "train.csv").read_text() == "1\n"
    moved = repository.rename(repository.with_name("moved"))
    assert (tree_of(store, first.digest, moved) / "data" / "train.csv").read_text() == "1\n"
