"""The timed loops: infer requests of our own, waited for in turn, and nothing else between them.

What a request took is OpenVINO's own figure: from `start_async` to the answer, in fractions of a microsecond, the wait
for a free stream included, the way back to Python not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

from ov_mobilenet.benchmarking.measurement import OpenLoop
from ov_mobilenet.errors import DeviceError, printable

# Waiting is cut into slices: Ctrl-C is seen in between.
WAIT_SLICE_MS = 200
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Limit:
    """When a loop ends: after so many seconds, or so many requests; the first of the two where both are given."""

    seconds: float | None = 10.0
    requests: int | None = None


@dataclass(frozen=True)
class TimedRun:
    """What happened.

    Attributes:
        begun: when the first request was started, in seconds.
        ends: when each request was seen to be done, rising.
        images: of each request.
        latencies_ms: one a request; one an image where images come by themselves.
        stages_ms: of each image, by name; empty where there are none.
        failed: images that could not be read.
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
        """Images that were answered."""
        return sum(self.images)

    @property
    def duration_s(self) -> float:
        """From the first start to the last answer."""
        return self.ends[-1] - self.begun if self.ends else 0.0

    @property
    def fps(self) -> float:
        """Images per second; 0 where there were none."""
        return self.count / self.duration_s if self.duration_s > 0 else 0.0


def closed_loop(
    requests: Sequence[Any], limit: Limit, *, batch: int, clock: Callable[[], float] = perf_counter
) -> TimedRun:
    """Start each request again as soon as it is done: how much the device can do.

    Args:
        requests: infer requests with their inputs; all are busy at a time.
        batch: images of each.
        clock: seconds.

    Raises:
        DeviceError: a request failed, or gave no answer for a minute.
    """
    most = limit.requests
    seconds = limit.seconds if limit.seconds is not None else float("inf")
    latencies: list[float] = []
    ends: list[float] = []
    begun = clock()
    try:
        if len(requests) == 1:  # in this thread: nothing else would use the time
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
        raise _stopped(error) from error
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
    """Let images come at a given rate: how long each takes under that load, counted from when it came.

    A request is started when its last image has come. One that comes while all requests are busy waits, and the
    wait is part of its latency: a closed loop leaves that out, which is called coordinated omission.

    Args:
        rate: images per second, above 0; the first comes at once, and the rest at equal distances.
        pause: waits so many seconds.

    Raises:
        DeviceError: a request failed, or gave no answer for a minute.
    """
    idle, busy = deque(requests), deque[tuple[Any, float, int]]()
    latencies: list[float] = []
    ends: list[float] = []
    waiting: list[int] = []  # requests that could have been started, at each start
    begun = clock()
    seconds = limit.seconds if limit.seconds is not None else float("inf")
    total = limit.requests if limit.requests is not None else int(round(seconds * rate, 6)) // batch
    number = 0

    def take() -> None:
        """Take the answer of a request that is done, or else of the oldest one."""
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
                take()
            now = clock()
            if now - begun >= seconds:
                break
            waiting.append(max(1, int((now - begun) * rate + 1) // batch - number))
            request = idle.popleft()
            request.start_async()
            busy.append((request, now, number))
            number += 1
        while busy:
            take()
    except RuntimeError as error:
        raise _stopped(error) from error
    told = keeping_up(rate, [count * batch for count in waiting], batch, (total - number) * batch)
    return TimedRun(begun, sorted(ends), [batch] * len(ends), latencies, {}, 0, told)


def keeping_up(rate: float, waiting: Sequence[int], batch: int, left: int) -> OpenLoop:
    """How a device dealt with a rate.

    Saturated is one that never came to an empty queue in the last quarter of its starts: one that keeps up does so
    again and again, however bursts fall.

    Args:
        waiting: images that had come and were not started, at each start, those of the start among them.
    """
    last_quarter = waiting[len(waiting) * 3 // 4 :]
    saturated = bool(last_quarter) and min(last_quarter) > batch
    return OpenLoop(rate, saturated, max(waiting, default=0), left)


def wait(request: Any, clock: Callable[[], float]) -> None:
    """Wait for a request. Raises: RuntimeError, as it failed, or where no answer came for a minute."""
    begun = None
    while not request.wait_for(WAIT_SLICE_MS):
        begun = clock() if begun is None else begun
        if clock() - begun > TIMEOUT_S:
            raise RuntimeError(f"no answer within {TIMEOUT_S:g} s")


def _stopped(error: RuntimeError) -> DeviceError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return DeviceError(f"the device stopped working ({printable(lines[-1][:200]) if lines else 'no reason given'})")
