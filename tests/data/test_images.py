"""Image folders, digits and noise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from sklearn.datasets import load_digits

from hpsearch.data.image_pixels import Shape, read_images
from hpsearch.data.images import ImageSettings, load_images
from hpsearch.errors import DataError

PARTS = ("train", "val", "test")
COLOURS = {"blue": (10, 20, 200), "red": (200, 20, 10)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of one colour for each of two classes, each with its number in the corner, and files that are none."""
    for name, colour in COLOURS.items():
        (tmp_path / name / "deeper").mkdir(parents=True)
        (tmp_path / name / "notes.txt").write_text("no image")
        (tmp_path / name / ".hidden.png").write_bytes(b"no image")
        for number in range(10):
            image = Image.new("RGB", (12, 8), colour)
            image.putpixel((6, 4), (number, number, number))
            place = tmp_path / name / "deeper" if number % 2 else tmp_path / name
            image.save(place / f"{number}.png")
    return tmp_path


def settings(path: Path, **changes) -> ImageSettings:
    source = {"images": {"path": str(path), "size": [8, 12], **changes}}
    return ImageSettings.model_validate({"source": source, "val_fraction": 0.2, "test_fraction": 0.3})


def test_the_parts_of_a_folder_share_nothing_and_have_the_same_proportions(folder: Path) -> None:
    parts = [load_images(settings(folder), part, seed=0) for part in PARTS]
    assert [np.bincount(part.labels).tolist() for part in parts] == [[5, 5], [2, 2], [3, 3]]
    assert {part.classes for part in parts} == {("blue", "red")}
    marks = [(label, image[0, 4, 6]) for part in parts for image, label in zip(part.images, part.labels, strict=True)]
    assert len(set(marks)) == len(marks) == 20
    for part in parts:
        for image, label in zip(part.images, part.labels, strict=True):
            assert tuple(image[:, 0, 0]) == COLOURS[part.classes[label]]


def test_a_part_reads_no_file_of_another(folder: Path) -> None:
    """Only the test part's files are broken: training does not notice."""
    test = load_images(settings(folder), "test", seed=0)
    for image, label in zip(test.images, test.labels, strict=True):
        number = image[0, 4, 6]
        (path,) = (folder / test.classes[label]).rglob(f"{number}.png")
        path.write_bytes(b"broken")
    assert len(load_images(settings(folder), "train", seed=0).labels) == 10
    with pytest.raises(DataError, match=r"6 images cannot be read: .*and 1 more"):
        load_images(settings(folder), "test", seed=0)


def test_images_are_scaled_cut_and_turned_upright(folder: Path) -> None:
    path = folder / "tall.jpg"
    tall = Image.new("RGB", (8, 16), (255, 255, 255))
    exif = tall.getexif()
    exif[0x0112] = 6  # the camera was turned
    tall.save(path, exif=exif)
    assert read_images([path], Shape((4, 6), 1)).shape == (1, 1, 4, 6)
    wide = Image.new("L", (40, 10), 0)
    wide.paste(255, (15, 0, 25, 10))
    wide.save(folder / "wide.png")
    (cut,) = read_images([folder / "wide.png"], Shape((10, 10), 3))
    assert cut.min() == 255  # the middle of it


@pytest.mark.parametrize("content", [b"", b"no image", "cut off", "sixteen bits"])
def test_a_file_that_cannot_be_read_is_named(folder: Path, content: bytes | str) -> None:
    path = folder / "bad.png"
    good = (folder / "red" / "0.png").read_bytes()
    if content == "sixteen bits":
        Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else good[: len(good) // 2])
    with pytest.raises(DataError, match=r"1 images cannot be read: .*bad\.png"):
        read_images([path], Shape((4, 4), 3))


def test_folders_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder of images"):
        load_images(settings(folder / "nowhere"), "train", seed=0)
    with pytest.raises(DataError, match="has 1 subfolders"):
        load_images(settings(folder / "red"), "train", seed=0)
    (folder / "green").mkdir()
    with pytest.raises(DataError, match=r"there is no image in .*green; known are bmp, gif"):
        load_images(settings(folder), "train", seed=0)


def test_the_digits_are_scikit_learns() -> None:
    parts = [load_images(ImageSettings(), part, seed=0) for part in PARTS]
    assert [len(part.labels) for part in parts] == [1168, 270, 359]
    ours = sorted((int(label), *image.flatten().tolist()) for p in parts for image, label in zip(p.images, p.labels))  # noqa: B905
    digits = load_digits()
    theirs = sorted((int(label), *map(int, row)) for row, label in zip(digits.data, digits.target))  # noqa: B905
    assert ours == theirs
    assert {part.white for part in parts} == {16}


def test_the_folds_cover_the_digits_once() -> None:
    tests = [
        load_images(ImageSettings.model_validate({"folds": {"count": 3, "index": index}}), "test", seed=0)
        for index in range(3)
    ]
    seen = [image.tobytes() for test in tests for image in test.images]
    assert len(set(seen)) == len(seen) == 1797


def test_noise_has_the_sizes_that_were_asked_for_and_follows_from_the_seed() -> None:
    source = {"synthetic": {"examples": 50, "size": [4, 6], "channels": 1, "classes": 7}}
    given = ImageSettings.model_validate({"source": source})
    train, again, other = (load_images(given, "train", seed=seed) for seed in (0, 0, 1))
    assert train.images.shape == (32, 1, 4, 6)
    assert len(train.classes) == 7
    assert np.array_equal(train.images, again.images)
    assert not np.array_equal(train.images, other.images)
    assert not np.array_equal(train.images[:8], load_images(given, "val", seed=0).images)


def test_fractions_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing is left for training"):
        ImageSettings(val_fraction=0.6, test_fraction=0.4)
