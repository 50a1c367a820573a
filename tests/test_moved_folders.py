"""An experiment that was renamed, copied or left alone goes on where it now is."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError
from hpsearch.experiment.layout import RESOLVED
from hpsearch.experiment.reading import read_experiment, space_home
from hpsearch.records import Outcome
from hpsearch.running.chosen import confirm
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.runner import RunOptions, run

HERE = RunOptions(in_process=True)
PROGRAM = """\
import json
for epoch in (1, 2): print(json.dumps({"epoch": epoch, "loss": TOP / epoch}))
print(json.dumps({"test/loss": TOP}))
"""
SPACE = f"""\
family: command
objective: {{metric: loss, goal: minimize}}
search: {{sampler: random, pruner: none, trials: 1, workers: 1, seed: 0}}
command: {sys.executable} prog.py {{lr}}
model: {{lr: {{float: [0, 1]}}}}
confirm: {{top: 1, seeds: 1}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with a space, its program, and an experiment of it."""
    home = tmp_path / "old"
    home.mkdir()
    (home / "prog.py").write_text(PROGRAM.replace("TOP", "1.0"))
    (home / "mine.yaml").write_text(SPACE)
    run(load_space(home / "mine.yaml"), folder=home / "experiments" / "p", options=HERE)
    return home


def scores(folder: Path) -> list[float]:
    return [each.scores.get("test/loss", float("nan")) for each in read_experiment(folder).replicates]


def test_a_renamed_project_goes_on(project: Path) -> None:
    project.rename(new := project.with_name("new"))
    confirm(new / "experiments" / "p", seeds=2, options=HERE)
    assert scores(new / "experiments" / "p") == [1.0, 1.0]
    assert not project.exists()


def test_a_copied_project_runs_its_own_program(project: Path) -> None:
    copy = shutil.copytree(project, project.with_name("copy"))
    (copy / "prog.py").write_text(PROGRAM.replace("TOP", "7.0"))
    confirm(copy / "experiments" / "p", seeds=2, options=HERE)
    assert scores(copy / "experiments" / "p") == [1.0, 7.0]
    assert scores(project / "experiments" / "p") == [1.0]


def test_an_experiment_that_was_moved_alone_finds_the_space_where_it_was(project: Path) -> None:
    moved = shutil.move(project / "experiments" / "p", project.parent / "p")
    assert space_home(Path(moved)) == project
    confirm(moved, seeds=2, options=HERE)
    assert scores(Path(moved)) == [1.0, 1.0]


def test_without_the_spaces_folder_nothing_is_trained(project: Path) -> None:
    moved = Path(shutil.move(project / "experiments" / "p", project.parent / "p"))
    shutil.rmtree(project)
    with pytest.raises(ExperimentError, match=r"old, is gone, .*nothing was trained"):
        confirm(moved, seeds=2, options=HERE)
    assert scores(moved) == [1.0]
    assert open_space(moved).search.trials == 1  # reading needs no program


def test_a_replicate_whose_program_was_not_there_is_tried_again(project: Path) -> None:
    python, folder = project / "python", project / "experiments" / "q"
    python.symlink_to(sys.executable)
    (project / "q.yaml").write_text(SPACE.replace(sys.executable, str(python)))
    run(load_space(project / "q.yaml"), folder=folder, options=HERE)
    python.unlink()
    confirm(folder, seeds=2, options=HERE)
    assert [each.outcome for each in read_experiment(folder).replicates] == [Outcome.COMPLETE, Outcome.FAILED]
    python.symlink_to(sys.executable)
    confirm(folder, seeds=2, options=HERE)
    assert scores(folder) == [1.0, 1.0]


def test_an_experiment_of_before_has_its_absolute_place_only(project: Path) -> None:
    folder = project / "experiments" / "p"
    resolved = json.loads((folder / RESOLVED).read_text())
    assert resolved["space_from_here"] == "../.."
    for name in ("space_from_here", "space_file"):
        del resolved[name]
    (folder / RESOLVED).write_text(json.dumps(resolved))
    assert space_home(folder) == project
