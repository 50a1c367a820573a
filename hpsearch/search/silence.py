"""Optuna without its log messages."""

import contextlib
import warnings
from collections.abc import Iterator

import optuna


@contextlib.contextmanager
def silent_optuna() -> Iterator[None]:
    """Keep Optuna's log messages and its warnings about experimental features away for a while."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
