"""Running programs: every line is read, signals act, and nothing that they start is left."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.families.command.program import Capture, Program


def shell(script, folder, **options):
    return Program(["sh", "-c", script], directory=folder, environment={}, **options)


def printed(program, grace=5.0):
    found = [line for line in program.lines(look=0.05) if line is not None]
    program.stop(grace=grace)
    return found


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("echo one; echo two", ["one", "two"]),
        ("printf 'one\\r\\ntwo'", ["one", "two"]),
        ("printf 'one\\377\\n'", ["one\ufffd"]),
        ("echo one; exec >&-; sleep 0.3", ["one"]),
        ("echo one; exec >&- 2>&-; sleep 0.3; exit 3", ["one"]),
        ("(sleep 0.5; echo late) & echo early", ["early", "late"]),
        ("echo one; echo two >&2", ["one"]),
        ("printf half; kill -9 $$", []),
    ],
)
def test_what_it_prints_is_read_to_the_end(script, lines, tmp_path):
    assert printed(shell(script, tmp_path)) == lines


@pytest.mark.slow
def test_whoever_ends_while_nobody_looks_loses_no_line(tmp_path):
    scripts = [f"(sleep 0.0{number % 9 + 1}; echo late) & echo early" for number in range(300)]
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda script: printed(shell(script, tmp_path)), scripts))
    assert found == [["early", "late"]] * len(scripts)


def test_error_output_is_read_too_if_asked_for(tmp_path):
    program = shell("echo one; echo two >&2; printf three >&2", tmp_path, errors_too=True)
    assert sorted(printed(program)) == ["one", "three", "two"]
    assert program.errors == "two\nthree\n"


def test_somebody_who_keeps_its_output_open_does_not_keep_it(tmp_path):
    away = "import os, time; os.setsid(); time.sleep(60)"
    program = shell(f'echo one; "{sys.executable}" -c "{away}" & sleep 0.5; echo $! > pid; echo two', tmp_path)
    try:
        assert printed(program) == ["one", "two"]
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_one_that_stays_behind_is_ended(tmp_path):
    assert printed(shell("sleep 600 & echo $! > pid; echo one", tmp_path)) == ["one"]
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline").exists() or not _lives(tmp_path)


def _lives(folder):
    stat = Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_asked_to_stop_it_may_say_what_it_has_to_say(tmp_path):
    program = shell("trap 'echo last; exit 0' TERM; echo one; while :; do sleep 0.05; done", tmp_path)
    found = []
    for line in program.lines(look=0.05):
        found += [line] if line is not None else []
        if found and not program.stopping:
            program.ask_to_stop(grace=10)
    assert (found, program.wait()) == (["one", "last"], 0)
    program.stop(grace=1)


def test_one_that_does_not_listen_is_ended_after_its_grace(tmp_path):
    program = shell("trap '' TERM; echo one; while :; do sleep 0.05; done", tmp_path)
    for line in program.lines(look=0.05):
        if line is not None:
            program.ask_to_stop(grace=0.2)
    assert program.wait() == -signal.SIGKILL
    program.stop(grace=1)


SIGNALS = "grep -E 'SigIgn|SigBlk' /proc/self/status"


def test_signals_that_are_ignored_here_act_there(tmp_path):
    code = f"""
import signal
from pathlib import Path
from hpsearch.families.command.program import Program
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
program = Program(["sh", "-c", {SIGNALS!r}], directory=Path(), environment={{}})
list(program.lines(look=0.05))
program.stop(grace=1)
signal.raise_signal(signal.SIGTERM)  # this process lives on
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    masks = [int(line.split()[1], 16) for line in done.stdout.splitlines()]
    assert len(masks) == 2
    assert not any(mask & (1 << number - 1) for mask in masks for number in (signal.SIGINT, signal.SIGTERM))


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_what_its_reader_had_no_time_to_read_is_kept(tmp_path):
    """The reader is killed by the program itself, right after a line that nobody has read yet."""
    code = f"""
from pathlib import Path
from hpsearch.families.command.program import Capture
from hpsearch.families.command.program import Program
script = 'import os, sys, time; print("one"); print("two", flush=True); time.sleep(1); ' \\
    'os.kill(os.getppid(), 9); print("three", flush=True); time.sleep(60)'
with Capture(Path("part")) as capture:
    program = Program([{sys.executable!r}, "-c", script], directory=Path(), environment={{}}, capture=capture)
    for line in program.lines(look=0.05):
        if line == "one":
            __import__("time").sleep(60)
"""
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=_environment(), check=False, stdout=subprocess.DEVNULL
    )
    with Capture(tmp_path / "part") as capture:  # waits until the guard is done
        found = list(capture.left(0))
        assert [line for line, _ in found][:2] == ["one", "two"]
        assert found[0][1] == 4
        assert list(capture.left(4)) == found[1:]
        assert "three" in {line for line, _ in found} or len(found) == 2


def test_a_program_that_cannot_start(tmp_path):
    with pytest.raises(HpsearchError, match="no-such-program cannot be started in"):
        Program(["no-such-program"], directory=tmp_path, environment={})
    with pytest.raises(HpsearchError, match="cannot be started"):
        Program(["sh", "a\0b"], directory=tmp_path, environment={})


@pytest.mark.slow
def test_of_many_programs_under_load_none_loses_a_line(tmp_path):
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        for number in range(200):
            delay = time.sleep if number % 2 else lambda _: None
            program = shell(f"echo {number}; echo test {number}", tmp_path)
            delay(0.01)
            assert printed(program) == [str(number), f"test {number}"]
    finally:
        for process in burning:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_line_of_300_mb_costs_no_other_and_little_memory(tmp_path):
    code = f"""
from pathlib import Path
from hpsearch.families.command.program import Program
script = 'echo one; head -c 300000000 /dev/zero | tr "\\\\0" x; echo; echo two'
program = Program(["sh", "-c", script], directory=Path({str(tmp_path)!r}), environment={{}})
found = [line for line in program.lines(look=0.05) if line is not None]
program.stop(grace=1)
[peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
Path({str(tmp_path / "found")!r}).write_text(f"{{found}} {{int(peak) < 150_000}}")
"""
    subprocess.run([sys.executable, "-c", code], env=_environment(), check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "found").read_text() == "['one', 'two'] True"


def test_its_guard_is_nobodys_child_and_leaves_nothing(tmp_path):
    """Ray ends the direct children of its workers; who adopts the orphan waits for it."""
    code = f"""
import os
from pathlib import Path
from hpsearch.families.command.program import Program
from hpsearch.workers.leftovers import adopt_orphans, children
program = Program(["sleep", "60"], directory=Path({str(tmp_path)!r}), environment={{}})
program._guard.wait()  # it has forked
assert children() == [program._process.pid], children()
program.stop(grace=0)
adopt_orphans()
for _ in range(3):
    program = Program(["true"], directory=Path({str(tmp_path)!r}), environment={{}})
    assert list(program.lines(look=0.05)) is not None
    program.stop(grace=1)
assert children() == [], children()
"""
    subprocess.run([sys.executable, "-c", code], env=_environment(), check=True, timeout=240)
