"""Where the time of one image goes in `ov-mobilenet classify`; run by `start_up.py --stages`.

    python tools/bench/start_up_stages.py IR.xml IMAGE

Runs the command in this process, its stages one after the other: what the command does at the same time, in a thread,
is waited for here. Prints wall time and CPU time of each stage in ms.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_last = (time.perf_counter(), time.process_time())
_rows: list[tuple[str, float, float]] = []


def stage(name: str) -> None:
    """Note the time since the last stage."""
    global _last
    now = (time.perf_counter(), time.process_time())
    _rows.append((name, (now[0] - _last[0]) * 1e3, (now[1] - _last[1]) * 1e3))
    _last = now


def noted(owner: Any, name: str, label: str) -> None:
    """Make a function of a module or class a stage of its own."""
    inner: Callable[..., Any] = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        stage("between the stages")
        try:
            return inner(*arguments, **options)
        finally:
            stage(label)

    setattr(owner, name, call)


def main() -> None:
    """Run the command and print the table."""
    arguments = ["-q", "classify", *sys.argv[1:3]]
    _rows.append(("start of Python", 0.0, time.process_time() * 1e3))
    import click  # noqa: F401

    stage("import click")
    from ov_mobilenet.cli import main as program
    from ov_mobilenet.cli.early_openvino import start_openvino

    stage("import the command line")
    import numpy  # noqa: F401

    stage("import numpy")
    start_openvino(arguments)
    stage("import openvino")
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    stage("load the devices' plugins and the image library (in a thread)")
    from ov_mobilenet import load, resolve
    from ov_mobilenet.cli import classify  # noqa: F401
    from ov_mobilenet.devices import cpu_blobs
    from ov_mobilenet.runtime.classifier import Classifier

    stage("import the command")
    noted(resolve, "open_ir", "read the IR and check its digest")
    noted(load, "make_runnable", "adapt the network")
    noted(cpu_blobs, "compile_model", "load the compiled model from the cache")
    noted(Classifier, "prepare_or_fail", "decode and resize the image")
    noted(Classifier, "run_prepared", "inference")
    program.main(arguments)
    stage("the rest of the command")
    print("\nstage; wall ms; CPU ms", file=sys.stdout)
    names = dict.fromkeys(name for name, _, _ in _rows)
    for name in names:
        wall = sum(row[1] for row in _rows if row[0] == name)
        cpu = sum(row[2] for row in _rows if row[0] == name)
        print(f"{name:64} {wall:7.1f} {cpu:7.1f}")


if __name__ == "__main__":
    main()
