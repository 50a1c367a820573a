"""Images in the formats in which people have them, and what is said of files that are not as they should be."""

import gzip
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hpsearch.data.fingerprint import fingerprint_of
from hpsearch.data.images import ImageSettings, image_source, load_images
from hpsearch.data.raw_images import read_idx
from hpsearch.errors import DataError, NoSplitError, SpaceError
from hpsearch.families.relative_vit.settings import RelativeVitConfig
from hpsearch.running.loading import load_space

RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (20, 6, 5), dtype=np.uint8)
TRAIN_LABELS = np.arange(20) % 3
TEST = RNG.integers(0, 256, (6, 6, 5), dtype=np.uint8)
TEST_LABELS = np.arange(6) % 3


def settings(home: Path, *, size=(6, 5), channels=1, **given) -> ImageSettings:
    named = {key: str(home / value) if key in ("train", "val", "test") else value for key, value in given.items()}
    return ImageSettings.model_validate({"size": size, "channels": channels, **named})


def write_idx(path: Path, array: np.ndarray) -> None:
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def mnist(folder: Path, ending: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, images, labels in (("train", TRAIN, TRAIN_LABELS), ("t10k", TEST, TEST_LABELS)):
        write_idx(folder / f"{name}-images-idx3-ubyte{ending}", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte{ending}", labels.astype(np.uint8))
    return folder


def arrays(folder: Path) -> dict[str, np.ndarray]:
    del folder
    return {"x_train": TRAIN, "y_train": TRAIN_LABELS, "x_test": TEST, "y_test": TEST_LABELS[:, None]}


def write_npz(folder: Path) -> dict:
    np.savez_compressed(folder / "a.npz", **arrays(folder))
    return {"train": "a.npz"}


def write_medmnist(folder: Path) -> dict:
    content = {"train_images": TRAIN, "train_labels": TRAIN_LABELS, "test_images": TEST, "test_labels": TEST_LABELS}
    np.savez(folder / "a.npz", **content)
    return {"train": "a.npz"}


def write_npy(folder: Path) -> dict:
    for name, array in arrays(folder).items():
        np.save(folder / f"{name}.npy", array)
    return {"train": "x_train.npy", "test": "x_test.npy"}


def write_npy_folder(folder: Path) -> dict:
    write_npy(folder)
    return {"train": "."}


def write_idx_folder(folder: Path) -> dict:
    mnist(folder / "MNIST" / "raw")
    mnist(folder / "MNIST" / "raw", ".gz")  # torchvision leaves both
    return {"train": "MNIST"}


def write_idx_files(folder: Path) -> dict:
    mnist(folder, ".gz")
    return {"train": "train-images-idx3-ubyte.gz", "test": "t10k-images-idx3-ubyte.gz"}


def write_table(folder: Path) -> dict:
    for part, images, labels in (("train", TRAIN, TRAIN_LABELS), ("test", TEST, TEST_LABELS)):
        (folder / part).mkdir()
        lines = ["image,label"]
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(folder / part / f"{number}.png")
            lines.append(f"{part}/{number}.png,{label}")
        (folder / f"{part}.csv").write_text("\n".join(lines) + "\n")
    return {"train": "train.csv", "test": "test.csv"}


def write_dataset(folder: Path, *, parquet: bool = False) -> dict:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["0", "1", "2"])})

    def part(images: np.ndarray, labels: np.ndarray):
        content = {"image": [Image.fromarray(image) for image in images], "label": labels.tolist()}
        return datasets.Dataset.from_dict(content, features=features)

    parts = {"train": part(TRAIN, TRAIN_LABELS), "test": part(TEST, TEST_LABELS)}
    if parquet:
        (folder / "d" / "data").mkdir(parents=True)
        for name, rows in parts.items():
            rows.to_parquet(folder / "d" / "data" / f"{name}-00000-of-00001.parquet")
    else:
        datasets.DatasetDict(parts).save_to_disk(folder / "d")
    return {"train": "d"}


def write_parquet(folder: Path) -> dict:
    return write_dataset(folder, parquet=True)


@pytest.mark.parametrize(
    "write",
    [write_npz, write_medmnist, write_npy, write_npy_folder, write_idx_folder, write_idx_files, write_table,
     write_dataset, write_parquet],
)  # fmt: skip
def test_every_format_holds_the_same_images_and_its_own_test_split(tmp_path: Path, write) -> None:
    chosen = settings(tmp_path, **write(tmp_path))
    parts = {part: load_images(chosen, part, seed=0) for part in ("train", "val", "test")}
    assert parts["train"].classes == ("0", "1", "2")
    assert np.array_equal(parts["test"].images[:, 0], TEST)
    assert np.array_equal(parts["test"].labels, TEST_LABELS)
    assert len(parts["val"].labels) == 3  # of 20
    learned = np.concatenate([parts["train"].images, parts["val"].images])[:, 0]
    assert sorted(map(bytes, learned)) == sorted(map(bytes, TRAIN))


def test_parquet_files_are_named_one_by_one(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    train, test = (f"d/data/{part}-00000-of-00001.parquet" for part in ("train", "test"))
    chosen = settings(tmp_path, train=train, val=test, test_fraction=0.3)
    assert np.array_equal(load_images(chosen, "val", 0).labels, TEST_LABELS)
    assert len(load_images(chosen, "test", 0).labels) == 6  # drawn from train


def test_two_sets_below_one_folder_are_not_mixed(tmp_path: Path) -> None:
    for name in ("MNIST", "FashionMNIST"):
        mnist(tmp_path / "data" / name / "raw", ".gz")
    with pytest.raises(DataError, match=r"holds several sets of images, .*FashionMNIST.* and .*MNIST"):
        load_images(settings(tmp_path, train="data"), "train", 0)


def test_an_array_that_is_not_divided_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=TRAIN[..., None], y=TRAIN_LABELS.astype("U1"))
    chosen = settings(tmp_path, train="a.npz", class_names=["a", "b", "c"])
    assert [len(load_images(chosen, part, 0).labels) for part in ("train", "val", "test")] == [13, 3, 4]
    assert load_images(chosen, "test", 0).classes == ("a", "b", "c")
    with pytest.raises(NoSplitError):
        load_images(settings(tmp_path, train="a.npz", test_fraction=0), "test", 0)


COLOURS = RNG.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
KINDS = [0, 1, 1, 0, 1, 0, 0, 1]


def cifar10(folder: Path, *, binary: bool) -> Path:
    folder.mkdir()
    rows = COLOURS.reshape(8, -1)
    batches = {"data_batch_1": slice(0, 3), "data_batch_2": slice(3, 6), "test_batch": slice(6, 8)}
    for name, part in batches.items():
        labels = KINDS[part]
        if binary:
            table = np.concatenate([np.array(labels, dtype=np.uint8)[:, None], rows[part]], axis=1)
            (folder / f"{name}.bin").write_bytes(table.tobytes())
        else:
            content = {b"batch_label": name.encode(), b"labels": labels, b"data": rows[part], b"filenames": [b"a.png"]}
            (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    if binary:
        (folder / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    else:
        (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"airplane", b"automobile"]}, protocol=2))
    return folder


@pytest.mark.parametrize("binary", [False, True])
def test_cifar_is_read_in_both_versions(tmp_path: Path, binary: bool) -> None:
    cifar10(tmp_path / "cifar-10-batches", binary=binary)
    chosen = settings(tmp_path, size=(32, 32), channels=3, train=".", val_fraction=0.34)
    test = load_images(chosen, "test", 0)
    assert test.classes == ("airplane", "automobile")
    assert np.array_equal(test.images, COLOURS[6:])
    assert test.labels.tolist() == KINDS[6:]
    learned = np.concatenate([load_images(chosen, part, 0).images for part in ("train", "val")])
    assert sorted(map(bytes, learned)) == sorted(map(bytes, COLOURS[:6]))


def test_cifar_100_has_two_kinds_of_labels(tmp_path: Path) -> None:
    for name in ("train", "test"):
        content = {"data": COLOURS.reshape(8, -1), "fine_labels": [0, 1, 2, 3] * 2, "coarse_labels": KINDS}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
    names = {"fine_label_names": list("abcd"), "coarse_label_names": ["x", "y"]}
    (tmp_path / "meta").write_bytes(pickle.dumps(names, protocol=2))
    fine, coarse = (
        settings(tmp_path, size=(32, 32), channels=3, train=".", coarse_labels=each) for each in (False, True)
    )
    assert load_images(fine, "test", 0).classes == ("a", "b", "c", "d")
    assert load_images(coarse, "test", 0).classes == ("x", "y")
    assert load_images(coarse, "test", 0).labels.tolist() == KINDS


class Attack:
    """A pickle that would write a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_of_a_pickle_is_run(tmp_path: Path) -> None:
    folder = cifar10(tmp_path / "c", binary=False)
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": Attack(tmp_path / "mark")}, protocol=2))
    with pytest.raises(DataError, match=r"test_batch is no batch of CIFAR's: it asks for .*, which is not run"):
        load_images(settings(tmp_path, size=(32, 32), channels=3, train="c"), "test", 0)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (TRAIN / np.float32(255), TRAIN),
        (TRAIN.astype(np.float64), TRAIN),
        (TRAIN.astype(np.int32), TRAIN),
        (TRAIN > 99, np.where(TRAIN > 99, 255, 0)),
    ],
)
def test_numbers_of_other_types_are_the_same_pixels(tmp_path: Path, images: np.ndarray, shown: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", x=images, y=TRAIN_LABELS)
    found = np.concatenate(
        [load_images(settings(tmp_path, train="a.npz"), part, 0).images for part in ("train", "val", "test")]
    )
    assert sorted(map(bytes, found[:, 0])) == sorted(map(bytes, shown.astype(np.uint8)))


def test_channels_may_come_first_or_last_and_other_sizes_are_scaled(tmp_path: Path) -> None:
    for name, colours in (("first", COLOURS), ("last", COLOURS.transpose(0, 2, 3, 1))):
        np.savez(tmp_path / f"{name}.npz", x_train=colours, y_train=KINDS, x_test=colours, y_test=KINDS)
    for name in ("first", "last"):
        chosen = settings(tmp_path, train=f"{name}.npz", size=(32, 32), channels=3)
        assert np.array_equal(load_images(chosen, "test", 0).images, COLOURS)
    grey = load_images(settings(tmp_path, train="first.npz", size=(16, 16), channels=1), "test", 0)
    assert grey.images.shape == (8, 1, 16, 16)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"x": TRAIN}, r"a.npz has no images with labels to learn from: .*it has: x$"),
        ({"x": TRAIN, "y": TRAIN_LABELS[:5]}, r"a.npz, y: there are 20 images and 5 labels"),
        ({"x": TRAIN.reshape(20, -1), "y": TRAIN_LABELS}, r"a.npz, x: images are .*not 20x30; rows of pixels"),
        ({"x": TRAIN - 100.0, "y": TRAIN_LABELS}, r"a.npz, x: the pixels are from -\d+ to \d+; expected are 0 to 255"),
        ({"x": TRAIN, "y": np.eye(3)[TRAIN_LABELS]}, r"a.npz, y: labels are \(N,\), .*not 20x3; of one-hot rows"),
        ({"x": TRAIN, "y": TRAIN_LABELS + 0.5}, r"a.npz, y: labels are whole numbers or names, not of the type f"),
        ({"x": TRAIN, "y": TRAIN_LABELS.astype(object)}, r"a.npz, y cannot be read: .*pickle"),
        ({"x": TRAIN, "y": TRAIN_LABELS * 0}, r"all images for training have the class 0"),
        ({"x_train": TRAIN, "y_train": TRAIN_LABELS, "x_test": TEST, "y_test": TEST_LABELS + 1},
         r"the test part has the class '3', of which training has no image; it has: 0, 1, 2"),
        ("cut", r"a.npz is no .npz file"),
        (b"", r"is empty"),
    ],
)  # fmt: skip
def test_check_says_what_is_wrong_with_arrays(tmp_path: Path, content: dict | str | bytes, words: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **(content if isinstance(content, dict) else arrays(tmp_path)))
    if not isinstance(content, dict):
        path.write_bytes(path.read_bytes()[:1000] if content == "cut" else content)
    with pytest.raises(SpaceError, match=rf"space.yaml:4:\d+: data.train: .*{words}"):
        load_space(space_of(tmp_path, "{train: a.npz, size: [6, 5], channels: 1}"))


def space_of(home: Path, data: str) -> Path:
    path = home / "space.yaml"
    path.write_text(
        "family: relative_vit\nobjective: {metric: val/accuracy, goal: maximize}\nsearch: {trials: 1, workers: 1}\n"
        f"data: {data}\nmodel: {{patch: 1}}\ntrain: {{learning_rate: {{log: [1e-4, 1e-3]}}}}\n"
    )
    return path


def test_mnist_needs_no_more_than_this_space(tmp_path: Path) -> None:
    mnist(tmp_path / "mnist", ".gz")
    space = load_space(space_of(tmp_path, "{train: mnist, size: [6, 5], channels: 1}"))
    assert space.config(space.example).model_dump(mode="json")["data"]["train"] == "mnist"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-7], r"it was cut off: 20x6x5 numbers were expected, and there are 593"),
        (lambda content: content + b"0", r"it is longer than its header says"),
        (lambda content: b"\x89PNG" + content, r"is no idx file of bytes: it begins with 89504e47"),
        (lambda content: content[:6], r"is no idx file of bytes"),
    ],
)
def test_a_damaged_idx_file_is_told(tmp_path: Path, damage, words: str) -> None:
    path = mnist(tmp_path) / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        read_idx(path)


def test_other_mistakes_of_files(tmp_path: Path) -> None:
    mnist(tmp_path, ".gz")
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"no file of labels beside it: train-labels-idx1-ubyte or"):
        load_images(settings(tmp_path, train="train-images-idx3-ubyte.gz"), "train", 0)
    cut = tmp_path / "t10k-images-idx3-ubyte.gz"
    cut.write_bytes(cut.read_bytes()[:50])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz cannot be unpacked"):
        load_images(settings(tmp_path, train="t10k-images-idx3-ubyte.gz"), "train", 0)
    np.save(tmp_path / "x_train.npy", TRAIN)
    with pytest.raises(DataError, match=r"x_train.npy has no file of labels beside it; looked for y_train.npy"):
        load_images(settings(tmp_path, train="x_train.npy"), "train", 0)


def test_a_table_that_lists_what_is_not_there(tmp_path: Path) -> None:
    given = write_table(tmp_path)
    (tmp_path / "train" / "3.png").unlink()
    with pytest.raises(DataError, match=r"train.csv lists 1 images that are not there, such as .*3.png"):
        load_images(settings(tmp_path, **given), "train", 0)
    with pytest.raises(DataError, match=r"train.csv:2 has no 'path'; it has: image, label"):
        load_images(settings(tmp_path, image_column="path", **given), "train", 0)


def test_an_image_that_a_table_lists_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    chosen = settings(tmp_path, **write_table(tmp_path))
    before = fingerprint_of(image_source(chosen), Path).digest
    Image.fromarray(255 - TRAIN[0]).save(tmp_path / "train" / "0.png")
    assert fingerprint_of(image_source(chosen), Path).digest != before
    np.save(tmp_path / "x.npy", TRAIN)
    np.save(tmp_path / "y.npy", TRAIN_LABELS)
    chosen = settings(tmp_path, train="x.npy")
    before = fingerprint_of(image_source(chosen), Path).digest
    np.save(tmp_path / "y.npy", TRAIN_LABELS[::-1])
    assert fingerprint_of(image_source(chosen), Path).digest != before


def test_a_folder_by_either_name_is_the_same_data_and_older_dumps_stay(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(TRAIN[number]).save(tmp_path / name / f"{number}.png")
    older = ImageSettings.model_validate({"source": {"images": {"path": str(tmp_path), "size": [6, 5], "channels": 1}}})
    newer = settings(tmp_path, train=".")
    digests = {fingerprint_of(image_source(each), Path).digest for each in (older, newer)}
    assert len(digests) == 1
    assert set(older.model_dump()) == {"source", "val_fraction", "test_fraction", "folds"}
    assert ImageSettings.model_validate(newer.model_dump(mode="json")) == newer


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train": "a"}, "train needs size and channels beside it"),
        ({"train": "a", "size": [2, 2], "channels": 1, "source": "synthetic"}, "two ways to name the images"),
        ({"size": [2, 2]}, "size and channels go with train"),
        ({"test": "a"}, "test need a train"),
        ({"train": "a", "size": [2, 2], "channels": 1, "val_fraction": 0}, "val_fraction is 0"),
    ],
)
def test_settings_that_do_not_go_together(given: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ImageSettings.model_validate(given)


def test_patches_are_held_against_the_size() -> None:
    data = {"train": "a", "size": [28, 28], "channels": 1}
    with pytest.raises(ValidationError, match="patches of 5 pixels do not fill images of 28 x 28"):
        RelativeVitConfig.model_validate({"data": data, "model": {"patch": 5}})


def test_many_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSEARCH_CACHE", str(tmp_path / "cache"))
    chosen = settings(tmp_path, size=(600, 600), channels=3, **write_table(tmp_path))
    first = load_images(chosen, "train", 0)
    (made,) = (tmp_path / "cache" / "images").glob("*.npz")
    state = made.stat().st_mtime_ns
    second = load_images(chosen, "train", 0)
    assert np.array_equal(first.images, second.images)
    assert made.stat().st_mtime_ns == state
    Image.fromarray(255 - TRAIN[0]).save(tmp_path / "train" / "0.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.array_equal(load_images(chosen, "train", 0).images, first.images)
