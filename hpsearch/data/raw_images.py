"""Images as data sets are published: MNIST's idx files, CIFAR's batches, and numpy's .npz and .npy.

CIFAR's Python batches are pickles. They are read by an unpickler that makes lists, dictionaries, texts, numbers and
arrays of numbers, and calls nothing else: no code of a file is run.
"""

import gzip
import pickle
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.folds import Part, part_called
from hpsearch.data.image_pixels import Bytes, Pixels, StoredImages, labels_of, of_array
from hpsearch.errors import DataError

Reads = dict[Part, Callable[[], StoredImages]]
_IDX = re.compile(r"idx\d-ubyte(\.gz)?$")
_IMAGES = ("x", "images", "image", "data", "imgs", "img")
_LABELS = ("y", "labels", "label", "target", "targets")
_SIDE = 32
"""Pixels of a side of CIFAR's images."""


# ---- MNIST and those like it: idx files


def is_idx(path: Path) -> bool:
    """Check whether a file is called like MNIST's: train-images-idx3-ubyte.gz."""
    return _IDX.search(path.name.replace(".idx", "-idx")) is not None


def idx_splits(folder: Path) -> Reads:
    """Return the splits of a folder of idx files; none where it has no such files."""
    found: dict[Part, Path] = {}
    for path in sorted(folder.rglob("*idx3-ubyte*")):
        part: Part | None = "test" if "t10k" in path.name else "train" if "train" in path.name else None
        part = part or ("test" if "test" in path.name else None)
        if part is None or not is_idx(path):
            continue
        other = found.get(part)
        if other is not None and str(other).removesuffix(".gz") != str(path).removesuffix(".gz"):
            raise DataError(f"{folder} holds several sets of images, {other} and {path}; name train and test")
        found.setdefault(part, path)
    if found and "train" not in found:
        raise DataError(f"{folder} has no train-images-idx3-ubyte, but {found['test'].name}")
    return {part: partial(idx_images, path) for part, path in found.items()}


def idx_images(path: Path) -> StoredImages:
    """Return the images of an idx file with the labels of the file beside it."""
    if "images" not in path.name or "idx3" not in path.name:
        raise DataError(f"{path} holds no images: those are in ...-images-idx3-ubyte, and the labels are found beside")
    other = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    beside = [place for name in (other, f"{other}.gz") if (place := path.with_name(name)).is_file()]
    if not beside:
        raise DataError(f"{path} has no file of labels beside it: {other} or {other}.gz")
    images, labels = read_idx(path), read_idx(beside[0])
    return StoredImages(labels_of(labels, len(images), str(beside[0])), of_array(images, str(path)))


def read_idx(path: Path) -> Bytes:
    """Return the array of an idx file of bytes.

    Raises:
        DataError: it is none, or cut off.
    """
    content = _unpacked(path)
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or not content[3] or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{path} is no idx file of bytes: it begins with {content[:4].hex() or 'nothing'}")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    begin, size = 4 + 4 * content[3], int(np.prod(shape, dtype=object))
    if len(content) - begin != size:
        told = "it was cut off" if len(content) - begin < size else "it is longer than its header says"
        raise DataError(
            f"{path}: {told}: {'x'.join(map(str, shape))} numbers were expected, and there are {len(content) - begin}"
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked: {error}") from None


# ---- CIFAR-10 and CIFAR-100


def cifar_splits(folder: Path, *, coarse: bool) -> Reads:
    """Return the splits of a folder of CIFAR's batches, in Python's or the binary version; none where it has none.

    With `coarse` the labels are CIFAR-100's 20 groups of classes.
    """
    for place in (folder, *sorted(each for each in folder.glob("cifar-*") if each.is_dir())):
        names = {path.name for path in place.iterdir()}
        for ending in ("", ".bin"):
            batches = sorted(place / name for name in names if re.fullmatch(rf"data_batch_\d{re.escape(ending)}", name))
            if batches and f"test_batch{ending}" in names:
                read = _binary if ending else _pickled
                tests = [place / f"test_batch{ending}"]
                meta = place / ("batches.meta.txt" if ending else "batches.meta")
                return {
                    "train": partial(_cifar, batches, read, "labels", meta, "label_names"),
                    "test": partial(_cifar, tests, read, "labels", meta, "label_names"),
                }
            if {f"train{ending}", f"test{ending}", "meta" if not ending else "fine_label_names.txt"} <= names:
                kind = "coarse" if coarse else "fine"
                meta = place / (f"{kind}_label_names.txt" if ending else "meta")
                return {
                    part: partial(_cifar, [place / f"{part}{ending}"], _binary100 if ending else _pickled,
                                  f"{kind}_labels", meta, f"{kind}_label_names")
                    for part in ("train", "test")
                }  # fmt: skip
    return {}


Batch = Mapping[str, Any]


def _cifar(files: Sequence[Path], read: Callable[[Path], Batch], labels: str, meta: Path, names: str) -> StoredImages:
    rows: list[Bytes] = []
    numbers: list[str] = []
    for path in files:
        batch = read(path)
        pixels, own = batch.get("data"), batch.get(labels)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * _SIDE**2,):
            raise DataError(f"{path} holds no images of 3 x {_SIDE} x {_SIDE} bytes under 'data'")
        if own is None:
            raise DataError(f"{path} has no '{labels}'; it has: {', '.join(batch)}")
        rows.append(pixels)
        numbers += labels_of(np.asarray(own), len(pixels), str(path))
    images = np.concatenate(rows).reshape(-1, 3, _SIDE, _SIDE)
    classes = _class_names(meta, names)
    if any(int(number) >= len(classes) for number in numbers):
        raise DataError(f"{files[0]} has a label that {meta.name} has no name for")
    found = [classes[int(number)] for number in numbers]
    return StoredImages(tuple(found), of_array(images, str(files[0].parent)), classes)


def _class_names(meta: Path, names: str) -> tuple[str, ...]:
    if meta.suffix == ".txt":
        try:
            return tuple(meta.read_text(encoding="utf-8").split())
        except OSError as error:
            raise DataError(f"{meta} cannot be read: {error.strerror}") from None
    found = _pickled(meta).get(names)
    if not isinstance(found, list):
        raise DataError(f"{meta} has no {names}")
    return tuple(map(_text, found))


def _binary(path: Path, *, labels: Sequence[str] = ("labels",)) -> Batch:
    content, length = _unpacked(path), len(labels) + 3 * _SIDE**2
    if not content or len(content) % length:
        raise DataError(f"{path} was cut off: its {len(content)} bytes are no multiple of {length}, an image's")
    table = np.frombuffer(content, np.uint8).reshape(-1, length)
    return {"data": table[:, len(labels) :], **{name: table[:, number] for number, name in enumerate(labels)}}


_binary100 = partial(_binary, labels=("coarse_labels", "fine_labels"))


class _Array:
    """An array that a pickle describes: its numbers are taken from the bytes, and nothing of numpy's is called."""

    def __init__(self) -> None:
        self.content: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, content = state
        plain = content.encode("latin-1") if isinstance(content, str) else content
        if not isinstance(kind, _Kind) or not isinstance(plain, bytes):
            raise pickle.UnpicklingError("an array of something else than numbers")
        self.content = np.frombuffer(plain, kind.name).reshape(shape, order="F" if by_columns else "C")


class _Kind:
    """The type of an array's numbers."""

    def __init__(self, name: str | bytes, *_: Any) -> None:
        name = _text(name)
        if not re.fullmatch(r"[<>|=]?[biuf][1248]", name):
            raise pickle.UnpicklingError(f"an array of the type {name}")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1]) if isinstance(state, tuple) and len(state) > 1 else "|"
        if order in ("<", ">"):
            self.name = order + self.name.lstrip("<>|=")


def _latin(text: str, encoding: str = "latin1") -> bytes:
    """Return the bytes of a text, as Python 3 writes bytes in older pickles."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes in {encoding}")
    return text.encode("latin-1")


_KNOWN: Mapping[tuple[str, str], Any] = {
    **{(f"{numpy}.multiarray", "_reconstruct"): lambda *_: _Array() for numpy in ("numpy.core", "numpy._core")},
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _latin,
}


class _Plain(pickle.Unpickler):
    """Reads plain data and arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of our own few stand-ins, or refuse."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not run")
        return _KNOWN[module, name]


def _pickled(path: Path) -> Batch:
    """Return the dictionary of a pickle, with texts for names."""
    try:
        with path.open("rb") as file:
            found = _plain(file)
    except Exception as error:  # noqa: BLE001 -- a damaged pickle raises anything; nothing of it is run
        raise DataError(f"{path} is no batch of CIFAR's: {error or type(error).__name__}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} is no batch of CIFAR's: it holds a {type(found).__name__}")
    arrays = {name: value.content if isinstance(value, _Array) else value for name, value in found.items()}
    return {_text(name): value for name, value in arrays.items()}


def _plain(file: IO[bytes]) -> Any:
    return _Plain(file, encoding="bytes").load()


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


# ---- numpy's own files


def npz_splits(path: Path) -> Reads:
    """Return the splits of a .npz file: x_train, y_train, x_test ...; or x and y, or images and labels.

    Raises:
        DataError: it is damaged, or its arrays are called otherwise.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            pairs = _pairs(file.files, str(path))
    except Exception as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is no .npz file: {error}") from None

    def read(images: str, labels: str) -> StoredImages:
        origin = f"{path}, "
        pixels, own = _npz_array(path, images), _npz_array(path, labels)
        found = of_array(pixels, origin + images)
        return StoredImages(labels_of(own, len(pixels), origin + labels), found)

    return {part: partial(read, *pair) for part, pair in pairs.items()}


def _npz_array(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found: NDArray[Any] = file[name]
    except Exception as error:  # noqa: BLE001 -- what a damaged archive raises is not documented
        raise DataError(f"{path}, {name} cannot be read: {error}") from None
    return found


def images_alone(path: Path) -> tuple[Pixels, int] | None:
    """Return the images of an idx, .npy or .npz file and how many they are, with labels or without.

    Of an .npz file they are its only array of images, or that of the test. Other files give None.

    Raises:
        DataError: the file holds no images, or several arrays of them.
    """
    suffix, origin = path.suffix.lower(), str(path)
    if is_idx(path):
        images: NDArray[Any] = read_idx(path)
    elif suffix == ".npy":
        images = _npy_array(path)
    elif suffix == ".npz":
        name = _images_in(path)
        images, origin = _npz_array(path, name), f"{path}, {name}"
    else:
        return None
    return of_array(images, origin), len(images)


def _images_in(path: Path) -> str:
    """Return the name of the array of images in an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = [str(each) for each in file.files]
    except Exception as error:  # noqa: BLE001 -- what a damaged archive raises is not documented
        raise DataError(f"{path} is no .npz file: {error}") from None
    words = {name: [word.casefold() for word in re.split(r"[_\-. ]+", name) if word] for name in names}
    found = [name for name, own in words.items() if any(word in _IMAGES for word in own)] or names
    found = found if len(found) == 1 else [name for name in found if any(part_called(w) == "test" for w in words[name])]
    if len(found) != 1:
        raise DataError(f"{path} has to hold one array of images, or x_test; it has: {', '.join(names) or 'nothing'}")
    return found[0]


def npy_splits(folder: Path) -> Reads:
    """Return the splits of a folder of pairs such as x_train.npy and y_train.npy; none where it has no .npy file."""
    files = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    pairs = _pairs(files, str(folder)) if files else {}
    return {part: partial(_npy, files[images], files[labels]) for part, (images, labels) in pairs.items()}


def npy_images(path: Path) -> StoredImages:
    """Return the images of a .npy file with the labels of the file beside it: y_train.npy for x_train.npy."""
    return _npy(path, labels_beside(path))


def labels_beside(path: Path) -> Path:
    """Return the file of labels beside a .npy file of images.

    Raises:
        DataError: there is none.
    """
    words = re.split(r"([_\-.])", path.stem)
    names = [
        "".join([*words[:at], word.upper() if words[at].isupper() else word, *words[at + 1 :]]) + ".npy"
        for at, own in enumerate(words)
        if own.casefold() in _IMAGES
        for word in _LABELS
    ]
    for name in names:
        if (there := path.with_name(name)).is_file():
            return there
    tried = f"; looked for {', '.join(names)}" if names else "; call them x_train.npy and y_train.npy, for example"
    raise DataError(f"{path} has no file of labels beside it{tried}")


def _npy(images: Path, labels: Path) -> StoredImages:
    pixels, own = (_npy_array(path) for path in (images, labels))
    return StoredImages(labels_of(own, len(pixels), str(labels)), of_array(pixels, str(images)))


def _npy_array(path: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # noqa: BLE001 -- what a damaged file raises is not documented
        raise DataError(f"{path} is no .npy file of numbers: {error}") from None
    return found


def _pairs(names: Iterable[str], origin: str) -> dict[Part, tuple[str, str]]:
    """Return the names of images and labels for each split; without a split's name they are `train`."""
    found: dict[tuple[Part, bool], str] = {}
    listed = list(names)
    for name in listed:
        words = [word for word in re.split(r"[_\-. ]+", name) if word]
        kinds = [word for word in words if word.casefold() in (*_IMAGES, *_LABELS)]
        others = [word for word in words if word not in kinds]
        part = part_called(others[0]) if len(others) == 1 else "train" if not others else None
        if len(kinds) == 1 and part is not None:
            key = part, kinds[0].casefold() in _LABELS
            if key in found:
                raise DataError(f"{origin} has {found[key]} and {name}, which are the same; leave one of them")
            found[key] = name
    parts = {part: (found[part, False], found[part, True]) for part, of_labels in found if not of_labels
             if (part, True) in found}  # fmt: skip
    if "train" not in parts:
        raise DataError(
            f"{origin} has no images with labels to learn from: expected are x_train and y_train (x_val, x_test "
            f"...), train_images and train_labels, or x and y; it has: {', '.join(listed) or 'nothing'}"
        )
    return parts
