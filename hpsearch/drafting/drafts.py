"""Drafts of the spaces of a program, of a family and of a function."""

import enum
import shutil
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hpsearch.drafting.program import Option, Program
from hpsearch.drafting.ranges import Kind, Proposal, Setting, propose, words_of, yaml_of
from hpsearch.drafting.space_file import TRAIN, Draft, Line, counted, line_of, section_of
from hpsearch.errors import HpsearchError
from hpsearch.families import Family
from hpsearch.families.function.function import Function
from hpsearch.settings import Option as Branch
from hpsearch.space.schema import field_texts

_GIVEN: Mapping[str, frozenset[str]] = {
    "seed": words_of("seed random_seed manual_seed rng_seed random_state"),
    "device": words_of("device torch_device"),
    "checkpoint": words_of("checkpoint ckpt resume resume_from checkpoint_path ckpt_path resume_from_checkpoint"),
    "trial_dir": words_of(
        "out output out_dir output_dir save_dir log_dir logdir run_dir work_dir workdir checkpoint_dir ckpt_dir"
    ),
}
"""Options that a search gives their values, by the placeholder."""
_GIVEN_WHY = {
    "seed": "a different one for each training",
    "device": "cuda where the trial has a GPU, else cpu",
    "checkpoint": "left out at the first start; ASSUMED: the program writes this file while it trains",
    "trial_dir": "the trial's own folder",
    "config": "a file with all settings of the trial, in JSON, which is YAML too",
}
_EPOCHS = words_of("epochs num_epochs max_epochs n_epochs num_train_epochs")
_TAKEN = words_of(
    "family objective search require start confirm quick command metrics directory checkpoint environment device grace"
)
"""Names at the top of a space file that are not the program's."""
_OF_TRAINING = ("epochs", "batch_size", "learning_rate", "weight_decay")
"""The settings of the shared loop that a draft shows."""
_OPENING = "Every range is a proposal: look through them. A fixed value may become a range, and a range a fixed value."


def draft_program(program: Program, *, typed: str) -> Draft:
    """Return the space of a program; `typed` is the command that asked for it."""
    reads = f"from its options ({program.dialect})" if program.file is None else f"from {program.file.name}"
    draft = Draft("command", [f"A search over {program.path.name}, drafted {reads} by `{typed}`.", _OPENING])
    heads = [program.path.name, *program.words]
    flags: list[list[tuple[str, str]]] = [[] for _ in heads]
    words: list[list[tuple[str, str]]] = [[] for _ in heads]
    for option in program.options:
        given = _given(option)
        if given is not None:
            words[option.depth] += _words(option, given, _GIVEN_WHY[given])
        elif (line := _line(option, program)) is None:
            draft.left.append(_left(option))
        elif any(line.path == other.path for other in draft.lines):
            draft.left.append(f"{option.flag}: {line.path} is there already")
        else:
            draft.lines.append(line)
            if not option.in_file:
                (flags if _is_flag(option) else words)[option.depth].extend(_words(option, line.path))
    draft.command = [
        _python(),
        *chain.from_iterable([(heads[depth], ""), *flags[depth], *words[depth]] for depth in range(len(heads))),
        *((word, _GIVEN_WHY[word.rpartition("{")[2].rstrip("}")]) for word in program.told),
    ]
    _close(draft)
    return draft


def _close(draft: Draft) -> None:
    told = {name for word, _ in draft.command for name in _GIVEN if f"{{{name}}}" in word}
    if "checkpoint" not in told:
        draft.pruner = "pruner: asha, "
        draft.left.append("search.pruner: asha stops trials; others pause them, which needs a {checkpoint}")
    if "seed" not in told:
        draft.confirm = "confirm: null   # no option takes a {seed}, so that replicates would all be the same"
    if any(line.path == "train.epochs" for line in draft.lines):
        draft.quick += ", train.epochs: 2"


def _python() -> tuple[str, str]:
    """Return the Python that asked the program, by name if that means the same one."""
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and Path(found).absolute() == Path(sys.executable).absolute():
            return name, ""
    return sys.executable, "the Python of hpsearch, which has read the options; python on the PATH is another"


def _name(option: Option) -> str:
    return option.setting.name.replace("-", "_").lower()


def _given(option: Option) -> str | None:
    """Return the placeholder whose value a search knows."""
    kind, name = option.setting.kind, _name(option)
    if option.in_file:
        return None
    for given, names in _GIVEN.items():
        fits = kind is Kind.INTEGER or option.setting.default is None if given == "seed" else kind is Kind.TEXT
        chooses = given == "device" and {"cpu", "cuda"} <= set(option.setting.choices)
        if name in names and (fits or chooses):
            return given
    return None


def _line(option: Option, program: Program) -> Line | None:
    """Return the line of an option; None if it stays as it is, without a word in the command."""
    setting, proposal = option.setting, propose(option.setting)
    if _name(option) in _EPOCHS and setting.kind is Kind.INTEGER and setting.default and not option.in_file:
        return Line("train.epochs", yaml_of(setting.default), "the length of a training, and its last report")
    if not (proposal.searched or option.in_file or proposal.text == "TODO"):
        return None
    path = setting.name if option.in_file else _path(setting, program)
    if option.in_file and path.split(".")[0] in _TAKEN:
        return None
    if option.truth and option.flag.startswith("--"):  # a word of its own would be left out
        told = f"type=bool takes any text for true but the empty one{_help(option)}"
        return Line(path, '{choice: ["", "true"]}', told, yaml_of("true" if setting.default else ""))
    if option.truth:
        return None
    if setting.kind is Kind.SWITCH and not option.valued:
        proposal = _switch(option)
        own = (option.flag if setting.default else option.off) if option.off else ""
        return Line(path, proposal.text, proposal.why, yaml_of(own))
    return line_of(path, setting, proposal)


def _switch(option: Option) -> Proposal:
    return Proposal(
        f"{{choice: [{yaml_of(option.off)}, {yaml_of(option.flag)}]}}",
        f"a switch{'' if option.off else ', which empty text leaves out'}{_help(option)}",
        searched=True,
    )


def _help(option: Option) -> str:
    return f"; {shorten(option.setting.help, 80)}" if option.setting.help else ""


def _path(setting: Setting, program: Program) -> str:
    parts = setting.name.replace("-", "_").split(".")
    if len(parts) > 1 and parts[0] not in _TAKEN and program.dialect == "Hydra":
        return ".".join(parts)
    return ".".join([section_of(setting), *parts])


def _is_flag(option: Option) -> bool:
    return option.setting.kind is Kind.SWITCH and not option.valued


def _words(option: Option, name: str, why: str = "") -> list[tuple[str, str]]:
    """Return the words that tell the program the value of a placeholder."""
    value = f"{{{name}}}"
    if _is_flag(option) or not option.flag:
        return [(value, why)]
    if option.flag.startswith("--") or not option.flag.startswith("-"):
        return [(f"{option.flag}={value}", why)]
    return [(option.flag, ""), (value, why)]


def _left(option: Option) -> str:
    shown = option.flag or option.setting.name
    return f"{shown} {yaml_of(option.setting.default)}: {propose(option.setting).why}"


# A family, a function


def draft_family(family: Family[Any], name: str, *, typed: str) -> Draft:
    """Return the space of a family from its settings."""
    described = (type(family).__doc__ or "").strip().splitlines()[:1]
    draft = Draft(name, [f"A search over {name}, drafted by `{typed}`.", *described, _OPENING])
    draft.objective = counted(family.metrics)
    draft.lines = list(_of_model(family.Config, ""))
    if any(line.path == "train.epochs" for line in draft.lines):
        draft.quick += ", train.epochs: 2"
    return draft


def _of_model(model: type[BaseModel], above: str) -> Iterator[Line]:
    texts = field_texts(model)
    for name, found in model.model_fields.items():
        path = f"{above}{name}"
        if above == f"{TRAIN}." and name not in _OF_TRAINING:
            continue
        inner = _section(found.annotation)
        if inner is not None:
            yield from _of_model(inner, f"{path}.")
            continue
        setting = _setting_of(name, found, texts.get(name, ""))
        proposal = propose(setting)
        searched = proposal.searched and not path.startswith("data.")  # what is learnt from is no hyperparameter
        if searched or proposal.text == "TODO" or path == "train.epochs":
            yield line_of(path, setting, proposal)


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the settings class of a section; None for a branch or a value."""
    found = [each for each in (get_args(annotation) or (annotation,)) if isinstance(each, type)]
    sections = [each for each in found if issubclass(each, BaseModel)]
    return sections[0] if len(sections) == 1 and len(found) == 1 and not issubclass(sections[0], Branch) else None


def _setting_of(name: str, found: FieldInfo, text: str) -> Setting:
    kind, choices = _kind(found.annotation)
    default = None if found.default is PydanticUndefined else found.default
    default = default.value if isinstance(default, enum.Enum) else default
    default = default if isinstance(default, bool | int | float | str) else None
    low, high = _bound(found.metadata, "ge", "gt", 1.01), _bound(found.metadata, "le", "lt", 0.99)
    help_ = " ".join((found.description or text or "").split())
    required = found.is_required()
    return Setting(name, kind, default, choices, required=required, help=help_, low=low, high=high)


def _bound(metadata: Sequence[Any], within: str, beyond: str, factor: float) -> float | None:
    """Return a bound; one that does not belong to the range itself is moved a little."""
    for each in metadata:
        if (limit := getattr(each, within, None)) is not None:
            return float(limit)
        if (limit := getattr(each, beyond, None)) is not None:
            return float(limit) * factor
    return None


_KINDS = {bool: Kind.SWITCH, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT}


def _kind(annotation: Any) -> tuple[Kind, tuple[Any, ...]]:
    """Return what an annotation holds, and its choices."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return Kind.CHOICE, get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Kind.CHOICE, tuple(each.value for each in annotation)
    if get_origin(annotation) in (typing.Union, types.UnionType):
        if annotation == int | float:  # a default of 0 or 1 without an annotation
            return Kind.INTEGER, ()
        kinds = [_kind(each) for each in get_args(annotation) if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else (Kind.OTHER, ())
    return _KINDS.get(annotation, Kind.OTHER), ()


def draft_function(function: Function, reference: str, *, typed: str) -> Draft:
    """Return the space of a function from its signature.

    Raises:
        HpsearchError: Its signature does not name its settings.
    """
    draft = Draft(reference, [f"A search over {reference}, drafted from its signature by `{typed}`.", _OPENING])
    draft.objective = "metric: val/loss, goal: minimize"
    draft.objective_why = 'ASSUMED: it calls report(step, {"val/loss": ...})'
    draft.lines = list(_of_model(function.Config, ""))
    if not function.Config.model_fields:
        raise HpsearchError(
            f"the signature of {reference} does not name its settings: nothing can be drafted from it; write them as "
            "parameters, or annotate config with a dataclass"
        )
    if not function.goes_on:
        draft.pruner = "pruner: asha, "
        draft.left.append("search.pruner: asha stops trials; others pause them, which needs report.checkpoint")
    return draft
