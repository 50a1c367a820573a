"""What is struck: real searches as processes. Each value follows from the trial's parameters and step in closed form.

A training sums its way to the value and keeps the sum in its checkpoint: one that resumes at a wrong place, or takes a
step twice, comes to another value.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "HPSEARCH_FAULTS"
"""An environment variable with the episode's folder, that every process of an episode inherits."""
EPOCHS = 6
SECONDS = 0.1
"""A step takes so long that most blows fall into the middle of a training."""
TROUBLE = '''\
"""Misbehaves once, where a file called `armed` asks for it: whoever renames it is the one."""
import json, os, sys, time

def troubled(who, step, metrics):
    """Return the metrics of a step, or what takes their place, or do worse."""
    folder = os.environ["HPSEARCH_FAULTS"]
    taken = os.path.join(folder, f"armed.{os.getpid()}")
    try:
        os.rename(os.path.join(folder, "armed"), taken)
    except OSError:
        return metrics
    with open(taken) as file:
        kind = file.read()
    with open(os.path.join(folder, "landed"), "a") as file:
        file.write(json.dumps({"kind": kind, "who": who, "step": step}) + "\\n")
    os.remove(taken)
    return globals()[kind](metrics)

def nan(metrics): return {**metrics, "val/loss": float("nan")}
def infinite(metrics): return {**metrics, "val/loss": float("inf")}
def nan_in_training(metrics): return {**metrics, "train/loss": float("nan")}
def text(metrics): return {**metrics, "val/loss": "high"}
def number_as_text(metrics): return {**metrics, "val/loss": str(metrics["val/loss"])}
def none(metrics): return {**metrics, "val/loss": None}
def true(metrics): return {**metrics, "extra": True}

def tensor(metrics):
    import torch
    return {**metrics, "val/loss": torch.tensor([metrics["val/loss"]], dtype=torch.float64)}

def tensor_of_two(metrics):
    import torch
    return {**metrics, "val/loss": torch.zeros(2)}

def memory(metrics):
    """Allocate more than the process may have."""
    import resource
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    kept = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), kept[1]))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kept)

def much_output(metrics):
    for _ in range(4000):
        print("x" * 1000)
    return metrics

def long_line(metrics):
    print("x" * 3_000_000)
    return metrics

def odd_bytes(metrics):
    sys.stdout.flush()
    os.write(1, bytes(range(256)) + b"\\n\\xff\\xfe\\x1b[31m\\r\\n")
    return metrics

def closed_output(metrics):
    os.close(2)
    return metrics

def leave(metrics): sys.exit()
def leave_with_three(metrics): sys.exit(3)
def leave_at_once(metrics): os._exit(7)
def segmentation_fault(metrics): os.kill(os.getpid(), 11)
def terminate_oneself(metrics): os.kill(os.getpid(), 15)
def interrupt(metrics): raise KeyboardInterrupt
def fail(metrics): raise ValueError("no such layer")

def unprintable(metrics):
    class Unprintable(Exception):
        def __str__(self): raise RuntimeError("no text")
    raise Unprintable

def fork(metrics):
    if not os.fork():
        time.sleep(600)
        os._exit(0)
    return metrics

def daemon(metrics):
    """Leave a process behind that has nothing to do with its parent any more."""
    if not os.fork():
        os.setsid()
        if not os.fork():
            for descriptor in (0, 1, 2):
                os.close(descriptor)
            time.sleep(600)
        os._exit(0)
    return metrics
'''
PROGRAM = """\
import json, os, sys, time
from trouble import troubled
x, y, epochs, checkpoint = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), os.environ["HPSEARCH_CHECKPOINT"]
start, total = 0, 0.0
if os.path.exists(checkpoint):
    with open(checkpoint) as file:
        start, total = json.load(file)
for step in range(start + 1, epochs + 1):
    time.sleep(SECONDS)
    total += y
    loss = (x - 0.3) ** 2 + total / step**2
    with open(checkpoint + ".new", "w") as file:
        json.dump([step, total], file)
    os.replace(checkpoint + ".new", checkpoint)
    print(json.dumps(troubled(x, step, {"step": step, "val/loss": loss, "test/loss": x + step})), flush=True)
"""
FUNCTION = """\
import json, os, time
from trouble import troubled

def train(x: float, y: float, epochs: int = 4, *, report):
    start, total = 0, 0.0
    if report.checkpoint.exists():
        start, total = json.loads(report.checkpoint.read_text())
    for step in range(start + 1, epochs + 1):
        time.sleep(SECONDS)
        total += y
        loss = (x - 0.3) ** 2 + total / step**2
        report.checkpoint.write_text(json.dumps([step, total]))
        report(step, troubled(x, step, {"val/loss": loss, "test/loss": x + step}))
"""
FAMILY = """\
import time
import torch
from torch import nn
import hpsearch
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import TensorData
from trouble import troubled

class Data(hpsearch.Settings):
    seconds: float = 0.0

class Model(hpsearch.Settings):
    start: float = 0.0
    target: float = 1.0

class Config(hpsearch.FamilyConfig):
    data: Data = Data()
    model: Model = Model()
    train: TrainSettings = TrainSettings(epochs=4)

class Weight(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([start]))

    def forward(self, x):
        return self.weight * x

class Approach(hpsearch.Task):
    def __init__(self, config):
        self.model = config.model
        self.seconds = config.data.seconds
        self.step = 0

    def build_model(self):
        return Weight(self.model.start)

    def loss(self, forward, batch, scalars):
        return {"loss": ((forward(batch["x"]) - self.model.target) ** 2).mean() / 2}

    def evaluate(self, forward, batches):
        time.sleep(self.seconds)
        loss = max(float((forward(batch["x"]) - self.model.target).abs().max()) for batch in batches)
        told = troubled(self.model.start, 0, {"val/loss": loss})
        return {"loss": told["val/loss"]}

class Line(hpsearch.Family[Config]):
    Config = Config
    metrics = {"loss": hpsearch.Goal.MINIMIZE}

    def load(self, data, split, seed):
        return TensorData(x=torch.ones(1))

    def task(self, config, splits):
        return Approach(config)
"""
HEAD = """\
objective: {{metric: val/loss, goal: minimize}}
search: {{sampler: {sampler}, pruner: {pruner}, trials: {trials}, workers: {workers}, seed: 0, retries: 20}}
"""
OWN = """\
x: {float: [0, 1]}
y: {log: [0.1, 10]}
"""
COMMAND = "family: command\ncommand: {python} -S -E program.py {{x}} {{y}} {{epochs}}\ngrace: 1\n"
LEARNED = """\
family: ./mine.py:Line
data: {{seconds: {seconds}}}
model: {{start: {{float: [-1, 0]}}, target: {{float: [0.5, 1]}}}}
train:
  epochs: {epochs}
  batch_size: 1
  optimizer: {{sgd: {{momentum: 0}}}}
  learning_rate: {{log: [0.01, 0.5]}}
  schedule: constant
"""
STUDY = """\
question: Which?
metric: {name: test/loss, goal: minimize}
arms:
  low: {space: space.yaml, set: {epochs: 2}}
  high: {space: space.yaml}
budget: {trials: 3}
replicates: {seeds: 2}
"""

Value = Callable[[Mapping[str, Any], int], float]
"""What the objective is at a step, from the trial's parameters."""


def summed(params: Mapping[str, Any], step: int) -> float:
    """The value of the program and of the function."""
    return (params["x"] - 0.3) ** 2 + params["y"] / step


def approached(params: Mapping[str, Any], step: int) -> float:
    """Gradient descent on a parabola: each step leaves the same part of the distance."""
    left: float = (1 - params["train.learning_rate"]) ** step
    return abs(params["model.target"] - params["model.start"]) * left


@dataclass(frozen=True)
class Search:
    """A command that searches, and what can be known of it before.

    `experiments` are the folders below `experiments/`. `who` is the parameter by which a training names itself when it
    misbehaves. `relative` is how far floats may be from the closed form. `interface` is program, function or family.
    """

    name: str
    interface: str
    command: tuple[str, ...]
    files: Mapping[str, str]
    experiments: tuple[str, ...] = ("space",)
    value: Value = summed
    who: str = "x"
    relative: float = 1e-9
    trials: int = 12
    engine: str = "local"
    server: bool = False

    @property
    def study(self) -> bool:
        return self.command[0] == "study"

    def write(self, folder: Path) -> None:
        """Write its files into a folder."""
        for name, text in {**self.files, "trouble.py": TROUBLE}.items():
            (folder / name).write_text(text, encoding="utf-8")


def _space(first: str, rest: str = "", **search: Any) -> str:
    given = {"sampler": "random", "pruner": "none", "trials": 12, "workers": 2, **search}
    return first + HEAD.format(**given) + rest


def _search(name: str, interface: str, *options: str, confirm: bool = False, **settings: Any) -> Search:
    """Make a search of a kind of training; `settings` of the section `search`, and fields of `Search`."""
    fields = {each: settings.pop(each) for each in ("engine", "server") if each in settings}
    more = "confirm: {top: 1, seeds: 2}\n" if confirm else ""
    trials = settings.get("trials", 12)
    if interface == "program":
        text = _space(COMMAND.format(python="python3"), f"train: {{epochs: {EPOCHS}}}\n{OWN}{more}", **settings)
        files = {"space.yaml": text, "program.py": PROGRAM.replace("SECONDS", str(SECONDS))}
    elif interface == "function":
        text = _space("family: ./train.py:train\n", f"epochs: {EPOCHS}\n{OWN}{more}", **settings)
        files = {"space.yaml": text, "train.py": FUNCTION.replace("SECONDS", str(SECONDS))}
    else:
        text = _space(LEARNED.format(seconds=SECONDS, epochs=EPOCHS), more, **settings)
        files = {"space.yaml": text, "mine.py": FAMILY}
        fields |= {"value": approached, "who": "model.start", "relative": 1e-4}
    command = ("run", "space.yaml", *options)
    return Search(name, interface, command, files, trials=trials, **fields)


def _study() -> Search:
    text = _space("family: ./train.py:train\n", f"epochs: {EPOCHS}\n{OWN}")
    files = {"space.yaml": text, "study.yaml": STUDY, "train.py": FUNCTION.replace("SECONDS", str(SECONDS))}
    return Search("study", "function", ("study", "study.yaml"), files, ("study/low", "study/high"), trials=3)


SEARCHES = {
    search.name: search
    for search in (
        _search("program", "program"),
        _search("program-tpe", "program", sampler="tpe", workers=1, confirm=True),
        _search("program-halving", "program", sampler="tpe", pruner="auto", workers=1),
        _search("function", "function", confirm=True),
        _search("family", "family", trials=8),
        _search("family-packs", "family", workers="1, pack: 3", trials=6),
        _study(),
        _search("program-ray", "program", "--engine", "ray", engine="ray", trials=8),
        _search("function-ray", "function", "--engine", "ray", engine="ray", trials=8),
        _search("program-server", "program", "--tracking-uri", "SERVER", server=True),
    )
}


def configured(search: Search, uri: str) -> list[str]:
    """Return the search's command line, with the address of the MLflow server in its place."""
    return [uri if word == "SERVER" else word for word in search.command]


def landed(folder: Path) -> list[dict[str, Any]]:
    """Return what trainings noted before they misbehaved."""
    path = folder / "landed"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
