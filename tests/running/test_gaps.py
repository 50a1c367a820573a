"""A log that is damaged or gone, a trial's folder or configuration that is: said as such, and never a new search."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.events import Event, Notice, TextNotice
from hpsearch.experiment.layout import CONFIG, LOG, METRICS, RESOLVED, SPACE
from hpsearch.experiment.reading import read_experiment, read_metrics
from hpsearch.final.selection import find_source
from hpsearch.running.chosen import confirm
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.running.sessions import essence
from tests.toy_spaces import write_space


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, TextNotice):
            self.said.append(event.text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(load_space(write_space(folder, trials=4)), folder=folder / "toy", options=RunOptions(in_process=True))
    return folder / "toy"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "toy")
    return tmp_path / "toy"


def go_on(folder: Path, **settings: object) -> list[str]:
    listener = Listener()
    space = load_space(write_space(folder.parent, **{"trials": 4, **settings}))  # type: ignore[arg-type]
    run(space, folder=folder, options=RunOptions(in_process=True, observers=[listener]))
    return listener.said


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"', b"\0"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(("damage", "told"), [(delete, "is gone"), (empty, "is empty"), (spoil, "has no whole line")])
def test_a_log_that_is_lost_before_the_first_report_is_said(
    damage: Callable[[Path], None], told: str, folder: Path
) -> None:
    for metrics in folder.glob("trials/*/metrics.jsonl"):
        metrics.unlink()
    damage(folder / LOG)
    words = f"log.jsonl {told}, though 4 trials had begun in {folder / 'trials'}: trials/0000, trials/0001, trials/0002"
    (warning,) = read_experiment(folder).warnings[-1:]
    assert words in warning
    (said,) = [each for each in go_on(folder) if words in each]
    assert said.endswith("None had reported anything; the search begins anew")
    assert [trial.number for trial in read_experiment(folder).trials] == [0, 1, 2, 3]
    assert not read_experiment(folder).warnings


@pytest.mark.parametrize(("damage", "told"), [(delete, "is gone"), (empty, "is empty"), (spoil, "has no whole line")])
def test_a_lost_log_is_no_new_search(damage: Callable[[Path], None], told: str, folder: Path) -> None:
    damage(folder / LOG)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for command in (go_on, confirm):
        with pytest.raises(
            ExperimentError, match=rf"log.jsonl {told}, and with it .* 4 trials .*Put a copy of the log"
        ):
            command(folder)
    (warning,) = [each for each in read_experiment(folder).warnings if "Put a copy" in each]
    assert told in warning
    with pytest.raises(HpsearchError, match=f"no complete trial yet.*log.jsonl {told}"):
        _ = find_source(folder).winner
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert {name for name in changed if not name.startswith("lease")} <= {"lock", "toy.yaml"}


@pytest.mark.parametrize("damage", [delete, empty, spoil])
def test_a_lost_log_is_written_again_from_the_folders_and_the_search_comes_to_the_same(
    damage: Callable[[Path], None], finished: Path, folder: Path
) -> None:
    whole = read_experiment(folder)
    damage(folder / LOG)
    left = (folder / LOG).read_bytes() if (folder / LOG).exists() else b""
    (folder / "trials/0002" / CONFIG).write_bytes(b"{")
    found = hpsearch.doctor(folder)
    assert not found.healthy
    (told,) = [each.mended for each in hpsearch.doctor(folder, repair=True).findings if each.where.endswith(LOG)]
    assert told is not None
    assert "written again from 3 trials with 9 reports" in told
    assert f"{CONFIG} of trials/0002 cannot be read" in told
    assert not left or (folder / f"{LOG}.damaged").read_bytes() == left
    (folder / "trials/0002" / CONFIG).write_bytes((finished / "trials/0002" / CONFIG).read_bytes())
    assert [trial.outcome for trial in read_experiment(folder).trials] == [None] * 3  # nothing is invented
    go_on(folder)
    again = {trial.number: trial for trial in read_experiment(folder).trials}
    for trial in whole.trials:
        if trial.number != 2:
            now = again[trial.number]
            assert (now.params, now.outcome, now.value) == (trial.params, trial.outcome, trial.value)
            assert now.history == trial.history
    assert len(again) == 4


def test_the_folder_of_a_finished_trial_is_gone(folder: Path) -> None:
    whole = read_experiment(folder)
    shutil.rmtree(folder / "trials/0002")
    (warning,) = read_experiment(folder).warnings
    assert warning.startswith("the folder of 1 trial that ended is gone: trials/0002. The log has the values")
    said = go_on(folder, trials=5)
    assert warning in said
    record = read_experiment(folder)
    assert len(record.trials) == 5
    assert (record.dropped, record.trials[:4]) == (0, whole.trials), "its value counts as before"


def exchange(path: Path) -> None:
    path.write_bytes((path.parents[1] / "0002" / path.name).read_bytes())


def change_a_parameter(path: Path) -> None:
    content = json.loads(path.read_text())
    content["params"] |= {"model.start": content["params"]["model.start"] + 0.125}
    path.write_text(json.dumps(content, indent=2) + "\n")


def change_a_setting(path: Path) -> None:
    text = path.read_text()
    path.write_text(text.replace('"batch_size": 8', '"batch_size": 9', 1))
    assert path.read_text() != text


@pytest.mark.parametrize("damage", [delete, empty, cut, spoil, exchange, change_a_parameter, change_a_setting])
def test_a_damaged_configuration_is_written_again(damage: Callable[[Path], None], folder: Path) -> None:
    whole, text = essence(folder), (folder / "trials/0001" / CONFIG).read_bytes()
    damage(folder / "trials/0001" / CONFIG)
    assert essence(folder) == whole
    said = go_on(folder)
    assert said == ["config.json of trials/0001 was damaged or gone, and is written again from log and space"]
    assert essence(folder) == whole
    assert (folder / "trials/0001" / CONFIG).read_bytes() == text


def test_the_doctor_writes_a_programs_configuration_again(tmp_path: Path) -> None:
    (tmp_path / "echo.yaml").write_text(
        "family: command\ncommand: [echo, '{x}']\nx: {float: [0, 1]}\nmetrics: {pattern: '(?P<value>.+)'}\n"
        "objective: {metric: value, goal: minimize}\nsearch: {sampler: random, trials: 2, seed: 0}\n"
    )
    run(load_space(tmp_path / "echo.yaml"), folder=tmp_path / "e", options=RunOptions(in_process=True))
    path = tmp_path / "e" / "trials/0001" / CONFIG
    text = path.read_text()
    path.write_text(text.replace("command", "comment", 1))
    (found,) = [each for each in hpsearch.doctor(tmp_path / "e").findings if not each.note]
    assert (found.where, found.what) == (str(path), "a setting was changed: its checksum does not fit")
    assert hpsearch.doctor(tmp_path / "e", repair=True).healthy
    assert path.read_text() == text
    assert "comment" in path.with_name(f"{CONFIG}.damaged").read_text()


def without_the_ask(folder: Path) -> None:
    lines = (folder / LOG).read_bytes().splitlines(keepends=True)
    asked = next(n for n, line in enumerate(lines) if b'"ask","run":"trials/0001"' in line)
    lines[asked] = lines[asked].replace(b'"number":1', b'"number":3')
    (folder / LOG).write_bytes(b"".join(lines))


def with_another_seed(folder: Path) -> None:
    text = (folder / RESOLVED).read_text()
    (folder / RESOLVED).write_text(text.replace('"seed": 0', '"seed": 4', 1))


def with_another_space(folder: Path) -> None:
    (folder / SPACE).write_text((folder / SPACE).read_text().replace("trials: 4", "trials: 5"))


def without_a_step(folder: Path) -> None:
    lines = (folder / "trials/0001" / METRICS).read_bytes().splitlines(keepends=True)
    (folder / "trials/0001" / METRICS).write_bytes(b"".join([lines[0], *lines[2:]]))


@pytest.mark.parametrize(
    ("damage", "where", "said", "mended"),
    [
        (without_the_ask, LOG, "no line asks for trials/0001, of which others tell", True),
        (with_another_seed, RESOLVED, "a setting was changed: its checksum does not fit", False),
        (with_another_space, SPACE, "it is not the space file as it was given", False),
        (without_a_step, f"trials/0001/{METRICS}", "1 of 3 evaluations are not in it", True),
    ],
)
def test_the_doctor_finds_it_and_mends_what_follows_from_the_rest(
    damage: Callable[[Path], None], where: str, said: str, mended: bool, finished: Path, folder: Path
) -> None:
    damage(folder)
    found = {(each.where, each.what) for each in hpsearch.doctor(folder).findings}
    assert (str(folder / where), said) in found
    assert hpsearch.doctor(folder, repair=True).healthy is mended
    whole, now = read_experiment(finished), read_experiment(folder)
    assert [trial.history for trial in now.trials] == [trial.history for trial in whole.trials]
    assert [trial.params for trial in now.trials] == [trial.params for trial in whole.trials]
    rows = read_metrics(folder, "trials/0001")
    assert [row["val/loss"] for row in rows] == [row["val/loss"] for row in read_metrics(finished, "trials/0001")]


def test_where_it_does_not_follow_from_the_log_it_costs_that_trial(folder: Path) -> None:
    go_on(folder, rate="{log: [1e-4, 1]}")
    cut(folder / "trials/0001" / CONFIG)
    said = go_on(folder, rate="{log: [1e-4, 1]}", trials=5)
    assert "config.json of trials/0001 is damaged or gone, and does not follow from the log: it is left out" in said
    record = read_experiment(folder)
    assert [trial.number for trial in record.trials] == [0, 2, 3, 4]


def test_a_trial_that_the_log_does_not_tell_of_keeps_its_folder_and_number(folder: Path) -> None:
    lines = (folder / LOG).read_bytes().splitlines(keepends=True)
    (folder / LOG).write_bytes(b"".join(line for line in lines if b'"trials/0003"' not in line))
    kept = (folder / "trials/0003/metrics.jsonl").read_bytes()
    said = go_on(folder)
    assert f"the log does not tell of 1 trial in {folder}: trials/0003; not counted, and kept" in said
    assert (folder / "trials/0003/metrics.jsonl").read_bytes() == kept
    assert [trial.number for trial in read_experiment(folder).trials] == [0, 1, 2, 4]


def test_two_logs_that_were_joined_are_one(folder: Path) -> None:
    whole = essence(folder)
    content = (folder / LOG).read_bytes()
    (folder / LOG).write_bytes(content + content)
    warnings = read_experiment(folder).warnings
    assert "'trials/0000' has been asked for before; two logs may have been joined here" in " ".join(warnings)
    joined = read_experiment(folder).trials
    assert joined == tuple(_trials(folder, content))
    (folder / LOG).write_bytes(content + content)
    assert any("two logs may have been joined" in each for each in go_on(folder))
    (folder / LOG).write_bytes(content)
    assert essence(folder) == whole


def _trials(folder: Path, content: bytes) -> list[object]:
    (folder / LOG).write_bytes(content)
    return [*read_experiment(folder).trials]
