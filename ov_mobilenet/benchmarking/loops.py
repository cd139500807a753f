"""The timed loops: infer requests are waited for in turn, with no other work in between.

The latency of a request is OpenVINO's own figure, with a resolution below a microsecond: from `start_async` to the
result. It includes the wait for a free stream, but not the way back to Python.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

from ov_mobilenet.benchmarking.measurement import OpenLoop
from ov_mobilenet.errors import DeviceError, printable

# A wait is cut into slices, so that Ctrl-C takes effect in between.
WAIT_SLICE_MS = 200
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Limit:
    """When a loop ends: after a time or a number of requests; whichever comes first if both are given."""

    seconds: float | None = 10.0
    requests: int | None = None


@dataclass(frozen=True)
class TimedRun:
    """Times of all requests of one run.

    Attributes:
        begun: when the first request was started, in seconds.
        ends: when each request was completed, in seconds, ascending.
        images: number of images of each request.
        latencies_ms: one per request; in an open loop one per image.
        stages_ms: for each stage one value per image; empty for inference alone.
        failed: images that could not be read.
        open_loop: how the queue behaved; None in a closed loop.
    """

    begun: float
    ends: Sequence[float]
    images: Sequence[int]
    latencies_ms: Sequence[float]
    stages_ms: dict[str, list[float]]
    failed: int = 0
    open_loop: OpenLoop | None = None

    @property
    def count(self) -> int:
        """Completed images."""
        return sum(self.images)

    @property
    def duration_s(self) -> float:
        """From the first start to the last result."""
        return self.ends[-1] - self.begun if self.ends else 0.0

    @property
    def fps(self) -> float:
        """Images per second; 0 if no image was completed."""
        return self.count / self.duration_s if self.duration_s > 0 else 0.0


def closed_loop(
    requests: Sequence[Any], limit: Limit, *, batch: int, clock: Callable[[], float] = perf_counter
) -> TimedRun:
    """Restart each request as soon as it is completed: the highest throughput of the device.

    Args:
        requests: infer requests with their inputs set; all of them run in parallel.
        batch: images per request.
        clock: returns seconds.

    Raises:
        DeviceError: a request failed, or did not complete within a minute.
    """
    most = limit.requests
    seconds = limit.seconds if limit.seconds is not None else float("inf")
    latencies: list[float] = []
    ends: list[float] = []
    begun = clock()
    try:
        if len(requests) == 1:  # synchronous: there is nothing to do in parallel
            (request,) = requests
            while (most is None or len(ends) < most) and (not ends or ends[-1] - begun < seconds):
                request.infer()
                ends.append(clock())
                latencies.append(request.latency)
        else:
            first = requests if most is None else requests[:most]
            for request in first:
                request.start_async()
            started, turn = len(first), 0
            while turn < started:
                request = first[turn % len(first)]
                wait(request, clock)
                ends.append(clock())
                latencies.append(request.latency)
                if (most is None or started < most) and ends[-1] - begun < seconds:
                    request.start_async()
                    started += 1
                turn += 1
    except RuntimeError as error:
        raise _device_error(error) from error
    return TimedRun(begun, ends, [batch] * len(ends), latencies, {})


def open_loop(
    requests: Sequence[Any],
    limit: Limit,
    rate: float,
    *,
    batch: int,
    clock: Callable[[], float] = perf_counter,
    pause: Callable[[float], None] = sleep,
) -> TimedRun:
    """Let images arrive at a fixed rate: the latency under that load, counted from the arrival of each image.

    A request is started when its last image has arrived. An image that arrives while all requests are busy waits, and
    the wait is part of its latency. A closed loop leaves that wait out, which is known as coordinated omission.

    Args:
        rate: images per second, above 0; the first arrives at once, the rest at equal intervals.
        pause: sleeps for a number of seconds.

    Raises:
        DeviceError: a request failed, or did not complete within a minute.
    """
    idle, busy = deque(requests), deque[tuple[Any, float, int]]()
    latencies: list[float] = []
    ends: list[float] = []
    queue_lengths: list[int] = []  # at each start, in whole requests
    begun = clock()
    seconds = limit.seconds if limit.seconds is not None else float("inf")
    total = limit.requests if limit.requests is not None else int(round(seconds * rate, 6)) // batch
    number = 0

    def collect() -> None:
        """Collect a completed request, or wait for the oldest one."""
        place = next((place for place, (request, _, _) in enumerate(busy) if request.wait_for(0)), 0)
        request, started, index = busy[place]
        wait(request, clock)
        del busy[place]
        done = started + request.latency / 1e3
        ends.append(done)
        latencies.extend((done - begun - (index * batch + image) / rate) * 1e3 for image in range(batch))
        idle.append(request)

    try:
        while number < total:
            due = begun + (number * batch + batch - 1) / rate
            early = due - clock()
            if early > 0:
                pause(early)
            if not idle:
                collect()
            now = clock()
            if now - begun >= seconds:
                break
            queue_lengths.append(max(1, int((now - begun) * rate + 1) // batch - number))
            request = idle.popleft()
            request.start_async()
            busy.append((request, now, number))
            number += 1
        while busy:
            collect()
    except RuntimeError as error:
        raise _device_error(error) from error
    queue = evaluate_queue(rate, [length * batch for length in queue_lengths], batch, (total - number) * batch)
    return TimedRun(begun, sorted(ends), [batch] * len(ends), latencies, {}, 0, queue)


def evaluate_queue(rate: float, queue_lengths: Sequence[int], batch: int, left: int) -> OpenLoop:
    """How a device kept up with a rate.

    It is saturated if the queue was never empty in the last quarter of the starts: a device that keeps up empties the
    queue again and again, even if images arrive in bursts.

    Args:
        queue_lengths: at each start, the images that had arrived and were not started before, including those of this
            request.
        left: images in the queue at the end.
    """
    last_quarter = queue_lengths[len(queue_lengths) * 3 // 4 :]
    saturated = bool(last_quarter) and min(last_quarter) > batch
    return OpenLoop(rate, saturated, max(queue_lengths, default=0), left)


def wait(request: Any, clock: Callable[[], float]) -> None:
    """Wait for a request. Raises RuntimeError if it failed, or did not complete within a minute."""
    begun = None
    while not request.wait_for(WAIT_SLICE_MS):
        begun = clock() if begun is None else begun
        if clock() - begun > TIMEOUT_S:
            raise RuntimeError(f"no answer within {TIMEOUT_S:g} s")


def _device_error(error: RuntimeError) -> DeviceError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return DeviceError(f"the device stopped working ({printable(lines[-1][:200]) if lines else 'no reason given'})")
