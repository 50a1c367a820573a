"""Jobs of the family command in this process: what is reported, how they end, and how they are taken up again."""

import json
import sys
import textwrap

import pytest

from hpsearch.experiment.files import read_lines
from hpsearch.jobs import Job, JobKind, Paused
from hpsearch.records import Decision, Outcome
from hpsearch.running import hearing
from hpsearch.running.command_objective import CommandObjective

HEAD = """
import json, os, signal, sys, time
from pathlib import Path
folder, checkpoint = Path(os.environ["HPSEARCH_TRIAL_DIR"]), Path(os.environ["HPSEARCH_CHECKPOINT"])
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
def say(**row): print(json.dumps(row), flush=True)
"""


class Bench:
    """Runs a Python program as jobs in one folder, one attempt after the other."""

    def __init__(self, folder):
        self.folder = folder
        self.reports = []

    def run(self, program, *, answers=None, replicate=0, at_best=True, trial_time=None, goal="maximize", **config):
        """Return the ending; `answers` are those to the reports of some steps."""
        (self.folder / "run").mkdir(exist_ok=True)
        (self.folder / "program.py").write_text(HEAD + textwrap.dedent(program))
        spec = {"metric": "acc", "goal": goal}
        places = {"folder": str(self.folder), "family_folder": str(self.folder)}
        objective = CommandObjective(**spec, **places, at_best=at_best, trial_time=trial_time)
        settings = {"command": [sys.executable, "program.py"], "grace": 60, **config}
        kind = JobKind.TRIAL if replicate is None else JobKind.REPLICATE
        job = Job("run", 0, {}, settings, {"initialisation": 1}, kind, replicate)
        self.reports = []

        def report(said):
            self.reports.append(said)
            return (answers or {}).get(said.step, Decision.CONTINUE)

        return objective(job, report, lambda: None)

    @property
    def steps(self):
        return [said.step for said in self.reports]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


TRAINING = """
for epoch in range(done + 1, 5):
    say(epoch=epoch, acc=[.5, .9, .7, .6][epoch - 1])
    say(**{"test/acc": epoch / 10})
    checkpoint.write_text(str(epoch))
    time.sleep(.2 if epoch == 2 else 0)
"""


def test_an_interrupted_replicate_keeps_the_test_score_of_its_best_step_and_its_seconds(bench):
    paused = bench.run(TRAINING + "    time.sleep(600 if epoch == 2 else 0)", answers={2: Decision.PAUSE})
    assert isinstance(paused, Paused)
    notes = [row for row, _ in read_lines(bench.folder / "run" / "printed.jsonl")]
    assert notes[-1] == {"ended": True, "seconds": paused.seconds}
    ended = bench.run(TRAINING)
    assert (ended.outcome, ended.reason, ended.scores) == (Outcome.COMPLETE, None, {"test/acc": 0.2})
    assert [said.seconds for said in bench.reports if said.step > 2] > [paused.seconds] * 2
    assert ended.seconds > paused.seconds
    assert set(bench.steps) == {1, 2, 3, 4}


def test_the_search_keeps_no_test_score_of_a_trial(bench):
    ended = bench.run(TRAINING, replicate=None)
    assert ended.scores == {}
    assert "test/acc" not in (bench.folder / "run" / "printed.jsonl").read_text()


def test_what_a_paused_program_prints_until_it_ends_counts(bench):
    program = """
    def end(*_):
        say(epoch=2, acc=.8)
        sys.exit()
    signal.signal(signal.SIGTERM, end)
    say(epoch=1, acc=.5)
    time.sleep(600)
    """
    assert isinstance(bench.run(program, answers={1: Decision.PAUSE}), Paused)
    assert bench.steps == [1, 2]


def test_a_program_that_has_told_its_last_epoch_ends_by_itself(bench):
    program = """
    for epoch in (1, 2, 3):
        say(epoch=epoch, acc=.5)
    time.sleep(1)
    say(**{"test/acc": .4})
    """
    ended = bench.run(program, answers={1: Decision.PAUSE}, train={"epochs": 3})
    assert (ended.outcome, ended.scores) == (Outcome.COMPLETE, {"test/acc": 0.4})
    assert [said.final for said in bench.reports] == [False, False, True]


def test_a_paused_program_below_its_last_epoch_is_not_complete(bench):
    program = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    say(epoch=1, acc=.5)
    time.sleep(600)
    """
    assert isinstance(bench.run(program, answers={1: Decision.PAUSE}, train={"epochs": 3}), Paused)


def test_a_paused_program_has_time_for_its_checkpoint(bench, monkeypatch):
    """It is given more than by default, since a loaded machine may stop it for a second at any moment."""
    monkeypatch.setattr(hearing, "_SETTLE_SECONDS", 60.0)
    monkeypatch.setattr(hearing, "_QUIET_SECONDS", 1.5)
    program = """
    say(epoch=1, acc=.5)
    time.sleep(.3)
    with checkpoint.open("w") as file:
        for number in range(5):
            print(number, file=file, flush=True)
            time.sleep(.05)
    time.sleep(600)
    """
    assert isinstance(bench.run(program, answers={1: Decision.PAUSE}), Paused)
    assert (bench.folder / "run" / "checkpoint").read_text() == "0\n1\n2\n3\n4\n"


@pytest.mark.parametrize("decision", [Decision.PRUNE, Decision.TIME_OUT])
def test_a_stopped_program_is_asked_to_end_at_once_with_its_children(bench, decision):
    program = """
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    (folder / "child").write_text(str(child.pid))
    say(epoch=1, acc=.5)
    time.sleep(600)
    """
    ended = bench.run(program, answers={1: decision})
    assert ended.outcome == {"prune": Outcome.PRUNED, "time_out": Outcome.TIMED_OUT}[decision]
    assert ended.seconds < 60
    status = bench.folder / "proc"
    status.symlink_to(f"/proc/{(bench.folder / 'run' / 'child').read_text()}")
    assert not (status / "stat").exists() or " Z " in (status / "stat").read_text()


def test_a_silent_program_ends_at_its_time_limit_with_what_it_printed(bench):
    command = ["sh", "-c", 'echo \'{"epoch": 1, "acc": 0.5}\'; exec sleep 600']  # a shell starts in a moment
    ended = bench.run("", replicate=None, trial_time=2.0, command=command)
    assert (ended.outcome, bench.steps) == (Outcome.TIMED_OUT, [1])
    assert "no report within the trial's time of 2 s" in ended.reason


def test_the_time_limit_of_a_trial_is_none_of_a_replicate(bench):
    ended = bench.run("say(epoch=1, acc=.5)\ntime.sleep(1)", replicate=0, trial_time=0.2)
    assert ended.outcome is Outcome.COMPLETE


def test_a_value_that_is_not_finite_diverges(bench):
    ended = bench.run("say(epoch=1, acc=.5)\nsay(epoch=2, acc=float('nan'))\ntime.sleep(600)")
    assert (ended.outcome, ended.reason) == (Outcome.DIVERGED, "acc became nan at step 2")
    assert not (bench.folder / "run" / "printed.part").exists()


# A worker that was killed


def left(bench, rows, output):
    """Leave what a killed worker leaves: what it noted, and output that it had not read."""
    run = bench.folder / "run"
    run.mkdir()
    (run / "printed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "printed.part").write_text(output)


def test_what_a_killed_worker_had_not_read_is_heard_once(bench, capfd):
    first, second = '{"acc": 0.5}\n', '{"acc": 0.9}\n{"test/acc": 0.2}\n{"acc": 0.'
    noted = {"number": None, "metrics": {"acc": 0.5}, "seconds": 3.5, "read": len(first)}
    left(bench, [{"attempt": True, "resuming": False, "read": None}, noted], first + second)
    (bench.folder / "run" / "checkpoint").write_text("2")
    ended = bench.run("say(acc=.7)")
    assert [(said.step, said.metrics["acc"]) for said in bench.reports] == [(1, 0.5), (2, 0.9), (3, 0.7)]
    assert (ended.scores, ended.seconds > 3.5) == ({"test/acc": 0.2}, True)
    assert capfd.readouterr().out.count("0.9") == 1
    assert not (bench.folder / "run" / "printed.part").exists()
    bench.run("pass")
    assert bench.steps == [1, 2, 3]


def test_a_decision_about_what_was_left_needs_no_program(bench):
    left(bench, [{"attempt": True, "resuming": False, "read": None}], '{"acc": 0.5}\n')
    ended = bench.run("raise SystemExit('it was started')", answers={1: Decision.PRUNE})
    assert ended.outcome is Outcome.PRUNED


def test_a_run_of_an_earlier_version_goes_on_with_what_it_printed(bench):
    """An earlier version let a paused program train on, and threw away what it printed then."""
    (bench.folder / "run").mkdir()
    row = {"step": 1, "seconds": 2.0, "epoch": 1.0, "acc": 0.5}
    (bench.folder / "run" / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    lines = [{"epoch": 1, "acc": 0.5}, {"test/acc": 0.1}, {"epoch": 2, "acc": 0.9, "test/acc": 0.2}, {"acc": 1.0}]
    (bench.folder / "run" / "output.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (bench.folder / "run" / "checkpoint").write_text("2")
    ended = bench.run(TRAINING)
    assert list(dict.fromkeys(bench.steps)) == [1, 2, 3, 4]
    assert ended.scores == {"test/acc": 0.2}
    assert ended.seconds > 2
    bench.run(TRAINING)
    assert list(dict.fromkeys(bench.steps)) == [1, 2, 3, 4]


# Files of metrics


def test_a_file_of_an_earlier_attempt_is_older(bench):
    program = """
    note = "x" * (200 if {first} else 0)
    with (folder / "m.jsonl").open("w") as file:
        for epoch in range(1, 4 if {first} else 6):
            print(json.dumps({{"epoch": epoch, "acc": epoch / 10, "note": note}}), file=file, flush=True)
    if {first}:
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert bench.run(program.format(first=True), metrics={"file": "m.jsonl"}).outcome is Outcome.LOST
    assert bench.run(program.format(first=False), metrics={"file": "m.jsonl"}).outcome is Outcome.COMPLETE
    assert bench.steps == [1, 2, 3, 1, 2, 3, 4, 5]


def test_a_file_that_is_written_anew_each_time_tells_each_step_once(bench):
    program = """
    rows = []
    for epoch in range(4):
        rows.append({"acc": epoch})
        (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in rows))
        time.sleep(.3)
    """
    bench.run(program, metrics={"file": "m.jsonl"})
    assert [(said.step, said.metrics["acc"]) for said in bench.reports] == [(1, 0), (2, 1), (3, 2), (4, 3)]


def test_rows_without_steps_are_counted_across_files_that_take_each_others_place(bench):
    program = """
    rows = []
    for epoch in range(6):
        rows.append(json.dumps({"acc": epoch}) + "\\n")
        if epoch % 2 == 0:
            (folder / "new").write_text("".join(rows))
            (folder / "new").replace(folder / "m.jsonl")
        else:
            with (folder / "m.jsonl").open("a") as file:
                file.write(rows[-1])
        time.sleep(.15)
    """
    bench.run(program, metrics={"file": "m.jsonl"})
    assert [(said.step, said.metrics["acc"]) for said in bench.reports] == [(n + 1, n) for n in range(6)]


def test_a_table_is_read_to_its_last_row(bench):
    program = """
    (folder / "m.csv").write_text("epoch,acc,test/acc\\n1,0.5,\\n2,0.9,0.2\\n3,0.7,0.3")
    """
    assert bench.run(program, metrics={"file": "m.csv"}).scores == {"test/acc": 0.2}
    assert bench.steps == [1, 2, 3]


# Output that tells nothing


@pytest.mark.parametrize(
    ("program", "config", "words"),
    [
        ("print('acc: 0.5')\n" * 10, {}, "10 lines look like 'acc: 0.5', which is not JSON"),
        ("say(epoch=-1, acc=.5)", {}, "1 line names the step -1, which is none"),
        ("say(epoch=1, acc=None)", {}, """1 line looks like '{"epoch": 1, "acc": null}', in which acc is no number"""),
        ("print('acc 1')", {"metrics": {"pattern": "loss (?P<acc>.)"}}, "which the pattern does not match"),
        ("print('acc 1', file=sys.stderr)", {}, "metrics: {stderr: true} reads that too"),
        ("say(epoch=1, accuracy=.5)", {}, "it told accuracy, epoch"),
        ("pass", {}, "the training ended without reporting acc"),
        (
            "for epoch in (1, 2): print(f'epoch {epoch}: val loss 0.{epoch}')",
            {},
            r"val/loss; metrics: {pattern: 'epoch\s+(?P<epoch>\S+):\s+val\s+loss\s+(?P<val__loss>\S+)'} reads val/loss",
        ),
        ("print('all is well')", {}, "the last line that it printed is 'all is well'"),
    ],
)
def test_why_nothing_was_reported(bench, program, config, words):
    ended = bench.run(program, **config)
    assert ended.outcome is Outcome.FAILED
    assert words in ended.reason


def test_error_output_is_read_if_asked_for(bench):
    program = "import logging\nlogging.basicConfig(level=20)\nlogging.info('acc 0.5')"
    source = {"pattern": "acc (?P<acc>.*)", "stderr": True}
    assert bench.run(program, metrics=source).outcome is Outcome.COMPLETE
    assert bench.reports[0].metrics == {"acc": 0.5}


@pytest.mark.parametrize(("name", "there", "mistake"), [("x.txt", False, True), ("x.txt", True, False)])
def test_a_program_that_names_missing_data_has_not_begun(bench, name, there, mistake):
    if there:
        (bench.folder / name).touch()
    ended = bench.run(f"sys.exit('cannot use {name}')", data={"file": name, "split": "even"})
    assert (ended.outcome, ended.mistake) == (Outcome.FAILED, mistake)
