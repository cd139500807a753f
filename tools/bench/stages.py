"""Where the CPU time of `classify` goes: a table of stages, in milliseconds for one image.

    python tools/bench/stages.py [IR.xml …] [--images 1000] [--folder FOLDER] [--rounds 5]

The command runs in this process with JSON lines to /dev/null, with the functions of its stages wrapped by a clock of
the CPU time of their thread; a stage is without the stages that it calls. Inference is the CPU time of the threads that
are not Python's. `other Python` is the rest of all Python threads: the command's own loop, threads and their locks. The
last lines are the sum, and the same for the whole command without the clocks, as in `pipeline.py`. The clocks take a
few microseconds for each image. A function that this version of the package does not have is named, and its time is in
the stage that calls it.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from classify_command import classify_used
from models_and_images import add_model_and_image_options, models_and_images
from report import Report, add_json_option

from ov_mobilenet.cli.main import cli

INFERENCE, OTHER = "inference", "other Python"
# (stage, module, function): the name is looked up where it is called.
FUNCTIONS = (
    ("input", "runtime.stream", "_Decoders._next"),
    ("read", "images.load_image", "read_file"),
    ("header and checks", "images.load_image", "open_image"),
    ("decode", "images.load_image", "decode_image"),
    ("geometry", "images.load_image", "apply_geometry"),
    ("geometry", "images.load_image", "apply_reduced"),
    ("rest of the preparation", "runtime.loaded_model", "LoadedModel.prepare_or_fail"),
    ("copy to request", "runtime.scheduler", "Scheduler._set_input"),
    ("start requests", "runtime.scheduler", "Scheduler._run"),
    ("wait and copy outputs", "runtime.scheduler", "Scheduler._wait_for"),
    ("queue", "runtime.scheduler", "Scheduler.wait_for_room"),
    ("queue", "runtime.scheduler", "Scheduler.reserve"),
    ("queue", "runtime.scheduler", "Scheduler.fill"),
    ("queue", "runtime.scheduler", "Scheduler.take_ready"),
    ("result", "runtime.in_flight", "RequestOutput.result"),
    ("line", "outputs.text_sinks", "_TextSink.put_all"),
)


class Clocks:
    """CPU time of each stage, in nanoseconds, over all threads."""

    def __init__(self) -> None:
        self.total: defaultdict[str, int] = defaultdict(int)
        self.python = 0
        self.missing: list[str] = []
        self._lock = threading.Lock()
        self._own = threading.local()

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with a clock; what wrapped functions use that it calls is not counted twice."""

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            own = self._own
            outer = getattr(own, "inner", 0)
            own.inner = 0
            begun = time.thread_time_ns()
            try:
                return function(*arguments, **options)
            finally:
                used = time.thread_time_ns() - begun
                with self._lock:
                    self.total[stage] += used - own.inner
                own.inner = outer + used

        return timed

    def wrap_run(self, run: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
        """`Thread.run` that adds the CPU time of the thread at its end."""

        def timed(thread: threading.Thread) -> None:
            try:
                run(thread)
            finally:
                with self._lock:
                    self.python += time.thread_time_ns()

        return timed

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Wrap the functions of `FUNCTIONS` and the threads, for a while."""
        changed: list[tuple[Any, str, Any]] = []

        def change(owner: Any, name: str, value: Any) -> None:
            changed.append((owner, name, owner.__dict__[name]))
            setattr(owner, name, value)

        try:
            for stage, module, path in FUNCTIONS:
                owner: Any = importlib.import_module(f"ov_mobilenet.{module}")
                *classes, name = path.split(".")
                for one in classes:
                    owner = getattr(owner, one, None)
                if owner is None or name not in vars(owner):
                    self.missing.append(f"{module}.{path}")
                else:
                    change(owner, name, self.wrap(stage, vars(owner)[name]))
            change(threading.Thread, "run", self.wrap_run(threading.Thread.run))
            yield
        finally:
            for owner, name, value in reversed(changed):
                setattr(owner, name, value)


def run_command(xml: Path, what: Path) -> None:
    """Run `classify` in this process."""
    arguments = ["-q", "classify", str(xml), str(what), "--format", "jsonl", "-d", "CPU"]
    with open(os.devnull, "w") as out, redirect_stdout(out):  # noqa: PTH123 (no file)
        cli.main(arguments, standalone_mode=False)


def stages_of(xml: Path, what: Path) -> tuple[dict[str, float], list[str]]:
    """CPU time of each stage of one run in ms, and the functions that are missing."""
    clocks = Clocks()
    with clocks.installed():
        process, thread = time.process_time_ns(), time.thread_time_ns()
        run_command(xml, what)
        clocks.python += time.thread_time_ns() - thread
        process = time.process_time_ns() - process
    found = dict.fromkeys((stage for stage, *_ in FUNCTIONS), 0.0)
    found |= {stage: total / 1e6 for stage, total in clocks.total.items()}
    found[OTHER] = clocks.python / 1e6 - sum(found.values())
    found[INFERENCE] = (process - clocks.python) / 1e6
    return found, clocks.missing


def per_image(xml: Path, files: list[Path]) -> tuple[dict[str, float], list[str]]:
    """CPU time of each stage in ms an image, without that of a run with two images, which starts the same threads."""
    with tempfile.TemporaryDirectory() as name:
        for file in files[:2]:
            (Path(name) / file.name).symlink_to(file)
        few, missing = stages_of(xml, Path(name))
    all_, _ = stages_of(xml, files[0].parent)
    return {stage: (all_[stage] - few[stage]) / (len(files) - 2) for stage in all_}, missing


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_and_image_options(parser)
    parser.add_argument("--rounds", type=int, default=5)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    os.environ["CI"] = "true"
    columns: dict[str, dict[str, float]] = {}
    with models_and_images(options) as (models, files):
        for xml in models:
            run_command(xml, files[0])  # imports
            rounds: list[dict[str, float]] = []
            whole: list[float] = []
            missing: list[str] = []
            for _ in range(options.rounds):
                found, missing = per_image(xml, files)
                rounds.append(found)
                whole.append(classify_used(xml, files, "-d", "CPU").cpu_s * 1e3)
            if missing:
                print(f"not in this version: {', '.join(missing)}", flush=True)
            column = {stage: statistics.median(found[stage] for found in rounds) for stage in rounds[0]}
            column["sum"] = sum(column.values())
            column["the whole command, without clocks"] = statistics.median(whole)
            columns[f"{xml.parent.name}/{xml.stem}"] = column
            report.add(f"{xml.parent.name}/{xml.stem}: CPU ms an image", column)
    print(f"| CPU time, ms an image | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for stage in next(iter(columns.values())):
        shown = (f"{column[stage]:.3f} ({column[stage] / column['sum']:.0%})" for column in columns.values())
        print(f"| {stage} | {' | '.join(shown)} |")
    report.write()


if __name__ == "__main__":
    main()
