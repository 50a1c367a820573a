"""Observers of a running search: a live display for terminals, lines for pipes, and nothing."""

from hpsearch.console.progress.choosing import NoProgress, Progress, make_progress
from hpsearch.console.progress.lines import PlainProgress
from hpsearch.console.progress.live import LiveProgress
from hpsearch.console.progress.standing import Aim

__all__ = ["Aim", "LiveProgress", "NoProgress", "PlainProgress", "Progress", "make_progress"]
