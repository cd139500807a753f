"""Time from the arrival of a camera's frame to its result, against the device's own time for a request.

    python tools/bench/live_latency.py [--seconds 20] [--device-ms 20]

A simulated camera delivers frames of 640x480 through the live source, and a simulated device takes 20 ms for a request
without computing anything. `Classifier.stream(live=True)` prepares each frame as for V2 (resize and crop to 224x224).
Printed are the times from the moment when the camera has a frame to the moment when the program has its result:
median, 99th percentile and maximum, and how much longer than the device they are; the frames that were dropped, and the
CPU time of a frame. A camera that is faster than the device must leave no frames waiting: each result is that of the
newest frame when a request was free, so its age is at most twice the device's time, and the preparation of a frame.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from report import SEED, Report, add_json_option
from simulated_device import Device, simulated_classifier

from ov_mobilenet.inputs.capture import FrameSampler
from ov_mobilenet.inputs.live_source import LiveSource
from ov_mobilenet.runtime.results import Classification

HEIGHT, WIDTH = 480, 640
MIN_RESULTS = 10


class Case(NamedTuple):
    """A camera and a device."""

    fps: float
    requests: int


CASES = (Case(30, 1), Case(30, 2), Case(60, 1), Case(60, 2))


@dataclass
class Camera:
    """A capture whose frames arrive at a fixed rate; `grab` sleeps until the next one is there.

    Attributes:
        arrivals: when each frame arrived, in seconds of `perf_counter`.
    """

    fps: float
    frame: NDArray[np.uint8]
    arrivals: list[float] = field(default_factory=list)
    _begun: float | None = None

    def grab(self) -> bool:
        """Wait for the next frame."""
        if self._begun is None:
            self._begun = time.perf_counter()
        due = self._begun + len(self.arrivals) / self.fps
        left = due - time.perf_counter()
        if left > 0:
            time.sleep(left)
        self.arrivals.append(time.perf_counter())
        return True

    def retrieve(self) -> NDArray[np.uint8]:
        """The frame, in its own memory."""
        return np.array(self.frame)

    def release(self) -> None:
        """Nothing to close."""


def measure(case: Case, seconds: float, device_ms: float, own: dict[str, float], report: Report) -> None:
    """Run one case and print a row.

    Args:
        own: times of the device alone.
    """
    device = Device(name="GPU", streams=case.requests, service_s=device_ms / 1e3, side=224)
    classifier = simulated_classifier(device)
    pixels = np.random.default_rng(SEED).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    camera = Camera(case.fps, pixels)
    source = LiveSource("camera", lambda: camera, FrameSampler())
    latencies: list[float] = []
    numbers: list[int] = []
    begun, cpu = time.perf_counter(), time.process_time()
    for result in classifier.stream(source, live=True, requests=case.requests):
        now = time.perf_counter()
        assert isinstance(result, Classification) and result.frame is not None, result
        latencies.append((now - camera.arrivals[result.frame]) * 1e3)
        numbers.append(result.frame)
        if now - begun >= seconds and len(numbers) >= MIN_RESULTS:
            source.close()  # the stream ends after the frames that it has taken
    cpu = time.process_time() - cpu
    dropped, arrived = source.dropped, len(camera.arrivals)
    assert numbers == sorted(set(numbers)), "results are not in the order of the frames"
    found = spread(latencies[1:])  # the first frame waits for the libraries' imports
    beyond = {name: found[name] - own[name] for name in ("p50_ms", "p99_ms")}
    cpu_ms = cpu / len(numbers) * 1e3
    print(
        f"| {case.fps:g} | {case.requests} | {found['p50_ms']:.1f} | {found['p99_ms']:.1f} | {found['max_ms']:.1f} |"
        f" {beyond['p50_ms']:.1f} | {beyond['p99_ms']:.1f} | {dropped} of {arrived} | {cpu_ms:.2f} |",
        flush=True,
    )
    counts = {"results": len(numbers), "arrived": arrived, "dropped": dropped, "cpu_ms_per_result": cpu_ms}
    beyond = {f"beyond_{name}": value for name, value in beyond.items()}
    report.add(f"{case.fps:g} frames/s, {case.requests} request(s)", {**found, **beyond, **counts})


def spread(times_ms: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    ordered = sorted(times_ms)
    return {
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[int(len(ordered) * 0.99)],
        "max_ms": ordered[-1],
    }


def device_alone(device_ms: float, seconds: float) -> dict[str, float]:
    """Times of the device's requests, one after another, as this thread sees their ends."""
    classifier = simulated_classifier(Device(streams=1, service_s=device_ms / 1e3))
    request = classifier.compiled(1).model.create_infer_request()
    times: list[float] = []
    begun = time.perf_counter()
    while (started := time.perf_counter()) - begun < seconds or len(times) < MIN_RESULTS:
        request.infer()
        times.append((time.perf_counter() - started) * 1e3)
    return spread(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of each case")
    parser.add_argument("--device-ms", type=float, default=20.0, help="duration of a request")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    own = device_alone(options.device_ms, options.seconds / 4)
    print(f"the device alone: {', '.join(f'{name[:-3]} {value:.1f} ms' for name, value in own.items())}")
    report.add("the device alone", own)
    print(
        "| frames/s | requests | p50, ms | p99, ms | max, ms | p50 beyond | p99 beyond | dropped | CPU, ms a result |"
    )
    print(f"|{'---|' * 9}")
    for case in CASES:
        measure(case, options.seconds, options.device_ms, own, report)
    report.write()


if __name__ == "__main__":
    main()
