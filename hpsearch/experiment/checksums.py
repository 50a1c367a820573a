"""Checksums of files that torch wrote, of JSON documents, and of any file.

That of torch's is the comment at its end, as such a file is a zip archive:

    ... end of the archive's directory, of which the last two bytes are the comment's length | hpsearch crc32 1c291ca3

The CRC-32 is that of all bytes before the comment. Any reader of zip archives, torch of any version too, passes over
the comment. Files of earlier versions have none: theirs are the archive's own checksums, one for each tensor.

A document has its own under the name "crc", that of its values: a program may write it with other spaces.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARK = b"hpsearch crc32 "
_COMMENT = len(_MARK) + 8
_DIRECTORY_END, _DIRECTORY_END_SIZE = b"PK\x05\x06", 22
_PIECE = 1 << 20
_OWN = "crc"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, OSError, RuntimeError, ValueError)


def seal(archive: io.BytesIO) -> None:
    """Add the comment with the checksum to an archive that has none."""
    with archive.getbuffer() as content:
        content[-2:] = _COMMENT.to_bytes(2, "little")
        comment = _MARK + b"%08x" % zlib.crc32(content)
    archive.seek(0, io.SEEK_END)
    archive.write(comment)


def checksum_of(path: Path) -> str:
    """Return the CRC-32 of a file, in hexadecimal digits."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = zlib.crc32(piece, found)
    return f"{found:08x}"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document with its checksum."""
    return {**document, _OWN: _checksum(document)}


def unsealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document without its checksum; those of earlier versions have none.

    Raises:
        ValueError: It does not fit.
    """
    content = {name: value for name, value in document.items() if name != _OWN}
    if document.get(_OWN) not in (None, _checksum(content)):
        raise ValueError("its checksum does not fit")
    return content


def _checksum(document: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(document))  # numbers as names are texts in a file, and sorted as such
    return f"{zlib.crc32(json.dumps(plain, sort_keys=True, separators=(',', ':')).encode()):08x}"


def flaw(content: bytes) -> str | None:
    """Return what is wrong with an archive's bytes, None if nothing is."""
    if not content:
        return "it is empty"
    comment = content[-_COMMENT:]
    if comment.startswith(_MARK):
        fits = comment == _MARK + b"%08x" % zlib.crc32(memoryview(content)[:-_COMMENT])
        return None if fits else "its checksum does not fit"
    end = content[-_DIRECTORY_END_SIZE:]
    if not (end.startswith(_DIRECTORY_END) and end.endswith(b"\0\0")):
        return "its end is missing or damaged"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            part = archive.testzip()
    except _BROKEN as error:
        return f"it is no whole archive: {error}"
    return None if part is None else f"the checksum of its part {part} does not fit"
