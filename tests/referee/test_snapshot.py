"""A snapshot has the code as it stands, leaves git alone, and comes back whole or not at all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.referee import project_files, snapshot
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
    monkeypatch.setattr(project_files, "LARGEST", 50)
    (tmp_path / "project" / "results").mkdir(parents=True)
    (tmp_path / "project" / "a.py").write_text("x\n")
    (tmp_path / "project" / "results" / "b.txt").write_text("y" * 60)
    with pytest.raises(HpsearchError, match="the largest part is results"):
        take(tmp_path / "project", tmp_path / "store")
    assert not (tmp_path / "store").exists()


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


def test_the_code_of_a_submodule_is_code(repository: Path, tmp_path: Path) -> None:
    part = repository / "part"
    part.mkdir()
    (part / "layer.py").write_text("layer\n")
    (part / ".gitignore").write_text("weights/\n")
    (part / "weights").mkdir()
    (part / "weights" / "w.bin").write_text("1\n")
    git(part, "init", "-q")
    first = take(repository, tmp_path / "store")
    assert {"part/layer.py", "part/.gitignore"} <= {each.path for each in first.files}
    assert dict(first.left_out)["part/weights"] == "ignored by git"
    (part / "layer.py").write_text("another layer\n")
    assert take(repository, tmp_path / "store").digest != first.digest
    assert (tree_of(tmp_path / "store", first.digest, repository) / "part" / "weights" / "w.bin").exists()


def test_a_link_within_the_project_leads_into_every_copy(repository: Path, tmp_path: Path) -> None:
    (repository / "link.py").unlink()
    (repository / "link.py").symlink_to(repository / "src" / "net.py")
    tree = tree_of(tmp_path / "store", take(repository, tmp_path / "store").digest, repository)
    (repository / "src" / "net.py").write_text("changed since\n")
    assert (tree / "link.py").read_text() == "net\n"


def test_without_git_environments_and_hidden_folders_are_linked(tmp_path: Path) -> None:
    folder, store = tmp_path / "project", tmp_path / "store"
    for name, text in ((".venv/pyvenv.cfg", ""), ("env/pyvenv.cfg", ""), (".cache/x", "x"), ("a.py", "a")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    taken = take(folder, store)
    assert [each.path for each in taken.files] == ["a.py"]
    tree = tree_of(store, taken.digest, folder)
    assert all((tree / name).exists() for name in (".venv/pyvenv.cfg", "env/pyvenv.cfg", ".cache/x"))


def test_of_experiments_only_python_files_that_git_tracks_are_code(repository: Path, tmp_path: Path) -> None:
    for name in ("experiments/plan.py", "experiments/x/log.jsonl", "experiments/c/snapshots/1/tree/a.py"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("1\n")
    git(repository, "add", "experiments")
    (repository / "experiments" / "new.py").write_text("1\n")
    own = repository / "experiments" / "champion-x"
    found = [each.path for each in take(repository, own).files if each.path.startswith("experiments")]
    assert found == ["experiments/plan.py"]


def test_a_private_file_stays_private_and_an_empty_object_is_written_again(repository: Path, tmp_path: Path) -> None:
    (repository / "new.py").chmod(0o600)
    kept = next(each for each in take(repository, tmp_path / "store").files if each.path == "new.py")
    place = tmp_path / "store" / "objects" / kept.sha256[:2] / kept.sha256[2:]
    assert place.stat().st_mode & 0o777 == 0o600
    place.write_bytes(b"")
    taken = take(repository, tmp_path / "store")
    bring_back(tmp_path / "store", taken, tmp_path / "back")
    assert (tmp_path / "back" / "new.py").read_text() == "untracked\n"
    assert (tmp_path / "back" / "new.py").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "back" / "train.py").stat().st_mode & 0o777 == 0o644


def test_a_change_of_what_is_left_out_is_seen_without_secrets_and_traces(repository: Path, tmp_path: Path) -> None:
    (repository / "weights.bin").write_bytes(bytes(project_files.LARGEST_FILE + 1))
    os.mkfifo(repository / "data" / "pipe")  # whoever reads it waits
    (repository / "data" / "round").symlink_to(repository / "data")

    def looks() -> dict[str, str]:
        return project_files.looks_of(repository, dict(take(repository, tmp_path / "store").left_out))

    before = looks()
    assert before.keys() == {"data", "outside.py", "weights.bin"}
    (repository / "x.log").write_text("longer\n")
    (repository / ".env").write_text("TOKEN=other\n")
    assert looks() == before
    (repository / "data" / "train.csv").write_text("2\n")
    with (repository / "weights.bin").open("r+b") as file:
        file.seek(project_files.LARGEST_FILE // 2)
        file.write(b"1")
    after = looks()
    assert after["data"] != before["data"]
    assert after["weights.bin"] != before["weights.bin"]


def test_the_repository_of_a_git_hook_is_not_taken_for_the_projects(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = take(repository, tmp_path / "store")
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert take(repository, tmp_path / "store").files == whole.files
