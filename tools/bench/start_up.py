"""Time of a whole process that classifies one image: `ov-mobilenet classify` relative to a minimal script, interleaved.

    python tools/bench/start_up.py IR.xml IMAGE [--pairs 7] [--stages] [--json FILE]

Without files a small network and an image are generated. Prints wall time and CPU time of each pair,
the medians of the ratios, and the time of `import ov_mobilenet` as measured by `-X importtime`. Both programs run once
before they are measured: that fills the file cache of the operating system, the compiled modules of Python (as an
installed package has them, whatever PYTHONDONTWRITEBYTECODE says) and the model cache of `classify`, all in a temporary
folder. `--stages` also prints where the time of `classify` goes, each stage in a process that does nothing else at the
same time. Required ratio of wall time: at most 0.95.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cpu_time import compared_runs, used_by_command
from report import Report, add_json_option

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "bench" / "bare_script.py"
STAGES = ROOT / "tools" / "bench" / "start_up_stages.py"
REQUIRED = 0.95


def environment_in(folder: Path) -> dict[str, str]:
    """The environment of this process, with the caches of Python and of ov-mobilenet in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept, "PYTHONPYCACHEPREFIX": str(folder / "modules"), "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]),
    }  # fmt: skip


def import_milliseconds(environment: Mapping[str, str]) -> float:
    """Cumulative time of `import ov_mobilenet` in milliseconds, the minimum of five processes."""
    times = []
    for _ in range(5):
        command = [sys.executable, "-X", "importtime", "-c", "import ov_mobilenet"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
        match = re.search(r"(\d+) \| ov_mobilenet$", done.stderr, re.MULTILINE)
        assert match is not None
        times.append(int(match[1]) / 1e3)
    return min(times)


def example(folder: Path) -> tuple[Path, Path]:
    """A small converted network and an image of noise."""
    import cv2
    import numpy as np

    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import small_networks

    import ov_mobilenet as ovm

    config = ovm.load_config(small_networks.write_onnx(folder / "small"))
    sources = ovm.download(config, folder / "sources", cache_root=folder / "files")
    xml = ovm.convert(sources, folder / "ir", precisions=("FP32",))[0].xml
    image = folder / "noise.png"
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8))
    return xml, image


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="IR.xml IMAGE")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--stages", action="store_true")
    add_json_option(parser)
    arguments = parser.parse_args()
    report = Report(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        xml, image = arguments.files[:2] if len(arguments.files) >= 2 else example(folder)
        environment = environment_in(folder)
        tail = [str(Path(xml).resolve()), str(Path(image).resolve())]
        bare = [sys.executable, str(SCRIPT), *tail]
        ours = [sys.executable, "-m", "ov_mobilenet", "-q", "classify", *tail]
        for command in (bare, ours, ours):
            used_by_command(command, environment)
        pairs = [
            (used_by_command(bare, environment)[0], used_by_command(ours, environment)[0])
            for _ in range(arguments.pairs)
        ]
        imported = import_milliseconds(environment)
        if arguments.stages:
            command = [sys.executable, str(STAGES), *tail]
            print(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment).stdout)
    for first, second in pairs:
        print(
            f"bare {first.wall_s:.3f} s, CPU time {first.cpu_s:.3f} s   "
            f"classify {second.wall_s:.3f} s, CPU time {second.cpu_s:.3f} s   ratio {second.wall_s / first.wall_s:.2f}"
        )
    wall = statistics.median(second.wall_s / first.wall_s for first, second in pairs)
    cpu = statistics.median(second.cpu_s / first.cpu_s for first, second in pairs)
    print(
        f"median ratio {wall:.2f} of {len(pairs)} pairs (required: at most {REQUIRED}), "
        f"CPU time {cpu:.2f}; import ov_mobilenet {imported:.1f} ms"
    )
    found = compared_runs([(second, first) for first, second in pairs])
    name = f"{xml.parent.name}/{xml.stem}: classify against the bare script"
    report.add(name, {**found.figures(), "import_ms": imported})
    report.write()


if __name__ == "__main__":
    main()
