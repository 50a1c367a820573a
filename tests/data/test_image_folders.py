"""Folders of images whose subfolders are classes, or splits with the classes below them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpsearch.data.folds import Folds
from hpsearch.data.image_folders import find_images
from hpsearch.data.images import ImageSettings, image_source, load_images
from hpsearch.errors import DataError

PARTS = ("train", "val", "test")
LEVELS = {"cat": 40, "dog": 200}


def photos(folder: Path, counts: dict[str, int], *, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write so many images of each class below each of these subfolders; each has a number of its own in the corner."""
    number = 0
    for name, count in counts.items():
        for label in classes:
            place = folder / name / label
            place.mkdir(parents=True)
            for _ in range(count):
                pixels = np.full((4, 4), LEVELS.get(label, 90), dtype=np.uint8)
                pixels[0, 0], number = number, number + 1
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def settings(path: Path, *, folds: Folds | None = None, **source: object) -> ImageSettings:
    images = {"images": {"path": str(path), "size": [4, 4], "channels": 1, **source}}
    return ImageSettings.model_validate({"source": images, "val_fraction": 0.25, "test_fraction": 0.25, "folds": folds})


def corners(chosen: ImageSettings, part: str) -> set[int]:
    """Return the numbers of the images of a part."""
    return {int(image[0, 0, 0]) for image in load_images(chosen, part, seed=0).images}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Train", "Validation", "Test"),
        ("TRAINING", "dev", "testing"),
        ("training_set", "val-images", "test_set"),
        ("train2017", "val2017", "testset"),
    ],
)
def test_splits_are_taken_as_they_lie(tmp_path: Path, names: tuple[str, str, str]) -> None:
    chosen = settings(photos(tmp_path, dict(zip(names, (6, 2, 3), strict=True))))
    parts = [load_images(chosen, part, seed=0) for part in PARTS]  # type: ignore[arg-type]
    assert [np.bincount(part.labels).tolist() for part in parts] == [[6, 6], [2, 2], [3, 3]]
    assert {part.classes for part in parts} == {("cat", "dog")}
    assert corners(chosen, "train") == set(range(12))
    assert corners(chosen, "val") == set(range(12, 16))
    assert corners(chosen, "test") == set(range(16, 22))


@pytest.mark.parametrize(("given", "missing"), [("test", "val"), ("val", "test")])
def test_a_split_without_a_folder_is_drawn_from_the_training_images(tmp_path: Path, given: str, missing: str) -> None:
    chosen = settings(photos(tmp_path, {"train": 8, given: 3}))
    found = {part: corners(chosen, part) for part in PARTS}
    assert found[given] == set(range(16, 22))
    assert len(found[missing]) == 4
    assert found[missing] | found["train"] == set(range(16))
    assert not found[missing] & found["train"]


def test_labels_follow_the_names_of_the_classes_also_where_a_split_lacks_one(tmp_path: Path) -> None:
    photos(tmp_path, {"train": 4, "val": 2})
    photos(tmp_path, {"test": 2}, classes=("dog",))
    for part in PARTS:
        found = load_images(settings(tmp_path), part, seed=0)  # type: ignore[arg-type]
        assert [LEVELS[found.classes[label]] for label in found.labels] == found.images[:, 0, 2, 2].tolist()


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    """Trains are vehicles."""
    photos(tmp_path, {"bus": 4, "train": 4}, classes=("",))
    assert find_images(tmp_path).classes == ("bus", "train")


def test_a_lonely_split_is_asked_about(tmp_path: Path) -> None:
    photos(tmp_path / "a", {"train": 4})
    photos(tmp_path / "a", {"notes": 1}, classes=("",))
    photos(tmp_path / "b", {"learn": 4, "test": 4})
    for name, classes in (("a", ("notes", "train")), ("b", ("learn", "test"))):
        with pytest.raises(DataError, match=r"called like splits .* and like classes .*layout"):
            find_images(tmp_path / name)
        assert find_images(tmp_path / name, "classes").classes == classes


def test_of_splits_the_training_part_must_be_there(tmp_path: Path) -> None:
    photos(tmp_path / "a", {"train": 4})
    assert find_images(tmp_path / "a").classes == ("cat", "dog")
    assert all(corners(settings(tmp_path / "a"), part) for part in PARTS)
    with pytest.raises(DataError, match="has no subfolder train"):
        find_images(photos(tmp_path / "b", {"test": 2}))


MIXED = {
    "splits beside classes": ({"train": 3, "test": 3, "bus": 3}, ("cat", "dog"), "like splits .* and like classes"),
    "no classes below": ({"train": 3, "test": 3}, ("",), "but without subfolders for classes"),
    "another name for a split": ({"train": 3, "holdout": 3}, ("cat", "dog"), "same subfolders, as splits have"),
    "longer names": ({"digits_train": 3, "digits_val": 3}, ("cat", "dog"), "same subfolders, as splits have"),
    "folds": ({"fold1": 3, "fold2": 3}, ("cat", "dog"), "same subfolders, as splits have"),
    "splits below classes": ({"cat": 3, "dog": 3}, ("train", "test"), "which would be mixed"),
}


@pytest.mark.parametrize("case", MIXED)
def test_what_can_be_meant_in_two_ways_is_asked_about_and_the_answer_holds(tmp_path: Path, case: str) -> None:
    counts, inner, words = MIXED[case]
    photos(tmp_path, counts, classes=inner)
    with pytest.raises(DataError, match=rf"(?s){words}.*layout"):
        find_images(tmp_path)
    assert find_images(tmp_path, "classes").classes == tuple(sorted(counts))
    if case == "splits beside classes":
        assert find_images(tmp_path, "splits").classes == ("cat", "dog")


def test_mistakes_in_splits_are_told(tmp_path: Path) -> None:
    photos(tmp_path / "alien", {"train": 3}), photos(tmp_path / "alien", {"test": 1}, classes=("cow",))
    with pytest.raises(DataError, match="has the class 'cow', of which train has no image; it has: cat, dog"):
        find_images(tmp_path / "alien")
    photos(tmp_path / "headless", {"val": 1, "test": 1})
    with pytest.raises(DataError, match="has no subfolder train"):
        find_images(tmp_path / "headless")
    photos(tmp_path / "twice", {"train": 1, "val": 1, "valid": 1})
    with pytest.raises(DataError, match="has val and valid, which are the same split"):
        find_images(tmp_path / "twice")
    photos(tmp_path / "one", {"train": 1, "test": 1}, classes=("cat",))
    with pytest.raises(DataError, match="two classes or more"):
        find_images(tmp_path / "one")


def test_folds_divide_what_has_no_test_part_of_its_own(tmp_path: Path) -> None:
    photos(tmp_path / "given", {"train": 6, "test": 3})
    with pytest.raises(DataError, match="have their own test part"):
        load_images(settings(tmp_path / "given", folds=Folds(count=3)), "train", seed=0)
    photos(tmp_path / "open", {"train": 6, "val": 2})
    folds = [settings(tmp_path / "open", folds=Folds(count=3, index=index)) for index in range(3)]
    assert set.union(*(corners(fold, "test") for fold in folds)) == set(range(12))
    assert {frozenset(corners(fold, "val")) for fold in folds} == {frozenset(range(12, 16))}


def test_only_images_are_the_data_of_a_folder(tmp_path: Path) -> None:
    from hpsearch.data.fingerprint import fingerprint_of

    photos(tmp_path, {"train": 2, "test": 2})
    source = image_source(settings(tmp_path))
    before = fingerprint_of(source, Path).digest
    (tmp_path / "notes.txt").write_text("no image")
    assert fingerprint_of(source, Path).digest == before
    (tmp_path / "train" / "cat" / "1.png").rename(tmp_path / "test" / "cat" / "1.png")
    assert fingerprint_of(source, Path).digest != before
