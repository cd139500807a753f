"""Images per second of `bulk` on a Ray cluster of this machine and here, relative to one `classify -o x.parquet`.

    python tools/bench/bulk_against_classify.py [--images 20000] [--pairs 3] [--actors 2] [--images-per-part 500]

Half of the images are in tars, half are files; all are small JPEGs for the sample model. All three use the same cores:
`classify` and `bulk` in one process, Ray in as many actors as cores, of one core each. Start-up is excluded: from
`classify` and `bulk` the time for one image is subtracted; for Ray the time runs from the moment when as many parts
are written as there are actors, up to the last part. Prints medians of interleaved runs; the limit is 0.9 for Ray.
The CPU time of an image is that of `classify` and `bulk`; Ray's actors are not children of the process.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from bulk_inputs import command, rate_of_parts, run, versions, write_files, write_tars
from cpu_time import Used, compared_runs, without_start_up
from report import Report, add_json_option


def plain_used(name: str, inputs: list[str], one: str, images: int, output: Path, *more: str) -> Used:
    """What `classify` or `bulk` use for one image without their start-up."""
    suffix = "" if name == "bulk" else ".parquet"

    def used(count: int) -> Used:
        target = output.with_name(f"{'one' if count == 1 else 'all'}-{name}{suffix}")
        ran = run(command(name, [one] if count == 1 else inputs, target, *more))
        return Used(ran.seconds, ran.cpu_seconds)

    return without_start_up(used, images)


def ray_rate(inputs: list[str], actors: int, output: Path, *more: str) -> tuple[float, float]:
    """Images per second of all actors together without their start-up, and the wall time of the process."""
    ran = run(command("bulk", inputs, output, "--ray", "local", "--workers", str(actors), *more))
    return rate_of_parts(output, skipped=actors), ran.seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--images-per-part", type=int, default=500, help="also in each tar")
    parser.add_argument("--without-ray", action="store_true")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    print(versions(), flush=True)
    here: list[tuple[Used, Used]] = []
    on_ray: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        half = options.images // 2
        write_tars(folder / "tars", half, options.images_per_part)
        write_files(folder / "files", options.images - half)
        inputs = [str(folder / "tars" / "*.tar"), str(folder / "files")]
        more = ("--images-per-part", str(options.images_per_part))
        one = str(folder / "files" / "000000.jpg")
        for turn in range(options.pairs):
            output = folder / f"out{turn}"
            output.mkdir()
            there, seconds = (
                (0.0, 0.0) if options.without_ray else ray_rate(inputs, options.actors, output / "ray", *more)
            )
            classify = plain_used("classify", inputs, one, options.images, output / "x")
            here.append((plain_used("bulk", inputs, one, options.images, output / "x", *more), classify))
            line = f"  classify {1 / classify.wall_s:.0f}/s, here {1 / here[-1][0].wall_s:.0f}/s"
            if not options.without_ray:
                on_ray.append(there * classify.wall_s)
                line += f", Ray {there:.0f}/s (whole process {seconds:.0f} s)"
            print(line, flush=True)
            shutil.rmtree(output)
    result = compared_runs(here)
    print(f"here against classify: {result}")
    report.add("bulk here against classify", result.figures())
    if on_ray:
        ratio = statistics.median(on_ray)
        print(f"Ray / classify: {ratio:.2f} ({min(on_ray):.2f} to {max(on_ray):.2f})")
        report.add("bulk on Ray against classify", {"wall_ratio": ratio, "wall_ratios": on_ray})
    report.write()


if __name__ == "__main__":
    main()
