"""What a program can be told on its command line, by asking itself: its options in argparse, click, typer or Hydra."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hpsearch.drafting.ranges import Kind, Setting
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.space.located_yaml import Place, parse

TIMEOUT = 120.0
"""Seconds that a program may take to import what it needs."""
_READERS = re.compile(r"\b(argparse|click|typer|hydra|HfArgumentParser|tyro|simple_parsing|configargparse)\b")
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([\w.]+)(?:[ \t]+import[ \t]+\(?([\w, \t]+))?", re.MULTILINE)
_CONFIG_NAME = re.compile(r"[\"']([\w./-]+\.ya?ml)[\"']")
_MISSING = "???"
"""What stands in a configuration of Hydra and OmegaConf for a value that has to be given."""
_CONFIGS = ("config", "cfg", "config_file", "config_path", "conf")
_TRAINS = ("train", "fit", "run", "main", "training")
"""The subcommands that are taken where there are several."""
_TYPES = {"int": Kind.INTEGER, "integer": Kind.INTEGER, "integer range": Kind.INTEGER, "float": Kind.NUMBER}
_TYPES |= {"float range": Kind.NUMBER, "bool": Kind.SWITCH, "boolean": Kind.SWITCH, "truth": Kind.SWITCH}


@dataclass(frozen=True)
class Option:
    """A setting with the words that set it. `flag` is empty for one that is told by its place.

    A switch is set by the word `flag` alone, and unset by `off`, if there is one; with `valued`, by `flag=true`, and
    with `truth` by any text but the empty one. One `in_file` has no word: the file with all values has it. `depth`
    counts the subcommands that stand before it.
    """

    setting: Setting
    flag: str
    off: str = ""
    valued: bool = False
    truth: bool = False
    depth: int = 0
    in_file: bool = False


@dataclass(frozen=True)
class Program:
    """A program's options. `words` are the chosen subcommands. `dialect` is how it reads them.

    `file` is the YAML file that has the values, where that is how it is configured, and `told` the words that name it.
    """

    path: Path
    dialect: str
    options: Sequence[Option]
    words: Sequence[str] = ()
    file: Path | None = None
    told: Sequence[str] = ()


def read_program(path: Path, *, subcommand: str | None = None, config: Path | None = None) -> Program:
    """Return what a program declares; it runs up to where it reads its command line.

    Args:
        path: The Python file.
        subcommand: Which of its subcommands; by default its only one, or the one called train.
        config: A YAML file with its values, which it reads by itself.

    Raises:
        HpsearchError: The file is not there, cannot be run, or declares nothing.
        UnknownNameError: It has no such subcommand.
    """
    if not path.is_file():
        raise HpsearchError(f"{path} does not exist")
    reads = _reads_options(path)
    found = _inspected(path) if reads else None
    if found is None:
        config = config or _file_beside(path)
        if config is None and reads:
            raise HpsearchError(
                f"{path} came to its end without reading its command line; name the file that is run as a program, "
                "one that calls what reads the options"
            )
        if config is None:
            raise HpsearchError(
                f"{path} declares no options with argparse, click, typer or Hydra, and names no YAML file that is "
                f"there; `--config FILE` names the file with its values, `hpsearch init {path}:FUNCTION` drafts the "
                "search of a function"
            )
        return Program(path, "YAML", _of_file(config), file=config, told=["{config}"])
    if found["dialect"] == "hydra":
        return Program(path, "Hydra", _of_values(_composed(path)), told=["hydra.run.dir={trial_dir}"])
    words: list[str] = []
    options = [_option(each) for each in _paired(found["options"])]
    while found["commands"]:
        name = _chosen(path, found["commands"], subcommand if not words else None)
        words.append(name)
        found = {**found, **found["commands"][name]}
        own = [replace(_option(each), depth=len(words)) for each in _paired(found["options"])]
        hidden = {option.setting.name for option in own if found["dialect"] == "argparse"}  # whose values hold there
        options = [*(option for option in options if option.setting.name not in hidden), *own]
    program = Program(path, found["dialect"], options, words)
    return _with_file(program, config)


def _with_file(program: Program, config: Path | None) -> Program:
    """Add the values of the YAML file that one of the program's options names, by default or as `config` says.

    Raises:
        HpsearchError: No option names such a file.
    """
    names = [option for option in program.options if option.setting.name.replace("-", "_") in _CONFIGS]
    if not names:
        if config is not None:
            raise HpsearchError(f"{program.path} has no option called config that could name {config}")
        return program
    default = names[0].setting.default
    file = config or (program.path.parent / default if isinstance(default, str) else None)
    if file is None or file.suffix not in (".yaml", ".yml", ".json") or not file.is_file():
        return program
    told = [f"{names[0].flag}={{config}}" if names[0].flag.startswith("--") else "{config}"]
    rest = [option for option in program.options if option is not names[0]]
    return replace(program, options=[*_of_file(file), *rest], file=file, told=told)


def _reads_options(path: Path) -> bool:
    """Check whether the file, or one that it imports, uses what is asked: else running it would just train."""
    files = [path]
    for file in files:  # which grows
        text = file.read_text(encoding="utf-8", errors="replace")
        if _READERS.search(text):
            return True
        files += [each for each in _imported(text, path.parent, file.parent) if each not in files]
    return False


def _imported(text: str, *folders: Path) -> list[Path]:
    """Return the files below the folders that a text imports."""
    names = [
        name
        for module, own in _IMPORT.findall(text)
        for name in [module.strip("."), *(f"{module.strip('.')}.{each}" for each in re.findall(r"\w+", own))]
    ]
    places = [Path(folder, *filter(None, name.split("."))) for folder in folders for name in names if name.strip(".")]
    found = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in dict.fromkeys(found) if file.is_file()]


def _inspected(path: Path) -> dict[str, Any] | None:
    """Return what the program declares, or None if it came to its end without reading its command line.

    Raises:
        HpsearchError: It failed, or took too long.
    """
    with TemporaryDirectory(prefix="hpsearch-init-") as place:
        out = Path(place, "options.json")
        script = Path(__file__).with_name("inspected.py")
        done = _run([sys.executable, str(script), str(out), path.name], path)
        if out.exists():
            content: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
            return content
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HpsearchError(f"{path} ended before it read its command line (exit status {done.returncode}): {last}")
    return None


def _run(arguments: Sequence[str], path: Path) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            arguments,
            cwd=path.parent,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HpsearchError(f"{path} did not come to its command line within {TIMEOUT:g} s") from None


def _chosen(path: Path, commands: Mapping[str, Any], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in commands:
            raise UnknownNameError(f"subcommand of {path}", wanted, commands)
        return wanted
    named = [name for name in _TRAINS if name in commands] or list(commands)
    if named[0] not in _TRAINS and len(commands) > 1:
        raise HpsearchError(f"{path} has the subcommands {', '.join(commands)}: say which with --subcommand")
    return named[0]


def _option(told: Mapping[str, Any]) -> Option:
    """Return an option of argparse, click or typer."""
    flags = sorted(told["flags"], key=lambda flag: (not flag.startswith("--"), len(flag)))
    off = told.get("off") or [flag for flag in flags if flag.startswith("--no-") and f"--{flag[5:]}" in flags]
    flags = [flag for flag in flags if flag not in off]
    kind, default = _kind(told), _default(told)
    setting = Setting(
        name=told["name"],
        kind=kind,
        default=bool(default) if kind is Kind.SWITCH else default,
        choices=(default,) if kind is Kind.CHOICE and told["word"] else told["choices"] or (),
        required=told["required"],
        help=" ".join((told["help"] or "").split()),
        low=told.get("low"),
        high=told.get("high"),
    )
    flag = max(flags, key=len) if flags else ""
    valued = kind is Kind.SWITCH and not told["word"]
    return Option(setting, flag, off[0] if off else "", valued=valued, truth=told["type"] == "truth")


def _paired(options: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return options of which `--bn` and `--no-bn`, that set the same to true and to false, are one."""
    found: list[dict[str, Any]] = []
    for each in options:
        same = (place for place, other in enumerate(found) if other["name"] == each["name"] and _opposite(other, each))
        if (place := next(same, None)) is None:
            found.append(each)
        else:
            sets, unsets = (each, found[place]) if each["sets"] else (found[place], each)
            found[place] = {**sets, "off": unsets["flags"], "default": found[place]["default"]}  # the first one's holds
    return found


def _opposite(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return {one["sets"], other["sets"]} == {True, False} and not one.get("off") and not other.get("off")


def _default(told: Mapping[str, Any]) -> Any:
    """Return the default as its type reads it, if that is a text."""
    kind, default = _TYPES.get(told["type"]), told["default"]
    if isinstance(default, str) and kind in (Kind.INTEGER, Kind.NUMBER):
        with contextlib.suppress(ValueError):
            return int(default) if kind is Kind.INTEGER else float(default)
    return default


def _kind(told: Mapping[str, Any]) -> Kind:
    default = _default(told)
    if told["several"] or told["type"] == "constant":
        return Kind.OTHER
    if told["word"] and told["sets"] is bool(default) and not told.get("off"):
        return Kind.CHOICE  # a single one: it sets what is so by itself
    if told["choices"]:
        return Kind.CHOICE
    if told["type"] in _TYPES:
        kind = _TYPES[told["type"]]
        fits = default is None or kind is Kind.SWITCH or type(default) in (int, float)
        return kind if fits else Kind.OTHER
    return _kind_of(told["default"], otherwise=Kind.TEXT)


def _kind_of(value: Any, *, otherwise: Kind = Kind.OTHER) -> Kind:
    kinds = {bool: Kind.SWITCH, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT}
    return kinds.get(type(value), otherwise)


def _composed(path: Path) -> Mapping[str, Any]:
    """Return the configuration that Hydra composes for a program.

    Raises:
        HpsearchError: Hydra cannot.
    """
    done = _run([sys.executable, path.name, "--cfg", "job"], path)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HpsearchError(f"Hydra cannot show the configuration of {path} (`--cfg job`): {last}")
    return _plain_yaml(done.stdout, f"{path} --cfg job")


def _file_beside(path: Path) -> Path | None:
    """Return the YAML file that a program names and that is there; None if there is none, or several."""
    named = dict.fromkeys(_CONFIG_NAME.findall(path.read_text(encoding="utf-8", errors="replace")))
    there = [path.parent / name for name in named if (path.parent / name).is_file()]
    return there[0] if len(there) == 1 else None


def _of_file(path: Path) -> list[Option]:
    if not path.is_file():
        raise HpsearchError(f"{path} does not exist")
    with contextlib.suppress(UnicodeDecodeError):
        return _of_values(_plain_yaml(path.read_text(encoding="utf-8"), str(path)), in_file=True)
    raise HpsearchError(f"{path} is not UTF-8 text")


def _plain_yaml(text: str, name: str) -> Mapping[str, Any]:
    plain = parse(text, Place(name)).plain()
    if not isinstance(plain, Mapping):
        raise HpsearchError(f"{name} holds no settings by name")
    return plain


def _of_values(values: Mapping[str, Any], above: str = "", *, in_file: bool = False) -> list[Option]:
    """Return the values of a configuration as settings with dotted names."""
    found: list[Option] = []
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            found += _of_values(value, f"{path}.", in_file=in_file)
        else:
            missing = value == _MISSING
            kind, default = (Kind.TEXT, None) if missing else (_kind_of(value), value)
            setting = Setting(path, kind, default, required=missing)
            found.append(Option(setting, path, valued=True, in_file=in_file))
    return found
