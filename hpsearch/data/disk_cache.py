"""Simulated data on disk: arrays in .npz files, named by a hash of everything that decides them.

The arrays are mapped into memory, so that all workers of a machine share one copy, the one in the system's cache of
files: what a worker changes is its own. One worker makes them while the others wait. Files are written under a
temporary name and renamed, so that readers never see half a file. One that cannot be read is made again. No pickle is
written or read.
"""

import contextlib
import fcntl
import hashlib
import itertools
import json
import mmap
import os
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.preparation import counted

Arrays = dict[str, NDArray[Any]]

_ALIGNMENT = 64
"""Bytes at whose multiples mapped arrays begin: enough for every type and for vector instructions."""
_LOCAL_HEADER = 30
"""Bytes before the name of a member of a zip archive; the last four are the lengths of the name and the extra field."""
_ZIP64_FIELD = 20
"""Bytes of the extra field that an archive's member needs to be larger than 4 GB."""
_PADDING_ID = 0x4857
"""Marks an extra field that is only padding; readers skip those that they do not know."""


def cache_folder() -> Path:
    """Return `$HPSEARCH_CACHE`, or `hpsearch` below `$XDG_CACHE_HOME` (by default `~/.cache`)."""
    own = os.environ.get("HPSEARCH_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "hpsearch"


def cached_arrays(
    kind: str, key: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[Any]]], *, libraries: Iterable[str] = ()
) -> Arrays:
    """Return the arrays that `make` returns, mapped from the cache; the first process that wants them makes them.

    `kind` names the folder. `key` (what JSON can hold) must decide the arrays, together with the installed versions of
    numpy and of `libraries`. A cache that cannot be written costs a warning, not the data.
    """
    path = cache_path(kind, key, libraries=libraries)
    found = _read(path)
    if found is not None:
        return found
    with _only_maker(path):
        return _read(path, quiet=True) or _made(path, make)


def _made(path: Path, make: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
    """Make the arrays and return them as others will read them, or, if they cannot be written, as they are."""
    made = {name: np.asarray(array) for name, array in make().items()}
    try:
        _write(path, made)
    except OSError as error:
        warnings.warn(f"the cache file {path} could not be written: {error}", stacklevel=3)
        return made
    return _read(path) or made


@contextlib.contextmanager
def _only_maker(path: Path) -> Iterator[None]:
    """Wait while another process makes this file, and tell so; where files cannot be locked, do not.

    The lock's own file goes with the first who is through; who waited for it finds the data there.
    """
    lock = path.with_name(f".{path.stem}.lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(lock.open("wb"))
            _take(file)
            stack.callback(lock.unlink, missing_ok=True)
        yield


def _take(file: IO[bytes]) -> None:
    """Lock a file; say about every second that it is waited for."""
    if _is_taken(file):
        return
    for _ in counted(itertools.count(), "waiting for another process", 0):
        for _ in range(10):
            time.sleep(0.1)
            if _is_taken(file):
                return


def _is_taken(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def cache_path(kind: str, key: Mapping[str, Any], *, libraries: Iterable[str] = ()) -> Path:
    """Return the folder of this key's arrays."""
    versions = {name: version(name) for name in sorted({"numpy", *libraries})}
    text = json.dumps({"key": key, "versions": versions}, sort_keys=True, allow_nan=False)
    return cache_folder() / kind / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def _read(path: Path, *, quiet: bool = False) -> Arrays | None:
    """Return the arrays of a file, or None when it is missing or broken (the archive's checksums are verified)."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            mapped = _mapped(file)
            return {member.filename.removesuffix(".npy"): _array(file, mapped, member) for member in archive.infolist()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError, KeyError, struct.error, zipfile.BadZipFile):
        if not quiet:
            warnings.warn(f"the cache file {path} is broken and is made again", stacklevel=3)
        return None


def _mapped(file: IO[bytes]) -> mmap.mmap:
    """Map a file into memory. Pages that are written to become this process's own, so that the file never changes."""
    unreserved = getattr(mmap, "MAP_NORESERVE", 0)  # memory for such pages is not set aside ahead of time
    return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | unreserved, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def _array(file: IO[bytes], mapped: mmap.mmap, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Return an array of the archive, mapped, or a copy where an earlier version did not align it.

    Raises:
        ValueError: It is damaged.
    """
    name, extra = struct.unpack_from("<HH", mapped, member.header_offset + _LOCAL_HEADER - 4)
    begin = member.header_offset + _LOCAL_HEADER + name + extra
    end = begin + member.file_size
    with memoryview(mapped) as whole, whole[begin:end] as content:
        if member.compress_type != zipfile.ZIP_STORED or zlib.crc32(content) != member.CRC:
            raise ValueError("the checksum is wrong")
    file.seek(begin)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, by_columns, kind = read_header[np.lib.format.read_magic(file)](file)
    if kind.hasobject:
        raise ValueError("it holds objects")
    flat: NDArray[Any] = np.frombuffer(mapped, kind, count=int(np.prod(shape)), offset=file.tell())
    flat = flat if flat.flags.aligned else flat.copy()
    return flat.reshape(shape, order="F" if by_columns else "C")


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write_archive(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_archive(file: IO[bytes], arrays: Arrays) -> None:
    """Write what `np.load` reads, with every array at a multiple of `_ALIGNMENT`, to which numpy pads its headers."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            begin = file.tell() + _LOCAL_HEADER + len(member.filename.encode()) + _ZIP64_FIELD + 4
            padding = -begin % _ALIGNMENT
            member.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
