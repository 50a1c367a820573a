"""The tools of the MCP server: functions of `hpsearch` for one folder, with plain data as their results.

A tool's docstring is what an agent reads of it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from hpsearch.agents.asked import AskedSearches
from hpsearch.agents.confined import Confined
from hpsearch.agents.refereed import history_of, planned_challenge
from hpsearch.agents.spending import planned_search
from hpsearch.agents.started import Started, Starter
from hpsearch.api import check as checking
from hpsearch.api import compare as comparing
from hpsearch.api.arguments import settings_of
from hpsearch.errors import HpsearchError, SpaceError, UnknownNameError
from hpsearch.experiment.activity import RUNNING, silent_runs, state_of
from hpsearch.experiment.layout import is_experiment, is_study
from hpsearch.experiment.reading import read_experiment
from hpsearch.families.loading import family_names, load_interface
from hpsearch.report.experiment_view import show_json
from hpsearch.space.search_settings import Confirm, Objective, Search
from hpsearch.space.shelf import Shelf
from hpsearch.studies.progress import progress_of
from hpsearch.trust import NamedCode, require_trust
from hpsearch.user_code import is_reference

_RANGES = (
    "{float: [a, b]}, {log: [a, b]}, {int: [a, b], step: s}, {choice: [...]}, {choice: {name: {its own settings}}}; "
    "a section `quick` holds dotted names and values that a quick run lays over the file"
)
_LOOK_SECONDS = 0.5
_MOST_SECONDS = 60.0
_MOST_CHARACTERS = 20_000
_READABLE = (".md", ".json", ".csv", ".tex")

Changes = Annotated[
    dict[str, Any], Field(description="Values or ranges that replace those of the file, by their dotted names.")
]
Quick = Annotated[bool, Field(description="Lay the file's `quick` section over it: minutes instead of hours.")]
SpaceArgument = Annotated[str, Field(description="A space file in the folder, or the short name of one of hpsearch's.")]
Experiment = Annotated[str, Field(description="An experiment's name, or its path in the folder.")]
Answer = dict[str, Any]


class Tools:
    """What an agent can do in one folder."""

    def __init__(self, folder: Path) -> None:
        self._confined = Confined(folder)
        self._starter = Starter(self._confined.folder)
        self._asked = AskedSearches(self._confined)

    def close(self) -> None:
        """Leave the searches that are asked here; processes that were started go on."""
        self._asked.close()
        self._starter.close()

    @property
    def reading(self) -> list[Callable[..., Answer]]:
        """The tools that change nothing."""
        return [
            self.families,
            self.schema,
            self.check,
            self.plan_search,
            self.watch,
            self.show,
            self.champion,
            self.compare,
            self.read_report,
        ]

    @property
    def writing(self) -> list[Callable[..., Answer]]:
        """The tools that train, stop, or write into an experiment or a title, which keeps the code of each plan."""
        asked = self._asked
        return [self.plan_challenge, self.start, self.stop, asked.ask, asked.report, asked.tell, asked.fail]

    def families(self) -> Answer:
        """List the model families that hpsearch brings, and the metrics of each."""
        found = []
        for name in family_names():
            family = load_interface(name, Path())
            metrics = {f"val/{metric}": goal.value for metric, goal in family.metrics.items()}
            found.append({"name": name, "what": (type(family).__doc__ or "").splitlines()[0], "metrics": metrics})
        return {"families": found}

    def schema(
        self,
        family: Annotated[
            str, Field(description="A family's name, or FILE.py:CLASS or FILE.py:FUNCTION in the folder.")
        ],
        section: Annotated[
            str | None, Field(description="A section of its space files, such as model, train, search or objective.")
        ] = None,
    ) -> Answer:
        """Return the sections of a family's space files and a whole example; of one section its JSON Schema.

        Any value of the family's own sections may be a range instead, as `ranges` says.
        """
        if is_reference(family):
            file, _, name = family.rpartition(":")
            place = self._confined.path(file)
            require_trust([NamedCode("family", place)])
            interface = load_interface(f"{place}:{name}", self._confined.folder)
        else:
            interface = load_interface(family, Path())
        fields = {name: field.annotation for name, field in interface.Config.model_fields.items()}
        sections: dict[str, Any] = {"objective": Objective, "search": Search, "confirm": Confirm, **fields}
        if section is None:
            shelf = Shelf.SPACES.folder()
            file_ = None if shelf is None else shelf / f"{family}.yaml"
            example = file_.read_text(encoding="utf-8") if file_ is not None and file_.is_file() else None
            return {"family": family, "sections": list(sections), "ranges": _RANGES, "example": example}
        if section not in sections:
            raise UnknownNameError("section", section, sections)
        return {"section": section, "schema": TypeAdapter(sections[section]).json_schema(), "ranges": _RANGES}

    def check(self, space: SpaceArgument, quick: Quick = False, changes: Changes = {}) -> Answer:  # noqa: B006
        """Check a space or study file without training anything: every mistake, its line and what would be right."""
        try:
            file = self._confined.space(space)
            self._confined.settings(file, settings_of(changes))
            found = checking.check(file, quick=quick, set=changes)
        except SpaceError as error:
            return {"fine": False, "mistakes": [asdict(each) for each in error.problems]}
        shown = [
            {"path": str(each.path), "is": str(each), "notes": each.notes, "left_out": each.left_out} for each in found
        ]
        return {"fine": True, "files": shown}

    def plan_search(
        self,
        space: SpaceArgument,
        name: Annotated[str | None, Field(description="The experiment's name; by default the file's.")] = None,
        quick: Quick = False,
        changes: Changes = {},  # noqa: B006
        confirm: Annotated[bool, Field(description="Train the winner on fresh seeds, as the file says.")] = True,
        mlflow: Annotated[bool, Field(description="Mirror the experiment in MLflow.")] = True,
    ) -> Answer:
        """Return what a search would cost, and the token that starts it. Show the cost to whoever pays."""
        planned, cost = planned_search(
            self._confined, space, name=name, quick=quick, changes=changes, confirm=confirm, mlflow=mlflow
        )
        return {"token": self._starter.plan(planned), "command": ["hpsearch", *planned.words], **cost}

    def plan_challenge(
        self,
        note: Annotated[str, Field(description="What was changed, and why: it stands in the title's history.")],
        space: Annotated[str | None, Field(description="Another space file; by default the champion's.")] = None,
        changes: Changes = {},  # noqa: B006
        worth: Annotated[float | None, Field(description="An improvement that is worth finding.")] = None,
        most: Annotated[int | None, Field(ge=2, le=1000, description="The most seeds; by default the title's.")] = None,
        title: Annotated[str | None, Field(description="Which title, where there are several.")] = None,
    ) -> Answer:
        """Say what a challenge by the code as it now stands would cost, and which gains it would find.

        With the token, `start` begins it; `watch` has its `answer` at the end: accepted, rejected, undecided or failed.
        """
        planned, cost = planned_challenge(
            self._confined, space, note=note, changes=changes, worth=worth, most=most, title=title
        )
        return {"token": self._starter.plan(planned), "command": ["hpsearch", *planned.words], **cost}

    def champion(
        self, title: Annotated[str | None, Field(description="Which title, where there are several.")] = None
    ) -> Answer:
        """Show a title: its champion, its honest score, every challenge with its note, the error budget left."""
        return history_of(self._confined, title)

    def start(
        self, token: Annotated[str, Field(description="What a plan gave out; it is good for one start.")]
    ) -> Answer:
        """Start what was planned, in a process of its own, and return at once; `watch` tells how it goes.

        It goes on when this server ends. `stop` ends it like Ctrl-C, and planning it again goes on with it.
        """
        return self._of(self._starter.start(token))

    def watch(
        self,
        run: Annotated[str, Field(description="What `start` has returned as `run`, or an experiment's name.")],
        wait: Annotated[float, Field(ge=0, le=_MOST_SECONDS, description="Seconds to wait for its end.")] = 0.0,
    ) -> Answer:
        """Say how a search goes: its trials by outcome, the best so far, and what its process said."""
        started = self._starter.find(run)
        folder = self._confined.experiment(run) if started is None else started.planned.folder
        until = time.monotonic() + wait
        while time.monotonic() < until and self._goes_on(started, folder):
            time.sleep(_LOOK_SECONDS)
        if started is not None and started.planned.words[0] == "challenge":
            return {**self._of(started), "answer": started.answer}
        told = {} if started is None else self._of(started)
        if is_study(folder):
            return {**told, "study": progress_of(folder).to_json()}
        return {**told, **(_progress(folder) if is_experiment(folder) else {"state": "not begun"})}

    def _goes_on(self, started: Started | None, folder: Path) -> bool:
        return state_of(folder) == RUNNING if started is None else started.status is None

    def _of(self, started: Started) -> Answer:
        status = started.status
        return {
            "run": started.run,
            "experiment": started.planned.folder.name,
            "process": started.process.pid,
            "runs": status is None,
            **({} if status is None else {"exit_status": status}),
            "said": started.tail,
        }

    def stop(
        self, run: Annotated[str, Field(description="What `start` has returned as `run`, or the experiment's name.")]
    ) -> Answer:
        """Stop a search that this server has started, as Ctrl-C does: trainings write their checkpoints first."""
        return self._of(self._starter.stop(run))

    def show(
        self,
        experiment: Experiment,
        limit: Annotated[int, Field(ge=1, le=1000, description="How many trials to list, the best first.")] = 10,
    ) -> Answer:
        """Show an experiment: its best trials, and its confirmation on fresh seeds. Of a study: its arms."""
        folder = self._confined.experiment(experiment)
        if is_study(folder):
            return {"study": progress_of(folder).to_json()}
        record = read_experiment(folder)
        shown = show_json(record)
        by_number = {trial["number"]: trial for trial in shown["trials"]}
        ranked = [by_number[trial.number] for trial in record.ranked]
        others = [trial for trial in shown["trials"] if trial not in ranked]
        listed = [*ranked, *others][:limit]
        return {**_progress(folder), **shown, "trials": listed, "trials_left_out": len(by_number) - len(listed)}

    def compare(
        self,
        paths: Annotated[
            list[str], Field(description="Experiments, studies, folders or tables of runs in the folder.")
        ],
        metric: Annotated[str | None, Field(description="By default what the runs are about.")] = None,
        goal: Annotated[str | None, Field(description="minimize or maximize, where the name leaves it open.")] = None,
        by: Annotated[str | None, Field(description="Group the runs by a parameter.")] = None,
        baseline: Annotated[str | None, Field(description="Compare every experiment with this one only.")] = None,
        margin: Annotated[float | None, Field(description="The smallest difference that matters.")] = None,
    ) -> Answer:
        """Compare finished runs: which is better, by how much, how certain that is, and what has to be said of it."""
        found = comparing.compare(
            [self._runs(path) for path in paths], metric=metric, goal=goal, by=by, baseline=baseline, margin=margin
        )
        return {"comparison": found.to_json()}

    def _runs(self, given: str) -> Path:
        place = self._confined.path(given)
        return place if place.exists() else self._confined.experiment(given)

    def read_report(
        self,
        path: Annotated[str, Field(description="A report's folder, or a .md, .json, .csv or .tex file of one.")],
        offset: Annotated[int, Field(ge=0, description="Where to go on in a long one, in characters.")] = 0,
    ) -> Answer:
        """Read a report that compare or a study has written; of a folder its report.md, else compare.json."""
        place = self._confined.path(path)
        if place.is_dir():
            names = ("report.md", "compare.json")
            place = next((self._confined.path(f"{path}/{name}") for name in names if (place / name).is_file()), place)
        if place.suffix not in _READABLE or not place.is_file():
            raise HpsearchError(f"{path} is no report: name a folder with report.md, or a {', '.join(_READABLE)} file")
        text = place.read_text(encoding="utf-8", errors="replace")
        end = offset + _MOST_CHARACTERS
        return {"path": str(place), "text": text[offset:end], "next_offset": end if end < len(text) else None}


def _progress(folder: Path) -> Answer:
    record = read_experiment(folder)
    best = record.best
    outcomes: dict[str, int] = {}
    for trial in record.trials:
        kind = "unfinished" if trial.outcome is None else trial.outcome.value
        outcomes[kind] = outcomes.get(kind, 0) + 1
    fields: Mapping[str, Any] = (
        {} if best is None else {"number": best.number, "value": best.value, "params": best.params}
    )
    return {
        "experiment": record.name,
        "state": state_of(folder),
        "metric": record.objective.metric,
        "goal": record.objective.goal.value,
        "trials_asked": record.budget,
        "outcomes": outcomes,
        "best": fields or None,
        "replicates": sum(each.outcome is not None for each in record.replicates),
        "seconds": round(record.elapsed, 1),
        "silent_for_seconds": silent_runs(record),
        "warnings": list(record.warnings),
    }
