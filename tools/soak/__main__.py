"""Run the project's streams, queues, live sources, failing devices and reloads for a long time, and watch them.

    PYTHONPATH=tools python -m soak --minutes 30 --seed 0
    PYTHONPATH=tools python -m soak --seed 7 --scenario queue

Each scenario runs in a process of its own, in rounds of about a second; what happens in a round follows from the seed
and its number. After each round, threads, file handles and temporary files of the process must be those of its
warm-up, and its memory must not have grown by the scenario's limit (`plan.py`). Every result is compared with what
onnxruntime computed beforehand. Needs no internet, and Linux. Exit code 1: something was wrong. Ctrl-C prints the
table so far (130).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from ov_mobilenet.devices.processors import usable_cpus
from soak.plan import Scenario, scenarios_named
from soak.report import as_json, explanation, table
from soak.scenario_run import ScenarioRun, Turns

PROGRESS_S = 10.0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=30.0, help="how long, at most (default: 30)")
    parser.add_argument("--rounds", type=int, help="rounds of each scenario, at most (default: no limit)")
    parser.add_argument("--seed", type=int, default=0, help="decides what happens (default: 0)")
    parser.add_argument("--scenario", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--first-round", type=int, default=0, help="number of the first round (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and return the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if not Path("/proc/self/statm").exists():
        print("the soak reads memory, threads and handles of its processes in /proc, which only Linux has")
        return 2
    try:
        scenarios = scenarios_named(options.scenario)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        runs, interrupted = soak(
            scenarios, Path(temporary), seed=options.seed, first_round=options.first_round,
            seconds=options.minutes * 60, rounds=options.rounds,
        )  # fmt: skip
    document = as_json(runs, seed=options.seed, seconds=time.monotonic() - begun, interrupted=interrupted)
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    print(table(document))
    wrong = [run for run in runs if run.violation is not None]
    for run in wrong:
        print("\n" + explanation(run, options.seed), file=sys.stderr)
    return 1 if wrong else 130 if interrupted else 0


def soak(
    scenarios: Sequence[Scenario],
    folder: Path,
    *,
    seed: int,
    first_round: int = 0,
    seconds: float,
    rounds: int | None = None,
) -> tuple[list[ScenarioRun], bool]:
    """Run these scenarios, as many at a time as there are CPUs.

    Args:
        folder: for files of the soak.
        seconds: how long, at most.
        rounds: of each scenario, at most; None for no limit. A third of them, at most, are the warm-up.

    Returns:
        The runs, and whether Ctrl-C ended them.
    """
    os.environ["CI"] = "true"  # as for the scenarios: no telemetry of OpenVINO
    from soak.material import write_material

    material = folder / "material"
    runs = [
        ScenarioRun(
            scenario, seed=seed, first_round=first_round, material=material, folder=folder / scenario.name,
            warm_up=scenario.warm_up if rounds is None else min(scenario.warm_up, rounds // 3),
        )
        for scenario in scenarios
    ]  # fmt: skip
    stopping, turns = threading.Event(), Turns(usable_cpus())
    pool, working = ThreadPoolExecutor(len(runs)), []
    interrupted = False
    try:
        _say("drawing images and converting the sample model")
        write_material(material)
        working = [pool.submit(run.work, stopping, turns, rounds) for run in runs]
        _say(f"running {', '.join(run.scenario.name for run in runs)}; seed {seed}")
        _wait(runs, working, stopping, seconds)
    except KeyboardInterrupt:
        interrupted = True
        _say("interrupted; the rounds that run are finished")
    finally:
        stopping.set()
        wait(working)  # not Thread.join, which does not wait any more once Ctrl-C has interrupted it
        pool.shutdown()
    return runs, interrupted


def _wait(
    runs: Sequence[ScenarioRun], working: Sequence[Future[None]], stopping: threading.Event, seconds: float
) -> None:
    """Print progress until all runs have ended, something is wrong, or the time is over."""
    begun = time.monotonic()
    end = begun + seconds
    while not all(run.done() for run in working) and not stopping.is_set() and time.monotonic() < end:
        wait(working, min(end - time.monotonic(), PROGRESS_S))
        done = ", ".join(f"{run.scenario.name} {run.rounds}" for run in runs)
        _say(f"{time.monotonic() - begun:.0f} of {seconds:.0f} s; rounds: {done}")


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
