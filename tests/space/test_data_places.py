"""Files that a space names: missing ones are mistakes of the file, with their place, before anything runs."""

import re
from pathlib import Path

import pytest

from hpsearch.errors import SpaceError
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.space import configurations, space_from_resolved
from hpsearch.studies.reading import load_study

TEXT = "some text " * 200
SPACES = {
    "char_lm": "family: char_lm\nobjective: {metric: val/loss}\nsearch: {trials: 2, sampler: random}\n",
    "text_classifier": "family: text_classifier\nobjective: {metric: val/accuracy}\n",
    "relative_vit": "family: relative_vit\nobjective: {metric: val/accuracy}\n",
}


def space(folder: Path, family: str, more: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(SPACES[family] + more, encoding="utf-8")
    return path


def problems(path: Path, **arguments: object) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        load_space(path, **arguments)  # type: ignore[arg-type]
    return [str(each).replace(f"{path.parent}/", "") for each in caught.value.problems]


MISSING = {
    "a text": ("char_lm", "data: {path: a.txt}\n", ["4:14: data.path: there is no file a.txt"]),
    "files of their own": (
        "text_classifier",
        "data:\n  path: a.csv\n  val_path: b.csv\n  auxiliary:\n    path: c.csv\n",
        ["4:9: data.path: ", "5:13: data.val_path: ", "7:11: data.auxiliary.path: "],
    ),
    "a folder in a branch": (
        "relative_vit",
        "data: {source: {images: {path: photos}}}\n",
        ["3:32: data.source.images.path: there is no folder photos"],
    ),
    "an option by its kind": (
        "relative_vit",
        "data: {source: {kind: images, path: photos}}\n",
        ["3:37: data.source.images.path: there is no folder photos"],
    ),
    "word vectors": (
        "text_classifier",
        "model: {architecture: {cnn: {vectors: {path: glove.txt}}}}\n",
        ["3:46: model.architecture.cnn.vectors.path: there is no file glove.txt"],
    ),
    "a teacher": (
        "text_classifier",
        "distillation: {teacher: runs/0001}\n",
        ["3:25: distillation.teacher: there is no folder runs/0001"],
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_each_missing_file_is_told_where_it_is_written(tmp_path: Path, case: str) -> None:
    family, more, expected = MISSING[case]
    found = problems(space(tmp_path, family, more))
    assert len(found) == len(expected)
    for told, words in zip(found, expected, strict=True):
        assert told.startswith(f"space.yaml:{words}")


def test_every_option_of_a_range_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text(TEXT)
    path = space(tmp_path, "char_lm", "data: {path: {choice: [a.txt, b.txt, c.txt]}}\n")
    assert [each.split(", and")[0] for each in problems(path)] == [
        "space.yaml:4:24: data.path: there is no file a.txt",
        "space.yaml:4:38: data.path: there is no file c.txt",
    ]
    assert {config.data.path for config, _ in configurations(load_written(tmp_path))} == {"a.txt", "b.txt", "c.txt"}  # type: ignore[attr-defined]


def load_written(folder: Path):
    for name in ("a.txt", "c.txt"):
        (folder / name).write_text(TEXT)
    return load_space(folder / "space.yaml")


def test_what_is_set_on_the_command_line_starts_at_the_space_file_too(tmp_path: Path) -> None:
    path = space(tmp_path, "char_lm", "")
    (told,) = problems(path, overrides=["data.path=a.txt"])
    assert told.startswith("--set data.path=a.txt: data.path: there is no file a.txt")
    (tmp_path / "a.txt").write_text(TEXT)
    load_space(path, overrides=["data.path=a.txt"])


def test_only_the_form_that_is_asked_for_must_have_its_files(tmp_path: Path) -> None:
    path = space(tmp_path, "char_lm", "data: {path: long.txt}\nquick: {data.path: short.txt}\n")
    (tmp_path / "short.txt").write_text(TEXT)
    load_space(path, quick=True)
    assert "long.txt" in problems(path)[0]
    (tmp_path / "short.txt").rename(tmp_path / "long.txt")
    load_space(path)
    assert "short.txt" in problems(path, quick=True)[0]


def test_an_arms_files_are_looked_at_and_start_at_its_space(tmp_path: Path) -> None:
    (tmp_path / "spaces").mkdir()
    space(tmp_path / "spaces", "char_lm", "model: {dropout: {float: [0, 0.2]}}\n")
    study = tmp_path / "study.yaml"
    study.write_text(
        "question: Which text?\nmetric: {name: test/loss}\nbudget: {trials: 2}\nreplicates: {seeds: 3}\narms:\n"
        "  one: {space: spaces/space.yaml, set: {data.path: a.txt}}\n"
        "  two: {space: spaces/space.yaml}\n",
        encoding="utf-8",
    )
    with pytest.raises(SpaceError, match=rf"study\.yaml:6:52: data\.path: there is no file {tmp_path}/spaces/a\.txt"):
        load_study(study)
    (tmp_path / "spaces" / "a.txt").write_text(TEXT)
    load_study(study)


def test_an_experiment_opens_without_its_data(tmp_path: Path) -> None:
    """Reading what was found needs no file of the data."""
    (tmp_path / "a.txt").write_text("some text " * 60)
    tiny = "data: {path: a.txt, context: 8}\nmodel: {layers: 1, width: 4, heads: 1}\ntrain: {epochs: 1}\n"
    path = space(tmp_path, "char_lm", tiny)
    run(load_space(path), folder=tmp_path / "found", options=RunOptions(in_process=True))
    (tmp_path / "a.txt").unlink()
    opened = open_space(tmp_path / "found")
    assert space_from_resolved(opened.resolved(), opened.interface).family == "char_lm"


INSIDE = {
    "no text": ("char_lm", "data: {path: a.txt}\n", "a.txt", b"caf\xe9", "4:14: data.path: .* is not UTF-8 text"),
    "a short text": ("char_lm", "data: {path: a.txt}\n", "a.txt", b"abc", "4:14: data.path: the text is too short"),
    "no such column": (
        "text_classifier",
        "data: {path: a.csv}\n",
        "a.csv",
        b"text,class\na,1\n",
        "3:14: data.path: .*a.csv:2 has no 'label'; it has: text, class",
    ),
    "one class": (
        "relative_vit",
        "data: {source: {images: {path: photos}}}\n",
        "photos/cat/1.png",
        b"",
        "3:32: data.source.images.path: .*photos has 1 subfolders",
    ),
}


@pytest.mark.parametrize("case", INSIDE)
def test_a_file_that_cannot_be_used_is_found_before_the_first_trial(tmp_path: Path, case: str) -> None:
    family, more, name, content, words = INSIDE[case]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(content)
    (told,) = problems(space(tmp_path, family, more))
    assert re.match(rf"space\.yaml:{words}", told)
