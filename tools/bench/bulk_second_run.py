"""Time of a second `bulk` over finished parts, in which nothing is computed: whole processes.

    python tools/bench/bulk_second_run.py [--parts 10000] [--runs 5] [--inputs tars|files]

tars: as many tars of one small image; files: one folder, with `--images-per-part 1`. It is compared with `bulk` over a
single finished part, which is the start-up. Limit: 2 s for 10,000 parts. It fails if a second run changes a part. Most
of the time is the first run, which writes each part to the disk: TMPDIR=/dev/shm is faster.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from bulk_inputs import Ran, command, run, versions, write_links, write_tars
from report import Report, add_json_option


def second_runs(inputs: list[str], output: Path, runs: int) -> tuple[Ran, list[Ran]]:
    """The first run, and each of the next ones."""
    wanted = command("bulk", inputs, output, "--images-per-part", "1")
    first = run(wanted)
    before = {part.name: part.stat().st_mtime_ns for part in output.glob("part-*.parquet")}
    found = [run(wanted) for _ in range(runs)]
    after = {part.name: part.stat().st_mtime_ns for part in output.glob("part-*.parquet")}
    assert before == after, "a second run has written parts"
    return first, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--inputs", choices=["tars", "files"], default="tars")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    print(versions(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_links(folder / "one", 1)
        images = folder / options.inputs
        if options.inputs == "tars":
            write_tars(images, options.parts, 1)
        else:
            write_links(images, options.parts)
        _, alone = second_runs([str(folder / "one")], folder / "out-one", options.runs)
        inputs = [str(images / "*.tar") if options.inputs == "tars" else str(images)]
        first, found = second_runs(inputs, folder / "out", options.runs)
    print(f"  first run of {options.parts} parts of {options.inputs}: {first.seconds:.1f} s")
    for parts, runs in ((1, alone), (options.parts, found)):
        seconds = [one.seconds for one in runs]
        print(
            f"  second run over {parts} parts: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), CPU time {statistics.median(one.cpu_seconds for one in runs):.2f} s, "
            f"{statistics.median(one.peak_mb for one in runs):.0f} MB"
        )
        report.add(
            f"second run over {parts} parts",
            {"wall_s": seconds, "cpu_s": [one.cpu_seconds for one in runs], "peak_mb": [one.peak_mb for one in runs]},
        )
    ratio = statistics.median(one.seconds for one in found) / first.seconds
    print(f"second / first run: {ratio:.3f}")
    report.write()


if __name__ == "__main__":
    main()
