"""The process of one scenario: runs a round for each line of stdin, and answers with one line of JSON.

    python -m soak.scenario_process MODULE:FUNCTION SEED MATERIAL FOLDER

A line is the number of a round. The answer holds its counts, what is wrong, or a traceback. Between two rounds the
process rests, so that what it holds can be read from outside.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import logging
import os
import random
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from soak.rounds import Mismatch, Round, Workplace

# A round takes about a second; longer than this it hangs, and the stacks of all threads are printed.
ROUND_LIMIT_S = 300.0
# Threads that wait for work end after a second.
REST_S = 10.0


def random_of(seed: int, start: str, number: int) -> random.Random:
    """What decides about everything in a round."""
    return random.Random(f"{seed} {start} {number}")


def run_round(run: Round, rng: random.Random, permanent: set[threading.Thread]) -> dict[str, Any]:
    """The answer for one round."""
    try:
        counts = run(rng)
        gc.collect()
        _wait_for_threads(permanent)
        return {"counts": asdict(counts)}
    except Mismatch as error:
        return {"what": error.what, "expected": error.expected, "got": error.got}
    except BaseException as error:  # noqa: BLE001 (reported to the parent process)
        expected = "no error"
        return {"what": f"{type(error).__name__} in the round", "expected": expected, "got": traceback.format_exc()}


def _wait_for_threads(permanent: set[threading.Thread]) -> None:
    """Wait until the threads of a round have ended. Raises: Mismatch."""
    deadline = time.monotonic() + REST_S
    while left := [thread for thread in threading.enumerate() if thread not in permanent]:
        if time.monotonic() > deadline:
            names = ", ".join(sorted(thread.name for thread in left))
            raise Mismatch("threads that a round started", expected=f"ended within {REST_S:g} s", got=names)
        left[0].join(0.02)


def main() -> None:
    """Answer until stdin ends."""
    start, seed, material, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    logging.getLogger("ov_mobilenet").addHandler(logging.NullHandler())
    module, _, function = start.partition(":")
    run: Round = getattr(importlib.import_module(module), function)(Workplace(Path(material), Path(folder)))
    permanent = set(threading.enumerate())
    for line in sys.stdin:
        faulthandler.dump_traceback_later(ROUND_LIMIT_S, exit=True)
        answer = run_round(run, random_of(int(seed), start, int(line)), permanent)
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    answers.flush()
    os._exit(0)  # a server that still runs is ended with it


if __name__ == "__main__":
    main()
