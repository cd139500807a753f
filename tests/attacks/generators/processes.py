"""The process around `classify`: a pipe closed by its reader, closed streams, signals, streams left open."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from attacks.fuzz import Attack
from attacks.small_model import small_ir, write_images

ROOT = Path(__file__).resolve().parents[3]
FORMATS = ("jsonl", "csv", "table")
TIMEOUT_S = 100
PIPE_CLOSED = 128 + signal.SIGPIPE


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "ov_mobilenet", "classify", "-q", str(small_ir()), *map(str, arguments)]


def close_the_pipe(rng: random.Random, folder: Path) -> None:
    """The command ends quietly: with 141, or with 0 if it had written everything. 0.1: 17 aborts, 12 hangs of 120."""
    largest = rng.choice([100, 3000])
    files = write_images(rng, folder, rng.choice([1, 2, 5, 20]), largest=largest) * rng.choice([1, 3, 15])
    process = subprocess.Popen(
        command(*files, "--format", rng.choice(FORMATS), "--decode", "exact"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(rng.choice([0, 1, 1, len(files) // 2])):
        process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, PIPE_CLOSED), process.returncode
    assert err == ""


SUSPENDED = """
import logging, sys, ov_mobilenet as ovm
logging.disable()
results = ovm.load_classifier(sys.argv[1], device="CPU", decode="exact").stream(sys.argv[3:])
for _ in range(int(sys.argv[2])): next(results)
"""


def leave_a_stream(rng: random.Random, folder: Path) -> None:
    """A program that ends with a stream in a global variable exits with 0. 0.1: 3 of 20 hung."""
    files = write_images(rng, folder, 20, largest=rng.choice([50, 2000])) * 5
    done = subprocess.run(
        [sys.executable, "-c", SUSPENDED, str(small_ir()), str(rng.randint(1, 40)), *map(str, files)],
        capture_output=True, text=True, cwd=ROOT, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Tells that it has started: a signal before that meets Python itself.
STARTED = (
    "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print('started', flush=True); "
    "runpy.run_module('ov_mobilenet', run_name='__main__', alter_sys=True)"
)


def send_signals(rng: random.Random, folder: Path) -> None:
    """One to three signals at random times: interrupted, terminated or done; never a traceback."""
    files = write_images(rng, folder, 3) * 100
    arguments = [str(small_ir()), *map(str, files), "-o", str(folder / rng.choice(["r.jsonl", "r.csv", "r.json"]))]
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED, "classify", "-q", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    signals = rng.choices([signal.SIGINT, signal.SIGTERM], k=rng.randint(1, 3))
    for delay_s in (rng.uniform(0, 1.2), *(rng.uniform(0, 0.2) for _ in signals[1:])):
        try:
            process.wait(timeout=delay_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signals.pop(0))
    _, err = process.communicate(timeout=TIMEOUT_S)
    # Negative: while Python itself ends, a signal ends the process; a shell shows the same 130 or 143.
    assert process.returncode in (0, 130, 143, -signal.SIGINT, -signal.SIGTERM), (process.returncode, err)
    assert "Traceback" not in err
    assert err.strip() in ("", "error: interrupted", "error: terminated")


def close_streams(rng: random.Random, folder: Path) -> None:
    """Any of the standard streams closed: the file is the same."""
    files: Sequence[Path] = write_images(rng, folder, 3)
    closed = " ".join(each for each in ("<&-", ">&-", "2>&-") if rng.random() < 0.6)
    output = folder / "r.csv"
    script = ["bash", "-c", f'exec "$@" {closed}', "bash", *command(*files, "-o", output)]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [line.split(",")[0] for line in output.read_text().splitlines()[1::5]] == list(map(str, files))


ATTACKS = (
    Attack("a reader that closes the pipe", 120, close_the_pipe, in_suite=1),
    Attack("a stream left open at the end of the program", 20, leave_a_stream, in_suite=1),
    Attack("signals at random times", 60, send_signals, in_suite=1),
    Attack("closed standard streams", 8, close_streams, in_suite=1),
)
