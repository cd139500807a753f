"""What one image costs in the whole command `classify` and in the plain loop, without the start-up of the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cpu_time import Used, used_by_command, without_start_up
from images import ROOT

ENVIRONMENT = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)}
# The plain loop classifies up to this number of images before all of them, to warm up.
WARM_UP = 50


def classify_used(model: str | Path, files: Sequence[Path], *extra: str) -> Used:
    """What `classify` with JSON lines uses for one image; `files` are all files of their folder."""

    def used(count: int) -> Used:
        what = files[0] if count == 1 else files[0].parent
        command = [sys.executable, "-m", "ov_mobilenet", "-q", "classify", str(model), str(what), "--format", "jsonl"]
        return used_by_command([*command, *extra], ENVIRONMENT)[0]

    return without_start_up(used, len(files))


def plain_used(xml: Path, geometry: str, files: Sequence[Path]) -> Used:
    """What `plain_loop.py` uses for one image.

    The wall time is that of its second pass, as it reports it. The CPU time is that of both passes, without that of a
    process with one image.
    """
    program = str(ROOT / "tools" / "bench" / "plain_loop.py")

    def run(count: int) -> tuple[Used, float]:
        command = [sys.executable, program, str(xml), geometry, *map(str, files[:count])]
        used, rate = used_by_command(command, ENVIRONMENT)
        return used, float(rate)

    (one, _), (all_, rate) = run(1), run(len(files))
    images = min(len(files), WARM_UP) + len(files) - 2
    return Used(1 / rate, (all_ - one).cpu_s / images)
