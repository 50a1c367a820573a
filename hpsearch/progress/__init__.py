"""Observers of a running search: a live display for terminals, lines for pipes, and nothing."""

from hpsearch.progress.choosing import NoProgress, Progress, make_progress
from hpsearch.progress.lines import PlainProgress
from hpsearch.progress.live import LiveProgress
from hpsearch.progress.standing import Aim

__all__ = ["Aim", "LiveProgress", "NoProgress", "PlainProgress", "Progress", "make_progress"]
