"""The command line: parse, call one function, print. A file for each kind of command; heavy imports are inside functions."""

from hpsearch.cli.main import app, main

__all__ = ["app", "main"]
