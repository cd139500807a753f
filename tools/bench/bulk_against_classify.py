"""Images per second of `bulk` on a Ray cluster of this machine and here, relative to one `classify -o x.parquet`.

    python tools/bench/bulk_against_classify.py [--images 20000] [--pairs 3] [--actors 2] [--images-per-part 500]

Half of the images are in tars, half are files; all are small JPEGs for the sample model. All three use the same cores:
`classify` and `bulk` in one process, Ray in as many actors as cores, of one core each. Start-up is excluded: from
`classify` and `bulk` the time for one image is subtracted; for Ray the time runs from the moment when as many parts
are written as there are actors, up to the last part. Prints medians of interleaved runs; the limit is 0.9 for Ray.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from bulk_inputs import command, rate_of_parts, run, versions, write_files, write_tars


def plain_rate(name: str, inputs: list[str], one: str, images: int, output: Path, *more: str) -> float:
    """Images per second of `classify` or `bulk` without its start-up."""
    suffix = "" if name == "bulk" else ".parquet"
    alone = run(command(name, [one], output.with_name(f"one-{name}{suffix}"), *more)).seconds
    return (images - 1) / (run(command(name, inputs, output.with_name(f"all-{name}{suffix}"), *more)).seconds - alone)


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
    options = parser.parse_args()
    print(versions(), flush=True)
    found: dict[str, list[float]] = {"here": []} if options.without_ray else {"here": [], "Ray": []}
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
            ours = plain_rate("classify", inputs, one, options.images, output / "x")
            here = plain_rate("bulk", inputs, one, options.images, output / "x", *more)
            line = f"  classify {ours:.0f}/s, here {here:.0f}/s"
            found["here"].append(here / ours)
            if not options.without_ray:
                found["Ray"].append(there / ours)
                line += f", Ray {there:.0f}/s (whole process {seconds:.0f} s)"
            print(line, flush=True)
            shutil.rmtree(output)
    for kind, ratios in found.items():
        print(f"{kind} / classify: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
