"""The image of demos/edge/Dockerfile: unprivileged, with nothing to write to and no network."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from containers.outcome import expect, report, step
from containers.podman import Podman
from containers.readme_packages import ROOT

SAMPLES = ROOT / "model_configs/mobilenet-v1-0.25-128-signs/samples"
VIDEO = ROOT / "demos/data/sample_drive.mp4"
FRAMES = 384
MORE_THAN_CAN_END = 50_000
# Prints how many threads decode images.
THREADS = """
import threading, ov_mobilenet as ovm
classifier = ovm.load_classifier("mobilenet-v1-0.25-128-signs", device="CPU")
with ovm.open_inputs("/images", loop=True, limit=500) as inputs:
    results = classifier.stream(inputs)
    next(results)
    print(sum(thread.name.startswith("ov-mobilenet-decode") for thread in threading.enumerate()))
"""


def wait_for(condition: Callable[[], bool], promise: str, seconds: float = 120) -> float:
    """Seconds until a condition holds. Raises: ExpectationError."""
    started = monotonic()
    while not condition():
        expect(monotonic() - started < seconds, f"{promise} within {seconds:g} s", "it did not happen")
        sleep(0.05)
    return monotonic() - started


def check_edge(podman: Podman, image: str, folder: Path) -> None:
    """Images, video, user, signal and CPU limit. Raises: ExpectationError."""
    offline = ("--rm", "--network=none")
    with step("edge: a folder of images"):
        done = podman.run(*offline, f"--volume={SAMPLES}:/images:ro", image, "-i", "/images")
        expect(done.returncode == 0, "exit code 0", (done.returncode, done.stderr[-2000:]))
        expect("WARNING" not in done.stderr, "no warning on a read-only root", done.stderr)
        found = {
            Path(line["source"]).stem: line["predictions"][0]["label"]
            for line in map(json.loads, done.stdout.splitlines())
        }
        drawn = {file.stem: file.stem[:-3].replace("_", " ") for file in SAMPLES.glob("*.jpg")}
        expect(found == drawn, f"what each file's name says: {drawn}", found)
    with step("edge: a video of the user's"):
        done = podman.run(*offline, f"--volume={VIDEO}:/video.mp4:ro", image, "-i", "/video.mp4")
        frames = [json.loads(line)["frame"] for line in done.stdout.splitlines()]
        expect(
            (done.returncode, frames) == (0, list(range(FRAMES))),
            f"{FRAMES} frames in order",
            (done.returncode, frames),
        )
    with step("edge: not root, no capabilities, nothing can be written"):
        script = "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; "
        script += "for folder in / /tmp /home/edge /home/edge/.cache; do touch $folder/new 2>&1; done"
        printed = podman.run(*offline, "--entrypoint=sh", image, "-c", script).stdout.split("\n")
        expect(printed[0] == "10001", "user 10001", printed)
        expect(printed[1].split()[1:] == ["0000000000000000"], "no capabilities", printed)
        expect(printed[2].split()[1:] == ["1"], "no new privileges", printed)
        expect(sum("Read-only file system" in line for line in printed) == 4, "nothing can be written", printed)
    with step("edge: SIGTERM while it runs"):
        many = folder / "many"
        many.mkdir()
        one = shutil.copy(SAMPLES / "stop_blue_01.jpg", folder)
        for number in range(MORE_THAN_CAN_END):
            os.link(one, many / f"{number:06}.jpg")
        podman.start("--network=none", "--name=stopped", f"--volume={many}:/images:ro", image, "-i", "/images")
        wait_for(lambda: "predictions" in podman.call("logs", "stopped").stdout, "the first result")
        podman.succeeds("stop", "--time=30", "stopped")
        log = podman.call("logs", "stopped")
        code = podman.inspect("container", "stopped", ".State.ExitCode")
        expect(code == 143, "exit code 143, as the demos promise", code)
        expect("Metrics report" in log.stderr, "the report is printed", log.stderr)
        expect(all(json.loads(line) for line in log.stdout.splitlines()), "whole lines only", log.stdout[-500:])
    done = podman.run(
        *offline, "--cpus=1", f"--volume={SAMPLES}:/images:ro", "--entrypoint=python", image, "-c", THREADS
    )
    if done.returncode not in (125, 126):  # podman's own errors, as without a writable control group
        expect(done.returncode == 0, "the images are classified with --cpus=1", done.stderr[-2000:])
        expect(done.stdout.strip() == "1", "one thread decodes with a quota of one CPU (--cpus=1)", done.stdout)
        report("    edge: with --cpus=1 one thread decodes")
    else:
        report(f"    edge: a quota of CPUs cannot be set here: {done.stderr.strip().splitlines()[-1:]}")
