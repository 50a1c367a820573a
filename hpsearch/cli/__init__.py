"""The command line: parse, call one function, print. A file for each kind of command; heavy imports stand inside."""

from hpsearch.cli.main import app, main

__all__ = ["app", "main"]
