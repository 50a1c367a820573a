"""The command line: parse, call one function, print. Each kind of command has a file; functions do heavy imports."""

from hpsearch.cli.main import app, main

__all__ = ["app", "main"]
