"""Runs in the program's own interpreter, in place of `python train.py --help`: writes down the options it declares.

    python inspected.py OUT train.py

The program goes on to where it reads its command line, with argparse (what builds on it too), click or typer, and no
farther. What it declares is JSON in the file OUT; nothing of hpsearch is imported.
"""

import argparse
import enum
import importlib.util
import json
import os
import runpy
import sys
import typing
from typing import Any, NoReturn

_PLAIN = (bool, int, float, str, type(None))


def _end(out: str, found: dict[str, Any]) -> NoReturn:
    with open(out, "w", encoding="utf-8") as file:  # noqa: PTH123 - as little as possible is imported here
        json.dump(found, file, default=lambda _: None)
    sys.stdout.flush()
    os._exit(0)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    value = value.value if isinstance(value, enum.Enum) else value
    return value if isinstance(value, _PLAIN) else None


def _of_parser(parser: argparse.ArgumentParser) -> dict[str, Any]:
    options, commands = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = {name: _of_parser(each) for name, each in action.choices.items()}
        elif type(action).__name__ not in ("_HelpAction", "_VersionAction"):
            flags = list(action.option_strings)
            word = action.nargs == 0
            switch = word and isinstance(action.const if action.const is not None else True, bool)
            options.append(
                {
                    "flags": flags,
                    "name": action.dest,
                    "type": _type(action, word=word, switch=switch),
                    "word": word,
                    "sets": action.const if switch else None,
                    "default": None if action.default is argparse.SUPPRESS else _plain(action.default),
                    "choices": None if action.choices is None else _plain(list(action.choices)),
                    "required": action.required if flags else action.nargs not in ("?", "*"),
                    "several": action.nargs not in (None, 0, "?") or isinstance(action, argparse._AppendAction),
                    "help": action.help if action.help is not argparse.SUPPRESS else "",
                }
            )
    return {"options": options, "commands": commands}


def _type(action: argparse.Action, *, word: bool, switch: bool) -> str | None:
    if word:
        return "bool" if switch else "constant"
    if action.type is bool:
        return "truth"  # of a text: all but the empty one are true
    return getattr(action.type, "__name__", None if action.type is None else "?")


def _of_command(command: Any) -> dict[str, Any]:
    """Return what a command of click or typer declares."""
    options = []
    for parameter in command.params:
        kind, choices = _type_of(parameter)
        flag, off = bool(getattr(parameter, "is_flag", False)), getattr(parameter, "secondary_opts", [])
        if flag and getattr(parameter, "is_eager", False):
            continue  # such as --version, which ends the program
        sets = getattr(parameter, "flag_value", None) if flag and not off else None
        sets = True if getattr(sets, "name", None) == "UNSET" else sets
        options.append(
            {
                "flags": [flag for flag in parameter.opts if flag.startswith("-")],
                "off": [flag for flag in off if flag.startswith("-")],
                "name": parameter.name,
                "type": ("bool" if isinstance(sets, bool | None) else "constant") if flag else kind,
                "word": flag,
                "sets": sets if isinstance(sets, bool) else None,
                "default": _plain(parameter.default),
                "choices": choices,
                "low": _bound(parameter, "min"),
                "high": _bound(parameter, "max"),
                "required": bool(parameter.required),
                "several": bool(getattr(parameter, "multiple", False)) or parameter.nargs not in (1, None),
                "help": getattr(parameter, "help", None) or "",
            }
        )
    options = [each for each in options if each["name"] not in ("help", "install_completion", "show_completion")]
    return {"options": options, "commands": {name: _of_command(each) for name, each in _commands(command).items()}}


def _type_of(parameter: Any) -> tuple[str, Any]:
    """Return the name of an option's type and its choices: in click an object, in typer an annotation."""
    kind = getattr(parameter, "type", None)
    if kind is not None:
        return str(getattr(kind, "name", "?")), _plain(list(kind.choices)) if hasattr(kind, "choices") else None
    found = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    inside = [each for each in getattr(found, "__args__", ()) if each is not type(None)]
    found = inside[0] if len(inside) == 1 else found
    choices = [each.value for each in found] if isinstance(found, type) and issubclass(found, enum.Enum) else None
    if typing.get_origin(found) is typing.Literal:
        choices = list(typing.get_args(found))
    return str(getattr(found, "__name__", "?")), choices


def _bound(parameter: Any, name: str) -> Any:
    return getattr(getattr(parameter, "type", None), name, getattr(parameter, name, None))


def _commands(command: Any) -> dict[str, Any]:
    return dict(getattr(command, "commands", {}) or {})


def _catch(out: str, text: str) -> None:
    several = text.count("ArgumentParser(") > 1
    known = argparse.ArgumentParser.parse_known_args
    before: list[dict[str, Any]] = []

    def parse(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        hydra = any("--config-name" in action.option_strings for action in parser._actions)
        found = _of_parser(parser)
        flags = {flag for each in found["options"] for flag in each["flags"]}
        found["options"] = [*(each for each in before if not flags & {*each["flags"]}), *found["options"]]
        _end(out, {"dialect": "hydra" if hydra else "argparse", **found})

    def parse_first(parser: argparse.ArgumentParser, *given: Any, **named: Any) -> Any:
        if not several or parser.add_help:
            parse(parser)
        before.extend(_of_parser(parser)["options"])  # such as --config, of which the defaults of the others come
        return known(parser, *given, **named)

    for name in ("parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"):
        setattr(argparse.ArgumentParser, name, parse_first if name == "parse_known_args" else parse)
    for module, dialect, kinds in (
        ("click", "click", ("Command", "Group", "MultiCommand", "BaseCommand")),
        ("typer.core", "typer", ("TyperCommand", "TyperGroup")),
    ):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            continue
        found = importlib.import_module(module)
        for kind in (getattr(found, name, None) for name in kinds):
            if isinstance(kind, type):
                kind.main = _main(out, dialect)  # type: ignore[attr-defined]


def _main(out: str, dialect: str) -> Any:
    def main(command: Any, *_: Any, **__: Any) -> NoReturn:
        _end(out, {"dialect": dialect, **_of_command(command)})

    return main


if __name__ == "__main__":
    target, script = sys.argv[1], sys.argv[2]
    sys.argv = [script, "--help"]
    sys.path[0] = os.path.dirname(os.path.abspath(script))  # noqa: PTH100, PTH120
    with open(script, encoding="utf-8", errors="replace") as source:  # noqa: PTH123
        _catch(target, source.read())
    runpy.run_path(script, run_name="__main__")
