"""Time of a whole process that classifies one image: `ov-mobilenet classify` relative to a minimal script, interleaved.

    python tools/bench/start_up.py IR.xml IMAGE [--pairs 5]

Without arguments a small network and an image are generated. Prints each pair, the median of the ratios, and the time
of `import ov_mobilenet` as measured by `-X importtime`. Required ratio: at most 1.5.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def seconds(command: list[str]) -> float:
    """Wall time of a command. Raises: CalledProcessError if it fails."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - started


def import_milliseconds() -> float:
    """Cumulative time of `import ov_mobilenet` in milliseconds, the minimum of five processes."""
    times = []
    for _ in range(5):
        command = [sys.executable, "-X", "importtime", "-c", "import ov_mobilenet"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        match = re.search(r"(\d+) \| ov_mobilenet$", done.stderr, re.MULTILINE)
        assert match is not None
        times.append(int(match[1]) / 1e3)
    return min(times)


def example(folder: Path) -> tuple[Path, Path]:
    """A small converted network and an image of noise."""
    import cv2
    import numpy as np

    sys.path.insert(0, str(ROOT / "tests"))
    import small_networks

    import ov_mobilenet as ovm

    config = ovm.load_config(small_networks.write_onnx(folder / "small"))
    sources = ovm.download(config, folder / "sources", cache_root=folder / "cache")
    xml = ovm.convert(sources, folder / "ir", precisions=("FP32",))[0].xml
    image = folder / "noise.png"
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8))
    return xml, image


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="IR.xml IMAGE")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        xml, image = arguments.files[:2] if len(arguments.files) >= 2 else example(Path(folder))
        tail = [str(Path(xml).resolve()), str(Path(image).resolve())]
        bare = [sys.executable, str(ROOT / "tools" / "bench" / "bare_script.py"), *tail]
        ours = [sys.executable, "-m", "ov_mobilenet", "-q", "classify", *tail]
        for command in (bare, ours):
            seconds(command)  # the first run fills the operating system's file cache
        pairs = [(seconds(bare), seconds(ours)) for _ in range(arguments.pairs)]
    for first, second in pairs:
        print(f"bare {first:.3f} s   classify {second:.3f} s   ratio {second / first:.2f}")
    ratios = statistics.median(second / first for first, second in pairs)
    print(f"median ratio {ratios:.2f} of {len(pairs)} pairs; import ov_mobilenet {import_milliseconds():.1f} ms")


if __name__ == "__main__":
    main()
