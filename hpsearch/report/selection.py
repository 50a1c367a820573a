"""How a model was chosen, in sentences, and its scores beside those of its replicates and of classical methods."""

from collections.abc import Mapping
from typing import Any

from hpsearch.report.comparison.markdown import table
from hpsearch.report.wording import assignments, number

_METHODS = {"t": "t", "bca": "BCa bootstrap"}


def chosen_lines(selection: Mapping[str, Any] | None) -> list[str]:
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


def score_table(own: Mapping[str, float], selection: Mapping[str, Any] | None) -> str:
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
