"""Peak of the memory of `bulk`, with few and with many images: here, and on Ray of the driver and the object store.

    python tools/bench/bulk_memory.py [--few 1000] [--many 100000] [--images-per-part 500] [--without-ray]

The images are hard links to small JPEGs; the sample model classifies them. On Ray the driver, which computes nothing,
is measured by the kernel's peak of its resident memory, and the object store by what its node reports as used, asked
twice a second. Limit: 20 MB more with many images than with few.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bulk_inputs import ENVIRONMENT, command, run, versions, write_links
from report import Report, add_json_option

from ov_mobilenet.cli.demo import SAMPLE

# Memory of a driver: the process that calls `bulk`. Ray is started by itself, so that its own memory can be asked for.
DRIVER = """
import json, sys, threading, time
import ray
import ov_mobilenet as ovm
model, images, output, per_part, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
ray.init("local", include_dashboard=False, log_to_driver=False, object_store_memory=500_000_000)
peak, ended = 0.0, threading.Event()

def used():
    all_there = ray.cluster_resources()["object_store_memory"]
    return all_there - ray.available_resources().get("object_store_memory", 0.0)

def watch():
    global peak
    while not ended.wait(0.5):
        peak = max(peak, used())

held = ray.put(bytes(4 << 20))
while used() < 4 << 20:  # the figure is reported about once a second
    time.sleep(0.1)
del held
while used() > 1 << 20:
    time.sleep(0.1)
watcher = threading.Thread(target=watch)
watcher.start()
done = ovm.bulk(model, images, output, settings=ovm.BulkSettings(images_per_part=per_part),
                ray=ovm.RaySettings(address="auto", workers=workers), device="CPU")
ended.set()
watcher.join()
(rss,) = (int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"rss": rss, "store": peak / 2**20,
                  "images": done.manifest.images}))
"""


def on_ray(images: Path, output: Path, per_part: int, workers: int) -> tuple[float, float]:
    """Peaks of the driver and of the object store, in MB."""
    program = [sys.executable, "-c", DRIVER, SAMPLE, str(images), str(output), str(per_part), str(workers)]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["rss"], found["store"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--images-per-part", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--without-ray", action="store_true")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    print(versions(), flush=True)
    found: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        for count in (options.few, options.many):
            folder = Path(name) / str(count)
            write_links(folder / "images", count)
            more = ("--images-per-part", str(options.images_per_part))
            here = run(command("bulk", [str(folder / "images")], folder / "here", *more))
            line = f"  {count} images: here {here.peak_mb:.1f} MB ({here.seconds:.0f} s)"
            driver, store = 0.0, 0.0
            if not options.without_ray:
                driver, store = on_ray(folder / "images", folder / "ray", options.images_per_part, options.workers)
                line += f", on Ray: driver {driver:.1f} MB, object store {store:.1f} MB"
            print(line, flush=True)
            report.add(
                f"{count} images",
                {"here_mb": here.peak_mb, "here_s": here.seconds, "here_cpu_s": here.cpu_seconds, "driver_mb": driver,
                 "object_store_mb": store},
            )  # fmt: skip
            found.append((here.peak_mb, driver, store))
    report.write()
    few, many = found
    print("more with many: " + ", ".join(
        f"{kind} {after - before:+.1f} MB" for kind, before, after in zip(("here", "driver", "store"), few, many,
                                                                          strict=True)
    ))  # fmt: skip


if __name__ == "__main__":
    main()
