"""What a job prints is capped: its beginning and its end are kept, and nothing that it measured is lost."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from hpsearch.experiment.layout import OUTPUT
from hpsearch.jobs import Completed, Job, JobKind, ObjectiveSpec, Report
from hpsearch.records import Decision, Moment
from hpsearch.workers import output
from hpsearch.workers.job_runner import JobRunner
from hpsearch.workers.output import HEAD, TAIL, output_to, shorten_file

FLOOD = """
import os, sys, time
from pathlib import Path
from hpsearch.workers.output import output_to
path, disk = Path(sys.argv[1]), lambda: path.stat().st_blocks * 512
with output_to(path):
    os.write(1, b"first\\n")
    for _ in range(10):
        for _ in range(100):
            os.write(1, 9 * b"%1023d\\n" % (*range(9),))
        while disk() > int(sys.argv[2]):
            time.sleep(0.05)
    sys.stdout.close()
    os.write(2, b"last\\n")
print("behind")
"""


def left_out(text: bytes) -> int:
    found = output._NOTED.search(text)
    assert found is not None
    return int(found[1])


def test_much_output_takes_little_room_while_it_is_printed_and_afterwards(tmp_path: Path) -> None:
    path = tmp_path / OUTPUT
    line = [sys.executable, "-c", FLOOD, str(path), str(HEAD + TAIL + (1 << 20))]
    done = subprocess.run(line, check=True, capture_output=True, timeout=240)
    assert done.stdout == b"behind\n"  # though the training had closed its output
    content = path.read_bytes()
    assert content.startswith(b"first\n")
    assert content.endswith(b"\nlast\n")
    assert b"\0" not in content
    assert len(content) <= HEAD + TAIL + 200
    kept = sum(len(each) for each in content.splitlines(keepends=True) if b"hpsearch" not in each) - 1
    assert left_out(content) + kept == len(b"first\nlast\n") + 10 * 100 * 9 * 1024


def test_a_second_cut_counts_what_the_first_has_left_out(tmp_path: Path) -> None:
    path, block = tmp_path / OUTPUT, b"x" * 1023 + b"\n"
    blocks = 0
    for more in (7000, 7000):
        with path.open("ab") as file:
            file.write(more * block)
        blocks += more
        shorten_file(path)
    content = path.read_bytes()
    assert content.count(b"hpsearch: ") == 1
    kept = content.count(block) * len(block)
    assert abs(left_out(content) + kept - blocks * len(block)) < 200  # the note of the first cut


def test_little_output_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / OUTPUT
    path.write_bytes(content := b"y" * (HEAD + TAIL))
    with output_to(path):
        os.write(1, b"more\n")
    assert path.read_bytes() == content + b"more\n"


def test_what_cannot_be_cut_is_no_trouble(tmp_path: Path) -> None:
    shorten_file(tmp_path / "none")


def test_metrics_in_the_middle_are_read(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
            line = "z" * 4000
            for epoch in range(1, 4):
                for _ in range(800):
                    print(line)
                print('{"epoch": %d, "acc": %f}' % (epoch, epoch / 10), flush=True)
        """)
    )
    places = {"folder": str(tmp_path), "family_folder": str(tmp_path)}
    arguments = {**places, "metric": "acc", "goal": "maximize", "at_best": True}
    runner = JobRunner(tmp_path, ObjectiveSpec("hpsearch.running.command_objective:CommandObjective", arguments))
    config = {"command": [sys.executable, "program.py"]}
    told: list[float] = []

    def report(said: Report | Moment) -> Decision:
        assert isinstance(said, Report)
        told.append(said.metrics["acc"])
        return Decision.CONTINUE

    result = runner.run(Job("run", 0, {}, config, {"initialisation": 1}, JobKind.TRIAL), report, lambda: None)
    assert isinstance(result, Completed), result
    assert told == [0.1, 0.2, 0.3]
    content = (tmp_path / "run" / OUTPUT).read_bytes()
    assert [json.loads(line)["epoch"] for line in content.splitlines() if line.startswith(b"{")] != [1, 2, 3]
    assert left_out(content) > 0
