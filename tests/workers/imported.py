"""Imported ahead of time by what workers are forked from: notes by which process, in the file that IMPORTED names."""

import os
from pathlib import Path

with Path(os.environ["IMPORTED"]).open("a", encoding="utf-8") as file:
    file.write(f"{os.getpid()}\n")
