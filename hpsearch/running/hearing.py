"""What a program tells: heard over all its attempts, noted down, and reported."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import DivergedError
from hpsearch.experiment.files import append_json_line, decode_number, read_lines
from hpsearch.experiment.layout import METRICS, OUTPUT, PRINTED
from hpsearch.families.command.heard import Heard
from hpsearch.families.command.printed import Lines, Measured, ReadSoFar, Tail, read_line, read_row, tells_of, visible
from hpsearch.families.command.program import Capture, Program, write_all
from hpsearch.families.command.recognised import advice
from hpsearch.families.command.settings import CommandConfig
from hpsearch.jobs import Report, Reporter
from hpsearch.records import Decision, Monitor

_LOOK_SECONDS = 0.2
_UNREAD, _LONGEST = 400, 1000
"""The most lines that told nothing which are kept, and characters of each: they may say why."""
_EXAMPLE = 80
"""Characters of a line that is shown as an example."""
_SETTLE_SECONDS = 2.0
"""How long a program that is paused may take to begin with the checkpoint of the step that it has just told."""
_QUIET_SECONDS = 0.5
"""A checkpoint that has not changed for so long is written."""
_SILENT_GRACE_SECONDS = 4.0
"""At most so long may a program that is silent at its time limit take to end: its worker is ended soon after."""


class Notes:
    """The file with what a program told, line by line over all attempts: whoever takes the run up knows it from there.

    {"attempt": true, "resuming": bool, "output": 300}      an attempt begins; the size of output.log then
    {"number": 2 or null, "metrics": {...}, "seconds": 3.4, "read": 120 or [inode, offset]}
                                                            a measured line, and how far the output was read then
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
            if self._metric in metrics:
                self.add(number=row["step"], metrics=metrics, seconds=row["seconds"], read=None)
        if (self.folder / OUTPUT).exists():
            yield from Tail(self.folder / OUTPUT).lines()

    def add(self, **row: Any) -> None:
        """Add a row."""
        append_json_line(self._path, row)

    def measured(self, measured: Measured, *, seconds: float, read: Any) -> None:
        """Add a row for a line with the objective or a test score; a trial's test scores are left out."""
        metrics = {n: value for n, value in measured.metrics.items() if self._tests or not n.startswith("test/")}
        if self._metric in metrics or any(name.startswith("test/") for name in metrics):
            self.add(number=measured.step, metrics=metrics, seconds=seconds, read=read)


class Hearing:
    """Makes reports of what a program tells, in this attempt and in those before it."""

    def __init__(self, heard: Heard, notes: Notes, config: CommandConfig, metric: str, report: Reporter) -> None:
        self.heard = heard
        self.decision = Decision.CONTINUE
        """The first answer of a report that asks for a stop."""
        self._notes = notes
        self._config = config
        self._metric = metric
        self._report = report
        self._before = 0.0
        self._begun: float | None = None
        self._answered = time.monotonic()
        self._tail: Tail | None = None
        self._names: set[str] = set()
        self._alike = 0
        self._example: tuple[str, bool] | None = None
        self._unread: deque[str] = deque(maxlen=_UNREAD)
        """Its last lines that told nothing."""

    @property
    def seconds(self) -> float:
        """How long the program has run, over all attempts; it stands still between two of them."""
        return self._before + (0.0 if self._begun is None else time.monotonic() - self._begun)

    # Earlier attempts

    def resume(self, capture: Capture) -> None:
        """Hear what earlier attempts told, and what the last of them had printed when its worker was ended."""
        printed = list(self._printed_before())
        ended, read, output = True, None, None
        for row in self._notes.rows():
            if "attempt" in row:
                self.heard.begin(resuming=row["resuming"])
                ended, read, output = False, row.get("read"), row.get("output")
            elif "metrics" in row:
                metrics = {name: decode_number(value) for name, value in row["metrics"].items()}
                self._before, read = row["seconds"], row["read"]
                self._tell(Measured(row["number"], metrics))
            elif "read" in row:
                read, output = row["read"], row.get("output")
            else:
                ended, self._before = True, row.get("seconds", self._before)
        for measured in printed:
            self._hear(measured, None, "")
        if not ended:
            self._hear_rest(capture, read, output)
            self.end()
        capture.clear()

    def _printed_before(self) -> Iterator[Measured]:
        """Yield what an earlier version may have read and thrown away; numbers tell what was heard and what not."""
        for line in self._notes.adopt():
            measured = None if self._config.metrics.file else read_line(line, self._config.metrics)
            if measured is not None and measured.step is not None:
                yield measured

    def _hear_rest(self, capture: Capture, read: Any, output: int | None) -> None:
        if self._config.metrics.file is None:
            passed_on = self._notes.passed_on(capture, output)
            for line, behind in capture.left(read or 0):
                if behind > passed_on:  # its worker had no time for that
                    write_all(1, f"{line}\n".encode())
                self._hear(read_line(line, self._config.metrics), behind, line)
        else:
            place = None if read is None else ReadSoFar(*read)
            self._hear_file(Tail(self._path, place))

    # This attempt

    def begin(self, *, resuming: bool) -> None:
        """Begin a new attempt; the rows that a metrics file already has are older."""
        if self._config.metrics.file is not None:
            self._tail = Tail(self._path)
            self._tail.skip()
        self.heard.begin(resuming=resuming)
        self._notes.add(
            attempt=True, resuming=resuming, read=self._tail and self._tail.place, output=self._notes.output
        )
        self._begun = time.monotonic()

    def end(self) -> None:
        """Take note that all output of the attempt was read: the next one counts its seconds from here."""
        self._before, self._begun = self.seconds, None
        self._notes.add(ended=True, seconds=self._before)

    @property
    def _path(self) -> Path:
        """The file of metrics; a relative name starts at the run's folder."""
        return self._notes.folder / (self._config.metrics.file or "")

    def listen(self, program: Program, *, limit: float | None) -> bool:
        """Hear a program to its end; ask it to end when a report's answer does, or when its time is over.

        Return whether it was asked because of its time, without a report.
        """
        over = False
        for line in program.lines(look=_LOOK_SECONDS):
            if self._tail is not None:
                self._hear_file(self._tail)
            elif line is not None:
                self._hear(read_line(line, self._config.metrics), program.read, line)
            if line is None and program.has_much:
                self._notes.add(read=0, output=self._notes.output)
                program.forget()
            if program.stopping:
                continue
            if self.decision is Decision.PAUSE:
                if self._is_settled():
                    program.ask_to_stop(grace=self._config.grace)
            elif self.decision is not Decision.CONTINUE:
                program.ask_to_stop(grace=self._config.grace)
            elif limit is not None and self.seconds >= limit:
                over = True
                program.ask_to_stop(grace=min(self._config.grace, _SILENT_GRACE_SECONDS))
        if self._tail is not None:
            self._hear_file(self._tail)
            if program.wait() >= 0:  # else the line was cut off
                self._hear_lines(self._tail, self._tail.rest())
        return over

    def _is_settled(self) -> bool:
        """Return whether a program that is to pause may be asked to end now.

        Most write a checkpoint just after a step was told, and not all of them in one piece. One that has told its last
        epoch ends by itself.
        """
        if self.heard.finished:
            return False
        waited = time.monotonic() - self._answered
        checkpoint = self._notes.folder / self._config.checkpoint
        age = time.time() - checkpoint.stat().st_mtime if checkpoint.is_file() else math.inf
        if age < _QUIET_SECONDS:
            return waited >= self._config.grace
        return age < waited or waited >= min(_SETTLE_SECONDS, self._config.grace)

    def _hear_file(self, file: Tail) -> None:
        self._hear_lines(file, file.lines())

    def _hear_lines(self, file: Tail, lines: Iterable[str]) -> None:
        source, is_table = self._config.metrics, self._path.suffix.lower() in (".csv", ".tsv")
        for line in lines:
            if file.restarted:
                file.restarted = False
                self.heard.begin_anew()
            self._hear(read_row(line, file.header, source) if is_table else read_line(line, source), file.place, line)

    def _hear(self, measured: Measured | None, read: Any, line: str) -> None:
        """Take in a line, its metrics, and how far the output was read with it."""
        if measured is not None:
            self._names |= measured.metrics.keys()
            self._notes.measured(measured, seconds=self.seconds, read=read)
            self._tell(measured)
        if measured is None:
            self._unread.append(line[:_LONGEST])
        if (measured is None or self._metric not in measured.metrics) and tells_of(line, self._metric):
            self._alike += 1
            self._example = self._example or (visible(line).strip()[:_EXAMPLE], measured is not None)

    def _tell(self, measured: Measured) -> None:
        told = self.heard.add(measured)
        if told is None or self.decision is Decision.PRUNE:
            return
        if not math.isfinite(told.value):
            raise DivergedError(f"{self._metric} became {told.value} at step {told.step}")
        answer = self._report(Report(told.step, told.metrics, self.seconds, final=told.final, again=told.again))
        if self.decision is Decision.CONTINUE:
            self.decision, self._answered = answer, time.monotonic()

    def why_nothing(self, errors: str) -> str:
        """Explain from the output why nothing was reported; `errors` is the end of the error output."""
        parts = [f"the training ended without reporting {self._metric}"]
        for number, count in self.heard.refused.items():
            lines = "1 line names" if count == 1 else f"{count} lines name"
            parts.append(f"{lines} the step {number:g}, which is none")
        if self._example is not None:
            line, measured = self._example
            missing = "which the pattern does not match" if self._config.metrics.pattern else "which is not JSON"
            kind = f"in which {self._metric} is no number" if measured else missing
            look = "1 line looks" if self._alike == 1 else f"{self._alike} lines look"
            parts.append(f"{look} like {line!r}, {kind}")
            parts += [advice(self._unread)] if not measured else []
        elif any(tells_of(line, self._metric) for line in errors.splitlines()) and not self._config.metrics.stderr:
            parts.append("its error output has the name; metrics: {stderr: true} reads that too")
        elif self._names:
            parts.append(f"it told {', '.join(sorted(self._names)[:20])}")
        else:
            parts.append(advice(self._unread) or self._last_line())
        return "; ".join(part for part in parts if part)

    def _last_line(self) -> str:
        seen = [text for line in self._unread if (text := visible(line).strip())]
        return f"the last line that it printed is {seen[-1][:_EXAMPLE]!r}" if seen else ""
