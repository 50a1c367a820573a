"""Every error that hpsearch raises on purpose.

HpsearchError                  the user can act on it: the message says what and where
├── SpaceError                 a space file (or an override) is wrong; carries one Problem for each mistake
├── UnknownNameError           a family, engine, sampler, metric ... that does not exist; lists those that do
├── MissingExtraError          a package is not installed; the message has the command that installs its extra
├── UntrustedCodeError         code from outside the project would run, and nobody has said that it may
├── ExperimentError            an experiment folder cannot be read, or does not fit what is asked of it
│   └── ExperimentBusyError    another process is running this experiment
├── SealedSplitError           a family asked for the test split during the search
├── DataError                  the data named in the space cannot be used
│   └── NoSplitError           they have no such split
├── ProgramError               the program named in the space cannot be started
├── DivergedError              a loss or a metric is not finite
├── PeerLostError              another process of the same training is gone
├── SearchFailedError          the search ended because its trials fail
└── TrackingError              the tracking store cannot be reached
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class HpsearchError(Exception):
    """A mistake or an obstacle that the user can act on; the message is a full sentence."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: its place (1-based line and column, 0 if unknown), what is wrong, and what would be right.

    `help` is empty where nobody can know that.
    """

    source: str
    line: int
    column: int
    message: str
    help: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}{f'; {self.help}' if self.help else ''}"

    @property
    def place(self) -> str:
        """Where it is, as editors and terminals know places: `FILE:LINE:COLUMN`."""
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class SpaceError(HpsearchError):
    """All the mistakes of one space file, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.source, problem.line, problem.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownNameError(HpsearchError):
    """A name that is not on its shelf."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.known = tuple(sorted(known))
        super().__init__(f"unknown {kind} '{name}'{suggestion(name, self.known)}; known: {', '.join(self.known)}")


class MissingExtraError(HpsearchError):
    """A package that only one of the extras brings, see `hpsearch.extras`, is not installed."""


class UntrustedCodeError(HpsearchError):
    """Code from outside the project that the user has not trusted; `code` says which."""

    def __init__(self, message: str, code: Iterable[str]) -> None:
        self.code = tuple(code)
        super().__init__(message)


class ExperimentError(HpsearchError):
    """An experiment folder that cannot be read or does not fit the request."""


class ExperimentBusyError(ExperimentError):
    """A second start of an experiment that is running."""


class SealedSplitError(HpsearchError):
    """The test split was asked for where only training and validation data may be read."""


class DataError(HpsearchError):
    """The data that a space names are missing or malformed."""


class NoSplitError(DataError):
    """Data that have no test split."""


class ProgramError(HpsearchError):
    """A program that cannot be started, as it or its folder is not there; a run that failed so is tried again."""


class DivergedError(HpsearchError):
    """A loss, a gradient or a metric became NaN or infinite; the trial's outcome is `diverged`."""


class PeerLostError(HpsearchError):
    """Another process of the same training died or gave up; the run's outcome is `lost` unless that one says why."""


class SearchFailedError(HpsearchError):
    """The search cannot go on, for instance because the first trials all failed in the same way."""


class TrackingError(HpsearchError):
    """The tracking store refused, or cannot be reached."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest known name, or an empty string when none is near."""
    near = nearest(name, known)
    return f", did you mean '{near}'?" if near is not None else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another means: but for case, as other tools call it, or with nearly its letters."""
    names = list(known)
    alike = [each for each in names if each.lower() == name.lower()]
    called = [each for each in names if name.lower() in _CALLED.get(each, ())]
    found = alike or called or difflib.get_close_matches(name, names, n=1)
    return found[0] if found else None


_CALLED = {
    "learning_rate": ("lr", "rate", "eta", "step_size", "learningrate"),
    "weight_decay": ("wd", "decay", "l2"),
    "batch_size": ("bs", "batch", "batchsize"),
    "clip_norm": ("grad_clip", "gradient_clip", "max_grad_norm", "gradient_clip_val", "clip"),
    "accumulate": ("grad_accum", "accumulation", "accumulate_grad_batches", "gradient_accumulation_steps"),
    "epochs": ("epoch", "n_epochs", "num_epochs", "max_epochs", "num_train_epochs"),
    "steps": ("max_steps", "iterations", "max_iters", "num_steps"),
    "optimizer": ("opt", "optim", "optimiser"),
    "schedule": ("scheduler", "lr_scheduler", "lr_schedule", "lr_scheduler_type"),
    "warmup": ("warmup_steps", "warmup_ratio", "warmup_epochs"),
    "early_stopping": ("patience", "earlystopping", "early_stop"),
    "precision": ("amp", "fp16", "bf16", "dtype"),
    "layers": ("n_layers", "num_layers", "depth", "n_layer", "num_hidden_layers"),
    "width": ("hidden", "hidden_size", "hidden_dim", "d_model", "n_embd", "embed_dim", "dim"),
    "heads": ("n_heads", "num_heads", "n_head", "num_attention_heads"),
    "dropout": ("p", "drop", "dropout_rate", "p_drop"),
    "context": ("block_size", "seq_len", "sequence_length", "context_length"),
    "trials": ("n_trials", "num_trials", "num_samples", "max_trials", "run_cap"),
    "time": ("timeout", "time_budget", "time_budget_s", "max_time"),
    "workers": ("n_jobs", "num_workers", "jobs", "max_concurrent", "max_concurrent_trials", "parallel"),
    "sampler": ("search_alg", "method", "algorithm", "optimizer"),
    "pruner": ("scheduler", "early_terminate", "pruning"),
    "goal": ("direction", "mode", "minimize", "maximize"),
    "metric": ("monitor", "metric_for_best_model", "score"),
    "minimize": ("min", "minimise", "lower"),
    "maximize": ("max", "maximise", "higher"),
    "objective": ("metric", "target", "monitor"),
    "space": ("parameters", "search_space", "param_space", "params"),
    "seeds": ("n_seeds", "num_seeds", "repeats"),
    "tpe": ("bayes", "bayesian", "hyperopt", "tpesampler"),
    "random": ("randomsampler", "random_search"),
    "none": ("nop", "off", "false", "noppruner"),
    "asha": ("sha", "successive_halving", "successivehalving", "successivehalvingpruner", "ashascheduler"),
    "median": ("medianpruner", "medianstopping", "median_stopping"),
}
"""What other tools and people call our names, in lower case."""
