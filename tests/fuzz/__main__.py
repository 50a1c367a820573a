"""`make fuzz MINUTES=30`: every target for so long; what fails becomes a small file in tests/fuzz/corpus.

`python -m tests.fuzz --minutes 5 --seed 3 log reader` fuzzes some of them. The exit status is 1 if anything failed.
"""

import argparse
import faulthandler
import hashlib
import logging
import random
import resource
import sys
import time
import warnings

from tests.fuzz.mutations import Reached, mutate, shrunk, stored
from tests.fuzz.targets import CORPUS, TARGETS, Target, attempt

SLOW = 20.0
"""Seconds of the processor that an input may take, with its lines counted."""
MEMORY = 6 << 30
"""Bytes of addresses that the process may take."""


def _failure(name: str, data: bytes) -> str | None:
    """Return what an input does that it must not: an error and where it was raised, or its time."""
    begun = time.process_time()
    try:
        attempt(name, data)
    except Exception as error:  # noqa: BLE001 -- this is what is looked for
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        return f"{type(error).__name__} at {place}"
    return f"it takes longer than {SLOW} s" if time.process_time() - begun > SLOW else None


def fuzz(name: str, target: Target, *, seconds: float, draw: random.Random) -> int:
    """Fuzz a target and return how many different failures it had."""
    corpus = [*target.seeds(), *stored(CORPUS / name), b""]
    reached, found = Reached(), dict[str, bytes]()
    end, count = time.monotonic() + seconds, 0
    waiting = list(corpus)
    while time.monotonic() < end:
        data = waiting.pop() if waiting else mutate(draw.choice(corpus), corpus, target.words, draw)
        why: list[str | None] = []
        new = reached.run(lambda data=data, why=why: why.append(_failure(name, data)))  # type: ignore[misc]
        count += 1
        if why[0] is not None and why[0] not in found:
            small = shrunk(data, lambda each, why=why: _failure(name, each) == why[0], seconds=60)  # type: ignore[misc]
            found[why[0]] = small
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            (CORPUS / name / hashlib.sha256(small).hexdigest()[:12]).write_bytes(small)
            print(f"{name}: {why[0]}: {small[:300]!r}", flush=True)
        elif new and why[0] is None:
            corpus.append(data)
    print(
        f"{name}: {count:,} inputs, {len(reached.lines):,} lines reached, {len(corpus)} kept, {len(found)} failures",
        flush=True,
    )
    return len(found)


def main() -> int:
    """Fuzz the targets that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if unknown := sorted({*given.targets} - TARGETS.keys()):
        parser.error(f"unknown target {unknown[0]}; known: {', '.join(TARGETS)}")
    faulthandler.enable()
    warnings.simplefilter("ignore")
    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    names = given.targets or list(TARGETS)
    draw = random.Random(given.seed)
    return 1 if sum(fuzz(name, TARGETS[name], seconds=60 * given.minutes, draw=draw) for name in names) else 0


if __name__ == "__main__":
    sys.exit(main())
