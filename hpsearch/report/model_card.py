"""The card of an exported model, in the order of sections of Mitchell et al. (Model Cards for Model Reporting, 2019).

Only what is known stands there: what a model must not be used for, and whom it may harm, a search cannot know.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.report.comparison.markdown import escaped, table
from hpsearch.report.selection import chosen_lines, score_table
from hpsearch.report.wording import number

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
    `limits` are sentences. `commands` make the model again. With `own_code` the family stands in a file of the user's.
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
    parts += ["### How it was chosen", "\n\n".join(map(escaped, chosen_lines(card.selection)))]
    parts += ["### Configuration", f"```json\n{json.dumps(card.config, indent=2)}\n```"]
    parts += ["### How to make it again", "```sh\n" + "\n".join(card.commands) + "\n```"]
    parts += ["## Intended use", _use(card), "## Metrics", escaped(_metrics(card))]
    parts += ["## Evaluation data", _data(card, ("test",)), "## Training data", _data(card, ("train", "val"))]
    parts += [f"{HASHED} That of all three splits together is `{card.fingerprint}`."]
    parts += ["## Quantitative analyses", score_table(card.scores, card.selection)]
    limits = "\n".join(f"- {escaped(line)}" for line in card.limits)
    return "\n\n".join([*parts, "## Caveats and recommendations", limits, UNKNOWN]) + "\n"


def card_summary(card: ModelCard) -> str:
    """Return the card in short, for a place that holds no page: purpose, selection, scores, limits."""
    parts = [
        escaped(card.purpose),
        *map(escaped, chosen_lines(card.selection)),
        score_table(card.scores, card.selection),
    ]
    limits = "\n".join(f"- {escaped(line)}" for line in card.limits)
    return "\n\n".join([*parts, limits, "All of it stands in card.md, among the files of the model."])


def _use(card: ModelCard) -> str:
    asked = f"The study that chose it asked: {escaped(card.question)}\n\n" if card.question else ""
    home = ", home=FOLDER" if card.own_code else ""
    return (
        f"{asked}```python\nimport hpsearch\n\n"
        f'trained = hpsearch.load_model("{card.name}"{home})  # the path of this folder\n'
        "trained.model  # in eval mode, on the CPU\n"
        'trained.scores("test")  # as above, after loading the data\n```'
    )


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
    rows = [(split, number(card.data[split]["examples"]), card.data[split]["sha256"]) for split in splits]
    return table(("split", "examples", "fingerprint"), rows)
