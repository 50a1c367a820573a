"""Every writer of texts that others open, over names, parameters, reasons and metrics that try to be more than text."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hpsearch.comparing import Question, compare_runs
from hpsearch.experiment.layout import CONFIG, trial_run
from hpsearch.readers import Wanted
from hpsearch.readers.shelf import read_sources
from hpsearch.records import ExperimentRecord, FinishedRun, Goal, Measurement, Monitor, Outcome, RunRecord
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.files import FORMATS
from hpsearch.report.evaluation import Evaluation, Score, evaluation_html, evaluation_markdown
from hpsearch.report.model_card import ModelCard, card_markdown
from hpsearch.report.tables import export_table
from hpsearch.tracking.mlflow.tags import DESCRIPTION_TAG, experiment_tags, study_tags

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "[2em] \\input{/etc/passwd} $\\int x$",
    "<script>evil()</script><img src=x onerror=evil()>",
    "![i](https://evil.example/i.png) https://evil.example @team ``` **b**",
    "a\x1b[31mb\u202ec\x9bd\x00e",
    "a\n\n# title\n| x |\n```\n",
]
Written = dict[str, str]


def _runs(text: str) -> list[FinishedRun]:
    return [
        FinishedRun(
            experiment=name,
            run=f"{name}/{seed}",
            seed=seed,
            params={text: text, "width": seed},
            metrics={text: Measurement(0.5 + 0.1 * seed + 0.01 * len(name), 1)},
            steps=1,
        )
        for name in (text, "other")
        for seed in range(4)
    ]


def compared(text: str, _: Path) -> Written:
    failed = FinishedRun(experiment=text, run=text, seed=9, outcome=Outcome.FAILED, reason=text)
    runs = [*_runs(text), failed]
    contents = ReportContents(compare_runs(runs, Question(text, Goal.MAXIMIZE)), runs, {})
    return _report(contents)


def from_a_table(text: str, folder: Path) -> Written:
    """What a reader takes from a stranger's table, in which every name and value is hostile."""
    rows = [["model", "seed", f"p {text}", f"score {text}"]]
    rows += [[f"{text}{name}", str(seed), text, str(seed / 10)] for name in "ab" for seed in range(1, 5)]
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    (folder / "runs.csv").write_text(file.getvalue().replace("\0", ""), encoding="utf-8")
    runs = read_sources([str(folder / "runs.csv")], asked=Wanted(separator=",")).runs
    metric = next(name for run in runs for name in run.metrics)
    contents = ReportContents(compare_runs(runs, Question(metric, Goal.MAXIMIZE)), runs, {})
    return _report(contents)


def _report(contents: ReportContents) -> Written:
    """Return all texts of a report, without its pictures."""
    return {file: text for name, write in FORMATS.items() if name != "json" for file, text in write(contents).items()}


def exported(text: str, folder: Path) -> Written:
    run = RunRecord(trial_run(0), 0, {text: text, "n": 1}, 0, Outcome.FAILED, reason=text, value=1.0)
    record = ExperimentRecord(
        text, str(folder), text, Monitor(text, Goal.MINIMIZE), "best", (run, replace(run, number=1))
    )
    export_table(record, folder / "trials.csv")
    return {"trials.csv": (folder / "trials.csv").read_text(encoding="utf-8")}


def evaluated(text: str, _: Path) -> Written:
    found = Evaluation(text, text, [text], 9, {text: Score(1.0)}, {text: Goal.MINIMIZE}, {text: {text: 0.5}}, [text])
    return {"evaluation.md": evaluation_markdown(found), "evaluation.html": evaluation_html(found)}


def carded(text: str, _: Path) -> Written:
    data = {"train": {"examples": 1, "sha256": "0"}}
    card = ModelCard(text, text, [(text, text)], {text: text}, data, "0", {text: 1.0}, limits=[text])
    return {"card.md": card_markdown(card)}


def mirrored(text: str, folder: Path) -> Written:
    (folder / trial_run(0)).mkdir(parents=True)
    (folder / trial_run(0) / CONFIG).write_text(json.dumps({"params": {text: text}}))
    space = {"family": text, "objective": {"metric": text, "goal": "minimize"}}
    search = experiment_tags({"space": space}, folder, best=(trial_run(0), 1.0))[DESCRIPTION_TAG]
    plan = {"question": text, "metric": {"name": text, "goal": "minimize"}, "seed": 0}
    (folder / "result.json").write_text(json.dumps({"version": 1, "answer": text, "confirmatory": True}))
    return {
        "search.md": search,
        "study.md": study_tags({"id": "1", "latest": plan, "file": "a"}, folder)[DESCRIPTION_TAG],
    }


def _of_csv(text: str) -> Iterator[str]:
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            if re.match(r"\s*[=+\-@|%]", cell) and not re.fullmatch(r"[+-]?(\d.*|inf|nan)", cell):
                yield f"a formula: {cell!r}"
            if not cell.isprintable():
                yield f"not printable: {cell!r}"


def _of_latex(text: str) -> Iterator[str]:
    for row in text.splitlines():
        if re.search(r"\\input\{/etc|\\int\b", row) and not row.startswith("%"):
            yield f"a command: {row}"
        if row.startswith(("[2em", "*")):
            yield f"an argument: {row}"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if "onerror" in named or "evil.example" in str(named.get("src")) or "evil.example" in str(named.get("href")):
            self.wrong.append(f"a tag: {tag} {named}")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script" and re.search(r"^\s*evil\(\)", data):
            self.wrong.append(f"a script: {data}")


def _of_html(text: str) -> Iterator[str]:
    parser = _Tags()
    parser.feed(text)
    yield from parser.wrong


def _of_markdown(text: str) -> Iterator[str]:
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for what, pattern in {
        "a tag": r"(?<!\\)<(script|img)",
        "a picture": r"(?<!\\)!\[i(?<!\\)\]\(",
        "a link": r"https://evil",
        "a mention": r"(?<![\w\\])@team",
        "mathematics": r"(?<!\\)\$\\?\\int",
        "a title": r"^# title",
        "bold": r"(?<!\\)\*\*b(?<!\\)\*\*",
    }.items():
        yield from (f"{what}: {found[0]!r}" for found in re.finditer(pattern, plain, flags=re.MULTILINE))


CHECKS = {"csv": _of_csv, "tex": _of_latex, "html": _of_html, "md": _of_markdown}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("write", [compared, from_a_table, exported, evaluated, carded, mirrored])
def test_a_text_stays_a_text(write: Callable[[str, Path], Written], text: str, tmp_path: Path) -> None:
    written = write(text, tmp_path)
    assert written
    for name, content in written.items():
        assert [*CHECKS[name.rpartition(".")[2]](content)] == [], name
        assert not set("\x1b\x9b\u202e\0") & set(content), name
