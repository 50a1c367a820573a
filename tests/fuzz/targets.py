"""What is fuzzed: each target takes any bytes and ends, within bounds, with success or an HpsearchError.

The first byte of some targets chooses which file of a folder the rest becomes.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hpsearch.console.watching import examined
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import LOG, RESOLVED
from hpsearch.experiment.reading import read_evidence, read_experiment
from hpsearch.families.command.printed import Lines, read_line, read_row, tells_of
from hpsearch.families.command.settings import MetricSource
from hpsearch.families.loading import load_interface
from hpsearch.readers.shelf import read_sources
from hpsearch.report.experiment_view import show_json
from hpsearch.space import read_space
from hpsearch.studies.reading import load_study
from hpsearch.tracking.entries import load_state

HOME = Path(__file__).parents[2]
KEPT = HOME / "tests" / "kept" / "search"
CORPUS = Path(__file__).parent / "corpus"
RUN_FILES = (
    "metrics.json",
    "metrics.jsonl",
    "metrics.csv",
    "trainer_state.json",
    "meta.yaml",
    "config.yaml",
    "params.json",
    "events.out.tfevents.1",
    "run-1.wandb",
    "experiment_state-1.json",
    "result.json",
)
FILES = ("runs.csv", "runs.tsv", "runs.jsonl", "runs.parquet", "journal.log", "mlflow.db")
PATTERN = MetricSource(pattern=r"epoch (?P<step>\S+).*?loss[=: ]+(?P<loss>\S+)")
OBJECTS = MetricSource(stdout="json")


@dataclass(frozen=True)
class Target:
    """What takes bytes, beginning with its valid `seeds`; `words` are what its files are made of."""

    run: Callable[[bytes, Path], object]
    seeds: Callable[[], Iterator[bytes]]
    words: tuple[str, ...] = ()


def attempt(name: str, data: bytes) -> None:
    """Run a target in a folder of its own; only an HpsearchError may come of it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.suppress(HpsearchError):
        TARGETS[name].run(data, Path(folder))


def _resolve(name: str, path: Path) -> object:
    if ":" in name:
        raise HpsearchError("a stranger's code is not loaded here")
    return load_interface(name, path)


def _space(data: bytes, folder: Path) -> None:
    (folder / "x.yaml").write_bytes(data)
    read_space(folder / "x.yaml", _resolve)  # type: ignore[arg-type] # an interface of the shelf


def _study(data: bytes, folder: Path) -> None:
    if b".py" not in data:  # a stranger's code
        (folder / "spaces").symlink_to(HOME / "spaces")
        (folder / "studies").mkdir()
        (folder / "studies" / "x.yaml").write_bytes(data)
        load_study(folder / "studies" / "x.yaml")


def _experiment(name: str) -> Callable[[bytes, Path], None]:
    def run(data: bytes, folder: Path) -> None:
        for path in KEPT.iterdir():
            if path.name != name.partition("/")[0]:
                (folder / "search").mkdir(exist_ok=True)
                (folder / "search" / path.name).symlink_to(path)
        if "/" in name:
            shutil.copytree(KEPT / "trials" / "0000", folder / "search" / "trials" / "0000")
        (folder / "search" / name).write_bytes(data)
        load_state(folder / "search" / name)
        record = read_experiment(folder / "search")
        for trial in (*record.trials[:3], *record.replicates[:2]):
            evidence = read_evidence(folder / "search", trial)
            dict(evidence.config)
        json.dumps(show_json(record, health=examined(record)), allow_nan=False)
        read_sources([str(folder / "search")])

    return run


def _reader(data: bytes, folder: Path) -> None:
    name = RUN_FILES[data[0] % len(RUN_FILES)] if data else RUN_FILES[0]
    run = folder / "runs" / "model_seed_1"
    run.mkdir(parents=True)
    (run / name).write_bytes(data[1:])
    if name == "config.yaml":
        (run / "metrics.csv").write_text("step,loss\n1,2\n2,1\n")
    if name == "params.json":
        (run / "result.json").write_text('{"loss": 1, "training_iteration": 1}\n')
    if name in ("result.json", "experiment_state-1.json"):
        (run / "params.json").write_text('{"lr": 0.1}')
    if name == "meta.yaml":
        (run / "metrics").mkdir()
        (run / "metrics" / "loss").write_text("1 0.5 1\n")
    read_sources([str(folder / "runs")])


def _file(data: bytes, folder: Path) -> None:
    name = FILES[data[0] % len(FILES)] if data else FILES[0]
    (folder / name).write_bytes(data[1:])
    read_sources([str(folder / name)])


def _printed(data: bytes, _: Path) -> None:
    lines = Lines()
    texts = [*lines.feed(data), *lines.rest()]
    for text in texts[:200]:
        read_line(text, OBJECTS)
        read_line(text, PATTERN)
        read_row(text, texts[0], OBJECTS)
        tells_of(text, "val/loss")


def _files(pattern: str) -> Callable[[], Iterator[bytes]]:
    return lambda: (path.read_bytes() for path in sorted(HOME.glob(pattern)))


def _runs() -> Iterator[bytes]:
    rows = [{"step": 1, "loss": 0.5, "eval_loss": 1e-3}, {"step": 2, "loss": "NaN", "eval_loss": None}]
    texts = {
        "metrics.json": json.dumps(rows),
        "metrics.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows),
        "metrics.csv": "step,loss,val_loss\n1,0.5,1e-3\n2,nan,\n",
        "trainer_state.json": json.dumps(
            {"log_history": rows, "best_metric": 0.001, "global_step": 2, "max_steps": 2, "trial_params": {"lr": 0.1}}
        ),
        "meta.yaml": f"run_id: {'0' * 32}\nexperiment_id: '1'\nname: a\nstatus: 3\nstart_time: 1\nend_time: 2\n"
        "lifecycle_stage: active\n",
        "config.yaml": "model: {width: 3, act: &a gelu}\nlr: 1e-3\nseed: 4\ntags: !!python/tuple [1, *a]\n",
        "params.json": '{"lr": 0.1, "config": {"seed": 3}}',
        "experiment_state-1.json": json.dumps(
            {"trial_data": [['{"trial_id": "a", "status": "ERROR"}', "{}"]], "runner_data": {}}
        ),
        "result.json": '{"loss": 1, "training_iteration": 1, "trial_id": "a", "config": {"lr": 1}}\n',
    }
    for name, text in texts.items():
        yield bytes([RUN_FILES.index(name)]) + text.encode()


def _tables() -> Iterator[bytes]:
    yield b'\0model,seed,fold,lr,accuracy\na,1,0,1e-3,0.5\na,2,0,1e-3,0.25\nb,1,0,"1,5",\n'
    yield b"\1method\tseed\tloss\r\nx\t1\t0,5\r\ny\t1\t1.234,5\r\n"
    yield b"\0" + "sep=;\nModell;seed;Gr\u00f6\u00dfe\na;1;0,5\n|---|---|---|\n".encode()
    yield (b'\2{"model": "a", "seed": 1, "scores": {"acc": 0.5}}\n{"model": "b", "seed": 1, "scores": {"acc": NaN}}\n')
    journal = (
        {"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [1]},
        {"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": "2026-01-01T00:00:00.000000"},
        {
            "op_code": 5,
            "worker_id": "w",
            "trial_id": 0,
            "param_name": "x",
            "param_value_internal": 0.5,
            "distribution": '{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "log": false}}',
        },
        {"op_code": 6, "worker_id": "w", "trial_id": 0, "state": 1, "values": [0.5]},
    )
    yield b"\4" + "".join(f"{json.dumps(entry)}\n" for entry in journal).encode()


def _printings() -> Iterator[bytes]:
    yield b"{\"step\": 1, \"val/loss\": 0.5}\nINFO {'epoch': 2, 'val/loss': tensor(0.25)}\n"
    yield b"epoch 3/10 loss=0.5\r\x1b[32mepoch 4/10 loss: 1e-3%\x1b[0m\b\b\n"
    yield b"epoch;val/loss\n1;0.5\n2;nan\n"


WORDS = ("&a ", "*a", "<<: ", "!!", "? ", "- ", ": ", "1e999", "-9223372036854775809", "0x", "nan", "\u202e", "\0")
WORDS_OF_SPACES = (
    "int",
    "float",
    "log",
    "choice",
    "step",
    "require",
    "start",
    "quick",
    "confirm",
    "search",
    "objective",
)
WORDS_OF_LOGS = ('"event":"', '"ask"', '"begin"', '"report"', '"outcome"', '"exploit"', '"number":', '"run":"trials/')
TARGETS: dict[str, Target] = {
    "space": Target(_space, _files("spaces/*.yaml"), (*WORDS, *WORDS_OF_SPACES)),
    "study": Target(_study, _files("studies/*.yaml"), (*WORDS, "arms", "metric", "decide", "factors", "set", "budget")),
    "log": Target(_experiment(LOG), _files("tests/kept/*/log.jsonl"), WORDS_OF_LOGS),
    "resolved": Target(_experiment(RESOLVED), _files("tests/kept/*/resolved.json"), ('"space":', '"search":', "null")),
    "config": Target(
        _experiment("trials/0000/config.json"), _files("tests/kept/search/trials/0000/config.json"), ("null",)
    ),
    "metrics": Target(
        _experiment("trials/0000/metrics.jsonl"),
        _files("tests/kept/search/trials/0000/metrics.jsonl"),
        ('"step":', "1e99"),
    ),
    "reader": Target(_reader, _runs, ('"log_history":', "NaN", "Infinity", "[[", *WORDS)),
    "table": Target(_file, _tables, ("sep=", ";", "\t", '"', "seed", "fold", "|---|", "1.234,5", "nan")),
    "printed": Target(_printed, _printings, ("{", "}", "tensor(", "\x1b[", "\r", "\b", "epoch ", "loss")),
}
