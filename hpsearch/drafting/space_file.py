"""The text of a drafted space file: every line is a proposal, with the reason for it as a comment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten

from hpsearch.comparing.metric_choice import choose_goal
from hpsearch.drafting.ranges import Proposal, Setting, words_of, yaml_of
from hpsearch.errors import HpsearchError
from hpsearch.families.command.recognised import Form, objective_of, source_of
from hpsearch.records import Goal

TRAIN, MODEL = "train", "model"
_TRAIN = words_of(
    "lr rate decay wd momentum beta beta1 beta2 betas batch optimizer optim optimiser schedule scheduler warmup "
    "clip eps epsilon smoothing accumulate accumulation gamma ema epochs steps iterations iters loss"
)
"""Words of settings that go to the section `train`; others go to `model`."""
_WIDTH = 52
"""The column of the comments."""


@dataclass(frozen=True)
class Line:
    """A setting of the space at a dotted path; `start` is the value of a first trial, as YAML, if it has one."""

    path: str
    text: str
    why: str
    start: str = ""


@dataclass
class Draft:
    """What a space file is written from; `missing` are the paths of values that only its reader knows."""

    family: str
    head: Sequence[str]
    """Comments at the top."""
    objective: str = "metric: TODO"
    objective_why: str = ""
    command: Sequence[tuple[str, str]] = ()
    """The words of a program with comments."""
    directory: str = ""
    """Where it runs, if that is not the folder of the space file."""
    metrics: str = ""
    metrics_why: str = ""
    pruner: str = ""
    lines: list[Line] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What stays at its owner's own value, with reasons."""
    confirm: str = "confirm: {top: 1, seeds: 5}"
    quick: str = "search.trials: 8"

    @property
    def missing(self) -> list[str]:
        """The paths whose values have to be written in."""
        return [line.path for line in self.lines if line.text == "TODO"]

    @property
    def text(self) -> str:
        """The file."""
        return "\n".join([*self._opening(), *self._program(), *self._settings(), *self._closing()]) + "\n"

    def _opening(self) -> Iterator[str]:
        yield from (f"# {line}" if line else "#" for line in self.head)
        yield f"family: {yaml_of(self.family)}"
        yield from ([f"# {self.objective_why}"] if self.objective_why else [])
        yield f"objective: {{{self.objective}, at: best}}"
        yield f"search: {{{self.pruner}trials: 40, seed: 0, workers: auto}}"

    def _program(self) -> Iterator[str]:
        if self.command:
            yield "command:"
            yield from (_commented(f"  - {_quoted(word)}", why) for word, why in self.command)
        if self.directory:
            yield f"directory: {yaml_of(self.directory)}"
        if self.metrics:
            yield from ([f"# {self.metrics_why}"] if self.metrics_why else [])
            yield f"metrics: {{{self.metrics}}}"

    def _settings(self) -> Iterator[str]:
        yield from _nested([(line.path.split("."), line) for line in self.lines], 0)

    def _closing(self) -> Iterator[str]:
        if self.left:
            yield "# These stay as they are:"
            yield from (f"#   {line}" for line in self.left)
        start = {line.path: line.start for line in self.lines if line.start}
        if start:
            yield "start:   # its own defaults are tried first"
            yield f"  - {{{', '.join(f'{path}: {value}' for path, value in start.items())}}}"
        yield self.confirm
        yield f"quick: {{{self.quick}}}"


def _nested(found: Sequence[tuple[list[str], Line]], depth: int) -> Iterator[str]:
    """Yield the lines of a section, those of one subsection together, in their order."""
    names = dict.fromkeys(path[0] for path, _ in found)
    for name in names:
        own = [(path[1:], line) for path, line in found if path[0] == name]
        if own[0][0]:
            yield f"{'  ' * depth}{yaml_of(name)}:"
            yield from _nested(own, depth + 1)
        else:
            yield _commented(f"{'  ' * depth}{yaml_of(name)}: {own[0][1].text}", own[0][1].why)


def _commented(text: str, why: str) -> str:
    return f"{text:<{_WIDTH}}  # {why}" if why else text


def _quoted(word: str) -> str:
    plain = yaml_of(word)
    return plain if not plain.startswith('"') else "'" + word.replace("'", "''") + "'"


def section_of(setting: Setting) -> str:
    """Return the section that a setting without one belongs to."""
    return TRAIN if set(setting.words) & _TRAIN and "embed" not in setting.words else MODEL


def line_of(path: str, setting: Setting, proposal: Proposal) -> Line:
    """Return the line of a setting, with its owner's own help behind the reason."""
    why = "; ".join(part for part in (proposal.why, shorten(setting.help, 80, placeholder=" ...")) if part)
    return Line(path, proposal.text, why, yaml_of(setting.default) if proposal.keeps_default else "")


def measure(draft: Draft, forms: Sequence[Form], log: str) -> list[str]:
    """Fill in objective and metrics from the lines of a log, or what is assumed; return what to look at."""
    metric = objective_of(forms)
    source = source_of(forms, metric) if metric is not None else None
    if metric is None or source is None:
        draft.objective = "metric: val/loss, goal: minimize"
        draft.objective_why = "ASSUMED: nobody said which metric counts; `--log FILE` reads the names from a log"
        draft.metrics = "stdout: json"
        draft.metrics_why = 'ASSUMED: the program prints lines such as {"epoch": 3, "val/loss": 0.2}'
        return ["objective and metrics are assumed: give the log of an earlier run with --log"]
    goal, why = _goal(metric)
    draft.objective = f"metric: {yaml_of(metric)}, goal: {goal}"
    names = [name for form in forms for name in form.metrics]
    draft.objective_why = f"{log} tells {', '.join(dict.fromkeys(names))}; {why}"
    if "stdout" in source:
        draft.metrics = "stdout: json"
    else:
        draft.metrics = "pattern: '{}'".format(source["pattern"].replace("'", "''"))
    draft.metrics_why = f"reads lines such as: {forms[0].example[:90]}"
    return (
        []
        if metric.startswith("val") or "val" in metric or "eval" in metric
        else [f"{metric} is no metric of a validation split, and none was seen in {log}"]
    )


def _goal(metric: str) -> tuple[Goal, str]:
    try:
        goal = choose_goal(metric, {}, None)
    except HpsearchError:
        return Goal.MINIMIZE, f"ASSUMED: {metric} is to be minimized"
    return goal, f"judging by its name, {metric} is to be {goal.value}d"


def counted(metrics: Mapping[str, Goal]) -> str:
    """Return the objective of a family: the first of its metrics that is no loss, else the first."""
    name = next((each for each in metrics if "loss" not in each), next(iter(metrics)))
    return f"metric: {yaml_of(f'val/{name}')}, goal: {metrics[name]}"
