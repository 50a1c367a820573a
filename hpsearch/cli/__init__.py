"""The command line: parse, call one function, print. Each kind of command has a file; functions do heavy imports."""

from hpsearch.cli.starting import interruptible

with interruptible():
    from hpsearch.cli.main import app, main, program

__all__ = ["app", "main", "program"]
