"""The card of an exported model, in the order of sections of Mitchell et al. (Model Cards for Model Reporting, 2019).

It has only what is known: what a model must not be used for, and whom it may harm, a search cannot know.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.cleaning import markdown as escaped
from hpsearch.cleaning import one_line
from hpsearch.report.comparison.markdown import table
from hpsearch.report.wording import assignments, number

UNKNOWN = (
    "The sections Factors and Ethical considerations of a model card (Mitchell et al. 2019), and uses that are out of "
    "scope, are not known to hpsearch: whoever hands this model on should write them."
)

HASHED = "The fingerprints are SHA-256 over the examples in order: names, types, shapes and bytes of all their tensors."


@dataclass(frozen=True)
class ModelCard:
    """What there is to say of an exported model.

    `about` are rows of name and value, `selection` is that of `final.selection` as plain data (None: the configuration
    was given), `scores` the exported weights' own test scores, `data` for each split its examples and fingerprint.
    `limits` are sentences. `commands` make the model again. With `own_code` the family is in a file of the user's.
    `use` tells what a prediction `takes`, the arguments of a `call`, what its `files` hold, and the names of `classes`.
    """

    name: str
    purpose: str
    about: Sequence[tuple[str, str]]
    config: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    fingerprint: str
    scores: Mapping[str, float] = field(default_factory=dict)
    selection: Mapping[str, Any] | None = None
    limits: Sequence[str] = ()
    commands: Sequence[str] = ()
    own_code: bool = False
    use: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str | None:
        """The question of the study that chose it."""
        study = (self.selection or {}).get("study") or {}
        found: str | None = study.get("question")
        return found


def card_markdown(card: ModelCard) -> str:
    """Return card.md."""
    parts = [f"# {escaped(card.name)}", escaped(card.purpose)]
    parts += ["## Model details", table(("", ""), card.about)]
    parts += ["### How it was chosen", "\n\n".join(map(escaped, _chosen_lines(card.selection)))]
    parts += ["### Configuration", f"```json\n{json.dumps(card.config, indent=2)}\n```"]
    parts += ["### How to make it again", "```sh\n" + "\n".join(card.commands) + "\n```"]
    parts += ["## Intended use", _use(card), "## Metrics", escaped(_metrics(card))]
    parts += ["## Evaluation data", _data(card, ("test",)), "## Training data", _data(card, ("train", "val"))]
    parts += [f"{HASHED} That of all three splits together is `{card.fingerprint}`."]
    parts += ["## Quantitative analyses", _score_table(card.scores, card.selection)]
    limits = "\n".join(f"- {escaped(line)}" for line in card.limits)
    return "\n\n".join([*parts, "## Caveats and recommendations", limits, UNKNOWN]) + "\n"


def card_summary(card: ModelCard) -> str:
    """Return the card in short, for a place that holds no page: purpose, selection, scores, limits."""
    parts = [
        escaped(card.purpose),
        *map(escaped, _chosen_lines(card.selection)),
        _score_table(card.scores, card.selection),
    ]
    limits = "\n".join(f"- {escaped(line)}" for line in card.limits)
    return "\n\n".join([*parts, limits, "All of it is in card.md, among the files of the model."])


def _use(card: ModelCard) -> str:
    asked = f"The study that chose it asked: {escaped(card.question)}\n\n" if card.question else ""
    home, use = (", home=FOLDER" if card.own_code else ""), card.use
    call = use.get("call")
    lines = ["import hpsearch", *(["import numpy as np"] if call and "np." in call else []), ""]
    lines += [f"model = hpsearch.load_model({json.dumps(card.name)}{home})  # the path of this folder"]
    lines += [f"found = model.predict({call})", "print(found.summary())"] if call else []
    lines += ["model.model  # the network, in eval mode, on the CPU"]
    lines += ['model.scores("test")  # as below, after loading the data']
    parts = [asked.strip(), "```python\n" + "\n".join(lines) + "\n```"]
    if use.get("takes"):
        home = " --home FOLDER" if card.own_code else ""
        parts += [f"It takes {escaped(use['takes'])}."]
        parts += [f"```sh\nhpsearch predict {shlex.quote(one_line(card.name))}{home} INPUT --out FILE\n```"]
        parts += ["\n".join(f"- `{ending}`: {escaped(what)}" for ending, what in use["files"].items())]
    for task, names in use.get("classes", {}).items():
        shown = ", ".join(map(escaped, names[:_MOST_CLASSES])) + (", ..." if len(names) > _MOST_CLASSES else "")
        parts += [f"It knows {len(names)} classes{'' if task == 'label' else f' of {escaped(task)}'}: {shown}."]
    return "\n\n".join(filter(None, parts))


def _metrics(card: ModelCard) -> str:
    if card.selection is None:
        return "The test scores are the family's; the configuration was not chosen by any."
    objective = card.selection["objective"]
    said = f"The search chose by {objective['metric']} ({objective['goal']}) on the validation split."
    study = card.selection["study"] or {}
    decided = f" The study was decided by {study['metric']}." if "metric" in study else ""
    replication = card.selection["replication"]
    return f"{said}{decided} {replication}".strip()


def _data(card: ModelCard, splits: Sequence[str]) -> str:
    known = [(split, card.data[split]) for split in splits if split in card.data]
    if not known:
        return "There is none: the data have no such split."
    rows = [(split, number(data["examples"]), data["sha256"]) for split, data in known]
    return table(("split", "examples", "fingerprint"), rows)


_MOST_CLASSES = 100
"""More are in config.json."""
_METHODS = {"t": "t", "bca": "BCa bootstrap"}


def _chosen_lines(selection: Mapping[str, Any] | None) -> list[str]:
    """Return paragraphs on how a configuration was chosen; `selection` is plain data of `final.selection`."""
    if selection is None:
        return ["The configuration was given, not searched."]
    size = selection["configurations"]
    configurations = "a continuum of configurations" if size is None else f"{size} configurations"
    ends = ", ".join(f"{count} {outcome}" for outcome, count in selection["outcomes"].items())
    search, objective = selection["search"], selection["objective"]
    searched = (
        f"The search {selection['experiment']} tried {selection['trials']} trials ({ends}) of a space of "
        f"{selection['ranges']} ranges, {configurations}; sampler {search['sampler']}, pruner {search['pruner']}, seed "
        f"{search['seed']}. Trial {selection['winner']} had the best {objective['metric']}: "
        f"{number(selection['value'])}, with {assignments(selection['params']) or 'nothing to choose'}."
    )
    study = selection["study"]
    paragraphs = [searched, _confirmed(selection)]
    if study is None:
        return paragraphs
    head = f"The search is the arm {study['arm']} of the study {study['name']}."
    told = f" Its question: {study['question']} Its answer: {study['answer']}" if "question" in study else ""
    return [f"{head} {study['grounds']}{told}", *paragraphs]


def _confirmed(selection: Mapping[str, Any]) -> str:
    sizes = {score["n"] for score in selection["scores"].values()}
    if not sizes:
        return "It was not confirmed: the test split was read for no replicate of it."
    if selection["replicates"] == "fold":
        return (
            f"It was then trained again {max(sizes)} times, each time tested once on a fold of all the data and "
            "trained on the rest. The search had read parts of these folds."
        )
    return (
        f"It was then trained again on {max(sizes)} fresh seeds, each time scored once on the test split, which the "
        "search had not read."
    )


def _score_table(own: Mapping[str, float], selection: Mapping[str, Any] | None) -> str:
    """Return a table of the test scores: this model's own, its replicates', and the classical methods'."""
    scores = selection["scores"] if selection else {}
    baselines = selection["baselines"] if selection else {}
    known = dict.fromkeys([*own, *scores, *(name for each in baselines.values() for name in each)])
    main = main_metric(selection) if selection else None
    metrics = sorted(known, key=lambda name: name != main)
    if not metrics:
        return "It was not scored on the test split."
    titles = ["metric", *(["this model"] if own else [])]
    titles += ["mean of the replicates", "sd", "n", "95% interval"] if scores else []
    rows = []
    for metric in metrics:
        row = [metric, *([number(own.get(metric))] if own else [])]
        row += _described(scores.get(metric, {})) if scores else []
        rows.append([*row, *(number(each.get(metric)) for each in baselines.values())])
    return table([*titles, *(f"baseline {name}" for name in baselines)], rows)


def main_metric(selection: Mapping[str, Any]) -> str:
    """Return the test metric that counts: the study's, or that of the search's objective."""
    study = selection["study"] or {}
    own = "test/" + selection["objective"]["metric"].partition("/")[2]
    return str(study.get("metric", own))


def _described(score: Mapping[str, Any]) -> list[str]:
    interval = score.get("ci95")
    method = _METHODS.get(score.get("ci_method") or "", score.get("ci_method"))
    told = "—" if interval is None else f"{number(interval[0])} to {number(interval[1])} ({method})"
    return [number(score.get("mean")), number(score.get("sd")), str(score.get("n", "—")), told]
