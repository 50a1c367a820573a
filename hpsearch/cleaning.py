"""Texts that others wrote (names, values, reasons, units) on their way into a file: the one place that makes them safe.

A text of a run must stay a text: no formula in a spreadsheet, no command in LaTeX, no markup, link or mention in
Markdown, no tag in a page, no escape sequence on a terminal, nothing that turns the direction of writing.
"""

import codecs
import html
import io
import re
import unicodedata
from typing import Any, TextIO

_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "°": r"$^\circ$",
    "—": "---",
    "–": "--",
    "…": r"\dots{}",
    "²": r"$^2$",
}
_MARKUP = re.compile(r"([\\`*{}\[\]<>#|~$]|(?<![^\W_])_|_(?![^\W_]))")
_LINK = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp|www)([:.])")
_MENTION = re.compile(r"(?<=\w)@(?=\w)|(?<!\w)@(?=\w)")
_FORMULA = re.compile(r"\s*[=+\-@|%＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def one_line(text: str) -> str:
    """Return a text without line breaks, escape sequences and other control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def terminal(text: str) -> str:
    """Return a text of several lines for a terminal: no escape sequence, nothing that turns the direction of writing.

    It is not for rich's markup, in which `[red]` is a command: that takes texts as `rich.text.Text`.
    """
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)


def page(text: str) -> str:
    """Return a text for a page: no tag, and what `terminal` leaves."""
    return html.escape(terminal(text))


_LOOK_ALIKE = {
    **dict.fromkeys("—–−‐‑·•", "-"),
    **dict.fromkeys("‘’‛′", "'"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("…≈", "~"),
    "±": "+-",
    "×": "x",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "∞": "inf",
}
"""What stands on a terminal for a letter that it does not have; where lines are cut or set in columns of one cell."""


def to_any_terminal(*streams: TextIO) -> None:
    """Let streams print every text: a letter that their encoding has not becomes one that looks like it.

    Otherwise Python raises UnicodeEncodeError, in the midst of a table, where a terminal is set to Latin-1 or ASCII.
    """
    codecs.register_error("hpsearch.look_alike", _look_alike)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="hpsearch.look_alike")


def _look_alike(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written for letters that cannot be, and where to go on: a handler as `codecs` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that was no letter: as it is
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return _LOOK_ALIKE.get(letter) or plain or "?", error.start + 1


def csv_cell(value: Any) -> Any:
    """Return a value for a cell of a table that a spreadsheet may open; other values than text stay what they are.

    A text that a spreadsheet would compute begins with an apostrophe, which spreadsheets do not show (OWASP, "CSV
    injection"); numbers written as text, such as -0.5, are no formulas.
    """
    if not isinstance(value, str):
        return value
    plain = value if value.isprintable() else one_line(value)
    return f"'{plain}" if _FORMULA.match(plain) and not _NUMBER.fullmatch(plain) else plain


def latex(text: str) -> str:
    r"""Return a text in which nothing is a command, and that pdflatex can set; other letters become `?`.

    `[` and `*` at its beginning would be arguments of the `\\` before them.
    """
    plain = "".join(_LATEX.get(letter) or _latin(letter) for letter in one_line(text))
    return f"{{}}{plain}" if plain.startswith(("[", "*")) else plain


def _latin(letter: str) -> str:
    if ord(letter) < 0x250:  # Latin with its accents
        return letter
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def markdown(text: str) -> str:
    """Return a text in which nothing is markup, mathematics, a link or a mention; an underscore within a word never is.

    An empty comment separates what GitHub would join to an address or a mention: no escape can.
    """
    plain = _MARKUP.sub(r"\\\1", one_line(text))
    return _MENTION.sub("@<!-- -->", _LINK.sub(r"\1\\\2", plain))


def plotly(value: Any) -> Any:
    """Return a plot in which no text of the runs is taken for markup; plotly.js reads some HTML in every text."""
    if isinstance(value, str):
        return terminal(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(value, dict):
        return {name: item if name == "hovertemplate" else plotly(item) for name, item in value.items()}
    return [plotly(item) for item in value] if isinstance(value, list) else value
