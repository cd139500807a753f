"""Print how many threads each part of the library uses, as JSON: run in a process whose CPUs are limited.

python limited_program.py IR.xml IMAGE…
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from ov_mobilenet.cli.library_threads import limit_library_threads

started: list[str] = []
_start = threading.Thread.start


def record_start(self: threading.Thread) -> None:
    """Start a thread and keep its name."""
    started.append(self.name)
    _start(self)


def decode_threads(use: Callable[[], object]) -> int:
    """The number of decoding threads that a call starts."""
    started.clear()
    use()
    return sum(name.startswith("ov-mobilenet-decode") for name in started)


def main() -> None:
    """See the module docstring."""
    limit_library_threads()  # as the program `ov-mobilenet` does
    threading.Thread.start = record_start  # type: ignore[method-assign]
    import cv2

    import ov_mobilenet as ovm
    from ov_mobilenet.cli.main import main as program
    from ov_mobilenet.devices.properties import read_property
    from ov_mobilenet.runtime.async_queue import AsyncQueue
    from ov_mobilenet.tuning.target import TuningTarget

    xml, files = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    classifier = ovm.load_classifier(xml, device="CPU", hint="throughput", inference_precision="f32")

    def run_program(*arguments: str) -> str:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()):
            assert program(list(arguments)) == 0
        return out.getvalue()

    async def ask_all() -> None:
        queue = AsyncQueue(classifier)
        await asyncio.gather(*(queue.infer(file) for file in files))
        await queue.close()

    def one(name: str) -> str:
        (value,) = read_property(classifier.compiled(None).model, name).values
        return str(value)

    report: dict[str, Any] = {
        "stream": decode_threads(lambda: list(classifier.stream(files))),
        "classify": decode_threads(lambda: run_program("classify", str(xml), *map(str, files), "-d", "CPU")),
        "async queue": decode_threads(lambda: asyncio.run(ask_all())),
        "inference": int(one("INFERENCE_NUM_THREADS")),
        "streams": int(one("NUM_STREAMS")),
        "pinning": one("ENABLE_CPU_PINNING").upper() in ("YES", "TRUE"),
        "opencv": cv2.getNumThreads(),
        "env": json.loads(run_program("env", "--format", "json"))["cpu"]["usable_cpus"],
    }
    for objective in ("latency", "throughput"):
        target = TuningTarget(xml, "CPU", objective=objective, mode="end-to-end", inputs=files)
        space = target.search_space("own")
        report[f"tune for {objective}"] = max(count or 1 for count in (*space.threads, *space.streams))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
