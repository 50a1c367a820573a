"""What trains without the shared loop, over all its attempts: what it told is noted down, reported and answered."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import DivergedError
from hpsearch.experiment.files import append_json_line, decode_number, read_lines
from hpsearch.experiment.layout import METRICS, OUTPUT, PRINTED
from hpsearch.families.command.heard import Heard
from hpsearch.families.command.printed import Lines, Measured, Tail
from hpsearch.families.command.program import Capture
from hpsearch.jobs import Report, Reporter
from hpsearch.records import Decision, Moment, Monitor


class Notes:
    """The file with what a program or a function told, line by line over all attempts.

    Whoever takes the run up knows it from there.

    {"attempt": true, "resuming": bool, "output": 300}      an attempt begins; the size of output.log then;
                                                            "step": that of the function's checkpoint
    {"number": 2 or null, "metrics": {...}, "seconds": 3.4, "read": 120 or [inode, offset]}
                                                            a measured line, and how far the output was read then;
                                                            "final": true if the function said so; "checkpoint": the
                                                            CRC-32 of the file that the function had written
    {"read": 0, "output": 300}                              captured output was forgotten, it begins again
    {"ended": true, "seconds": 5.6}                         the attempt's output was read to its end
    """

    def __init__(self, folder: Path, monitor: Monitor, *, tests: bool) -> None:
        self.folder = folder
        self._path = folder / PRINTED
        self._metric = monitor.metric
        self._tests = tests

    @property
    def output(self) -> int:
        """The size of what was printed by now, in bytes."""
        path = self.folder / OUTPUT
        return path.stat().st_size if path.exists() else 0

    def passed_on(self, capture: Capture, output: int | None) -> int:
        """Return how many bytes of captured output are in output.log already, whose size was `output` before them.

        Other lines may stand between those, such as the program's error output.
        """
        if output is None or not (self.folder / OUTPUT).exists():
            return 0
        passed_on, lines = 0, Lines()
        with (self.folder / OUTPUT).open("rb") as file:
            file.seek(output)
            printed = iter(list(lines.feed(file.read())))
        for line, behind in capture.left(0):
            if line not in printed:  # which goes on behind the one that was found
                break
            passed_on = behind
        return passed_on

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield what is there."""
        return (row for row, _ in read_lines(self._path))

    def adopt(self) -> Iterator[str]:
        """Note down what an earlier version of hpsearch reported of the run; yield the lines that it printed."""
        if self._path.exists():
            return
        for row, _ in read_lines(self.folder / METRICS):
            metrics = {name: value for name, value in row.items() if name not in ("step", "seconds")}
            if self._metric in metrics and isinstance(row.get("step"), int):
                self.add(number=row["step"], metrics=metrics, seconds=row.get("seconds", 0.0), read=None)
        if (self.folder / OUTPUT).exists():
            yield from Tail(self.folder / OUTPUT).lines()

    def add(self, **row: Any) -> None:
        """Add a row."""
        append_json_line(self._path, row)

    def measured(
        self, measured: Measured, *, seconds: float, read: Any, final: bool = False, checkpoint: str | None = None
    ) -> None:
        """Add a row for a line with the objective or a test score; a trial's test scores are left out."""
        last = {**({"final": True} if final else {}), **({"checkpoint": checkpoint} if checkpoint else {})}
        metrics = {n: value for n, value in measured.metrics.items() if self._tests or not n.startswith("test/")}
        if self._metric in metrics or any(name.startswith("test/") for name in metrics):
            self.add(number=measured.step, metrics=metrics, seconds=seconds, read=read, **last)


class Attempts:
    """Makes reports of what a training tells, in this attempt and in those before it."""

    waits = True
    """Whether the training stands still while a report is answered: that time is not its own."""

    def __init__(self, heard: Heard, notes: Notes, metric: str, report: Reporter) -> None:
        self.heard = heard
        self.decision = Decision.CONTINUE
        """The first answer of a report that asks for a stop."""
        self._notes = notes
        self.metric = metric
        self._report = report
        self._before = 0.0
        self._begun: float | None = None
        self._answered = time.monotonic()
        self._names: set[str] = set()
        self.checkpoints: dict[str, int] = {}
        """The step that each checkpoint of a function belongs to, by the file's checksum."""

    @property
    def seconds(self) -> float:
        """How long the training has run, over all attempts; it stands still between two of them."""
        return self._before + (0.0 if self._begun is None else time.monotonic() - self._begun)

    def replay(self) -> Mapping[str, Any] | None:
        """Tell again what earlier attempts told. Return how far the last one was read, or None if it ended."""
        last: Mapping[str, Any] | None = None
        for row in self._notes.rows():
            if "attempt" in row:
                self.heard.begin(resuming=row["resuming"], step=row.get("step"))
                if "checkpoint" in row:
                    self.checkpoints[row["checkpoint"]] = self.heard.latest
                last = {"read": row.get("read"), "output": row.get("output")}
            elif "metrics" in row:
                metrics = {name: decode_number(value) for name, value in row["metrics"].items()}
                self._before = row["seconds"]
                last = None if last is None else {**last, "read": row["read"]}
                self.tell(Measured(row["number"], metrics), final=row.get("final", False))
                if "checkpoint" in row:
                    self.checkpoints[row["checkpoint"]] = self.heard.latest
            elif "read" in row:
                last = None if last is None else {"read": row["read"], "output": row.get("output")}
            else:
                last, self._before = None, row.get("seconds", self._before)
        return last

    def begin(
        self, *, resuming: bool, read: Any = None, step: int | None = None, checkpoint: str | None = None
    ) -> None:
        """Begin a new attempt, whose output begins at `read`.

        `step` is that of its checkpoint, if it is known, and `checkpoint` the checksum of one that nobody has noted.
        """
        self.heard.begin(resuming=resuming, step=step)
        known = {**({} if step is None else {"step": step}), **({"checkpoint": checkpoint} if checkpoint else {})}
        self._notes.add(attempt=True, resuming=resuming, read=read, output=self._notes.output, **known)
        self._begun = time.monotonic()

    def end(self) -> None:
        """Take note that an attempt told all that it had to: the next one counts its seconds from here."""
        self._before, self._begun = self.seconds, None
        self._notes.add(ended=True, seconds=self._before)

    def note(self, measured: Measured, *, read: Any = None, final: bool = False, checkpoint: str | None = None) -> None:
        """Write down what was measured, before it is told, with the checksum of the checkpoint that goes with it."""
        self._names |= measured.metrics.keys()
        self._notes.measured(measured, seconds=self.seconds, read=read, final=final, checkpoint=checkpoint)

    def say(self, text: str) -> None:
        """Say something once, in the run's output and on the screen; whoever is to rest hears it at the next report."""
        print(f"hpsearch: {text}", flush=True)  # noqa: T201 - into the job's own file
        self._report(Moment(0, 0, note=text))

    def tell(self, measured: Measured, *, final: bool = False) -> None:
        """Report what was measured, if it completes an evaluation; `final` if the training has said that it ends there.

        Raises:
            DivergedError: The objective is not finite.
        """
        told = self.heard.add(measured)
        if told is None or self.decision is Decision.PRUNE:
            return
        if not math.isfinite(told.value):
            raise DivergedError(f"{self.metric} became {told.value} at step {told.step}")
        is_last = final or told.final
        asked = time.monotonic()
        answer = self._report(Report(told.step, told.metrics, self.seconds, final=is_last, again=told.again))
        if self.waits and self._begun is not None:
            self._begun += time.monotonic() - asked
        if self.decision is Decision.CONTINUE:
            self.decision, self._answered = answer, time.monotonic()

    @property
    def names(self) -> str:
        """The names of what was told, as a clause; empty if nothing was."""
        return f"it told {', '.join(sorted(self._names)[:20])}" if self._names else ""
