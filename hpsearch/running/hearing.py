"""What a program prints or writes while it runs, heard line by line; and when it has to end."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hpsearch.families.command.heard import Heard
from hpsearch.families.command.printed import Measured, ReadSoFar, Tail, read_line, read_row, tells_of, visible
from hpsearch.families.command.program import Capture, Program, write_all
from hpsearch.families.command.recognised import advice
from hpsearch.families.command.settings import CommandConfig
from hpsearch.jobs import Reporter
from hpsearch.records import Decision
from hpsearch.running.attempts import Attempts, Notes

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


class Hearing(Attempts):
    """Makes reports of what a program tells, in this attempt and in those before it."""

    waits = False

    def __init__(self, heard: Heard, notes: Notes, config: CommandConfig, metric: str, report: Reporter) -> None:
        super().__init__(heard, notes, metric, report)
        self._config = config
        self._tail: Tail | None = None
        self._alike = 0
        self._example: tuple[str, bool] | None = None
        self._unread: deque[str] = deque(maxlen=_UNREAD)
        """Its last lines that told nothing."""

    # Earlier attempts

    def resume(self, capture: Capture) -> None:
        """Hear what earlier attempts told, and what the last of them had printed when its worker was ended."""
        printed = list(self._printed_before())
        last = self.replay()
        for measured in printed:
            self._hear(measured, None, "")
        if last is not None:
            self._hear_rest(capture, last["read"], last["output"])
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

    def begin(
        self, *, resuming: bool, read: Any = None, step: int | None = None, checkpoint: str | None = None
    ) -> None:
        """Begin a new attempt; the rows that a metrics file already has are older."""
        if self._config.metrics.file is not None:
            self._tail = Tail(self._path)
            self._tail.skip()
        read = self._tail.place if self._tail else read
        super().begin(resuming=resuming, read=read, step=step, checkpoint=checkpoint)

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
            self.note(measured, read=read)
            self.tell(measured)
        else:
            self._unread.append(line[:_LONGEST])
        if (measured is None or self.metric not in measured.metrics) and tells_of(line, self.metric):
            self._alike += 1
            self._example = self._example or (visible(line).strip()[:_EXAMPLE], measured is not None)

    def why_nothing(self, errors: str) -> str:
        """Explain from the output why nothing was reported; `errors` is the end of the error output."""
        parts = [f"the training ended without reporting {self.metric}"]
        for number, count in self.heard.refused.items():
            lines = "1 line names" if count == 1 else f"{count} lines name"
            parts.append(f"{lines} the step {number:g}, which is none")
        if self._example is not None:
            line, measured = self._example
            missing = "which the pattern does not match" if self._config.metrics.pattern else "which is not JSON"
            kind = f"in which {self.metric} is no number" if measured else missing
            look = "1 line looks" if self._alike == 1 else f"{self._alike} lines look"
            parts.append(f"{look} like {line!r}, {kind}")
            parts += [advice(self._unread)] if not measured else []
        elif any(tells_of(line, self.metric) for line in errors.splitlines()) and not self._config.metrics.stderr:
            parts.append("its error output has the name; metrics: {stderr: true} reads that too")
        else:
            parts.append(self.names or advice(self._unread) or self._last_line())
        return "; ".join(part for part in parts if part)

    def _last_line(self) -> str:
        seen = [text for line in self._unread if (text := visible(line).strip())]
        return f"the last line that it printed is {seen[-1][:_EXAMPLE]!r}" if seen else ""
