"""Addresses of stores: `sqlite:///` and the files that it names, and addresses without the secrets in them.

In an address of SQLite `?` and `%` mean something else than in a file's name.
"""

import re
from pathlib import Path
from urllib.parse import unquote

SQLITE = "sqlite:///"
_SPECIAL = re.compile(r"%(?=[0-9A-Fa-f]{2})|\?")
_USER = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#'\"<>]*@")
_SECRET = re.compile(
    r"([?&;][\w.-]*(?:key|token|secret|pass|pwd|sig|cred|auth)[\w.-]*=)[^\s&;#'\"<>]+", flags=re.IGNORECASE
)
_QUERY = re.compile(r"\?\w+=[^/]*$")


def sqlite_url(path: Path) -> str:
    """Return the address of a file, as SQLAlchemy reads it: only what it would take for something else is escaped."""
    return SQLITE + _SPECIAL.sub(lambda match: f"%{ord(match[0]):X}", str(path.absolute()))


def sqlite_path(address: str) -> Path:
    """Return the file that an address, or a path, names: as it is written if there is such a file, else unescaped.

    Of a file that is still to be made, its folder decides. Options such as `?timeout=30` are not a part of a name.
    """
    text = address.removeprefix(SQLITE)
    written = Path(text)
    if text == address or written.exists():
        return written
    plain = Path(unquote(_QUERY.sub("", text)))
    return written if written.parent.is_dir() and not plain.parent.is_dir() else plain


def absolute_url(address: str) -> str:
    """Return the address of a SQLite file so that it means the same from every directory; another as it is."""
    if not address.startswith(SQLITE):
        return address
    path, options = sqlite_path(address), _QUERY.search(address)
    own = options is not None and not Path(address.removeprefix(SQLITE)).exists()
    url = sqlite_url(path if path.is_absolute() else path.resolve())
    return url + options[0] if options and own else url


def without_secrets(text: str) -> str:
    """Return an address, or a text with addresses in it, as it may be written down and shown.

    Users and passwords are left out, and the values of options whose names say that they are secret:
    `https://me:abc@host/?token=abc` becomes `https://host/?token=`.
    """
    return _SECRET.sub(r"\1", _USER.sub(r"\1", text))
